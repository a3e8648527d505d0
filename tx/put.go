package tx

import (
	"mmdb/page"
)

// Put stores value under key, in place of the one that was there. Both are copied. An empty or nil value is stored
// as an empty one. Errors: ErrKeyRequired, ErrKeyTooLarge, ErrValueTooLarge, ErrIncompatibleValue when the key
// holds a nested bucket, ErrTxNotWritable, ErrTxClosed, ErrMaxSizeReached.
func (b *Bucket) Put(key, value []byte) (err error) {
	if !b.tx.managed {
		defer b.tx.exitErr(enter(), &err)
	}
	if err := b.mayPut(key, len(value)); err != nil {
		return err
	}
	return b.tx.changed(b.put(key, value))
}

// PutReserve stores a value of n bytes under key and returns it, to be filled in by the caller before the transaction's
// next change: what it holds before that is undefined. Errors are Put's.
func (b *Bucket) PutReserve(key []byte, n int) (value []byte, err error) {
	if !b.tx.managed {
		defer b.tx.exitErr(enter(), &err)
	}
	if err := b.mayPut(key, n); err != nil {
		return nil, err
	}
	value, err = b.reserve(key, n)
	return value, b.tx.changed(err)
}

// mayPut returns an error when b can't take such a key and a value of n bytes.
func (b *Bucket) mayPut(key []byte, n int) error {
	if err := b.mayWrite(); err != nil {
		return err
	}
	switch {
	case len(key) == 0:
		return ErrKeyRequired
	case len(key) > page.MaxKeySize:
		return ErrKeyTooLarge
	case n < 0 || n > page.MaxValueSize:
		return ErrValueTooLarge
	case b.parent == nil:
		return ErrIncompatibleValue // the top level holds buckets only
	}
	return nil
}

func (b *Bucket) put(key, value []byte) error {
	if b.inlineValue(key, len(value)) {
		dst, err := b.putCell(key, page.CellValue, len(value))
		if err == nil {
			copy(dst, value)
		}
		return err
	}
	dst, err := b.putCell(key, page.CellOverflow, page.OverflowRefSize)
	if err != nil {
		return err
	}
	// The cell is there; until its run is, it must not lead anywhere.
	page.Overflow{}.Encode(dst)
	o, err := b.tx.writeRun(value, b.hdr.Tree)
	if err == nil {
		o.Encode(dst)
	}
	return err
}

// reserve makes room for a value of n bytes.
func (b *Bucket) reserve(key []byte, n int) ([]byte, error) {
	if b.inlineValue(key, n) {
		return b.putCell(key, page.CellValue, n)
	}
	dst, err := b.putCell(key, page.CellOverflow, page.OverflowRefSize)
	if err != nil {
		return nil, err
	}
	page.Overflow{}.Encode(dst)
	o, buf, err := b.tx.newRun(n, b.hdr.Tree)
	if err != nil {
		return nil, err
	}
	o.Encode(dst)
	return buf[:n:n], nil
}

// inlineValue reports whether a value of n bytes is stored in the leaf.
func (b *Bucket) inlineValue(key []byte, n int) bool {
	t := b.tx
	if n > t.store.maxCell {
		return false // with the key, n may be more than an int of 32 bits holds
	}
	return page.LeafCellSize(page.Key{Bytes: key, Large: t.largeKey(key)}, n) <= t.store.maxCell
}

// largeKey reports whether key is too large to inline.
func (t *Tx) largeKey(key []byte) bool { return len(key) > t.store.maxKey }

// putCell makes key's cell one of the given kind with a payload of n bytes, which it returns.
func (b *Bucket) putCell(key []byte, kind page.CellKind, n int) ([]byte, error) {
	if err := b.tx.room(); err != nil {
		return nil, err
	}
	g := &b.tx.w.finger
	p := &g.path
	found, ok := g.lead(b, key)
	g.of = nil
	if !ok {
		var err error
		if found, err = b.seekToChange(p, key); err != nil {
			return nil, err
		}
	}
	if found && p.leaf().leafBody().Kind(p.leaf().i) == page.CellBucket {
		return nil, ErrIncompatibleValue
	}
	return b.place(p, found, key, kind, n)
}

// seekToChange is seek for a key whose leaf is about to be copied: all of it is fetched at once, before the search waits for a part.
func (b *Bucket) seekToChange(p *path, key []byte) (found bool, err error) {
	f, err := b.seekLeaf(p, key)
	if err != nil {
		return false, err
	}
	if f.ref != 0 && !b.tx.w.dirty.mine(f.ref) {
		b.tx.touch(f.body)
	}
	f.i, found, err = f.leafBody().Search(key, b.tx)
	return found, err
}

// An item is a cell on its way into a leaf.
type item struct {
	key  page.Key
	kind page.CellKind
	n    int // bytes of payload
}

func (it *item) need() int { return page.LeafCellSize(it.key, it.n) + slotSize }

// slotSize is what a slot takes in a page, in bytes.
const slotSize = 8

// place puts a cell at p, where seek found key or its place, and returns its payload of n bytes to be filled in.
func (b *Bucket) place(p *path, found bool, key []byte, kind page.CellKind, n int) ([]byte, error) {
	if !found {
		if err := b.mayCount(p, 1); err != nil {
			return nil, err
		}
	}
	if err := b.own(p); err != nil {
		return nil, err
	}
	f := p.leaf()
	l := f.leafBody()
	it := item{page.Key{Bytes: key}, kind, n}
	if found {
		old := l.StoredKey(f.i)
		it.key.Large, it.key.Ref = old.Large, old.Ref
		if l.Kind(f.i) == page.CellOverflow {
			if err := b.tx.freeRun(page.DecodeOverflow(l.Payload(f.i))); err != nil {
				return nil, err
			}
		}
		if l.Kind(f.i) == kind && len(l.Payload(f.i)) == n && !b.tx.w.dirty.pinned(f.ref) {
			b.point(p)
			return l.Payload(f.i), nil
		}
		l.Remove(f.i)
		return b.insert(p, it)
	}
	if b.tx.largeKey(key) {
		o, err := b.tx.writeRun(key, b.hdr.Tree)
		if err != nil {
			return nil, err
		}
		it.key.Large, it.key.Ref = true, o
	}
	b.count(p, 1)
	return b.insert(p, it)
}

// own makes every page of p one that this transaction may change: pages of the file and of other functions of the open
// group are copied to the arena and their place is freed, an inline root moves to a page of its own. The cells of a leaf stay in order.
func (b *Bucket) own(p *path) error {
	b.mods++
	b.dirty = true
	if b.hdr.Root == 0 {
		if err := b.moveOut(p); err != nil {
			return err
		}
	}
	d := b.tx.w.dirty
	for k := range p.n {
		f := &p.f[k]
		if d.mine(f.ref) {
			d.changes(f.ref)
			continue
		}
		i, err := d.alloc(1 << b.tx.shift)
		if err != nil {
			return err
		}
		buf := d.entries[i].buf
		if f.ref.Dirty() {
			copy(buf, d.page(f.ref))
		} else {
			copy(buf, b.tx.raw(f.ref.Page(), 1))
		}
		b.tx.freePage(f.ref, f.born)
		f.ref, f.body, f.born = page.DirtyRef(i), page.Body(buf), b.tx.commit
		b.stamp(buf, f.level)
		b.relink(p, k)
	}
	return nil
}

// relink makes the parent of frame k refer to its page.
func (b *Bucket) relink(p *path, k int) {
	if k == 0 {
		b.hdr.Root, b.born = p.f[0].ref, b.tx.commit
		return
	}
	up := &p.f[k-1]
	up.branchBody().SetChild(up.i, p.f[k].ref)
}

// stamp writes the header of a dirty page, but for its number and checksum.
func (b *Bucket) stamp(buf []byte, level int) {
	h := page.Header{Born: b.tx.commit, Tree: b.hdr.Tree, Kind: page.KindLeaf, Level: uint8(level), Run: 1}
	if level > 0 {
		h.Kind = page.KindBranch
	}
	h.Encode(buf)
}

// fresh returns a new dirty page of b with an undefined body.
func (b *Bucket) fresh(level int) (page.Ref, []byte, error) {
	i, err := b.tx.w.dirty.alloc(1 << b.tx.shift)
	if err != nil {
		return 0, nil, err
	}
	buf := b.tx.w.dirty.entries[i].buf
	b.stamp(buf, level)
	return page.DirtyRef(i), page.Body(buf), nil
}

// moveOut gives an inline root a page of its own. p begins in it.
func (b *Bucket) moveOut(p *path) error {
	f := &p.f[0]
	ref, body, err := b.fresh(f.level)
	if err != nil {
		return err
	}
	if f.level > 0 {
		page.InitBranch(body).AppendFrom(f.branchBody(), 0, f.branchBody().Count(), page.Key{})
	} else {
		page.InitLeaf(body).AppendFrom(f.leafBody(), 0, f.leafBody().Count())
	}
	b.hdr.Root, b.hdr.Level, b.born, b.inline = ref, 0, b.tx.commit, nil
	f.ref, f.body, f.born = ref, body, b.tx.commit
	return nil
}

// insert puts it at p, whose pages are owned, and returns its payload. Where the leaf is full it is rewritten,
// shares with a sibling, or splits.
func (b *Bucket) insert(p *path, it item) ([]byte, error) {
	f := p.leaf()
	l := f.leafBody()
	if dst, ok := l.Insert(f.i, it.key, it.kind, it.n); ok {
		b.point(p)
		return dst, nil
	}
	if l.Capacity()-l.Used() >= it.need() {
		if err := b.rewrite(p); err != nil {
			return nil, err
		}
		if dst, ok := f.leafBody().Insert(f.i, it.key, it.kind, it.n); ok {
			b.point(p)
			return dst, nil
		}
		panic("mmdb: invariant broken: a rewritten leaf has no room")
	}
	return b.split(p, it)
}

// rewrite moves the live cells of the leaf of p to a fresh page. The old one stays as it is until the transaction
// ends if a caller has slices of it.
func (b *Bucket) rewrite(p *path) error {
	f := p.leaf()
	ref, body, err := b.fresh(0)
	if err != nil {
		return err
	}
	page.InitLeaf(body).AppendFrom(f.leafBody(), 0, f.leafBody().Count())
	b.tx.w.dirty.release(f.ref.Index())
	f.ref, f.body = ref, body
	b.relink(p, p.n-1)
	return nil
}
