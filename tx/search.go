package tx

import (
	"bytes"
	"fmt"

	"mmdb/page"
)

// A frame is one level of a path: a page and the slot taken in it.
type frame struct {
	ref   page.Ref
	body  []byte
	born  page.Commit
	level int
	i     int
}

func (f *frame) leafBody() page.Leaf     { return page.Leaf(f.body) }
func (f *frame) branchBody() page.Branch { return page.Branch(f.body) }

// A path leads from a bucket's root to a slot of a leaf. It is void once the tree changes.
type path struct {
	n int
	f [maxDepth]frame
}

// leaf returns the last frame.
func (p *path) leaf() *frame { return &p.f[p.n-1] }

// rightmost reports whether the first k frames take the last slot each.
func (p *path) rightmost(k int) bool {
	for j := range k {
		if p.f[j].i != p.f[j].branchBody().Count()-1 {
			return false
		}
	}
	return true
}

// leftmost reports whether the first k frames take the first slot each.
func (p *path) leftmost(k int) bool {
	for j := range k {
		if p.f[j].i != 0 {
			return false
		}
	}
	return true
}

// push adds the page of ref to p, checked against its parent in p.
func (b *Bucket) push(p *path, ref page.Ref) (*frame, error) {
	level, born := -1, b.born
	if p.n > 0 {
		up := &p.f[p.n-1]
		level, born = up.level-1, up.born
	}
	if p.n == maxDepth {
		return nil, page.Corruptf(ref.Page(), "the tree is too deep")
	}
	pg, err := b.tx.node(ref, b.hdr.Tree, level, born)
	if err != nil {
		return nil, err
	}
	f := &p.f[p.n]
	p.n++
	f.ref, f.body, f.born, f.level, f.i = ref, page.Body(pg), page.Born(pg), int(page.Level(pg)), 0
	return f, nil
}

// root starts p at the root of b, and reports whether that is all there is (a leaf).
func (b *Bucket) root(p *path) (*frame, error) {
	p.n = 0
	if b.hdr.Root == 0 {
		p.n = 1
		p.f[0] = frame{body: b.inline, born: b.born, level: int(b.hdr.Level)}
		return &p.f[0], nil
	}
	return b.push(p, b.hdr.Root)
}

// seek leads p to the first slot whose key is at least key; it may be one past the last of its leaf. found
// reports whether the key is there.
func (b *Bucket) seek(p *path, key []byte) (found bool, err error) {
	f, err := b.seekLeaf(p, key)
	if err != nil {
		return false, err
	}
	f.i, found, err = f.leafBody().Search(key, b.tx)
	return found, err
}

// seekLeaf leads p to the leaf where key belongs, and to no slot in it yet.
func (b *Bucket) seekLeaf(p *path, key []byte) (*frame, error) {
	f, err := b.root(p)
	for err == nil && f.level > 0 {
		next, i, ok := f.branchBody().Route(key)
		if !ok {
			if i, err = f.branchBody().Search(key, b.tx); err != nil {
				break
			}
			next = f.branchBody().Child(i)
		}
		f.i = i
		f, err = b.push(p, next)
	}
	return f, err
}

// seekLevel leads p to the page of that level on the way to key, or to the root if that is lower.
func (b *Bucket) seekLevel(p *path, key []byte, level int) (*frame, error) {
	f, err := b.root(p)
	for err == nil && f.level > level {
		if f.i, err = f.branchBody().Search(key, b.tx); err == nil {
			f, err = b.push(p, f.branchBody().Child(f.i))
		}
	}
	return f, err
}

// edge leads p to the first slot of b, or one past the last.
func (b *Bucket) edge(p *path, last bool) error {
	f, err := b.root(p)
	if err != nil {
		return err
	}
	return b.descend(p, f, last)
}

// descend leads p from f down to the first slot below it, or one past the last.
func (b *Bucket) descend(p *path, f *frame, last bool) (err error) {
	for f.level > 0 {
		if last {
			f.i = f.branchBody().Count() - 1
		}
		if f, err = b.push(p, f.branchBody().Child(f.i)); err != nil {
			return err
		}
	}
	if last {
		f.i = f.leafBody().Count()
	}
	return nil
}

// advance leads p to the first slot of the next leaf, or with back one past the last of the leaf before. It
// reports whether there is one; if not, p is unchanged.
func (b *Bucket) advance(p *path, back bool) (bool, error) {
	for k := p.n - 2; k >= 0; k-- {
		f := &p.f[k]
		if back && f.i > 0 || !back && f.i < f.branchBody().Count()-1 {
			if back {
				f.i--
			} else {
				f.i++
			}
			p.n = k + 1
			f, err := b.push(p, f.branchBody().Child(f.i))
			if err != nil {
				return false, err
			}
			return true, b.descend(p, f, back)
		}
	}
	return false, nil
}

// A hit is the outcome of find.
type hit struct {
	found   bool
	kind    page.CellKind
	payload []byte
	ref     page.Ref    // the page that holds the cell
	born    page.Commit // when that was written
}

// find looks up key without keeping the path.
func (b *Bucket) find(key []byte) (h hit, err error) {
	leaf, ref, born, err := b.leafOf(key)
	if err != nil {
		return h, err
	}
	h.ref, h.born = ref, born
	h.kind, h.payload, _, h.found, err = leaf.Find(key, b.tx)
	return h, err
}

// leafOf returns the leaf where key is, if it is in b; ref and born are its page's. No result here or below is a structure:
// one that is written in parts and read as a whole makes the processor wait until all before it is done.
func (b *Bucket) leafOf(key []byte) (leaf page.Leaf, ref page.Ref, born page.Commit, err error) {
	t, tree := b.tx, b.hdr.Tree
	ref, born = b.hdr.Root, b.born
	level := -1
	if ref == 0 {
		if level = int(b.hdr.Level) - 1; level < 0 {
			return b.inline, ref, born, nil
		}
		next, _, ok := page.Branch(b.inline).Route(key)
		if !ok {
			if next, err = b.route(b.inline, key); err != nil {
				return nil, ref, born, err
			}
		}
		ref = next
	}
	for {
		// This is node, but for what seldom happens.
		body, at, by := t.seen(ref.Page(), tree, level, born)
		if body == nil {
			pg, err := t.node(ref, tree, level, born)
			if err != nil {
				return nil, ref, born, err
			}
			body, at, by = page.Body(pg), int(page.Level(pg)), page.Born(pg)
		}
		if at == 0 {
			t.touchHead(body)
			return page.Leaf(body), ref, by, nil
		}
		next, _, ok := page.Branch(body).Route(key)
		if !ok {
			if next, err = b.route(page.Branch(body), key); err != nil {
				return nil, ref, born, err
			}
		}
		ref, born, level = next, by, at-1
	}
}

// route is page.Branch.Route in all cases.
func (b *Bucket) route(branch page.Branch, key []byte) (page.Ref, error) {
	i, err := branch.Search(key, b.tx)
	if err != nil {
		return 0, err
	}
	return branch.Child(i), nil
}

// value returns the value in a cell; nil for a bucket. The value is never nil otherwise.
func (b *Bucket) value(kind page.CellKind, payload []byte, ref page.Ref) ([]byte, error) {
	switch kind {
	case page.CellValue:
		if b.tx.writable {
			return b.tx.w.dirty.handOut(ref, payload)
		}
		return payload, nil
	case page.CellOverflow:
		o := page.DecodeOverflow(payload)
		if b.tx.writable {
			b.tx.w.dirty.pin(o.Page)
		}
		return b.tx.payload(o, b.hdr.Tree)
	}
	return nil, nil
}

// keyAt returns the whole key in slot i of leaf f, to be handed out.
func (b *Bucket) keyAt(f *frame, i int) ([]byte, error) {
	l := f.leafBody()
	if b.tx.writable {
		if !l.Large(i) {
			return b.tx.w.dirty.handOut(f.ref, l.Key(i))
		}
		b.tx.w.dirty.pin(l.KeyRef(i).Page)
	}
	return b.wholeKey(l, i)
}

// wholeKey returns the whole key in slot i of l, for use until the next change.
func (b *Bucket) wholeKey(l page.Leaf, i int) ([]byte, error) {
	if !l.Large(i) {
		return l.Key(i), nil
	}
	ref := l.KeyRef(i)
	key, err := b.tx.payload(ref, b.hdr.Tree)
	if err == nil && !bytes.HasPrefix(key, l.Key(i)) {
		return nil, page.Corruptf(ref.Page.Page(), "the key in the run starts differently than its leaf says")
	}
	return key, err
}

// Get returns the value of key, or nil if there is none or it is a nested bucket. An empty value is not nil.
// The slice points into the database file: it is valid until the transaction ends and must not be written to.
// After a nil, Tx.Err tells absent from unreadable.
func (b *Bucket) Get(key []byte) []byte {
	if !b.tx.managed {
		return b.getGuarded(key)
	}
	return b.get(key)
}

// getGuarded is Get of a manual transaction. A function that recovers keeps its results in memory, so it stands apart.
func (b *Bucket) getGuarded(key []byte) (value []byte) {
	defer b.tx.exit(enter())
	return b.get(key)
}

func (b *Bucket) get(key []byte) (value []byte) {
	t := b.tx
	if (t.writable || t.done || b.gone) && !b.mayRead() {
		return nil
	}
	leaf, ref, _, err := b.leafOf(key)
	if err == nil {
		if !t.writable {
			if value, ok := leaf.Get(key); ok {
				return value
			}
		}
		var kind page.CellKind
		var found bool
		if kind, value, _, found, err = leaf.Find(key, t); found && (kind != page.CellValue || t.writable) {
			value, err = b.value(kind, value, ref)
		}
	}
	if err != nil {
		t.fail(err)
		return nil
	}
	return value
}

// errInvariant returns err, or panics when there is none: the impossible happened.
func errInvariant(what string, err error) error {
	if err != nil {
		return err
	}
	panic(fmt.Sprintf("mmdb: invariant broken: %s", what))
}
