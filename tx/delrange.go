package tx

import (
	"bytes"

	"mmdb/page"
)

// DeleteRange deletes every key k with lo ≤ k < hi, a nil lo or hi being open, and returns how many there were.
// Pages that lie wholly inside the range are freed without a look at their keys' order. Errors: ErrIncompatibleValue
// when the range holds a nested bucket (nothing is deleted then), ErrTxNotWritable, ErrTxClosed.
func (b *Bucket) DeleteRange(lo, hi []byte) (n uint64, err error) {
	if !b.tx.managed {
		defer b.tx.exitErr(enter(), &err)
	}
	if err := b.mayWrite(); err != nil {
		return 0, err
	}
	if hi != nil && lo != nil && bytes.Compare(lo, hi) >= 0 || b.hdr.Keys == 0 {
		return 0, nil
	}
	if found, err := b.bucketsIn(lo, hi); err != nil || found {
		if err == nil {
			return 0, ErrIncompatibleValue
		}
		return 0, b.tx.changed(err)
	}
	before := b.hdr.Keys
	err = b.tx.changed(b.deleteRange(lo, hi))
	return before - b.hdr.Keys, err
}

// bucketsIn reports whether a nested bucket lies in the range.
func (b *Bucket) bucketsIn(lo, hi []byte) (bool, error) {
	var p path
	if _, err := b.seek(&p, lo); err != nil {
		return false, err
	}
	for {
		l := p.leaf().leafBody()
		end := l.Count()
		last := false
		if hi != nil {
			i, _, err := l.Search(hi, b.tx)
			if err != nil {
				return false, err
			}
			last = i < end
			end = i
		}
		for i := p.leaf().i; i < end; i++ {
			if l.Kind(i) == page.CellBucket {
				return true, nil
			}
		}
		if last {
			return false, nil
		}
		if more, err := b.advance(&p, false); err != nil || !more {
			return false, err
		}
	}
}

func (b *Bucket) deleteRange(lo, hi []byte) error {
	if err := b.tx.room(); err != nil {
		return err
	}
	var p path
	if _, err := b.seek(&p, lo); err != nil {
		return err
	}
	if err := b.own(&p); err != nil {
		return err
	}
	b.tx.freeing = 0
	cut, err := b.cut(&p.f[0], lo, hi)
	if err != nil {
		return err
	}
	if count, _, _ := slots(&p.f[0]); cut > b.hdr.Keys || count == 0 && cut < b.hdr.Keys {
		return b.errKeys(0, b.hdr.Keys)
	}
	b.hdr.Keys -= cut
	p.n = 1
	if err := b.shrinkRoot(&p); err != nil {
		return err
	}
	return b.mend(lo)
}

// mend merges what a range deletion left small at its edges: the leaf where lo is or would be and its siblings.
func (b *Bucket) mend(lo []byte) error {
	for range 2 {
		var p path
		if _, err := b.seek(&p, lo); err != nil {
			return err
		}
		k := p.n - 1
		for ; k > 0; k-- {
			if count, used, capacity := slots(&p.f[k]); count == 0 || used <= capacity/mergeBelow {
				break
			}
		}
		if k <= 0 {
			return nil
		}
		if err := b.own(&p); err != nil {
			return err
		}
		if err := b.shrink(&p, k); err != nil {
			return err
		}
	}
	return nil
}

// cut deletes the keys in [lo, hi) below the owned page f and returns how many there were. Children that
// become empty are taken out; f itself may end up empty.
func (b *Bucket) cut(f *frame, lo, hi []byte) (uint64, error) {
	if f.level == 0 {
		return b.cutLeaf(f.leafBody(), lo, hi)
	}
	br := f.branchBody()
	from, to := 0, br.Count()-1
	var err error
	if lo != nil {
		if from, err = br.Search(lo, b.tx); err != nil {
			return 0, err
		}
	}
	if hi != nil {
		if to, err = br.Search(hi, b.tx); err != nil {
			return 0, err
		}
	}
	var n uint64
	for i := to; i >= from; i-- { // downwards: removing a slot leaves the lower ones in place
		l, h := lo, hi
		if i > from {
			l = nil
		}
		if i < to {
			h = nil
		}
		d, err := b.cutChild(f, i, l, h)
		if err != nil {
			return n, err
		}
		n += d
	}
	return n, nil
}

// cutChild deletes the keys in [lo, hi) below slot i of the owned branch f; both nil is the whole child.
func (b *Bucket) cutChild(f *frame, i int, lo, hi []byte) (uint64, error) {
	br := f.branchBody()
	if lo == nil && hi == nil {
		n, err := b.freeTree(br.Child(i), f.level-1, f.born)
		if err == nil && n != br.Keys(i) {
			err = b.errKeys(br.Child(i), br.Keys(i))
		}
		if err != nil {
			return 0, err
		}
		return n, b.unlinkSlot(f, i)
	}
	f.i = i
	ref := br.Child(i)
	up := path{n: 1}
	up.f[0] = *f
	c, err := b.ownSibling(&up, 1, 0)
	if err != nil {
		return 0, err
	}
	n, err := b.cut(&c, lo, hi)
	if err != nil {
		return n, err
	}
	count, _, _ := slots(&c)
	if n > br.Keys(i) || count == 0 && n < br.Keys(i) {
		return 0, b.errKeys(ref, br.Keys(i))
	}
	if count == 0 {
		b.tx.w.dirty.release(c.ref.Index())
		return n, b.unlinkSlot(f, i)
	}
	br.SetKeys(i, br.Keys(i)-n)
	return n, nil
}

// cutLeaf deletes the keys in [lo, hi) of an owned leaf.
func (b *Bucket) cutLeaf(l page.Leaf, lo, hi []byte) (uint64, error) {
	from, to := 0, l.Count()
	var err error
	if lo != nil {
		if from, _, err = l.Search(lo, b.tx); err != nil {
			return 0, err
		}
	}
	if hi != nil {
		if to, _, err = l.Search(hi, b.tx); err != nil {
			return 0, err
		}
	}
	for i := to - 1; i >= from; i-- {
		if err := b.freeCell(l, i); err != nil {
			return 0, err
		}
		l.Remove(i)
	}
	return uint64(max(to-from, 0)), nil
}
