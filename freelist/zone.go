package freelist

import (
	"math/bits"
	"slices"

	"mmdb/page"
)

// Pages that change in nearly every commit stand in a zone of their own at the begin of the file, if a commit has some dozens of them:
// there long runs are free again after a few commits. Among pages that stay for long they would leave holes, and the others
// would stand in what they leave. The zone has no more pages than its use needs, and nothing in the file tells of it.
const (
	hotMin    = 16 // hot pages of a commit, at least
	hotShare  = 64 // and at most one in so many pages of the file
	hotRun    = 4  // the shortest run that they are put into
	zoneFree  = 6  // the zone becomes larger when it has less free pages than so many commits take
	zoneMost  = 9  // and smaller when it has more
	zoneShare = 16 // it is at most one in so many of the file's pages
)

// SetHot says that the single pages among the units from from to to (not included) of the next Alloc will be freed before long.
func (l *List) SetHot(from, to int) { l.hot = [2]int{from, to} }

// enter finds out how many pages are hot, and brings the zone to its size.
func (a *allocation) enter() {
	l, n := a.l, uint64(0)
	from, to := a.hotFrom, a.hotTo
	size := uint64(l.highWater - l.first)
	if to-from < hotMin || l.target == 0 {
		return
	}
	for _, u := range a.units[from:to] {
		if u == 1 {
			n++
		}
	}
	if n < hotMin || n > size/hotShare {
		return
	}
	a.hotPages = n
	free := uint64(0)
	for p := page.No(0); p < l.zone; p += wordPages {
		free += uint64(bits.OnesCount64(l.free.word(p)))
	}
	if free > zoneMost*n {
		l.zone -= wordPages
	}
	most := (l.first + page.No(size/zoneShare)) &^ (wordPages - 1)
	for l.zone = min(l.zone, most); free < zoneFree*n && l.zone < most; l.zone += wordPages {
		free += uint64(bits.OnesCount64(l.free.word(l.zone)))
	}
	a.from = l.zone
}

// takeHot takes the longest runs of the zone for hot pages, and returns how many pages it took.
func (a *allocation) takeHot() (taken uint64) {
	l, n := a.l, a.hotPages
	if a.from == 0 {
		return 0
	}
	runs := l.hotRuns[:0]
	l.free.each(0, hotRun, func(e Extent) bool {
		if e.Page >= l.zone {
			return false
		}
		e.Len = min(e.Len, uint64(l.zone-e.Page))
		runs = append(runs, e)
		return true
	})
	slices.SortFunc(runs, func(a, b Extent) int { return int(b.Len) - int(a.Len) })
	for len(runs) > 1 && runs[1].Len >= n { // the shortest that holds all
		runs = runs[1:]
	}
	used := 0
	for ; used < len(runs) && taken < n; used++ {
		e := &runs[used]
		e.Len = min(e.Len, n-taken)
		l.free.remove(*e)
		taken += e.Len
	}
	a.hot = runs[:used]
	slices.SortFunc(a.hot, byPage)
	return taken
}
