package tx

import (
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
