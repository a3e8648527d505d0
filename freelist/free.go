package freelist

import (
	"math/bits"
	"slices"

	"mmdb/page"
)

// manyRuns is how many runs bestFit compares at most.
const manyRuns = 8

// bestFit returns the shortest free run of at least n pages behind from, the one that stands first in the file when there are
// several. In a large file it is the shortest of the first that are long enough.
func (l *List) bestFit(n uint64, from page.No) (e Extent, ok bool) {
	seen := 0
	l.free.each(from, n, func(f Extent) bool {
		if !ok || f.Len < e.Len {
			e, ok = f, true
		}
		seen++
		return e.Len > n && seen < manyRuns
	})
	return e, ok
}

// Allocations of at most fewPages pages go into runs that were seen when such were looked for last, nearRuns at most: to find
// runs in a fragmented file costs more than such a commit does, and what is left of a run is there for the next.
const (
	fewPages = 64
	nearRuns = 64
	runSizes = 6 // powers of two below fewPages

	emptyShare = 2 // where more than one page in so many is free, the shortest run is often the one at the end of the file, and would keep that
)

// A runCache holds free runs that were seen. Others may have taken them since, or parts of them.
type runCache struct {
	runs []Extent
}

// look makes c the first free runs of at least n pages.
func (c *runCache) look(s *pageSet, n uint64) {
	c.runs = c.runs[:0]
	s.each(0, n, func(e Extent) bool {
		c.runs = append(c.runs, e)
		return len(c.runs) < nearRuns
	})
}

// push adds e, which will be taken first.
func (c *runCache) push(e Extent) {
	if len(c.runs) == nearRuns {
		c.runs = append(c.runs[:0], c.runs[nearRuns/2:]...)
	}
	c.runs = append(c.runs, e)
}

// fit returns the index of the shortest run of n pages or more that is still free, of the first of them in the file with inOrder, or -1.
func (c *runCache) fit(s *pageSet, n uint64, inOrder bool) int {
	best := -1
	for i := 0; i < len(c.runs); i++ {
		e := c.runs[i]
		if e.Len < n || best >= 0 && (inOrder && e.Page > c.runs[best].Page || !inOrder && e.Len >= c.runs[best].Len) {
			continue
		}
		if s.lead(e.Page, n, true) == n {
			best = i
			continue
		}
		// Something else was put there.
		last := len(c.runs) - 1
		c.runs[i] = c.runs[last]
		c.runs = c.runs[:last]
		i--
	}
	return best
}

// oneRun returns where n pages can go in one piece.
func (l *List) oneRun(n uint64) (page.No, bool) {
	if n > fewPages {
		e, ok := l.bestFit(n, 0)
		return e.Page, ok
	}
	p, ok := l.nearRun(n)
	if !ok && l.free.hasRun(n) {
		l.near.look(&l.free, n)
		p, ok = l.nearRun(n)
	}
	return p, ok
}

// nearRun is oneRun for few pages, among the runs that were seen.
func (l *List) nearRun(n uint64) (page.No, bool) {
	if !l.free.hasRun(n) {
		return 0, false
	}
	if p, ok := l.recentRun(n); ok {
		return p, true
	}
	i := l.near.fit(&l.free, n, l.freeShare(emptyShare))
	if i < 0 {
		return 0, false
	}
	e := &l.near.runs[i]
	p := e.Page
	e.Page, e.Len = p+page.No(n), e.Len-n
	return p, true
}

// oneRun returns where n pages go in one piece. There is a run that is long enough.
func (a *allocation) oneRun(n uint64) (p page.No, ok bool) {
	if a.from == 0 {
		return a.l.oneRun(n)
	}
	e, ok := a.l.bestFit(n, a.from)
	return e.Page, ok
}

// take takes free runs for a commit of few pages, as allocation.takeRuns does, out of those that were seen. With a limit it
// forgets runs behind that; without one it looks for others when there are no more. It returns how many pages it took.
func (c *runCache) take(a *allocation, least, n, most uint64, limit page.No) (taken uint64) {
	s := &a.l.free
	for looked := limit > 0; most > 0; {
		if len(c.runs) == 0 {
			if looked {
				break
			}
			looked = true
			c.look(s, least)
			slices.Reverse(c.runs) // the first ones are taken first, from the end
			continue
		}
		last := len(c.runs) - 1
		e := c.runs[last]
		free := s.all(e) && (limit == 0 || e.End() <= limit)
		if free && e.Len > n-taken {
			break
		}
		if c.runs = c.runs[:last]; free {
			s.remove(e)
			a.runs = append(a.runs, e)
			taken += e.Len
			most--
		}
	}
	return taken
}

// freed adds e to the free pages, which have been in use until lately: as long as the file need not become smaller, a small commit takes
// such places first. They are in the caches, and in the part of the page cache that is still to be written.
func (l *List) freed(e Extent) {
	run := l.free.add(e)
	if n := run.Len; n < fewPages && run.End() <= l.target && (run.End() <= l.reserve.Page || l.reserve.End() <= run.Page) {
		l.recent[bits.Len64(n)-1].push(run)
	}
}

// recentRun returns n pages of a run that became free lately, about the shortest that has as many.
func (l *List) recentRun(n uint64) (page.No, bool) {
	for k := bits.Len64(n) - 1; k < runSizes; k++ {
		for c := &l.recent[k]; len(c.runs) > 0; {
			last := len(c.runs) - 1
			e := c.runs[last]
			if e.Len < n {
				break
			}
			if c.runs = c.runs[:last]; e.End() > l.target || !l.free.all(e) {
				continue
			}
			if e.Len > n {
				l.recent[bits.Len64(e.Len-n)-1].push(Extent{e.Page + page.No(n), e.Len - n})
			}
			return e.Page, true
		}
	}
	return 0, false
}

// tail returns the free run that ends at the high water.
func (l *List) tail() (e Extent, ok bool) {
	if !l.free.has(l.highWater - 1) {
		return Extent{}, false
	}
	first := l.free.begin(l.highWater - 1)
	return Extent{first, uint64(l.highWater - first)}, true
}
