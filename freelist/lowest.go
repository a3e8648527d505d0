package freelist

import (
	"slices"

	"mmdb/page"
)

// SetLowest says whether Alloc takes the lowest free pages, in however many pieces, so that the end of the file becomes free. It
// then regards neither what SetTarget and SetHot say nor what Reserve sets aside.
func (l *List) SetLowest(on bool) { l.lowest = on }

// Lowest returns where the first free run of at least n pages begins, if there is one.
func (l *List) Lowest(n uint64) (p page.No, ok bool) {
	if !l.HasRun(n) {
		return 0, false
	}
	l.free.each(0, n, func(e Extent) bool {
		p, ok = e.Page, true
		return false
	})
	return p, ok
}

// End returns the number of the first page behind all that are in use or pending.
func (l *List) End() page.No {
	if e, ok := l.tail(); ok {
		return e.Page
	}
	return l.highWater
}

// UsedFrom returns the number of pages in use from page p on.
func (l *List) UsedFrom(p page.No) uint64 {
	p = max(p, l.first)
	if p >= l.highWater {
		return 0
	}
	used := uint64(l.highWater - p)
	for _, s := range [...]*pageSet{&l.free, &l.pending} {
		s.each(0, 1, func(e Extent) bool {
			if e.End() > p {
				used -= uint64(e.End() - max(e.Page, p))
			}
			return true
		})
	}
	return used
}

// allocLowest is Alloc after SetLowest: each unit of several pages goes into the first run that holds it, and single pages into what is
// free from the begin of the file on.
func (l *List) allocLowest(units []uint32, dst []page.No, limit page.No) ([]page.No, error) {
	a, n := allocation{l: l, units: units, base: l.highWater, runs: l.runs[:0]}, len(dst)
	dst = slices.Grow(dst, len(units))[:n+len(units)]
	a.first = dst[n:]
	clear(a.first)
	singles := uint64(0)
	for i, u := range units {
		if u == 1 {
			singles++
		} else if p, ok := l.Lowest(uint64(u)); ok {
			l.free.remove(Extent{p, uint64(u)})
			a.first[i] = p
		} else {
			a.rest += uint64(u)
		}
	}
	a.rest += singles - a.takeLowest(singles)
	defer func() { l.runs = a.runs[:0] }()
	if a.rest > 0 && a.base+page.No(a.rest) > limit {
		a.undo()
		return dst[:n], ErrFull
	}
	a.placeSingles()
	a.raise()
	return dst, nil
}

// takeLowest takes the first n free pages of the file, or as many as there are, and returns how many.
func (a *allocation) takeLowest(n uint64) (taken uint64) {
	a.l.free.each(0, 1, func(e Extent) bool {
		e.Len = min(e.Len, n-taken)
		if e.Len > 0 {
			a.runs = append(a.runs, e)
			taken += e.Len
		}
		return taken < n
	})
	for _, e := range a.runs {
		a.l.free.remove(e)
	}
	return taken
}
