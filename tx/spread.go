package tx

import (
	"mmdb/page"
)

// A gathering is the cells of one or two neighbouring leaves with one more among them, as one sequence that
// is dealt out again over two pages.
type gathering struct {
	b           *Bucket
	left, right page.Leaf // right is nil when one leaf splits
	pos         int       // index of it in the sequence
	it          item
}

func (g *gathering) rightCount() int {
	if g.right == nil {
		return 0
	}
	return g.right.Count()
}

func (g *gathering) len() int { return g.left.Count() + g.rightCount() + 1 }

// size returns what element j of the sequence takes in a page, in bytes.
func (g *gathering) size(j int) int {
	if j == g.pos {
		return g.it.need()
	}
	if j > g.pos {
		j--
	}
	if n := g.left.Count(); j >= n {
		return g.right.CellSize(j-n) + slotSize
	}
	return g.left.CellSize(j) + slotSize
}

// middle returns how many elements the first page gets so that both are filled alike, or 0 if that can't be.
func (g *gathering) middle() int {
	total := g.left.Used() + g.it.need()
	if g.right != nil {
		total += g.right.Used()
	}
	n, m, sum := g.len(), 1, g.size(0)
	for m < n-1 && 2*sum < total {
		sum += g.size(m)
		m++
	}
	if last := g.size(m - 1); m > 1 && 2*sum-total > total-2*(sum-last) { // the step before was nearer to the half
		sum -= last
		m--
	}
	if max(sum, total-sum) > g.left.Capacity() {
		return 0
	}
	return m
}

// deal appends elements from to to of the sequence to dst, and returns the payload of the added item if it is among them.
func (g *gathering) deal(dst page.Leaf, from, to int) (payload []byte) {
	n := g.left.Count()
	cells := func(a, z int) { // indices without the item
		if a < min(z, n) {
			dst.AppendFrom(g.left, a, min(z, n))
		}
		if max(a, n) < z {
			dst.AppendFrom(g.right, max(a, n)-n, z-n)
		}
	}
	if g.pos < from {
		cells(from-1, to-1)
		return nil
	}
	if g.pos >= to {
		cells(from, to)
		return nil
	}
	cells(from, g.pos)
	payload, ok := dst.Insert(dst.Count(), g.it.key, g.it.kind, g.it.n)
	if !ok {
		panic("mmdb: invariant broken: a cell does not fit its half")
	}
	cells(g.pos, to-1)
	return payload
}

// key returns the whole key of element j.
func (g *gathering) key(j int) ([]byte, error) {
	if j == g.pos {
		return g.it.key.Bytes, nil
	}
	if j > g.pos {
		j--
	}
	l := g.left
	if n := l.Count(); j >= n {
		l, j = g.right, j-n
	}
	return g.b.wholeKey(l, j)
}

// spread deals g out over two fresh leaves, which take the place of the leaf oldLeft at p and of its right sibling
// oldRight, if there is one: that one's slot must be out of the parent already.
func (b *Bucket) spread(p *path, g *gathering, oldLeft, oldRight page.Ref) ([]byte, error) {
	m := g.middle()
	if m == 0 {
		panic("mmdb: invariant broken: a leaf can't be divided")
	}
	lref, lbody, err := b.fresh(0)
	if err != nil {
		return nil, err
	}
	rref, rbody, err := b.fresh(0)
	if err != nil {
		return nil, err
	}
	left, right := page.InitLeaf(lbody), page.InitLeaf(rbody)
	dst := g.deal(left, 0, m)
	if d := g.deal(right, m, g.len()); d != nil {
		dst = d
	}
	low, err := g.key(m - 1)
	if err != nil {
		return nil, err
	}
	high, err := g.key(m)
	if err != nil {
		return nil, err
	}
	err = b.linkWithKey(p, child{lref, uint64(left.Count())}, child{rref, uint64(right.Count())}, low, high)
	b.tx.w.dirty.release(oldLeft.Index()) // low and high may point into them until now
	if oldRight != 0 {
		b.tx.w.dirty.release(oldRight.Index())
	}
	return dst, err
}

// shareRoom is the part of a page (one in shareRoom) that a sibling must have free, besides what comes in, to
// be worth sharing with instead of splitting.
const shareRoom = 8

// share tries to make room for it at p by evening out with a sibling: a random load then fills pages better
// than splits alone would, and touches no more of them.
func (b *Bucket) share(p *path, it item) (payload []byte, done bool, err error) {
	k := p.n - 1
	up := &p.f[k-1]
	side, err := b.roomiest(p, it.need())
	if side == 0 || err != nil {
		return nil, false, err
	}
	f := p.leaf()
	g := gathering{b: b, left: f.leafBody(), pos: f.i, it: it}
	sib, err := b.sibling(p, k, side)
	if err != nil {
		return nil, false, err
	}
	if side > 0 {
		g.right = sib.leafBody()
	} else {
		g.left, g.right = sib.leafBody(), g.left
		g.pos += g.left.Count()
	}
	if g.middle() == 0 {
		return nil, false, nil
	}
	if sib, err = b.ownSibling(p, k, side); err != nil {
		return nil, false, err
	}
	left, right := f.ref, sib.ref
	if side < 0 {
		left, right = right, left
		g.left = sib.leafBody()
		up.i--
	} else {
		g.right = sib.leafBody()
	}
	if err := b.unlinkSlot(up, up.i+1); err != nil {
		return nil, false, err
	}
	payload, err = b.spread(p, &g, left, right)
	return payload, true, err
}

// roomiest returns the side (-1 left, 1 right) of the sibling of p's leaf with the most room, or 0 if neither
// has enough for n more bytes.
func (b *Bucket) roomiest(p *path, n int) (side int, err error) {
	k := p.n - 1
	up := &p.f[k-1]
	most := n + p.leaf().leafBody().Capacity()/shareRoom
	for _, s := range [2]int{-1, 1} {
		if j := up.i + s; j < 0 || j >= up.branchBody().Count() {
			continue
		}
		sib, err := b.sibling(p, k, s)
		if err != nil {
			return 0, err
		}
		if room := sib.leafBody().Capacity() - sib.leafBody().Used(); room > most {
			side, most = s, room
		}
	}
	return side, nil
}
