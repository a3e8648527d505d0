package tx

import (
	"fmt"

	"mmdb/freelist"
	"mmdb/page"
)

// How a commit gets its places in the file: within the maximum size, for commits that grow the database less than that, and where space has
// run out what could be free is looked for.

// place gets one place in the file for each unit, a run of so many pages, and makes the file large enough. The
// result is valid until the next call.
func (w *writer) place(units []uint32) ([]page.No, error) {
	if err := w.markOpen(); err != nil {
		return nil, err
	}
	limit := w.limit()
	nos, err := w.alloc(units, limit)
	for _, free := range [2]func() bool{w.freeMore, w.freeOlder} {
		if err != nil && free() {
			nos, err = w.alloc(units, limit)
		}
	}
	if err != nil {
		return nil, firstError(w.st.failed(), fullError(err))
	}
	return nos, nil
}

// deleteReserve is how many pages, at most and at least, a database with a maximum size keeps for commits that write no more
// than they free: without some a full one could not be emptied, because a deletion writes new pages too.
const (
	deleteReserve    = 64
	deleteReserveMin = 4
	deletePath       = 8 // of these, so many are enough for a deletion: for a few pages on the way to a key, and chainFew records
)

// roomFor reports whether commits that grow the database leave the reserve alone.
func (w *writer) roomFor(units []uint32, limit page.No) bool {
	if limit == 0 {
		return true
	}
	var need, freed uint64
	for _, n := range units {
		need += uint64(n)
	}
	for i := range w.freed {
		freed += w.freed[i].Len
	}
	if need <= freed+1 && !w.spilled || w.growth == growsNothing || w.sealing && w.group.reserve { // one more for the commit record
		return true
	}
	reserve := w.reserve(limit)
	if w.growth == growsLittle { // many of these must not take all of it
		reserve = min(reserve, max(deletePath, reserve/2))
	}
	return w.room(limit) >= need+reserve
}

// room returns how many pages there are for commits when the database may have limit pages.
func (w *writer) room(limit page.No) uint64 {
	high := w.space.HighWater()
	return w.space.FreePages() + uint64(max(limit, high)-high)
}

// scarce reports whether the pages that are kept for commits that grow nothing are being used: then commit records must not take many.
func (w *writer) scarce() bool {
	limit := w.limit()
	return limit > 0 && w.room(limit) < w.reserve(limit)
}

// limit returns how many pages the file may have; zero is without limit.
func (w *writer) limit() page.No { return page.No(max(0, w.st.opts.MaxSize) >> w.st.shift) }

// reserve returns how many pages stay free of commits that grow the database when it may have so many pages in all.
func (w *writer) reserve(limit page.No) uint64 {
	if limit == 0 {
		return 0
	}
	return min(deleteReserve, max(deleteReserveMin, uint64(limit)/8))
}

// alloc is place without a second try for want of free pages.
func (w *writer) alloc(units []uint32, limit page.No) ([]page.No, error) {
	if !w.roomFor(units, limit) {
		return nil, freelist.ErrFull
	}
	target := w.aim(units)
	nos, err := w.allocTo(units, limit, target)
	if err != nil && target > 0 { // the disk may be full, and there may be free pages
		w.noSlack = slackPause
		nos, err = w.allocTo(units, limit, 0)
	}
	return nos, err
}

// allocTo is alloc with a high water up to which the file grows rather than that short runs are used.
func (w *writer) allocTo(units []uint32, limit, target page.No) ([]page.No, error) {
	old, before := w.space.HighWater(), len(w.taken)
	w.space.SetTarget(target)
	w.space.SetLowest(w.st.tight())
	w.goal = target
	nos, err := w.space.Alloc(units, w.places[:0], limit)
	if err != nil {
		return nil, err
	}
	w.places = nos
	pages := uint64(0)
	for i, no := range nos {
		e := freelist.Extent{Page: no, Len: uint64(units[i])}
		if k := len(w.taken); k > before && w.taken[k-1].End() == e.Page {
			w.taken[k-1].Len += e.Len
		} else {
			w.taken = append(w.taken, e)
		}
		pages += e.Len
	}
	if hw := w.space.HighWater(); hw > old {
		if err := w.secure(hw, pages); err != nil {
			w.untake(before, old)
			return nil, err
		}
	}
	return nos, nil
}

// untake gives back what was taken since there were n extents and the high water was hw.
func (w *writer) untake(n int, hw page.No) {
	w.extents = append(w.extents[:0], w.taken[n:]...)
	for _, e := range freelist.Normalize(w.extents) {
		w.space.Return(e)
	}
	w.taken = w.taken[:n]
	w.space.CutTo(hw)
}

// freeMore looks for free pages when there are none left, and reports whether it found some. What lazy commits have freed can
// only be used when they are durable.
func (w *writer) freeMore() bool {
	if w.space.PendingPages() == 0 {
		return false
	}
	before := w.space.FreePages()
	switch lazy := w.st.window.base() != w.tip.meta.Commit; {
	case w.sealing && lazy:
		if w.st.syncFile(w.tip) != nil {
			return false
		}
	case w.sealing:
	case lazy:
		if w.st.Sync() != nil {
			return false
		}
	default:
		w.st.waitIdle()
	}
	w.reclaimUnneeded()
	return w.space.FreePages() > before
}

// freeOlder makes the pages that only older metas pin free, when space has run out, and reports whether there were any: the
// newest commit's meta takes every slot, as it does after a clean close. Without it a full database could not use what a
// deletion has freed, because only a further commit would.
func (w *writer) freeOlder() bool {
	if w.space.PendingPages() == 0 {
		return false
	}
	if !w.sealing {
		w.st.takeFlight()
		defer w.st.leaveFlight()
	}
	if w.st.failed() != nil { // a Sync that was waited for
		return false
	}
	m := w.slots[w.newestSlot()].meta
	m.Base = m.Commit // it is durable: nothing that it was based on is needed any more
	older := false
	for i := range w.slots {
		if s := &w.slots[i]; !s.valid || s.meta.Commit == m.Commit {
			continue // an invalid one stays: it says that the file is open
		}
		older = true
		if err := w.putMeta(i, &m); err != nil {
			w.slots[i].valid = false
			w.st.fail(fmt.Errorf("write meta: %w", err))
			return false
		}
		w.slots[i] = metaSlot{valid: true, meta: m}
	}
	if !older {
		return false
	}
	w.st.counts.flushes.Add(1)
	if err := w.st.flushRange(w.st.mapping, 0, page.MetaOffset(page.MetaSlots-1)+page.MetaBlock); err != nil {
		w.st.fail(fmt.Errorf("flush metas: %w", err))
		return false
	}
	w.cuts = w.cuts[:0] // a slot has the newest commit without a base: the records before it are not needed any more
	before := w.space.FreePages()
	w.reclaimUnneeded()
	return w.space.FreePages() > before
}

// growth is by how much a function makes the database larger: what it may take of the pages that are kept for deletions in one with a
// maximum size.
type growth uint8

const (
	growsMuch    growth = iota // none
	growsLittle                // half of them: it writes a page more than it frees, as a put does that splits a leaf
	growsNothing               // all: it frees as many pages as it makes the open group write
)

// fewWritten is how many pages a function may write that grows little. Larger ones would take the half one page at a time.
const fewWritten = 8

// growing returns the growth of the running function.
func (w *writer) growing() growth {
	freed := int64(0)
	for _, p := range w.freed[w.mark.freed:] {
		freed += int64(p.Len)
	}
	written := (w.dirty.used() - w.mark.dirty) >> w.st.shift
	switch {
	case w.spilled:
		return growsMuch
	case written <= freed:
		return growsNothing
	case written <= min(fewWritten, freed+1):
		return growsLittle
	}
	return growsMuch
}
