package tx

import (
	"mmdb/page"
)

// maxDepth bounds the height of a tree.
const maxDepth = page.MaxDepth

// raw returns the bytes of n pages from no on, straight out of the mapping, unverified.
func (t *Tx) raw(no page.No, n uint32) []byte {
	from := uint64(no) << (t.shift & 63)
	to := from + uint64(n)<<(t.shift&63)
	return t.data[from:to:to]
}

// inside reports whether the n pages from no on are ones that t may read.
func (t *Tx) inside(no page.No, n uint32) bool {
	return no >= t.first && no < t.limit && uint64(n) <= uint64(t.limit-no)
}

// fileNo returns the number of the page that ref refers to, for an error: 0, which is for unknown ones, if that is changed and has none yet.
func fileNo(ref page.Ref) page.No {
	if ref.Dirty() {
		return 0
	}
	return ref.Page()
}

// node returns the page that ref of a tree refers to, verified (I3), and checked against what its parent says of it: level
// (or -1 for a root, of which nobody says it), tree number, and no younger than born.
func (t *Tx) node(ref page.Ref, tree page.Tree, level int, born page.Commit) ([]byte, error) {
	no := ref.Page()
	if !t.inside(no, 1) {
		if ref.Dirty() {
			return t.w.dirty.page(ref), nil
		}
		return nil, page.Corruptf(no, "reference to a page outside the database")
	}
	b := t.raw(no, 1)
	if level == 0 {
		t.touchHead(page.Body(b))
	}
	if !t.verified.has(no) {
		if err := t.verify(b, no); err != nil {
			return nil, err
		}
	}
	// Level and kind of a verified page agree, but that runs have level 0 too. A mismatch below means a page that was used again too
	// soon, or a file put together from others.
	lv := int(page.Level(b))
	if lv != level && (level >= 0 || lv >= maxDepth) || lv == 0 && page.KindOf(b) != page.KindLeaf ||
		page.TreeNo(b) != tree || page.Born(b) > born {
		return nil, t.misplaced(b, ref.Page(), tree, level, born)
	}
	return b, nil
}

// seen is node for a page that this process has verified: it returns its body, level and commit. The body is nil where node has to tell.
func (r *region) seen(no page.No, tree page.Tree, level int, born page.Commit) (body []byte, at int, by page.Commit) {
	if no < r.first || no >= r.limit || r.verified.word(no)>>(no%64)&1 == 0 {
		return nil, 0, 0
	}
	from := uint64(no) << (r.shift & 63)
	to := from + 1<<(r.shift&63)
	b := r.data[from:to:to]
	_ = b[page.MinSize-1]
	at, by = int(page.Level(b)), page.Born(b)
	if at != level && (level >= 0 || at >= maxDepth) || at == 0 && page.KindOf(b) != page.KindLeaf || page.TreeNo(b) != tree || by > born {
		return nil, 0, 0
	}
	return page.Body(b), at, by
}

// verify verifies page no of a tree, which this process reads for the first time.
func (t *Tx) verify(b []byte, no page.No) error {
	if k := page.KindOf(b); k != page.KindBranch && k != page.KindLeaf {
		return page.Corruptf(no, "kind %d where a branch or leaf should be", k)
	}
	if err := page.Verify(b, len(b), no, t.store.salt); err != nil {
		return err
	}
	t.verified.set(no)
	t.stats.PagesVerified++
	return nil
}

// misplaced says how page b differs from what its parent expects.
func (t *Tx) misplaced(b []byte, no page.No, tree page.Tree, level int, born page.Commit) error {
	switch {
	case page.KindOf(b) != page.KindBranch && page.KindOf(b) != page.KindLeaf:
		return page.Corruptf(no, "kind %d where a branch or leaf should be", page.KindOf(b))
	case page.TreeNo(b) != tree:
		return page.Corruptf(no, "tree number %d, its parent's is %d", page.TreeNo(b), tree)
	case page.Born(b) > born:
		return page.Corruptf(no, "written by commit %d, later than its parent's %d", page.Born(b), born)
	}
	return page.Corruptf(no, "level %d, its parent expects %d", page.Level(b), level)
}

// run returns the whole overflow run that o refers to, verified. tree is the tree it must belong to; zero
// does not check.
func (t *Tx) run(o page.Overflow, tree page.Tree) ([]byte, error) {
	if o.Page.Dirty() {
		return t.w.dirty.page(o.Page), nil
	}
	no, n := o.Page.Page(), page.RunPages(int(o.Len), 1<<t.shift)
	if !t.inside(no, n) {
		return nil, page.Corruptf(no, "reference to an overflow run outside the database")
	}
	b := t.raw(no, n)
	if !t.verified.has(no) {
		if n >= 16 {
			t.snap.mapping.WillNeed(int64(no)<<t.shift, int64(n)<<t.shift)
		}
		if page.KindOf(b) != page.KindOverflow || page.Run(b) != n {
			return nil, page.Corruptf(no, "kind %d and length %d where an overflow run of %d pages should be", page.KindOf(b), page.Run(b), n)
		}
		if err := page.Verify(b, 1<<t.shift, no, t.store.salt); err != nil {
			return nil, err
		}
		t.verified.set(no)
	}
	if page.KindOf(b) != page.KindOverflow || page.Run(b) != n || page.Born(b) != o.Born || tree != 0 && page.TreeNo(b) != tree ||
		len(page.RunPayload(b)) != int(o.Len) {
		return nil, page.Corruptf(no, "the overflow run is not the one that its reference names")
	}
	return b, nil
}

// payload returns the bytes stored in the overflow run that o refers to.
func (t *Tx) payload(o page.Overflow, tree page.Tree) ([]byte, error) {
	b, err := t.run(o, tree)
	if err != nil {
		return nil, err
	}
	p := page.RunPayload(b)
	if len(p) != int(o.Len) {
		return nil, page.Corruptf(o.Page.Page(), "overflow run of %d bytes, its reference says %d", len(p), o.Len)
	}
	return p[:len(p):len(p)], nil
}

// LoadKey returns the whole of a large key. It makes a Tx a page.KeyLoader.
func (t *Tx) LoadKey(o page.Overflow) ([]byte, error) { return t.payload(o, 0) }
