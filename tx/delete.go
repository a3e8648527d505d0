package tx

import (
	"mmdb/page"
)

// Delete deletes key and its value. A key that is not there is no error. Errors: ErrIncompatibleValue when the key
// holds a nested bucket, ErrTxNotWritable, ErrTxClosed.
func (b *Bucket) Delete(key []byte) (err error) {
	if !b.tx.managed {
		defer b.tx.exitErr(enter(), &err)
	}
	if err := b.mayWrite(); err != nil {
		return err
	}
	return b.tx.changed(b.delete(key))
}

func (b *Bucket) delete(key []byte) error {
	if err := b.tx.room(); err != nil {
		return err
	}
	var p path
	found, err := b.seekToChange(&p, key)
	if err != nil || !found {
		return err
	}
	if p.leaf().leafBody().Kind(p.leaf().i) == page.CellBucket {
		return ErrIncompatibleValue
	}
	return b.remove(&p)
}

// remove takes the cell at p out of its leaf, with its runs. A nested bucket's own pages are not touched.
func (b *Bucket) remove(p *path) error {
	if err := b.mayCount(p, -1); err != nil {
		return err
	}
	if err := b.own(p); err != nil {
		return err
	}
	f := p.leaf()
	if err := b.freeCell(f.leafBody(), f.i); err != nil {
		return err
	}
	f.leafBody().Remove(f.i)
	b.count(p, -1)
	return b.shrink(p, p.n-1)
}

// freeCell frees the overflow runs of cell i of l.
func (b *Bucket) freeCell(l page.Leaf, i int) error {
	if l.Kind(i) == page.CellOverflow {
		if err := b.tx.freeRun(page.DecodeOverflow(l.Payload(i))); err != nil {
			return err
		}
	}
	if l.Large(i) {
		return b.tx.freeRun(l.KeyRef(i))
	}
	return nil
}

// shrink looks at the owned page in frame k of p after something was taken out of it: an empty page leaves
// the tree, a small one merges with a sibling, a branch root with one child gives way to it.
func (b *Bucket) shrink(p *path, k int) error {
	f := &p.f[k]
	if k == 0 {
		return b.shrinkRoot(p)
	}
	count, used, capacity := slots(f)
	if count == 0 {
		if err := b.unlinkPage(p, k); err != nil {
			return err
		}
		return b.shrink(p, k-1)
	}
	if used > capacity/mergeBelow {
		return nil
	}
	merged, err := b.merge(p, k)
	if err != nil || !merged {
		return err
	}
	return b.shrink(p, k-1)
}

// A page is merged with a sibling when less than one in mergeBelow of it is used and both fit in one page
// with one in mergeSlack to spare, so that the next insert does not split it again.
const (
	mergeBelow = 2
	mergeSlack = 8
)

// slots returns the number of cells, the bytes they take and the bytes there are in the page of f.
func slots(f *frame) (count, used, capacity int) {
	if f.level > 0 {
		br := f.branchBody()
		return br.Count(), br.Used(), br.Capacity()
	}
	l := f.leafBody()
	return l.Count(), l.Used(), l.Capacity()
}

// shrinkRoot replaces a root that has one child by the child, again and again, and one without any by an empty leaf.
func (b *Bucket) shrinkRoot(p *path) error {
	ref, body, born, level := p.f[0].ref, p.f[0].body, p.f[0].born, p.f[0].level
	for level > 0 {
		br := page.Branch(body)
		switch br.Count() {
		case 0:
			b.tx.w.dirty.release(ref.Index())
			leaf, leafBody, err := b.fresh(0)
			if err != nil {
				return err
			}
			page.InitLeaf(leafBody)
			b.hdr.Root, b.born = leaf, b.tx.commit
			return nil
		case 1:
			next := br.Child(0)
			pg, err := b.tx.node(next, b.hdr.Tree, level-1, born)
			if err != nil {
				return err
			}
			b.tx.freePage(ref, born)
			ref, body, born, level = next, page.Body(pg), page.Born(pg), level-1
			b.hdr.Root, b.born = ref, b.tx.commit
		default:
			return nil
		}
	}
	return nil
}

// unlinkPage takes the empty owned page in frame k out of its parent and the tree.
func (b *Bucket) unlinkPage(p *path, k int) error {
	b.tx.w.dirty.release(p.f[k].ref.Index())
	up := &p.f[k-1]
	return b.unlinkSlot(up, up.i)
}

// unlinkSlot removes slot i of the owned branch f, with the run of its separator. The slot that becomes the
// first loses its separator too.
func (b *Bucket) unlinkSlot(f *frame, i int) error {
	br := f.branchBody()
	j := i
	if i == 0 {
		j = 1
	}
	if j < br.Count() && br.Large(j) {
		if err := b.tx.freeRun(br.KeyRef(j)); err != nil {
			return err
		}
	}
	br.Remove(i)
	return nil
}

// sibling returns the page beside frame k of p, on the given side (-1 left, 1 right), to be read.
func (b *Bucket) sibling(p *path, k, side int) (frame, error) {
	up := &p.f[k-1]
	ref := up.branchBody().Child(up.i + side)
	pg, err := b.tx.node(ref, b.hdr.Tree, up.level-1, up.born)
	if err != nil {
		return frame{}, err
	}
	return frame{ref: ref, body: page.Body(pg), born: page.Born(pg), level: up.level - 1}, nil
}

// ownSibling makes that sibling one that this transaction may change.
func (b *Bucket) ownSibling(p *path, k, side int) (frame, error) {
	s, err := b.sibling(p, k, side)
	if err != nil || b.tx.w.dirty.mine(s.ref) {
		return s, err
	}
	ref, body, err := b.fresh(s.level)
	if err != nil {
		return s, err
	}
	copy(body, s.body)
	b.tx.freePage(s.ref, s.born)
	up := &p.f[k-1]
	up.branchBody().SetChild(up.i+side, ref)
	s.ref, s.body, s.born = ref, body, b.tx.commit
	return s, nil
}

// merge joins the page in frame k of p with a sibling if both fit in one page, and reports whether it did.
func (b *Bucket) merge(p *path, k int) (bool, error) {
	up := &p.f[k-1]
	for _, side := range [2]int{-1, 1} {
		if j := up.i + side; j < 0 || j >= up.branchBody().Count() {
			continue
		}
		s, err := b.sibling(p, k, side)
		if err != nil {
			return false, err
		}
		_, used, capacity := slots(&p.f[k])
		_, more, _ := slots(&s)
		right := up.i + max(side, 0)
		if s.level > 0 { // the separator comes down into the merged branch
			more += len(up.branchBody().StoredKey(right).Bytes) + page.OverflowRefSize
		}
		if used+more > capacity-capacity/mergeSlack {
			continue
		}
		return true, b.join(p, k, &s, side)
	}
	return false, nil
}

// join moves the cells of the page in frame k and of its sibling s to a fresh page that takes their place.
func (b *Bucket) join(p *path, k int, s *frame, side int) error {
	up, f := &p.f[k-1], &p.f[k]
	left, right, at := f, s, up.i
	if side < 0 {
		left, right, at = s, f, up.i-1
	}
	keys := up.branchBody().Keys(at) + up.branchBody().Keys(at+1)
	if keys > page.MaxChildKeys {
		return b.errKeys(s.ref, keys)
	}
	ref, body, err := b.fresh(f.level)
	if err != nil {
		return err
	}
	if f.level > 0 {
		br := page.InitBranch(body)
		br.AppendFrom(left.branchBody(), 0, left.branchBody().Count(), page.Key{})
		br.AppendFrom(right.branchBody(), 0, right.branchBody().Count(), up.branchBody().StoredKey(at+1))
		up.branchBody().Remove(at + 1) // its separator moved: the run stays
	} else {
		l := page.InitLeaf(body)
		l.AppendFrom(left.leafBody(), 0, left.leafBody().Count())
		l.AppendFrom(right.leafBody(), 0, right.leafBody().Count())
		if err := b.unlinkSlot(up, at+1); err != nil {
			return err
		}
	}
	up.branchBody().SetChild(at, ref)
	up.branchBody().SetKeys(at, keys)
	b.tx.w.dirty.release(f.ref.Index())
	b.tx.freePage(s.ref, s.born)
	return nil
}
