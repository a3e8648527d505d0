package freelist

import "mmdb/page"

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

// takeLowest finds places after SetLowest: each unit of several pages goes into the first run that holds it, and n single pages into what is
// free from the begin of the file on. What fits nowhere is left for raise.
func (a *allocation) takeLowest(n uint64) {
	l := a.l
	for i, u := range a.units {
		if u == 1 {
			continue
		}
		if p, ok := l.Lowest(uint64(u)); ok {
			l.free.remove(Extent{p, uint64(u)})
			a.first[i] = p
		} else {
			a.rest += uint64(u)
		}
	}
	if n == 0 {
		return
	}
	l.free.each(0, 1, func(e Extent) bool {
		e.Len = min(e.Len, n)
		a.runs = append(a.runs, e)
		n -= e.Len
		return n > 0
	})
	for _, e := range a.runs {
		l.free.remove(e)
	}
	a.rest += n
}
