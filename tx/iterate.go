package tx

import (
	"bytes"
	"iter"
)

// ForEach calls fn for each item of b in order, until fn returns an error, which it returns. The value of a nested
// bucket is nil. The slices live as Get's do.
func (b *Bucket) ForEach(fn func(k, v []byte) error) error {
	if err := b.tx.usable(); err != nil {
		return err
	}
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if err := fn(k, v); err != nil {
			return err
		}
	}
	return b.tx.err
}

// ForEachBucket calls fn with the name of each nested bucket of b in order, until fn returns an error, which it returns.
func (b *Bucket) ForEachBucket(fn func(k []byte) error) error {
	if err := b.tx.usable(); err != nil {
		return err
	}
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if v == nil {
			if err := fn(k); err != nil {
				return err
			}
		}
	}
	return b.tx.err
}

// All iterates over the items of b in order. The value of a nested bucket is nil. After a loop that ended by
// itself, Tx.Err tells the end from a failure. The bucket may be changed inside the loop.
func (b *Bucket) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) { b.forward(nil, nil, yield) }
}

// Range iterates over the items with lo ≤ key < hi in order; a nil lo or hi is open.
func (b *Bucket) Range(lo, hi []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) { b.forward(lo, hi, yield) }
}

// Prefix iterates over the items whose keys start with p, in order.
func (b *Bucket) Prefix(p []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := b.Cursor()
		for k, v := c.Seek(p); k != nil && bytes.HasPrefix(k, p); k, v = c.Next() {
			if !yield(k, v) {
				return
			}
		}
	}
}

// Backward iterates over the items with lo ≤ key < hi from the last to the first; a nil lo or hi is open.
func (b *Bucket) Backward(lo, hi []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := b.Cursor()
		k, v := c.before(hi)
		for ; k != nil && (lo == nil || bytes.Compare(k, lo) >= 0); k, v = c.Prev() {
			if !yield(k, v) {
				return
			}
		}
	}
}

// forward calls yield for the items in [lo, hi) until it returns false.
func (b *Bucket) forward(lo, hi []byte, yield func(k, v []byte) bool) {
	c := b.Cursor()
	k, v := c.Seek(lo)
	for ; k != nil && (hi == nil || bytes.Compare(k, hi) < 0); k, v = c.Next() {
		if !yield(k, v) {
			return
		}
	}
}

// before moves to the last item less than hi; a nil hi is open.
func (c *Cursor) before(hi []byte) (k, v []byte) {
	if hi == nil {
		return c.Last()
	}
	if !c.b.tx.managed {
		defer c.b.tx.exit(enter())
	}
	if !c.b.mayRead() || !c.ok(c.seek(hi)) {
		return nil, nil
	}
	if k, v = c.prev(); k == nil {
		c.hold(beforeGE, hi)
	}
	return k, v
}
