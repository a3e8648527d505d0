package tx

import "bytes"

// A finger remembers where the last put of a transaction went. The next one often goes to the same leaf: then the search from the
// root is left out. It is what B-trees call finger search, with one finger.
type finger struct {
	path path
	of   *Bucket // nil: it points nowhere
	mods uint64  // of that bucket, when it was set
}

// lead leads the finger to key in its leaf, and reports whether that is the leaf of key, and whether key is there.
func (g *finger) lead(b *Bucket, key []byte) (found, ok bool) {
	if g.of != b || g.mods != b.mods {
		return false, false
	}
	f := g.path.leaf()
	l := f.leafBody()
	last := l.Count() - 1
	if last < 0 || l.Large(last) || l.Large(0) {
		return false, false
	}
	switch c := bytes.Compare(key, l.Key(last)); {
	case c > 0:
		f.i = last + 1
		return false, g.path.rightmost(g.path.n - 1)
	case c < 0 && bytes.Compare(key, l.Key(0)) < 0:
		return false, false
	}
	i, found, err := l.Search(key, b.tx)
	f.i = i
	return found, err == nil
}

// point makes the finger of b's transaction point where p leads, if that is its path: a cell was just put there.
func (b *Bucket) point(p *path) {
	if g := &b.tx.w.finger; p == &g.path {
		g.of, g.mods = b, b.mods
	}
}
