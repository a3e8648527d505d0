package freelist

// manyRuns is how many runs bestFit compares at most.
const manyRuns = 8

// bestFit returns the shortest free run of at least n pages, the one that stands first in the file when there are
// several. In a large file it is the shortest of the first that are long enough.
func (l *List) bestFit(n uint64) (e Extent, ok bool) {
	seen := 0
	l.free.each(n, func(f Extent) bool {
		if !ok || f.Len < e.Len {
			e, ok = f, true
		}
		seen++
		return e.Len > n && seen < manyRuns
	})
	return e, ok
}

// tail returns the free run that ends at the high water.
func (l *List) tail() (e Extent, ok bool) {
	if !l.free.has(l.highWater - 1) {
		return Extent{}, false
	}
	first := l.free.begin(l.highWater - 1)
	return Extent{first, uint64(l.highWater - first)}, true
}
