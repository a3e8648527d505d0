package freelist

import (
	"sort"

	"mmdb/page"
)

// Buffers of pin sets that went are kept for the next ones, but not many nor big ones.
const (
	maxSpares   = 8
	maxSpareCap = 1 << 16
)

// Reclaim makes every pending extent free that no needed commit pins: a commit r pins
// an extent iff Born <= r < Died (I9). needed is sorted ascending and is not kept.
//
// An extent that is pinned is filed under one needed commit that pins it, and looked
// at again only when that one is not needed any more; so a call costs some nanoseconds
// for each page whose pin went or that is new, and O(1) for each needed commit.
//
// It is filed under the newest that pins it. After an extent died no new reader can
// begin at a commit before that, so its pins only go, they never come. Commits in meta
// slots go in the order of their numbers, and readers that take about the same time
// too: the newest goes last, and one look is enough. In random order k pins need
// 1 + 1/2 + ... + 1/k looks. Filing under the oldest needs k looks, one a commit, in
// the common case of k readers one after the other.
func (l *List) Reclaim(needed []page.Commit) {
	if n := len(needed); n > 0 {
		l.newest = max(l.newest, needed[n-1])
	}
	l.putRight()
	l.splitPins(needed)
	fresh := l.fresh
	l.fresh = pinSet{commit: unfiled}
	l.look(fresh, needed)
	l.fresh.extents, l.kept = recycled(fresh.extents), 0
	for i, s := range l.gone {
		l.look(*s, needed)
		if b := recycled(s.extents); b != nil && len(l.spare) < maxSpares {
			*s = pinSet{extents: b}
			l.spare = append(l.spare, s)
		}
		l.gone[i] = nil
	}
	l.gone = l.gone[:0]
}

// recycled returns the buffer emptied, or nil when it is too big to keep.
func recycled(b []Pending) []Pending {
	if cap(b) > maxSpareCap {
		return nil
	}
	return b[:0]
}

// splitPins moves the pin sets whose commit is not needed from pins to gone.
func (l *List) splitPins(needed []page.Commit) {
	l.pins.Ascend(func(s *pinSet) bool {
		for len(needed) > 0 && needed[0] < s.commit {
			needed = needed[1:]
		}
		if len(needed) == 0 || needed[0] != s.commit {
			l.gone = append(l.gone, s)
		}
		return true
	})
	for _, s := range l.gone {
		l.pins.Delete(s)
	}
}

// look frees the extents of a set that is not among the pins, or files them anew.
func (l *List) look(s pinSet, needed []page.Commit) {
	var run Extent // freed, not yet added
	var pin *pinSet
	for _, p := range s.extents {
		if r, ok := pinOf(p, needed); ok {
			if pin == nil || pin.commit != r {
				pin = l.pinSet(r)
			}
			pin.add(p)
			continue
		}
		l.pending.remove(p.Extent)
		if run.Len > 0 && run.End() == p.Page {
			run.Len += p.Len
			continue
		}
		if run.Len > 0 {
			l.freed(run)
		}
		run = p.Extent
	}
	if run.Len > 0 {
		l.freed(run)
	}
}

// pinOf returns the newest needed commit that pins p.
func pinOf(p Pending, needed []page.Commit) (page.Commit, bool) {
	i := len(needed)
	for i > 0 && needed[i-1] >= p.Died {
		if i -= 1; len(needed)-i == 8 { // more than the last few: search
			i = sort.Search(i, func(i int) bool { return needed[i] >= p.Died })
			break
		}
	}
	if i == 0 || needed[i-1] < p.Born {
		return 0, false
	}
	return needed[i-1], true
}
