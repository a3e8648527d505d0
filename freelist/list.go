package freelist

import (
	"errors"
	"iter"
	"slices"

	"github.com/google/btree"

	"mmdb/page"
)

// ErrFull is returned by Alloc when the pages do not fit below the limit.
var ErrFull = errors.New("freelist: no space below the limit")

// List knows which pages are free and which are pending. All others from the first
// data page to the high water are in use. It is not safe for concurrent use.
//
// Free pages are a bitmap: what a commit changes in it costs some nanoseconds a page,
// and a long run is found by the summaries of its parts. Pending extents are lists of
// what died together, under the commit that pins them; a bitmap tells which pages they
// hold. A list that was loaded and replayed has the same pages as the one that lived
// through the commits.
type List struct {
	first     page.No
	highWater page.No
	target    page.No // Alloc raises the high water up to here before it breaks up a commit
	lowest    bool    // see SetLowest

	free    pageSet
	pending pageSet                // all pages of the extents below
	pins    *btree.BTreeG[*pinSet] // by commit: there is one for each reader that holds something back
	fresh   pinSet                 // pending extents not looked at yet
	gone    []*pinSet              // buffer of Reclaim
	probe   pinSet                 // what pins is searched with
	spare   []*pinSet              // empty ones, to be used again
	cut     bool                   // Take has taken pages that extents of pins and fresh still name
	kept    int                    // extents of fresh when that was last put right

	newest page.Commit // the highest commit number seen, for CheckpointBound

	reserve Extent   // see Reserve
	hot     [2]int   // which units of the next Alloc are hot (SetHot)
	zone    page.No  // hot pages are put in front of it, others behind
	hotRuns []Extent // buffer of Alloc

	runs  []Extent // buffer of Alloc
	areas []area   // buffer of eachDense
	hand  page.No  // how many chunks Sparsest has looked at

	near   runCache           // for small allocations: where they may fit as a whole
	whole  [runSizes]runCache // and the longest runs of each power of two, the first ones last
	recent [runSizes]runCache // and those that became free lately, the newest last
}

// New returns a list without free or pending pages, for a file whose data begins at
// page first (at least 1) and ends before page highWater.
func New(first, highWater page.No) *List {
	if first == 0 || highWater < first || highWater > maxPages {
		panic("freelist: invariant: 0 < first <= high water <= 2^36")
	}
	l := &List{first: first, highWater: highWater}
	l.clear()
	return l
}

// clear forgets all free and pending extents.
func (l *List) clear() {
	l.free, l.pending = pageSet{}, pageSet{}
	l.pins, l.fresh = btree.NewG(pinDegree, (*pinSet).before), pinSet{commit: unfiled}
	l.cut, l.kept = false, 0
}

// HighWater returns the number of the first page behind the data.
func (l *List) HighWater() page.No { return l.highWater }

// FreePages returns the number of free pages.
func (l *List) FreePages() uint64 { return l.free.pages }

// PendingPages returns the number of pending pages.
func (l *List) PendingPages() uint64 { return l.pending.pages }

// FreeExtents returns the number of free extents.
func (l *List) FreeExtents() int { return l.free.runs }

// HasRun reports whether there is a free extent of at least n pages.
func (l *List) HasRun(n uint64) bool { return n <= l.free.pages && l.free.hasRun(n) }

// UsedPages returns the number of pages in use.
func (l *List) UsedPages() uint64 {
	return uint64(l.highWater-l.first) - l.free.pages - l.pending.pages
}

// Free yields the free extents in the order of their pages. The list must not be
// changed meanwhile.
func (l *List) Free() iter.Seq[Extent] {
	return func(yield func(Extent) bool) { l.free.each(0, 1, yield) }
}

// PendingExtentsSeq yields the pending extents in the order of their pages, those that
// touch and lived equally long as one.
func (l *List) PendingExtentsSeq() iter.Seq[Pending] { return slices.Values(l.sortedPending()) }

// PendingUnder returns the number of pending pages that are held back for r and for
// no newer needed commit, as of the last Reclaim.
func (l *List) PendingUnder(r page.Commit) uint64 {
	l.putRight()
	if s, ok := l.findPin(r); ok {
		return s.pages
	}
	return 0
}

// Return gives back pages that Alloc handed out and nobody used. It panics when one
// of them is free, pending or outside the data.
func (l *List) Return(e Extent) {
	if l.state(e) != inUse {
		panic("freelist: invariant: a returned page is in use")
	}
	l.free.add(e)
}

// usage says what the pages of an extent are.
type usage uint8

const (
	inUse     usage = iota // no page is free or pending
	someFree               // at least one is free
	somePend               // at least one is pending, none free
	outOfData              // it is empty or leaves [first, high water)
)

func (u usage) String() string {
	return [...]string{"in use", "free", "pending", "outside the data"}[u]
}

// state tells what the pages of e are.
func (l *List) state(e Extent) usage {
	if e.Page < l.first || !e.valid(l.highWater) {
		return outOfData
	}
	if l.free.any(e) {
		return someFree
	}
	if l.pending.any(e) {
		return somePend
	}
	return inUse
}
