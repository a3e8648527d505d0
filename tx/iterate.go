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
		uses := c.uses
		k, v := c.Seek(p)
		c.walk(k, v, bounds{prefix: p}, false, yield)
		c.finish(uses)
	}
}

// Backward iterates over the items with lo ≤ key < hi from the last to the first; a nil lo or hi is open.
func (b *Bucket) Backward(lo, hi []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := b.Cursor()
		uses := c.uses
		k, v := c.before(hi)
		c.walk(k, v, bounds{lo: lo}, true, yield)
		c.finish(uses)
	}
}

// forward calls yield for the items in [lo, hi) until it returns false.
func (b *Bucket) forward(lo, hi []byte, yield func(k, v []byte) bool) {
	c := b.Cursor()
	uses := c.uses
	k, v := c.Seek(lo)
	c.walk(k, v, bounds{hi: hi}, false, yield)
	c.finish(uses)
}

// bounds say which keys an iteration passes over. What is nil is no bound.
type bounds struct{ lo, hi, prefix []byte }

func (s *bounds) hold(key []byte) bool {
	return (s.lo == nil || bytes.Compare(key, s.lo) >= 0) && (s.hi == nil || bytes.Compare(key, s.hi) < 0) && bytes.HasPrefix(key, s.prefix)
}

// walk calls yield for k, v, on which c is, and the items after it, or with back before it, while they are within s and
// yield returns true.
func (c *Cursor) walk(k, v []byte, s bounds, back bool, yield func(k, v []byte) bool) {
	for k != nil && s.hold(k) && yield(k, v) {
		if c.run != nil && !c.stretch(&s, back, yield) {
			return
		}
		if back {
			k, v = c.Prev()
		} else {
			k, v = c.Next()
		}
	}
}

// stretch is walk for the rest of a leaf, up to an item that is not a plain one. It returns false when the iteration is over.
func (c *Cursor) stretch(s *bounds, back bool, yield func(k, v []byte) bool) bool {
	f, t := c.run, c.b.tx
	if t.done { // an iterator of iter.Pull
		return false
	}
	l := f.leafBody()
	step, last := 1, l.Count()-1
	if back {
		step, last = -1, 0
	}
	all := !l.Large(last) && s.hold(l.Key(last)) // for then all in between are too
	i := f.i + step
	for ; ; i += step {
		k, v := l.Pair(l.Slot(i))
		if k == nil {
			break
		}
		if !all && !s.hold(k) || !yield(k, v) || t.done {
			f.i = i
			return false
		}
	}
	f.i = i - step
	return true
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
