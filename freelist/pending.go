package freelist

import (
	"mmdb/page"
)

// unfiled stands for the pin of a pending extent that Reclaim has not seen yet.
const unfiled = ^page.Commit(0)

// pinSet is what is filed under one commit.
type pinSet struct {
	commit  page.Commit
	pages   uint64
	extents []Pending
}

func (s *pinSet) add(p Pending) {
	s.pages += p.Len
	s.extents = append(s.extents, p)
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
		l.free.add(e.Extent)
		return
	}
	l.pending.add(e.Extent)
	l.fresh.add(e)
}

// manyCut is how many extents a replay adds, at least, before it puts right those that Take has cut.
const manyCut = 1 << 14

// putRight takes out of the sets what Take took: of all extents that name a page only the one that was added last
// counts, and none when the page is not pending. Sets other than fresh are older than it, and without overlap.
func (l *List) putRight() {
	if !l.cut {
		return
	}
	l.cut = false
	var found []Pending // pages whose extent is known leave the bitmap meanwhile
	claim := func(s *pinSet) {
		from := len(found)
		for i := len(s.extents) - 1; i >= 0; i-- {
			found = l.claim(s.extents[i], found)
		}
		s.extents, s.pages = s.extents[:0], 0
		for i := len(found) - 1; i >= from; i-- {
			s.add(found[i])
		}
	}
	claim(&l.fresh)
	l.pins.Ascend(func(s *pinSet) bool { claim(s); return true })
	for _, p := range found {
		l.pending.add(p.Extent)
	}
	l.kept = len(l.fresh.extents)
}

// claim moves the pages of p that are in the bitmap from there to found.
func (l *List) claim(p Pending, found []Pending) []Pending {
	for at, end := p.Page, p.End(); at < end; {
		at += page.No(l.pending.lead(at, uint64(end-at), false))
		if n := l.pending.lead(at, uint64(end-at), true); n > 0 {
			part := Extent{at, n}
			l.pending.remove(part)
			found = append(found, Pending{part, p.Born, p.Died})
			at = part.End()
		}
	}
	return found
}

// pendingCount returns how many extents the sets hold.
func (l *List) pendingCount() int {
	n := len(l.fresh.extents)
	l.pins.Ascend(func(s *pinSet) bool { n += len(s.extents); return true })
	return n
}

// sortedPending returns all pending extents in order.
func (l *List) sortedPending() []Pending {
	l.putRight()
	all := make([]Pending, 0, l.pendingCount())
	l.pins.Ascend(func(s *pinSet) bool { all = append(all, s.extents...); return true })
	return NormalizePending(append(all, l.fresh.extents...))
}

// findPin returns the set of commit r.
func (l *List) findPin(r page.Commit) (*pinSet, bool) {
	l.probe.commit = r
	return l.pins.Get(&l.probe)
}

// pinDegree is the degree of the tree of pins: mostly there are no more than a few.
const pinDegree = 16

// before orders sets by their commits.
func (s *pinSet) before(o *pinSet) bool { return s.commit < o.commit }

// pinSet returns the set of commit r, a new one if there is none.
func (l *List) pinSet(r page.Commit) *pinSet {
	if r == unfiled {
		return &l.fresh
	}
	if s, ok := l.findPin(r); ok {
		return s
	}
	var s *pinSet
	if n := len(l.spare); n > 0 {
		s, l.spare = l.spare[n-1], l.spare[:n-1]
	} else {
		s = new(pinSet)
	}
	s.commit = r
	l.pins.ReplaceOrInsert(s)
	return s
}
