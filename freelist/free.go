package freelist

import "mmdb/page"

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

// Allocations of at most fewPages pages go into runs that were seen when one was looked for last, nearRuns at most: to find
// runs in a fragmented file costs more than such a commit does, and what is left of a run is there for the next.
const (
	fewPages = 64
	nearRuns = 64
)

// oneRun returns where n pages can go in one piece.
func (l *List) oneRun(n uint64) (page.No, bool) {
	if n > fewPages {
		e, ok := l.bestFit(n)
		return e.Page, ok
	}
	i := l.nearFit(n)
	if i < 0 {
		l.near = l.near[:0]
		l.free.each(n, func(e Extent) bool {
			l.near = append(l.near, e)
			return len(l.near) < nearRuns
		})
		if i = l.nearFit(n); i < 0 {
			return 0, false
		}
	}
	e := &l.near[i]
	p := e.Page
	e.Page, e.Len = p+page.No(n), e.Len-n
	return p, true
}

// nearFit returns the index of the shortest of the runs that were seen that still holds n pages, or -1.
func (l *List) nearFit(n uint64) int {
	best := -1
	for i := 0; i < len(l.near); i++ {
		e := l.near[i]
		if e.Len < n || best >= 0 && e.Len >= l.near[best].Len {
			continue
		}
		if l.free.lead(e.Page, n, true) == n {
			best = i
			continue
		}
		// Something else was put there.
		last := len(l.near) - 1
		l.near[i] = l.near[last]
		l.near = l.near[:last]
		i--
	}
	return best
}

// tail returns the free run that ends at the high water.
func (l *List) tail() (e Extent, ok bool) {
	if !l.free.has(l.highWater - 1) {
		return Extent{}, false
	}
	first := l.free.begin(l.highWater - 1)
	return Extent{first, uint64(l.highWater - first)}, true
}
