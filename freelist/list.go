package freelist

import (
	"errors"
	"iter"

	"github.com/google/btree"

	"mmdb/page"
)

// ErrFull is returned by Alloc when the pages do not fit below the limit.
var ErrFull = errors.New("freelist: no space below the limit")

// degree of the trees. With 500,000 extents 64 was faster than 32 and 16: Reclaim took
// 426, 544 and 496 µs, LoadCheckpoint 82, 92 and 127 ms.
const degree = 64

// List knows which pages are free and which are pending. All others from the first
// data page to the high water are in use. It is not safe for concurrent use.
//
// Both kinds are kept coalesced: two free extents never touch, and two pending ones
// that touch differ in Born or Died. So a state has one representation, and a list
// that was loaded and replayed equals the one that lived through the commits.
type List struct {
	first     page.No
	highWater page.No

	// The free extents, twice.
	free   *btree.BTreeG[Extent] // by page
	bySize *btree.BTreeG[Extent] // by length, then page

	pending *btree.BTreeG[pinned] // by page
	pins    []pinSet              // by commit
	fresh   pinSet                // pending extents not looked at yet
	gone    []pinSet              // buffer of Reclaim
	spare   [][]page.No           // empty buffers for pin sets

	freePages    uint64
	pendingPages uint64
	newest       page.Commit // the highest commit number seen, for CheckpointBound

	runs []Extent // buffer of Alloc
}

// New returns a list without free or pending pages, for a file whose data begins at
// page first (at least 1) and ends before page highWater.
func New(first, highWater page.No) *List {
	if first == 0 || highWater < first || highWater > maxPages {
		panic("freelist: invariant: 0 < first <= high water <= 2^52")
	}
	l := &List{first: first, highWater: highWater}
	l.clear()
	return l
}

// clear forgets all free and pending extents.
func (l *List) clear() {
	l.free = btree.NewG(degree, func(a, b Extent) bool { return a.Page < b.Page })
	l.bySize = btree.NewG(degree, func(a, b Extent) bool {
		return a.Len < b.Len || a.Len == b.Len && a.Page < b.Page
	})
	l.pending = btree.NewG(degree, func(a, b pinned) bool { return a.Page < b.Page })
	l.pins, l.fresh = nil, pinSet{commit: unfiled}
	l.freePages, l.pendingPages = 0, 0
}

// HighWater returns the number of the first page behind the data.
func (l *List) HighWater() page.No { return l.highWater }

// FreePages returns the number of free pages.
func (l *List) FreePages() uint64 { return l.freePages }

// PendingPages returns the number of pending pages.
func (l *List) PendingPages() uint64 { return l.pendingPages }

// FreeExtents returns the number of free extents.
func (l *List) FreeExtents() int { return l.free.Len() }

// PendingExtents returns the number of pending extents.
func (l *List) PendingExtents() int { return l.pending.Len() }

// Free yields the free extents in the order of their pages. The list must not be
// changed meanwhile.
func (l *List) Free() iter.Seq[Extent] {
	return func(yield func(Extent) bool) { l.free.Ascend(yield) }
}

// PendingExtentsSeq yields the pending extents in the order of their pages. The list
// must not be changed meanwhile.
func (l *List) PendingExtentsSeq() iter.Seq[Pending] {
	return func(yield func(Pending) bool) {
		l.pending.Ascend(func(p pinned) bool { return yield(p.Pending) })
	}
}

// PendingUnder returns the number of pending pages that are held back for r and for
// no newer needed commit, as of the last Reclaim.
func (l *List) PendingUnder(r page.Commit) uint64 {
	if i, ok := l.findPin(r); ok {
		return l.pins[i].pages
	}
	return 0
}

// Return gives back pages that Alloc handed out and nobody used. It panics when one
// of them is free, pending or outside the data.
func (l *List) Return(e Extent) {
	if l.state(e) != inUse {
		panic("freelist: invariant: a returned page is in use")
	}
	l.addFree(e)
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
	if f, ok := l.freeAt(e.End() - 1); ok && f.End() > e.Page {
		return someFree
	}
	if p, ok := l.pendingAt(e.End() - 1); ok && p.End() > e.Page {
		return somePend
	}
	return inUse
}
