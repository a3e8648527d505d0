package tx

import (
	"bytes"

	"mmdb/page"
)

// Bucket is a sorted collection of keys, each with a value or a nested bucket. It is valid until its
// transaction ends. Keys have 1 to 32768 bytes, values 0 to 2^31-2.
type Bucket struct {
	tx     *Tx
	parent *Bucket
	name   []byte      // its key in parent
	hdr    page.Bucket // Root may refer to a dirty page; zero means inline
	inline []byte      // the root while Root is zero, a leaf or a branch: a slice of the parent's leaf, or a copy if that is dirty
	buf    []byte      // memory for inline where that is a copy; write transactions only
	lent   bool        // the caller may have slices of buf
	born   page.Commit // the root page, or what an inline root refers to, is no younger
	dirty  bool        // hdr or contents differ from the cell in parent
	gone   bool        // deleted or moved away in this transaction
	at     uint32      // where it is in the list of the parent's opened buckets
	mods   uint64      // counts changes of the tree, so that cursors notice
	open   children    // nested buckets that were opened; write transactions only
}

// children finds the opened nested buckets of a bucket by name, so that all handles of one share its state.
type children struct {
	list  []*Bucket
	few   [2]*Bucket         // where list begins, so that few children cost no allocation
	index map[string]*Bucket // made when the list gets long
}

// childrenIndexed is the length from which a map beats a linear search.
const childrenIndexed = 8

func (c *children) find(name []byte) *Bucket {
	if c.index != nil {
		return c.index[string(name)]
	}
	for _, b := range c.list {
		if !b.gone && bytes.Equal(b.name, name) {
			return b
		}
	}
	return nil
}

func (c *children) add(b *Bucket) {
	if c.list == nil {
		c.list = c.few[:0]
	}
	b.at = uint32(len(c.list))
	c.list = append(c.list, b)
	if c.index == nil && len(c.list) > childrenIndexed {
		c.index = make(map[string]*Bucket)
		for _, b := range c.list {
			if !b.gone {
				c.index[string(b.name)] = b
			}
		}
	} else if c.index != nil {
		c.index[string(b.name)] = b
	}
}

// remove takes b out; the last one comes into its place, so that it costs the same however many there are.
func (c *children) remove(b *Bucket) {
	b.gone = true
	if c.index != nil {
		delete(c.index, string(b.name))
	}
	n := len(c.list) - 1
	last := c.list[n]
	c.list[b.at], last.at = last, b.at
	c.list[n] = nil
	c.list = c.list[:n]
}

// Tx returns the transaction that b belongs to.
func (b *Bucket) Tx() *Tx { return b.tx }

// Writable reports whether b can be changed.
func (b *Bucket) Writable() bool { return b.tx.writable }

// Root returns the number of the root page of b, or zero if the root is stored inside the parent's leaf or the meta (InlineRoot), or has
// changed in this transaction.
func (b *Bucket) Root() uint64 {
	if b.hdr.Root.Dirty() {
		return 0
	}
	return uint64(b.hdr.Root.Page())
}

// InlineRoot returns the root of b's tree where that is so small that it has no page and stands in the parent's leaf, or for the top level in
// the meta: the body of a leaf (level 0) or of a branch (see package page). It returns nil if the root is a page, and in write
// transactions. The slice lives as Get's do.
func (b *Bucket) InlineRoot() (body []byte, level int) {
	if b.hdr.Root != 0 || b.tx.writable || !b.usable() {
		return nil, 0
	}
	if b.parent == nil {
		b.tx.lendRoot()
	}
	return b.inline[:len(b.inline):len(b.inline)], int(b.hdr.Level)
}

// Len returns the number of keys in b, those of nested buckets not included. It costs nothing.
func (b *Bucket) Len() uint64 { return b.hdr.Keys }

// Sequence returns the number that NextSequence last returned, or that SetSequence last set.
func (b *Bucket) Sequence() uint64 { return b.hdr.Sequence }

// SetSequence sets the number that Sequence returns.
func (b *Bucket) SetSequence(v uint64) error {
	if err := b.mayWrite(); err != nil {
		return err
	}
	b.hdr.Sequence, b.dirty = v, true
	return nil
}

// NextSequence adds one to the bucket's sequence and returns it. Sequences start at zero and survive commits.
func (b *Bucket) NextSequence() (uint64, error) {
	if err := b.mayWrite(); err != nil {
		return 0, err
	}
	b.hdr.Sequence++
	b.dirty = true
	return b.hdr.Sequence, nil
}

// mayWrite returns an error when b can't be changed.
func (b *Bucket) mayWrite() error {
	if err := b.tx.mayWrite(); err != nil {
		return err
	}
	if b.gone || b.orphan() {
		return ErrBucketNotFound
	}
	return nil
}

// orphan reports whether a bucket above b was deleted.
func (b *Bucket) orphan() bool {
	for p := b.parent; p != nil; p = p.parent {
		if p.gone {
			return true
		}
	}
	return false
}

// mayRead reports whether b can be read, and keeps the error if not. What is read may be handed out.
func (b *Bucket) mayRead() bool {
	if b.tx.writable {
		b.tx.show()
		b.lent = true
	}
	return b.usable()
}

// show notes that the caller may get slices of pages that t has spilled.
func (t *Tx) show() {
	if !t.done && t.w.spilled {
		t.w.shown = true
	}
}

// usable reports whether b is there, and keeps the error if not.
func (b *Bucket) usable() bool {
	if b.tx.done {
		b.tx.fail(ErrTxClosed)
		return false
	}
	if b.gone || b.tx.writable && b.orphan() {
		b.tx.fail(ErrBucketNotFound)
		return false
	}
	return true
}

// Bucket returns the nested bucket of that name, or nil if there is none.
func (b *Bucket) Bucket(name []byte) *Bucket {
	if !b.tx.managed {
		return b.nestedGuarded(name)
	}
	return b.nested(name)
}

// nestedGuarded is Bucket in a manual transaction.
func (b *Bucket) nestedGuarded(name []byte) (child *Bucket) {
	defer b.tx.exit(enter())
	return b.nested(name)
}

func (b *Bucket) nested(name []byte) *Bucket {
	if !b.usable() {
		return nil
	}
	child, err := b.bucket(name)
	if err != nil {
		b.tx.fail(err)
		return nil
	}
	return child
}

// bucket is Bucket with an error; what is absent, or a value, is nil.
func (b *Bucket) bucket(name []byte) (*Bucket, error) {
	if b.tx.writable {
		return b.openNested(name)
	}
	leaf, _, born, err := b.leafOf(name)
	if err != nil {
		return nil, err
	}
	kind, payload, _, found, err := leaf.Find(name, b.tx)
	if !found || kind != page.CellBucket {
		return nil, err
	}
	// All else in child is zero: it is new, or was one of a read transaction, which changes nothing in it.
	child := b.tx.buckets.next()
	child.tx, child.parent, child.born = b.tx, b, born
	child.hdr, child.inline = page.DecodeBucket(payload), payload[page.BucketHeaderSize:]
	if child.hdr.Root == 0 && b.parent == nil && b.tx.late() {
		child.inline = bytes.Clone(child.inline)
	}
	return child, child.apart()
}

// apart returns an error when b has the tree of a bucket that it is in: a damaged file can lead in a circle. One without buckets in it
// needs no look, and the top level is met again with the bucket that led here.
func (b *Bucket) apart() error {
	if b.hdr.Root == 0 && b.hdr.Level == 0 {
		return nil
	}
	for p := b.parent; p.parent != nil; p = p.parent {
		if p.hdr.Tree == b.hdr.Tree {
			return page.Corruptf(fileNo(b.hdr.Root), "the bucket of tree %d is inside itself", b.hdr.Tree)
		}
	}
	return nil
}

// openNested is bucket in a write transaction, where all handles of a bucket share its state.
func (b *Bucket) openNested(name []byte) (*Bucket, error) {
	if c := b.open.find(name); c != nil {
		return c, nil
	}
	c, err := b.find(name)
	if err != nil || !c.found || c.kind != page.CellBucket {
		return nil, err
	}
	child := &Bucket{name: bytes.Clone(name), tx: b.tx, parent: b}
	if err := child.load(&c); err != nil {
		return nil, err
	}
	if err := child.apart(); err != nil {
		return nil, err
	}
	if b.tx.w.dirty.mine(child.hdr.Root) { // moved here in this transaction
		child.dirty = true
		cell := child.hdr
		cell.Root = 0 // from now on only the handle leads to the tree; fold puts it back
		cell.Encode(c.payload)
	}
	b.open.add(child)
	return child, nil
}

// load fills b from its cell in the parent's leaf.
func (b *Bucket) load(c *hit) (err error) {
	b.hdr, b.born, b.inline = page.DecodeBucket(c.payload), c.born, nil
	if b.hdr.Root == 0 {
		body := c.payload[page.BucketHeaderSize:]
		if w := b.tx.w; w.spilled || w.dirty.mine(c.ref) { // the cell may go while slices of the contents are in use
			body, err = b.keep(body)
		}
		b.inline = body
	}
	return err
}

// keep returns a copy of an inline root for b. A bucket that stays open is loaded anew at each spill that it has changed before: its copy before
// is used again, unless the caller may have slices of it (I2).
func (b *Bucket) keep(body []byte) ([]byte, error) {
	if b.lent || len(body) > cap(b.buf) {
		n := len(body)
		if !b.lent {
			n = max(n, 2*cap(b.buf)) // so that one that grows has few
		}
		buf, err := b.tx.w.dirty.lasting(n)
		if err != nil {
			return nil, err
		}
		b.buf, b.lent = buf, false
	}
	return b.buf[:copy(b.buf[:cap(b.buf)], body)], nil
}
