package freelist

// Reserve sets the free pages of e aside for a unit of several pages that finds no other run: single pages go there only when no
// others are free. They need not be free yet; an empty e sets nothing aside, and there is one such place at a time. In a file that is as
// large as it may become (SetTarget) single pages use up all long runs, and every checkpoint would make it longer.
func (l *List) Reserve(e Extent) { l.reserve = e }

// ReserveRun reserves n pages of a free run that has as many, if there is one.
func (l *List) ReserveRun(n uint64) {
	if e, ok := l.bestFit(n, 0); ok {
		l.reserve = Extent{e.Page, n}
	}
}

// hide takes what is set aside out of the free pages, if all of it is free, for the time of an allocation.
func (a *allocation) hide() {
	l := a.l
	if e := l.reserve; l.target > 0 && !a.lowest && e.Len > 0 && e.End() <= l.highWater && l.free.all(e) {
		l.free.remove(e)
		a.hidden = e
	}
}

// show puts back what is left of what was hidden, and reports whether there was something.
func (a *allocation) show() bool {
	e := a.hidden
	if a.hidden = (Extent{}); e.Len > 0 {
		a.l.free.add(e)
	}
	return e.Len > 0
}

// takeReserve returns n pages of what was hidden, if it has so many.
func (a *allocation) takeReserve(n uint64) (e Extent, ok bool) {
	if a.hidden.Len < n {
		return Extent{}, false
	}
	e = Extent{a.hidden.Page, n}
	a.hidden.Page, a.hidden.Len = e.End(), a.hidden.Len-n
	return e, true
}
