package tx

import "mmdb/page"

// rank returns how many items are before the place that p leads to: branch cells carry the number of keys below
// them, so this costs O(depth × fan-out) additions and reads no other page.
func (p *path) rank() uint64 {
	n := uint64(p.leaf().i)
	for k := range p.n - 1 {
		br := p.f[k].branchBody()
		for i := range p.f[k].i {
			n += br.Keys(i)
		}
	}
	return n
}

// seekIndex places c before the item that has i items before it.
func (c *Cursor) seekIndex(i uint64) error {
	c.leave()
	f, err := c.b.root(&c.p)
	for err == nil && f.level > 0 {
		br := f.branchBody()
		for f.i = 0; f.i < br.Count()-1 && i >= br.Keys(f.i); f.i++ {
			i -= br.Keys(f.i)
		}
		f, err = c.b.push(&c.p, br.Child(f.i))
	}
	c.placed(beforeGE)
	if err != nil {
		return err
	}
	if i > uint64(f.leafBody().Count()) {
		return page.Corruptf(f.ref.Page(), "the number of keys below a branch is wrong")
	}
	f.i = int(i)
	return nil
}

// rankOf returns how many keys of b are less than key.
func (b *Bucket) rankOf(key []byte) (uint64, error) {
	var p path
	if _, err := b.seek(&p, key); err != nil {
		return 0, err
	}
	return p.rank(), nil
}

// CountRange returns the number of keys k with lo ≤ k < hi; a nil lo or hi is open. It costs O(log n).
func (b *Bucket) CountRange(lo, hi []byte) (n uint64) {
	if !b.tx.managed {
		defer b.tx.exit(enter())
	}
	if !b.mayRead() {
		return 0
	}
	to, err := b.hdr.Keys, error(nil)
	if hi != nil {
		to, err = b.rankOf(hi)
	}
	from := uint64(0)
	if lo != nil && err == nil {
		from, err = b.rankOf(lo)
	}
	if err != nil {
		b.tx.fail(err)
		return 0
	}
	return to - min(from, to)
}
