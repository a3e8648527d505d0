package tx

import (
	"math/bits"

	"mmdb/freelist"
	"mmdb/page"
)

// Random changes free single pages everywhere, so long free runs must be made: with Options.Carry a function that has
// changed some pages also carries along the few that are left in sparse stretches of the file. They are copied like pages
// that change, and move to the run of the commit; what they leave behind is a free run two commits later. It is done when
// the file is as large as it may become (Options.Slack) and free chunks run low.
const (
	carryMin   = 32 // pages that a function has changed, at least
	carryMost  = 48 // pages in use of a chunk that is emptied, at most
	carryAhead = 2  // free chunks are for so many commits like this one
)

// carry carries at most as many pages along as the function has changed. It is called before the function joins its group.
func (t *Tx) carry() error {
	w, st := t.w, t.store
	eager := st.sabotaged(EagerCarry)
	n := int((w.dirty.used() - w.mark.dirty) >> t.shift) // without those of the functions before it in its group
	if !st.opts.Carry && !eager || st.tight() || n <= 0 || w.spilled || t.err != nil || w.broken != nil {
		return nil
	}
	most := carryMost
	if eager {
		n, most = freelist.ChunkPages, freelist.ChunkPages
	} else if !w.carryDue(n) {
		return nil
	}
	w.chunks = w.space.Sparsest(w.chunks[:0], most)
	left, pin := n, w.longPin()
	for _, c := range w.chunks {
		if c.Pages() > left {
			break
		}
		if !eager && !t.carries(c, pin) {
			continue
		}
		for u := c.Used; u != 0; u &= u - 1 {
			no := c.Page + page.No(bits.TrailingZeros64(u))
			if eager && !t.carriesPage(no, pin) {
				continue
			}
			before := w.dirty.used()
			if err := t.carryPage(no); err != nil {
				return err
			}
			moved := int((w.dirty.used() - before) >> t.shift)
			t.stats.PagesCarried += uint64(moved)
			left -= moved
		}
	}
	return nil
}

// carryDue reports whether a function that has changed n pages should carry others along.
func (w *writer) carryDue(n int) bool {
	used := w.space.UsedPages()
	return n >= carryMin && w.noSlack == 0 && used >= slackMin && uint64(n) <= used/largeShare &&
		w.space.FreeChunks()*freelist.ChunkPages < carryAhead*n &&
		w.aim([]uint32{uint32(n)}) <= w.space.HighWater()+page.No(n)
}

// longPin returns the newest commit that is older than all metas and that a reader needs: it may need it for long.
func (w *writer) longPin() (pin page.Commit) {
	oldest := w.tip.meta.Commit
	for i := range w.slots {
		if w.slots[i].valid {
			oldest = min(oldest, w.slots[i].meta.Commit)
		}
	}
	w.pinned = w.st.table().appendCommits(w.pinned[:0])
	for _, r := range w.pinned {
		if r < oldest {
			pin = max(pin, r)
		}
	}
	return pin
}

// carries reports whether carrying the pages of c frees it.
func (t *Tx) carries(c freelist.Chunk, pin page.Commit) bool {
	for u := c.Used; u != 0; u &= u - 1 {
		if !t.carriesPage(c.Page+page.No(bits.TrailingZeros64(u)), pin) {
			return false
		}
	}
	return true
}

// carriesPage reports whether page no can be carried, and its place is free then: it belongs to a tree that the function has open,
// was born after pin, and is in memory, as far as one can tell without a look at it: this process has verified it.
func (t *Tx) carriesPage(no page.No, pin page.Commit) bool {
	if !t.inside(no, 1) || !t.verified.has(no) {
		return false
	}
	b := t.raw(no, 1)
	k := page.KindOf(b)
	return (k == page.KindBranch || k == page.KindLeaf) && page.Born(b) > pin && t.root.opened(page.TreeNo(b)) != nil
}

// opened returns the bucket of that tree if it is b or one that was opened in it.
func (b *Bucket) opened(tree page.Tree) *Bucket {
	if b.hdr.Tree == tree {
		return b
	}
	for _, c := range b.open.list {
		if f := c.opened(tree); f != nil && !f.gone {
			return f
		}
	}
	return nil
}

// carryPage makes page no one that moves with the commit. One that the tree does not lead to has been changed already.
func (t *Tx) carryPage(no page.No) error {
	pg := t.raw(no, 1)
	b := t.root.opened(page.TreeNo(pg))
	if b == nil || !b.hdr.HasPages() {
		return nil
	}
	var p path
	found, err := b.leadTo(&p, pg, page.PageRef(no))
	if err != nil {
		t.leaveBehind(no, err)
		return nil
	}
	if !found {
		return nil
	}
	return b.own(&p)
}

// leaveBehind tells of a page that can't be carried.
func (t *Tx) leaveBehind(no page.No, err error) {
	t.store.log.Warn("mmdb: a page is not carried along", "path", t.store.path, "page", no, "error", err)
}

// leadTo leads p to the page pg of ref, by a key that it holds, and reports whether it is in the tree.
func (b *Bucket) leadTo(p *path, pg []byte, ref page.Ref) (bool, error) {
	level := int(page.Level(pg))
	key, err := b.keyIn(pg)
	if key == nil || err != nil {
		return false, err
	}
	f, err := b.seekLevel(p, key, level)
	return err == nil && f.ref == ref, err
}

// keyIn returns a key that leads to pg, nil if it has none.
func (b *Bucket) keyIn(pg []byte) ([]byte, error) {
	if page.Level(pg) > 0 {
		br := page.Branch(page.Body(pg))
		if br.Count() < 2 || br.Large(1) {
			return nil, nil
		}
		return br.Key(1), nil
	}
	l := page.Leaf(page.Body(pg))
	if l.Count() == 0 {
		return nil, nil
	}
	return b.wholeKey(l, 0)
}
