package freelist

import "mmdb/page"

// freeAt returns the last free extent that begins at or before p.
func (l *List) freeAt(p page.No) (e Extent, ok bool) {
	l.free.DescendLessOrEqual(Extent{Page: p}, func(f Extent) bool {
		e, ok = f, true
		return false
	})
	return e, ok
}

// bestFit returns the smallest free extent of at least n pages, the one that stands
// first in the file when there are several.
func (l *List) bestFit(n uint64) (e Extent, ok bool) {
	l.bySize.AscendGreaterOrEqual(Extent{Len: n}, func(f Extent) bool {
		e, ok = f, true
		return false
	})
	return e, ok
}

// addFree makes the pages of e free and joins them with their free neighbours.
// The caller knows that they are neither free nor pending.
func (l *List) addFree(e Extent) {
	l.freePages += e.Len
	prev, ok := l.freeAt(e.End())
	if ok && prev.Page == e.End() { // the neighbour behind
		l.free.Delete(prev)
		l.bySize.Delete(prev)
		e.Len += prev.Len
		prev, ok = l.freeAt(e.Page)
	}
	if ok && prev.End() > e.Page {
		panic("freelist: invariant: a page is freed once")
	}
	if ok && prev.End() == e.Page {
		l.bySize.Delete(prev)
		e = Extent{prev.Page, prev.Len + e.Len}
	}
	l.free.ReplaceOrInsert(e)
	l.bySize.ReplaceOrInsert(e)
}

// cutFree takes the pages of e out of the free extent f, which holds all of them.
func (l *List) cutFree(f, e Extent) {
	l.freePages -= e.Len
	l.bySize.Delete(f)
	if head := uint64(e.Page - f.Page); head > 0 {
		rest := Extent{f.Page, head}
		l.free.ReplaceOrInsert(rest)
		l.bySize.ReplaceOrInsert(rest)
	} else {
		l.free.Delete(f)
	}
	if tail := uint64(f.End() - e.End()); tail > 0 {
		rest := Extent{e.End(), tail}
		l.free.ReplaceOrInsert(rest)
		l.bySize.ReplaceOrInsert(rest)
	}
}

// tail returns the free extent that ends at the high water.
func (l *List) tail() (e Extent, ok bool) {
	e, ok = l.free.Max()
	return e, ok && e.End() == l.highWater
}
