package freelist

import (
	"slices"

	"mmdb/page"
)

// unfiled stands for the pin of a pending extent that Reclaim has not seen yet.
const unfiled = ^page.Commit(0)

// pinned is a pending extent with the needed commit that it is filed under.
type pinned struct {
	Pending
	pin page.Commit
}

// pinSet is what is filed under one commit.
type pinSet struct {
	commit page.Commit
	pages  uint64
	// extents holds first pages. An entry counts only while the pending extent that
	// begins there says that it is filed here: joining and splitting extents leave
	// entries behind, which are dropped when the set is looked at.
	extents []page.No
}

func (s *pinSet) add(e Extent) {
	s.pages += e.Len
	s.extents = append(s.extents, e.Page)
}

// CheckFreed tells whether AddPending would take a normalized list of freed extents: the error is page.ErrCorrupt when two of
// them overlap, a page is not in use, or one was born after it died. A damaged tree can refer to a page twice, or
// to a free one.
func (l *List) CheckFreed(freed []Pending) error {
	for i, p := range freed {
		if i > 0 && freed[i-1].End() > p.Page {
			return page.Corruptf(p.Page, "the page is freed twice")
		}
		if err := l.checkFreed(p); err != nil {
			return err
		}
	}
	return nil
}

func (l *List) checkFreed(p Pending) error {
	if u := l.state(p.Extent); u != inUse {
		return page.Corruptf(p.Page, "freed %d pages that are %s", p.Len, u)
	}
	if p.Born > p.Died {
		return page.Corruptf(p.Page, "freed by commit %d but born in %d", p.Died, p.Born)
	}
	return nil
}

// AddPending adds extents that a commit freed. Those that were born in the same commit
// are free at once: no snapshot ever showed them. Others are looked at by the next
// Reclaim. It panics when a page is not in use, or died before it was born; for lists
// that come from a file use Replay.
func (l *List) AddPending(p []Pending) {
	for _, e := range p {
		if err := l.checkFreed(e); err != nil {
			panic("freelist: invariant: " + err.Error())
		}
		l.addPending(e)
	}
}

// addPending adds one extent whose pages are known to be in use.
func (l *List) addPending(e Pending) {
	l.newest = max(l.newest, e.Died)
	if e.Born == e.Died {
		l.addFree(e.Extent)
		return
	}
	if next, ok := l.pending.Get(pinned{Pending: Pending{Extent: Extent{Page: e.End()}}}); ok && e.joins(next.Pending) {
		l.dropPending(next)
		e.Len += next.Len
	}
	if prev, ok := l.pendingAt(e.Page); ok && prev.joins(e) {
		l.dropPending(prev)
		e.Page, e.Len = prev.Page, prev.Len+e.Len
	}
	l.putPending(pinned{e, unfiled})
}

// pendingAt returns the last pending extent that begins at or before p.
func (l *List) pendingAt(p page.No) (x pinned, ok bool) {
	l.pending.DescendLessOrEqual(pinned{Pending: Pending{Extent: Extent{Page: p}}}, func(f pinned) bool {
		x, ok = f, true
		return false
	})
	return x, ok
}

// putPending stores x and files it under its pin.
func (l *List) putPending(x pinned) {
	l.pendingPages += x.Len
	l.pending.ReplaceOrInsert(x)
	l.pinSet(x.pin).add(x.Extent)
}

// dropPending removes x.
func (l *List) dropPending(x pinned) {
	l.pendingPages -= x.Len
	l.pending.Delete(x)
	l.pinSet(x.pin).pages -= x.Len
}

// cutPending takes the pages of e out of the pending extent x, which holds all of
// them. What is left keeps its pin.
func (l *List) cutPending(x pinned, e Extent) {
	l.dropPending(x)
	head, tail := x, x
	if head.Len = uint64(e.Page - x.Page); head.Len > 0 {
		l.putPending(head)
	}
	tail.Page = e.End()
	if tail.Len = uint64(x.End() - e.End()); tail.Len > 0 {
		l.putPending(tail)
	}
}

// findPin returns the place of commit r among the pins.
func (l *List) findPin(r page.Commit) (int, bool) {
	return slices.BinarySearchFunc(l.pins, r, func(s pinSet, r page.Commit) int {
		switch {
		case s.commit < r:
			return -1
		case s.commit > r:
			return 1
		}
		return 0
	})
}

// pinSet returns the set of commit r, a new one if there is none. The pointer is good
// until the next call.
func (l *List) pinSet(r page.Commit) *pinSet {
	if r == unfiled {
		return &l.fresh
	}
	i, ok := l.findPin(r)
	if !ok {
		s := pinSet{commit: r}
		if n := len(l.spare); n > 0 {
			s.extents, l.spare = l.spare[n-1], l.spare[:n-1]
		}
		l.pins = slices.Insert(l.pins, i, s)
	}
	return &l.pins[i]
}
