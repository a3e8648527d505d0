package tx

import (
	"cmp"
	"fmt"
	"slices"

	"mmdb/freelist"
	"mmdb/page"
)

// A writer is what the write transactions of a store work with. The writer lock protects it.
type writer struct {
	st    *Store
	dirty *dirtySet

	// The state of the file, as of the newest sealed commit.
	tip        *snapshot      // that commit: published, or on its way
	space      *freelist.List // nil until the first write transaction
	lastTurn   lastTurn       // while space is nil
	resumed    int            // so often it served
	chain      []page.Link    // commit records since the last checkpoint, that one first
	chainPages uint64         // their pages, where the checkpoint counts as one
	cuts       []page.Commit  // the commits before checkpoints, see needRecords
	slots      [page.MetaSlots]metaSlot
	fileSize   int64
	marked     bool // this session has written, and markOpen has told so
	warning    heldWarning

	// The open group and the running function.
	group     *group             // nil while nobody has joined
	last      *group             // the newest sealed one
	reclaimed bool               // the free list was brought up to date for it
	sealing   bool               // it is being sealed
	start     page.No            // the high water when it began
	nextTree  page.Tree          // for the next bucket
	freed     []freelist.Pending // what it frees of older commits, and of its own spilled pages
	taken     []freelist.Extent  // what it got from the free list
	written   []writtenRun       // what it has written
	spilled   bool               // it wrote pages ahead of its commit
	gathered  bool               // the units are those of the group with the newest function, which has ended
	growth    growth             // of the function whose space is being secured
	shown     bool               // the function has spilled, and its caller may have slices of what it spilled
	deadRuns  uint64             // pages of runs in the file that the function has written and freed since it looked for such (reuseSpilled)
	noSlack   int                // so often the file does not grow for the sake of long runs
	goal      page.No            // up to where it may grow for that (aim)
	broken    error              // a change of the function failed half way: it can't commit
	mark      mark               // where the function began
	finger    finger
	commit    page.Commit // what the pages that are being written belong to

	// Buffers that are used again.
	needed   []page.Commit
	places   []page.No
	lens     []uint32
	units    []uint32
	ranks    []uint8 // of units: 0 for a run, or leafRank and the level of the page
	leaves   int     // units in front of the first branch
	ordered  []placed
	batch    batch
	chunks   []freelist.Chunk
	pinned   []page.Commit
	buf      []byte
	bufs     [][]byte
	one      [1][]byte // for a write of one buffer
	record   []byte
	extents  []freelist.Extent
	sections [5][]byte
	body     []byte // of the root bucket, as it is written
	mini     []byte // an inline root on its way to its cell
	meta     []byte // a block for a meta

	dirtySlots []uint16 // see dirtyEntry.slots
}

// A metaSlot is what stands in one meta slot of the file.
type metaSlot struct {
	valid bool
	meta  page.Meta
}

// A writtenRun is a page or run that was written, with its checksum.
type writtenRun struct {
	freelist.Extent
	sum uint64
}

func newWriter(st *Store) *writer {
	w, d := &st.memory.writer, &st.memory.dirty
	*d = dirtySet{arena: newArena(), pageSize: st.pageSize}
	*w = writer{st: st, dirty: d}
	return w
}

func (w *writer) close() { w.dirty.arena.Close() }

// A mark is the state of the open group at the begin of a function: what a failure goes back to.
type mark struct {
	nextTree              page.Tree
	freed, taken, written int     // lengths of lists
	high                  page.No // the high water
	spilled               bool
	dirty                 int64 // bytes of pages that the group had in memory
}

// beginFunction makes w ready for a function on top of the open group, or of the newest sealed commit.
func (w *writer) beginFunction() error {
	if lf := w.st.lockFile(); lf != nil {
		if err := lf.intact(); err != nil {
			return err
		}
	}
	if w.space == nil {
		if err := w.loadSpace(&w.tip.meta); err != nil {
			return err
		}
	}
	if w.group == nil {
		w.freed, w.taken, w.written = w.freed[:0], w.taken[:0], w.written[:0]
		w.spilled, w.nextTree, w.start = false, w.tip.meta.NextTree, w.space.HighWater()
		if w.reclaimed = w.st.idle(); w.reclaimed {
			w.reclaim()
			w.shrinkFile() // the commit before did not if it was lazy, or somebody had the writer lock when it was published
		} else if w.st.sabotaged(BugReuseInFlight) {
			w.space.Reclaim([]page.Commit{w.tip.meta.Commit})
		}
	}
	w.broken, w.shown, w.gathered, w.deadRuns = nil, false, false, 0
	w.mark = mark{w.nextTree, len(w.freed), len(w.taken), len(w.written), w.space.HighWater(), w.spilled, w.dirty.used()}
	w.dirty.nextFunction()
	return nil
}

// reclaim makes free what no snapshot needs any more, and lowers the high water. No flush is in progress, and nothing was
// taken for the open group yet.
func (w *writer) reclaim() {
	w.reclaimUnneeded()
	w.warnHeld()
	keep := tailKept + uint64(w.space.HighWater())/16
	if w.st.tight() {
		keep = 0
	}
	w.space.Trim(keep)
	w.start = w.space.HighWater()
	w.mark.high = w.start
}

// tailKept is how many free pages at the end of the file are kept for the next commits when it shrinks (besides
// one in sixteen of it), so that its size does not flap.
const tailKept = 64

// targetSlot returns the slot for the next meta: an invalid one, or else the oldest that holds neither the newest durable
// commit nor the newest one.
func (w *writer) targetSlot() int {
	newest := w.newestSlot()
	if w.st.sabotaged(BugWrongSlot) {
		return newest
	}
	best, durable := -1, w.slotOf(w.st.window.base())
	if w.st.sabotaged(BugTakeDurableSlot) {
		durable = -1
	}
	for i := range w.slots {
		s := &w.slots[i]
		if !s.valid {
			return i
		}
		if i == newest || i == durable {
			continue
		}
		if best < 0 || compareMetas(&s.meta, &w.slots[best].meta) < 0 {
			best = i
		}
	}
	return best
}

// compareMetas orders metas by what recovery tries last: older commits, then those that are not settled, then those that have to be
// verified since an older base.
func compareMetas(a, b *page.Meta) int {
	if c := cmp.Compare(a.Commit, b.Commit); c != 0 {
		return c
	}
	if a.Settled != b.Settled {
		return boolInt(a.Settled) - boolInt(b.Settled)
	}
	return cmp.Compare(a.Base, b.Base)
}

// newestSlot returns the slot that holds the newest commit, the one that recovery would try first.
func (w *writer) newestSlot() int {
	newest := -1
	for i := range w.slots {
		if s := &w.slots[i]; s.valid && (newest < 0 || compareMetas(&s.meta, &w.slots[newest].meta) > 0) {
			newest = i
		}
	}
	return newest
}

// slotOf returns the slot that holds commit c, the one that recovery would try first, or -1.
func (w *writer) slotOf(c page.Commit) int {
	slot := -1
	for i := range w.slots {
		s := &w.slots[i]
		if s.valid && s.meta.Commit == c && (slot < 0 || compareMetas(&s.meta, &w.slots[slot].meta) > 0) {
			slot = i
		}
	}
	return slot
}

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

// wrote notes that the page or run e was written, with checksum sum.
func (w *writer) wrote(e freelist.Extent, sum uint64) {
	w.written = append(w.written, writtenRun{e, sum})
	w.st.counts.pagesWritten.Add(e.Len)
}

// writeOne writes b at byte off of the file.
func (w *writer) writeOne(b []byte, off int64) error {
	w.one[0] = b
	err := w.st.file.WriteAt(w.one[:], off)
	w.one[0] = nil
	return err
}

// write writes bufs to the place e.
func (w *writer) write(e freelist.Extent, bufs [][]byte) error {
	w.st.counts.writes.Add(1)
	return w.st.file.WriteAt(bufs, int64(e.Page)<<w.st.shift)
}

// giveBack takes the open group back to m.
func (w *writer) giveBack(m mark) {
	for _, e := range freelist.Normalize(slices.Clone(w.taken[m.taken:])) {
		w.st.verified.Load().clear(e.Page, e.Len)
		w.space.Return(e)
	}
	if w.space.HighWater() > m.high {
		w.space.CutTo(m.high)
	}
	w.freed, w.taken, w.written = w.freed[:m.freed], w.taken[:m.taken], w.written[:m.written]
	w.nextTree, w.spilled = m.nextTree, m.spilled
}
