package freelist

import (
	"math/bits"
	"slices"

	"mmdb/page"
)

// Alloc finds places for a commit's units: unit i is a run of units[i] pages. It
// appends the first page of each, in order, to dst. The units are laid out so that
// the commit is written in few large runs:
//
//   - all of them in one free extent, the smallest that holds them, if there is one (of
//     those that were looked at, in a large file);
//   - else units of several pages by best fit (together if they fit together), and
//     single pages into the longest runs, their addresses ascending;
//   - short runs are used only when the high water has reached the target (SetTarget), and
//     where most pages are free first;
//   - what fits nowhere goes behind the data, in one piece, and raises the high water.
//
// After SetLowest all of it goes as far to the begin of the file as it fits.
//
// The high water never passes limit (0: no limit): then the error is ErrFull, dst
// comes back as it was, and nothing has changed. A zero unit is the caller's bug and
// panics. The cost is some nanoseconds for each page and each run that is looked at.
func (l *List) Alloc(units []uint32, dst []page.No, limit page.No) ([]page.No, error) {
	if limit == 0 || limit > maxPages {
		limit = maxPages
	}
	hot := l.hot
	l.hot = [2]int{} // it is said for one allocation, whatever becomes of it
	var total, singles uint64
	for _, u := range units {
		if u == 0 {
			panic("freelist: invariant: a unit has a page")
		}
		if u == 1 {
			singles++
		}
		total += uint64(u)
	}
	if room := uint64(max(limit, l.highWater) - l.highWater); total > l.free.pages+room {
		return dst, ErrFull
	}
	if total == 0 {
		return dst, nil
	}
	if total <= fewPages && !l.lowest { // the usual case: what is set aside was hidden when runs were looked for
		if p, ok := l.nearRun(total); ok {
			l.free.remove(Extent{p, total})
			return layOut(units, dst, p), nil
		}
	}
	a := allocation{l: l, units: units, base: l.highWater, hotFrom: hot[0], hotTo: hot[1], lowest: l.lowest}
	a.hide()
	apart := a.hidden.Len > 0
	dst, err := a.alloc(dst, total, singles, limit)
	a.show()
	if err != nil && (apart || a.hotPages > 0 || a.lowest) { // it may do where nothing stands apart
		a = allocation{l: l, units: units, base: l.highWater}
		dst, err = a.alloc(dst, total, singles, limit)
	}
	return dst, err
}

// alloc is Alloc for total pages, of which singles are units of their own.
func (a *allocation) alloc(dst []page.No, total, singles uint64, limit page.No) ([]page.No, error) {
	l := a.l
	if !a.lowest {
		if p, ok := l.oneRun(total); ok {
			l.free.remove(Extent{p, total})
			return layOut(a.units, dst, p), nil
		}
	}
	a.runs = l.runs[:0]
	dst, err := a.place(dst, total-singles, singles, limit)
	l.runs, l.hotRuns = a.runs[:0], a.hot[:0]
	return dst, err
}

// layOut appends the first pages of units that stand one after the other from p.
func layOut(units []uint32, dst []page.No, p page.No) []page.No {
	dst = slices.Grow(dst, len(units))
	for _, u := range units {
		dst = append(dst, p)
		p += page.No(u)
	}
	return dst
}

// allocation is an Alloc that needs several runs.
type allocation struct {
	l     *List
	units []uint32
	first []page.No // of each unit; 0: not placed yet
	runs  []Extent  // extents taken for single pages
	base  page.No   // where the units go that fit nowhere
	rest  uint64    // pages of those units

	lowest bool // as far to the begin of the file as possible (SetLowest)

	hidden Extent // free pages that are set aside (Reserve)

	hotFrom, hotTo int      // units whose single pages are hot (SetHot)
	hotPages       uint64   // as many, if a zone is kept for them
	hot            []Extent // extents of the zone taken for them
	from           page.No  // the end of the zone: other pages go behind it
}

// place finds places for all units, of which several hold multi pages in all, and
// singles are of one page.
func (a *allocation) place(dst []page.No, multi, singles uint64, limit page.No) ([]page.No, error) {
	n := len(dst)
	dst = slices.Grow(dst, len(a.units))[:n+len(a.units)]
	a.first = dst[n:]
	clear(a.first)
	if a.lowest {
		a.takeLowest(singles)
	} else {
		a.enter()
		if multi > 0 {
			a.placeMulti(multi)
		}
		a.takeSingles(singles-a.takeHot(), limit)
	}
	if a.rest > 0 && a.base+page.No(a.rest) > limit {
		a.undo()
		return dst[:n], ErrFull
	}
	a.placeSingles()
	a.raise()
	return dst, nil
}

// placeMulti places the units of more than one page; what fits nowhere is left for
// raise, together with the free tail of the file.
func (a *allocation) placeMulti(pages uint64) {
	l := a.l
	together, ok := l.bestFit(pages, a.from)
	if ok {
		l.free.remove(Extent{together.Page, pages})
	}
	for i, u := range a.units {
		if u == 1 {
			continue
		}
		if ok {
			a.first[i] = together.Page
			together.Page += page.No(u)
			continue
		}
		e, fits := l.bestFit(uint64(u), a.from)
		if fits {
			l.free.remove(Extent{e.Page, uint64(u)})
		} else if e, fits = a.takeReserve(uint64(u)); !fits {
			a.rest += uint64(u)
			continue
		}
		a.first[i] = e.Page
	}
	// A unit that is left is longer than the tail, so all of the tail is used.
	if tail, ok := l.tail(); ok && a.rest > 0 {
		l.free.remove(tail)
		a.base = tail.Page
	}
}

// Runs of less than shortRun pages are filled only when the high water has reached the target. But one run in shortShare pages
// may be short, and where few pages are free, all are: so a database is small that is loaded in order, where a commit
// frees little of what it writes.
const (
	shortRun   = 8
	shortShare = 16
)

// takeSingles takes free runs for n single pages: whole ones from the longest downwards, each power of two in the order
// of the file, or short ones where most is free, and the best fit for the last pages.
func (a *allocation) takeSingles(n uint64, limit page.No) {
	l := a.l
	few := n // short runs that may be used before the high water rises
	if l.target > 0 && l.free.pages > n/2 {
		few = 2 + n/shortShare
	}
	for raised := false; n > 0; {
		longest := a.longest()
		if longest >= n {
			p, _ := a.oneRun(n)
			l.free.remove(Extent{p, n})
			a.runs = append(a.runs, Extent{p, n})
			n = 0
			break
		}
		most := n
		if longest < shortRun && l.target > 0 && !raised {
			if most = few; few == 0 || longest == 0 {
				raised = true
				n -= a.raiseFor(n, min(limit, l.target))
				continue
			}
		}
		if longest == 0 {
			if a.from > 0 || a.show() {
				a.from = 0
				continue
			}
			break
		}
		from := len(a.runs)
		n -= a.takeRuns(1<<(bits.Len64(longest)-1), n, most)
		if longest < shortRun {
			few -= min(few, uint64(len(a.runs)-from))
		}
	}
	slices.SortFunc(a.runs, byPage)
	a.rest += n
}

// longest returns the length of the longest run where pages are looked for.
func (a *allocation) longest() uint64 {
	if a.from == 0 {
		return a.l.free.longestRun()
	}
	return a.l.free.longest(a.from)
}

// takeRuns takes free runs of at least so many pages, but less than n in all, and at most so many runs. It returns how many
// pages it took.
func (a *allocation) takeRuns(least, n, most uint64) (taken uint64) {
	from := len(a.runs)
	if n <= fewPages && a.from == 0 {
		k := bits.TrailingZeros64(least)
		if a.l.target > 0 {
			taken = a.l.recent[k].take(a, least, n, most, a.l.target)
			most -= uint64(len(a.runs) - from)
		}
		return taken + a.l.whole[k].take(a, least, n-taken, most, 0)
	}
	take := func(e Extent) bool {
		if e.Len > n-taken || uint64(len(a.runs)-from) == most {
			return false
		}
		taken += e.Len
		a.runs = append(a.runs, e)
		return true
	}
	a.l.eachDense(a.from, least, take)
	if taken == 0 { // there are only some that go beyond their areas
		a.l.free.each(a.from, least, take)
	}
	for _, e := range a.runs[from:] {
		a.l.free.remove(e)
	}
	return taken
}

// raiseFor sets up to n pages aside behind the data, up to page end, and returns how many.
func (a *allocation) raiseFor(n uint64, end page.No) uint64 {
	if used := a.base + page.No(a.rest); used < end {
		n = min(n, uint64(end-used))
		a.rest += n
		return n
	}
	return 0
}

// placeSingles hands the pages of the taken extents to the single units, in order.
func (a *allocation) placeSingles() {
	hot, cold := pageWalk{runs: a.hot}, pageWalk{runs: a.runs}
	for i, u := range a.units {
		if u > 1 {
			continue
		}
		if i >= a.hotFrom && i < a.hotTo {
			if a.first[i] = hot.next(); a.first[i] != 0 {
				continue
			}
		}
		a.first[i] = cold.next()
	}
}

// A pageWalk yields the pages of runs one after the other.
type pageWalk struct {
	runs []Extent
	used uint64 // pages of the first
}

// next returns the next page, zero at the end.
func (w *pageWalk) next() page.No {
	if len(w.runs) == 0 {
		return 0
	}
	e := w.runs[0]
	p := e.Page + page.No(w.used)
	if w.used++; w.used == e.Len {
		w.runs, w.used = w.runs[1:], 0
	}
	return p
}

// raise places the units that are left behind the data.
func (a *allocation) raise() {
	if a.rest == 0 {
		return
	}
	p := a.base
	for i, u := range a.units {
		if a.first[i] == 0 {
			a.first[i] = p
			p += page.No(u)
		}
	}
	a.l.highWater = p
}

// undo gives back what was taken. Free extents are always coalesced, so the list is
// exactly what it was.
func (a *allocation) undo() {
	l := a.l
	if a.base < l.highWater {
		l.free.add(Extent{a.base, uint64(l.highWater - a.base)})
	}
	for _, e := range a.hot {
		l.free.add(e)
	}
	for _, e := range a.runs {
		l.free.add(e)
	}
	for i, u := range a.units {
		if a.first[i] != 0 {
			l.free.add(Extent{a.first[i], uint64(u)})
		}
	}
}
