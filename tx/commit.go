package tx

import (
	"cmp"
	"slices"

	"mmdb/freelist"
	"mmdb/page"
)

// oneFlushMax bounds a commit that is made durable by one flush (I4): recovery reads all that it wrote.
const oneFlushMax = 16 << 20

func (st *Store) oneFlushMax() int64 {
	if st.sabotaged(EagerLarge) {
		return oneFlushMax / 16
	}
	return oneFlushMax
}

// seal gives the pages of the open group g their places and writes them, with the commit's record: what is left to do is the
// meta and the flush (flight). The caller leads and holds the writer lock. After an error nothing was changed, and all
// that the group did is dropped. A running function, if not nil, goes on from the sealed state; after an error it can only fail, and sees
// until then what it has seen before.
func (w *writer) seal(g *group, running *Tx) error {
	w.sealing = true
	err := w.writeGroup(g)
	w.group, w.sealing = nil, false
	if err == nil {
		w.last = g
	}
	switch {
	case err != nil:
		w.mark = mark{high: w.start}
		w.giveBack(w.mark)
		if running == nil {
			w.dirty.reset()
		}
	case running != nil:
		running.root.settleRoots()
		w.dirty.retire()
	default:
		w.dirty.reset()
	}
	return err
}

func (w *writer) writeGroup(g *group) (err error) {
	defer w.st.guard(enter(), &err)
	if err := w.st.failed(); err != nil {
		return err
	}
	if lf := w.st.lockFile(); lf != nil {
		if err := lf.intact(); err != nil {
			return err
		}
	}
	if !w.reclaimed && len(w.taken) == 0 { // the flush that was in progress then has ended
		w.reclaim()
	}
	w.commit = g.last
	if !w.gathered {
		w.gather(g.root, g.body)
	}
	rec := page.Record{PageSize: uint32(w.st.pageSize), Salt: w.st.salt, Commit: g.last, Prev: w.chain[len(w.chain)-1], NextTree: w.nextTree,
		Checkpoint: g.checkpoint}
	if err := w.endFreed(&rec); err != nil {
		return err
	}
	if w.st.sabotaged(BugReuseEarly) {
		w.space.AddPending(w.freed)
		w.space.Reclaim(nil)
		w.freed = w.freed[:0]
	}
	space := w.recordSpace(rec.Checkpoint, len(w.freed), len(rec.Freed)+len(g.body), w.unitPages())
	w.space.SetHot(w.leaves, len(w.units))
	nos, err := w.place(append(w.lens, space))
	if err != nil {
		return err
	}
	w.number(nos)
	if err := w.writeUnits(); err != nil {
		return err
	}
	if rec.Root = g.root; g.root.Root == 0 {
		w.body = w.resolveInline(g.root, append(w.body[:0], g.body...))
		rec.Body = w.body
	} else {
		rec.Root.Root = w.resolve(g.root.Root)
	}
	f := w.chooseFlush(g, space)
	link, err := w.writeRecord(&rec, nos[len(nos)-1], space)
	if err != nil {
		return err
	}
	w.takeOff(f, &rec, link)
	return nil
}

// takeOff makes the commit of rec, which is written but for its meta, the state of w, and the flight f of its store. If it
// fails from here on, the store takes no more writes.
func (w *writer) takeOff(f *flight, rec *page.Record, link page.Link) {
	f.bytes = w.windowBytes(rec, link)
	f.meta = page.Meta{Version: page.Version, PageSize: rec.PageSize, Salt: rec.Salt, Commit: rec.Commit, Base: rec.Base,
		Root: rec.Root, Body: page.NewInlineRoot(rec.Body), NextTree: rec.NextTree, HighWater: rec.HighWater, Record: link}
	f.snap = w.st.newSnapshot(&f.meta)
	if w.st.sabotaged(BugPublishEarly) {
		_ = w.st.show(f.snap)
	}
	f.slot = w.targetSlot()
	f.old = w.slots[f.slot]
	w.slots[f.slot] = metaSlot{valid: true, meta: f.meta}
	if rec.Checkpoint {
		w.space.Reserve(w.st.extentOf(w.chain[0])) // for the next one: there may be no other run that is as long
		w.chain, w.chainPages = w.chain[:0], 1
		w.addCut(rec.Prev.Commit)
	} else {
		w.chainPages += w.st.extentOf(link).Len
	}
	w.chain = append(w.chain, link)
	w.space.AddPending(w.freed)
	w.tip, w.nextTree = f.snap, rec.NextTree
	w.countSpace()
}

// chooseFlush returns the flight of group g, whose pages are written but for the record in space pages, and decides how it is
// flushed: pages first and the meta second (I4) if there are too many of them for recovery to verify, with those of the lazy commits before.
func (w *writer) chooseFlush(g *group, space uint32) *flight {
	f, bytes := &w.st.flight, int64(w.writtenPages())<<w.st.shift
	f.size = g.size
	large := w.spilled || bytes > w.st.oneFlushMax()
	bytes += int64(space)<<w.st.shift + w.st.window.bytes.Load()
	f.durable = g.durable || large || bytes > w.windowLimit()
	f.twoPhase = f.durable && (w.st.opts.TwoPhase || large || bytes > windowMax)
	return f
}

func (w *writer) writtenPages() (n uint64) {
	for i := range w.written {
		n += w.written[i].Len
	}
	return n
}

// windowBytes returns by how much the commit of rec makes larger what recovery has to verify: by what it wrote, less what it freed of the
// commits since the base. Records that a checkpoint frees are read all the same.
func (w *writer) windowBytes(rec *page.Record, link page.Link) int64 {
	base, n := w.st.window.base(), int64(w.writtenPages()+w.st.extentOf(link).Len)
	for _, p := range w.freed {
		if p.Born > base {
			n -= int64(p.Len)
		}
	}
	if rec.Checkpoint {
		for _, l := range w.chain {
			if l.Commit > base {
				n += int64(w.st.extentOf(l).Len)
			}
		}
	}
	return n << w.st.shift
}

// The chain of commit records is ended by a checkpoint, a record with the whole free list, when it has more pages than
// chainFactor times what the list takes: so the list costs a commit a fixed share of what the commit does anyway, and the first
// write after an open reads few records. To list a page full of extents takes some 35 µs, to write a page 1.7 µs.
const (
	chainFactor = 64
	chainMin    = 32
	chainMax    = 4096
	chainShare  = 32 // of the pages of a database with a maximum size, one in so many may be such records, or
	chainFew    = 4  // so few
)

// checkpointDue reports whether the record of the next commit should be a checkpoint. While lazy commits are not durable, one of a lazy commit
// wins nothing: the records before it are still needed, and so is all that the commit before it had (cuts).
func (w *writer) checkpointDue(lazy bool) bool {
	if w.st.sabotaged(EagerCheckpoint) {
		return len(w.chain) >= 4
	}
	if lazy && w.st.window.base() != w.tip.meta.Commit {
		return w.chainPages >= chainMax
	}
	return w.chainPages >= w.chainDue()
}

// chainDue returns with how many pages the chain is due to end.
func (w *writer) chainDue() uint64 {
	due := max(chainMin, chainFactor*w.space.CheckpointBound(len(w.freed))>>w.st.shift)
	if m := w.st.opts.MaxSize; m > 0 {
		due = min(due, max(chainFew, int(m>>w.st.shift/chainShare)))
		if w.scarce() {
			due = chainFew
		}
	}
	return uint64(min(due, chainMax))
}

// overdue reports whether a lazy commit is to be made durable for the sake of a checkpoint: in a database with a maximum size
// the records would take the pages that are kept for commits that grow nothing.
func (w *writer) overdue() bool {
	due := w.chainDue()
	if !w.scarce() {
		due *= 2
	}
	return w.st.opts.MaxSize > 0 && w.chainPages >= due
}

// endFreed adds to what the commit frees the records that a checkpoint makes superfluous, puts the list in order and
// encodes it.
func (w *writer) endFreed(rec *page.Record) error {
	if rec.Checkpoint {
		for _, l := range w.chain {
			w.freed = append(w.freed, freelist.Pending{Extent: w.st.extentOf(l), Born: l.Commit, Died: rec.Commit})
		}
	}
	for i := range w.freed {
		w.freed[i].Died = rec.Commit // until now the function that freed it
	}
	w.freed = freelist.NormalizePending(w.freed)
	if err := w.space.CheckFreed(w.freed); err != nil { // a damaged tree refers to a page twice
		return err
	}
	w.sections[1] = freelist.AppendFreed(w.sections[1][:0], w.freed, rec.Commit)
	rec.Freed = w.sections[1]
	return nil
}

// extentOf returns where a commit record stands: it is known from the link to it.
func (st *Store) extentOf(l page.Link) freelist.Extent {
	return freelist.Extent{Page: l.Page, Len: uint64(page.RunPages(int(l.Len), st.pageSize))}
}

// spareRuns is for how many runs of written pages a record has room set aside.
const spareRuns = 64

// unitPages returns the number of pages of the collected units.
func (w *writer) unitPages() (n uint64) {
	for _, l := range w.lens {
		n += uint64(l)
	}
	return n
}

// recordSpace returns how many pages to set aside for a record before its last sections are known: when so many extents are freed,
// which take so many bytes with the body of the root bucket, and so many pages are written.
func (w *writer) recordSpace(checkpoint bool, freed, known int, pages uint64) uint32 {
	n := page.RecordHeaderSize + known + spareRuns
	if !w.spilled && int64(pages<<w.st.shift) <= w.st.oneFlushMax() {
		n += int(pages) * page.ChecksumSize
	}
	if checkpoint {
		n += w.space.CheckpointBound(freed)
	}
	return page.RunPages(n, w.st.pageSize)
}

// mostRecordSpace is the most that recordSpace can ask for when the open group is sealed, with so many pages.
func (w *writer) mostRecordSpace(checkpoint bool, pages uint64) uint32 {
	freed := len(w.freed)
	if checkpoint {
		freed += len(w.chain)
	}
	return w.recordSpace(checkpoint, freed, w.space.FreedBound(freed)+page.MaxInlineRoot, pages)
}

// writeRecord completes rec with what was written and writes it at page no, where space pages are set aside, or
// elsewhere if that is too small.
func (w *writer) writeRecord(rec *page.Record, no page.No, space uint32) (page.Link, error) {
	// The base is only known now: when space is short, placing flushes the lazy commits, and what only they needed is used again.
	if rec.Base = w.st.window.base(); w.st.flight.twoPhase {
		rec.Base = rec.Commit
	}
	rec.HighWater = w.space.HighWater()
	w.endWritten()
	w.sections[0] = freelist.AppendExtents(w.sections[0][:0], w.extents)
	rec.Written = w.sections[0]
	if w.sections[4] = w.sections[4][:0]; !w.st.flight.twoPhase {
		for i := range w.written {
			w.sections[4] = appendSums(w.sections[4], w.written[i])
		}
	}
	rec.Sums = w.sections[4]
	if err := rec.Validate(); err != nil { // what the next open refuses must never be acknowledged
		return page.Link{}, err
	}
	if rec.Checkpoint {
		w.sections[2], w.sections[3] = w.space.AppendCheckpoint(rec.Commit, w.freed, w.sections[2][:0], w.sections[3][:0])
		rec.Free, rec.Pending = w.sections[2], w.sections[3]
	}
	if need := page.RunPages(rec.Size(), w.st.pageSize); need > space {
		if err := w.batch.flush(); err != nil {
			return page.Link{}, err
		}
		to, err := w.moreRecordSpace(freelist.Extent{Page: no, Len: uint64(space)}, need+1)
		if err != nil {
			return page.Link{}, err
		}
		return w.writeRecord(rec, to, need+1)
	}
	size := int(space) << w.st.shift
	if cap(w.record) < size {
		w.record = make([]byte, size)
	}
	run := w.record[:size]
	n := size - page.RunHeaderSize // padded with zeros
	page.InitRun(run, page.Header{Number: no, Born: rec.Commit, Kind: page.KindRecord, Run: space}, n)
	clear(run[page.RunHeaderSize:])
	rec.Encode(page.RunPayload(run))
	sum := page.Seal(run, w.st.salt)
	if err := w.batch.room(no, size, false); err != nil {
		return page.Link{}, err
	}
	w.batch.add(run)
	if err := w.batch.flush(); err != nil {
		return page.Link{}, err
	}
	w.st.verified.Load().set(no)
	return page.Link{Page: no, Len: uint64(n), Checksum: sum, Commit: rec.Commit}, nil
}

// moreRecordSpace gives back the space old and gets n pages in its place.
func (w *writer) moreRecordSpace(old freelist.Extent, n uint32) (page.No, error) {
	nos, err := w.place([]uint32{n})
	if err != nil {
		return 0, err
	}
	no := nos[0]
	for i := len(w.taken) - 1; i >= 0; i-- {
		t := w.taken[i]
		if old.Page < t.Page || old.Page >= t.End() {
			continue
		}
		w.taken[i].Len = uint64(old.Page - t.Page)
		w.taken = append(w.taken, freelist.Extent{Page: old.End(), Len: uint64(t.End() - old.End())})
		w.taken = slices.DeleteFunc(w.taken, func(e freelist.Extent) bool { return e.Len == 0 })
		break
	}
	w.space.Return(old)
	return no, nil
}

// endWritten sorts what was written by address, and makes w.extents of it.
func (w *writer) endWritten() {
	slices.SortFunc(w.written, func(a, b writtenRun) int { return cmp.Compare(a.Page, b.Page) })
	w.extents = w.extents[:0]
	for i := range w.written {
		w.extents = append(w.extents, w.written[i].Extent)
	}
	w.extents = freelist.Normalize(w.extents)
}

// appendSums appends the checksum of a page or run to those that a record lists, one for each page.
func appendSums(sums []byte, r writtenRun) []byte {
	sums = page.AppendChecksum(sums, r.sum)
	for range r.Len - 1 {
		sums = page.AppendChecksum(sums, 0)
	}
	return sums
}
