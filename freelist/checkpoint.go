package freelist

import (
	"encoding/binary"
	"math"
	"slices"

	"mmdb/page"
)

// boundAhead is how far a checkpoint's commit may be ahead of the newest commit that
// the list has seen, for CheckpointBound to hold.
const boundAhead = 1 << 20

// AppendCheckpoint appends the two sections of a checkpoint that commit writes: the
// free and the pending extents as they will be after AddPending(extra). extra is sorted
// by page and does not overlap itself or the list. The list does not change.
func (l *List) AppendCheckpoint(commit page.Commit, extra []Pending, free, pending []byte) (freeOut, pendingOut []byte) {
	return l.appendFree(extra, free), l.appendPending(commit, extra, pending)
}

// appendFree appends the free extents and those of extra that are free at once.
func (l *List) appendFree(extra []Pending, dst []byte) []byte {
	if !slices.ContainsFunc(extra, func(p Pending) bool { return p.Born == p.Died }) { // the usual case
		return l.free.appendTo(dst)
	}
	var last Extent // not yet written
	var at page.No
	put := func(e Extent) {
		if last.Len > 0 && last.End() == e.Page {
			last.Len += e.Len
			return
		}
		if last.Len > 0 {
			dst = appendExtent(dst, at, last)
			at = last.End()
		}
		last = e
	}
	extraBefore := func(p page.No) {
		for ; len(extra) > 0 && extra[0].Page < p; extra = extra[1:] {
			if extra[0].Born == extra[0].Died {
				put(extra[0].Extent)
			}
		}
	}
	l.free.each(0, 1, func(e Extent) bool {
		extraBefore(e.Page)
		put(e)
		return true
	})
	extraBefore(maxPages)
	if last.Len > 0 {
		dst = appendExtent(dst, at, last)
	}
	return dst
}

// appendPending appends the pending extents and those of extra that are not free at once.
func (l *List) appendPending(commit page.Commit, extra []Pending, dst []byte) []byte {
	var last Pending // not yet written
	var at page.No
	flush := func() {
		if last.Len == 0 {
			return
		}
		if last.Died > commit || last.Born > last.Died {
			panic("freelist: invariant: pending extents were born, died, then listed")
		}
		dst = appendExtent(dst, at, last.Extent)
		dst = binary.AppendUvarint(dst, uint64(last.Died-last.Born))
		dst = binary.AppendUvarint(dst, uint64(commit-last.Died))
		at = last.End()
	}
	put := func(p Pending) {
		if last.Len > 0 && last.joins(p) {
			last.Len += p.Len
			return
		}
		flush()
		last = p
	}
	extraBefore := func(p page.No) {
		for ; len(extra) > 0 && extra[0].Page < p; extra = extra[1:] {
			if extra[0].Born != extra[0].Died {
				put(extra[0])
			}
		}
	}
	for _, p := range l.sortedPending() {
		extraBefore(p.Page)
		put(p)
	}
	extraBefore(maxPages)
	flush()
	return dst
}

// CheckpointBound returns an upper bound of the bytes of both sections that
// AppendCheckpoint would append with extraCount extra extents, in O(1). It still holds
// after any Alloc that follows, and for every commit up to 2^20 above the newest that
// the list has seen (in Reclaim, AddPending, Replay or LoadCheckpoint).
func (l *List) CheckpointBound(extraCount int) int {
	extra, hw := uint64(extraCount), uint64(l.highWater)
	l.putRight()
	free, pending := uint64(l.free.runs), uint64(l.pendingCount())
	n := extentBound(free, min(free, l.free.pages-free), extra, hw)
	n += extentBound(pending, min(pending, l.pending.pages/2), extra, hw) // some may touch and become one
	return int(n + (pending+extra)*2*l.widestCommit())
}

// FreedBound returns an upper bound of the bytes that AppendFreed would append for count extents, under the same conditions.
func (l *List) FreedBound(count int) int {
	n := uint64(count)
	return int(extentBound(0, 0, n, uint64(l.highWater)) + n*l.widestCommit())
}

// widestCommit is the most bytes that the distance of two commits takes.
func (l *List) widestCommit() uint64 {
	return uvarintLen(min(uint64(l.newest), math.MaxUint64-boundAhead) + boundAhead)
}

// extentBound bounds the bytes of count extents, at most long of which have several pages, and extra ones more,
// that all end at or below hw. The gaps before them and their lengths add up to no more
// than hw.
func extentBound(count, long, extra, hw uint64) uint64 {
	return valuesBound(count+extra, 2*hw+count+extra) + valuesBound(long+extra, hw)
}

// valuesBound bounds the bytes of n values of sum in all: at most sum/2^7k of them are
// 2^7k or more and take more than k bytes.
func valuesBound(n, sum uint64) uint64 {
	bytes := n
	for sum >>= 7; sum > 0; sum >>= 7 {
		bytes += min(n, sum)
	}
	return bytes
}

// uvarintLen returns the number of bytes of v.
func uvarintLen(v uint64) uint64 {
	n := uint64(1)
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// LoadCheckpoint replaces the list's extents by those of a checkpoint that commit
// wrote; the high water stays. Any bytes give page.ErrCorrupt, and then the list is
// unchanged, or a whole list.
func (l *List) LoadCheckpoint(commit page.Commit, free, pending []byte) error {
	_, err := l.LoadBelow(l.highWater, commit, free, pending)
	return err
}

// LoadBelow is LoadCheckpoint for a checkpoint with its own high water, which may be
// above the list's: of what stands there it only tells how many pages are in use. A
// file that was cut since then has nothing there, and the memory for what a checkpoint
// of some bytes can name is without bound.
func (l *List) LoadBelow(highWater page.No, commit page.Commit, free, pending []byte) (above uint64, err error) {
	fs, err := DecodeExtents(free, highWater)
	if err != nil {
		return 0, err
	}
	ps, err := decodePending(pending, commit, highWater)
	if err != nil {
		return 0, err
	}
	if err := l.checkDisjoint(fs, ps); err != nil {
		return 0, err
	}
	l.clear()
	l.newest = max(l.newest, commit)
	above = uint64(max(highWater, l.highWater) - l.highWater)
	for _, e := range Normalize(fs) {
		e, rest := e.Split(l.highWater)
		if above -= rest; e.Len > 0 {
			l.free.add(e)
		}
	}
	for _, p := range ps {
		e, rest := p.Split(l.highWater)
		if above -= rest; e.Len > 0 {
			l.addPending(Pending{e, p.Born, p.Died})
		}
	}
	return above, nil
}

// checkDisjoint refuses extents in front of the data and pages both free and pending.
// Each list is sorted and without overlaps.
func (l *List) checkDisjoint(free []Extent, pending []Pending) error {
	if len(free) > 0 && free[0].Page < l.first {
		return page.Corruptf(free[0].Page, "free extent is in front of the data")
	}
	if len(pending) > 0 && pending[0].Page < l.first {
		return page.Corruptf(pending[0].Page, "pending extent is in front of the data")
	}
	for len(free) > 0 && len(pending) > 0 {
		f, p := free[0], pending[0].Extent
		switch {
		case f.End() <= p.Page:
			free = free[1:]
		case p.End() <= f.Page:
			pending = pending[1:]
		default:
			return page.Corruptf(max(f.Page, p.Page), "both free and pending")
		}
	}
	return nil
}
