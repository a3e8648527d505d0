package tx

import (
	"bytes"

	"mmdb/page"
)

// A child is a page on its way into a branch.
type child struct {
	ref  page.Ref
	keys uint64
}

// split makes room for it at p by adding a leaf, or by sharing with a sibling. An item beyond either end of the
// tree gets a leaf of its own, so that sequential inserts fill pages to the brim.
func (b *Bucket) split(p *path, it item) ([]byte, error) {
	k := p.n - 1
	f := p.leaf()
	switch {
	case f.i == f.leafBody().Count() && p.rightmost(k):
		return b.splitEdge(p, it, true)
	case f.i == 0 && p.leftmost(k):
		return b.splitEdge(p, it, false)
	}
	if k > 0 {
		if dst, done, err := b.share(p, it); done || err != nil {
			return dst, err
		}
	}
	g := gathering{b: b, left: f.leafBody(), pos: f.i, it: it}
	return b.spread(p, &g, f.ref, 0)
}

// splitEdge puts it alone into a new last (or first) leaf.
func (b *Bucket) splitEdge(p *path, it item, last bool) ([]byte, error) {
	f := p.leaf()
	ref, body, err := b.fresh(0)
	if err != nil {
		return nil, err
	}
	dst, ok := page.InitLeaf(body).Insert(0, it.key, it.kind, it.n)
	if !ok {
		panic("mmdb: invariant broken: a cell does not fit an empty leaf")
	}
	old, added := child{f.ref, uint64(f.leafBody().Count())}, child{ref, 1}
	if last {
		key, err := b.wholeKey(f.leafBody(), f.leafBody().Count()-1)
		if err != nil {
			return nil, err
		}
		return dst, b.linkWithKey(p, old, added, key, it.key.Bytes)
	}
	key, err := b.wholeKey(f.leafBody(), 0)
	if err != nil {
		return nil, err
	}
	return dst, b.linkWithKey(p, added, old, it.key.Bytes, key)
}

// linkWithKey links two leaves in place of the one at p; low is the last key of left, high the first of right.
func (b *Bucket) linkWithKey(p *path, left, right child, low, high []byte) error {
	if bytes.Compare(low, high) >= 0 {
		return page.Corruptf(0, "the key ranges of two neighbouring leaves of tree %d overlap", b.hdr.Tree)
	}
	sep, err := b.separator(low, high)
	if err != nil {
		return err
	}
	return b.link(p, p.n-1, left, right, sep)
}

// separator returns the shortest key that divides low from high, as a branch stores it.
func (b *Bucket) separator(low, high []byte) (page.Key, error) {
	sep := page.Key{Bytes: page.Separator(low, high)}
	if b.tx.largeKey(sep.Bytes) {
		o, err := b.tx.writeRun(sep.Bytes, b.hdr.Tree)
		if err != nil {
			return sep, err
		}
		sep.Large, sep.Ref = true, o
	}
	return sep, nil
}

// link puts left in place of the page in frame k of p, and right after it.
func (b *Bucket) link(p *path, k int, left, right child, sep page.Key) error {
	if n := max(left.keys, right.keys); n > page.MaxChildKeys {
		return b.errKeys(0, n)
	}
	if k == 0 {
		ref, body, err := b.fresh(p.f[0].level + 1)
		if err != nil {
			return err
		}
		br := page.InitBranch(body)
		if !br.Insert(0, page.Key{}, left.ref, left.keys) || !br.Insert(1, sep, right.ref, right.keys) {
			panic("mmdb: invariant broken: two cells do not fit an empty branch")
		}
		b.hdr.Root, b.born = ref, b.tx.commit
		return nil
	}
	up := &p.f[k-1]
	br := up.branchBody()
	br.SetChild(up.i, left.ref)
	br.SetKeys(up.i, left.keys)
	return b.insertBranch(p, k-1, up.i+1, sep, right)
}

// insertBranch puts c with its separator at slot i of the branch in frame k of p.
func (b *Bucket) insertBranch(p *path, k, i int, sep page.Key, c child) error {
	f := &p.f[k]
	br := f.branchBody()
	if br.Insert(i, sep, c.ref, c.keys) {
		return nil
	}
	ref, body, err := b.fresh(f.level)
	if err != nil {
		return err
	}
	left := page.InitBranch(body)
	if br.Capacity()-br.Used() >= page.BranchCellSize(sep)+slotSize {
		left.AppendFrom(br, 0, br.Count(), page.Key{})
		if !left.Insert(i, sep, c.ref, c.keys) {
			panic("mmdb: invariant broken: a rewritten branch has no room")
		}
		b.tx.w.dirty.release(f.ref.Index())
		f.ref, f.body = ref, body
		b.relink(p, k)
		return nil
	}
	return b.splitBranch(p, k, i, sep, c, ref, left)
}

// splitBranch divides the branch in frame k, with c at slot i, between the fresh page left and another.
func (b *Bucket) splitBranch(p *path, k, i int, sep page.Key, c child, ref page.Ref, left page.Branch) error {
	f := &p.f[k]
	br := f.branchBody()
	rref, rbody, err := b.fresh(f.level)
	if err != nil {
		return err
	}
	right := page.InitBranch(rbody)
	m := i // slots of br before m go left
	if !(i == br.Count() && p.rightmost(k)) {
		m = branchMiddle(br, i, page.BranchCellSize(sep)+slotSize)
	}
	var mid page.Key
	add := func(dst page.Branch, at int) {
		if !dst.Insert(at, sep, c.ref, c.keys) {
			panic("mmdb: invariant broken: half a branch has no room")
		}
	}
	switch {
	case i < m:
		left.AppendFrom(br, 0, m, page.Key{})
		add(left, i)
		mid = br.StoredKey(m)
		right.AppendFrom(br, m, br.Count(), page.Key{})
	case i == m: // c becomes the first of right: its separator moves up
		left.AppendFrom(br, 0, m, page.Key{})
		mid, sep = sep, page.Key{}
		add(right, 0)
		if m < br.Count() {
			right.AppendFrom(br, m, br.Count(), br.StoredKey(m))
		}
	default:
		left.AppendFrom(br, 0, m, page.Key{})
		mid = br.StoredKey(m)
		right.AppendFrom(br, m, br.Count(), page.Key{})
		add(right, i-m)
	}
	old := f.ref
	err = b.link(p, k, child{ref, left.TotalKeys()}, child{rref, right.TotalKeys()}, mid)
	b.tx.w.dirty.release(old.Index()) // mid may point into it until now
	return err
}

// branchMiddle returns the slot at which br, with a cell of n bytes at slot i, divides into halves.
func branchMiddle(br page.Branch, i, n int) int {
	half := (br.Used() + n) / 2
	sum, m := 0, 0
	for ; m < br.Count()-1 && sum < half; m++ {
		if m == i {
			sum += n
		}
		sum += br.CellSize(m) + slotSize
	}
	return max(m, 1)
}
