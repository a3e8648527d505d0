package tx

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"mmdb/freelist"
	"mmdb/page"
)

// oneFlushMax bounds a commit that is made durable by one flush (I4): recovery reads all that it wrote.
const oneFlushMax = 16 << 20

// commitChanges makes the changes of t durable and publishes them. After an error that is not ErrFailed nothing was
// changed.
func (t *Tx) commitChanges() error {
	w := t.w
	if err := t.root.fold(); err != nil {
		return err
	}
	if !t.root.dirty && len(w.taken) == 0 {
		return nil // nothing to commit
	}
	w.units, w.lens = w.units[:0], w.lens[:0]
	if t.root.hdr.Root.Dirty() {
		w.collect(t.root.hdr.Root)
	}
	rec := page.Record{PageSize: uint32(w.st.pageSize), Salt: w.st.salt, Commit: t.commit, Base: t.snap.meta.Commit,
		Prev: w.chain[len(w.chain)-1], NextTree: w.nextTree, Checkpoint: w.checkpointDue()}
	if err := w.endFreed(&rec); err != nil {
		return err
	}
	if w.st.sabotaged(BugReuseEarly) {
		w.space.AddPending(w.freed)
		w.space.Reclaim(nil)
		w.freed = w.freed[:0]
	}
	space := w.recordSpace(&rec)
	nos, err := w.place(append(w.lens, space))
	if err != nil {
		return err
	}
	w.number(nos)
	if err := w.writeUnits(); err != nil {
		return err
	}
	rec.Root = t.root.hdr
	rec.Root.Root = w.resolve(rec.Root.Root)
	twoPhase := w.twoPhase()
	if twoPhase {
		rec.Base = rec.Commit
	}
	link, err := w.writeRecord(&rec, nos[len(nos)-1], space)
	if err != nil {
		return err
	}
	meta := page.Meta{Version: page.Version, PageSize: rec.PageSize, Salt: rec.Salt, Commit: rec.Commit, Base: rec.Base,
		Root: rec.Root, NextTree: rec.NextTree, HighWater: rec.HighWater, Record: link}
	if w.st.sabotaged(BugPublishEarly) {
		w.st.show(&meta)
	}
	if err := w.flush(&meta, twoPhase); err != nil {
		return err
	}
	w.publish(&meta, rec.Checkpoint)
	return nil
}

// twoPhase reports whether the commit's pages must be durable before its meta is written (I4).
func (w *writer) twoPhase() bool {
	n := uint64(0)
	for i := range w.written {
		n += w.written[i].Len
	}
	return w.st.opts.TwoPhase || w.spilled || n<<w.st.shift > oneFlushMax
}

// The chain of commit records is ended by a checkpoint, a record with the whole free list, when it is longer than
// chainFactor times what the list takes: so the list costs a commit a fixed share of what the commit writes anyway,
// and an open reads few records.
const (
	chainFactor = 4
	chainMin    = 32
	chainMax    = 4096
)

// checkpointDue reports whether the next record should be a checkpoint.
func (w *writer) checkpointDue() bool {
	list := w.space.CheckpointBound(len(w.freed))>>w.st.shift + 1
	return len(w.chain) >= min(max(chainMin, chainFactor*list), chainMax)
}

// endFreed adds to what the commit frees the records that a checkpoint makes superfluous, puts the list in order and
// encodes it.
func (w *writer) endFreed(rec *page.Record) error {
	if rec.Checkpoint {
		for _, l := range w.chain {
			w.freed = append(w.freed, freelist.Pending{Extent: w.st.extentOf(l), Born: l.Commit, Died: rec.Commit})
		}
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

// recordSpace returns how many pages to set aside for rec before its last sections are known.
func (w *writer) recordSpace(rec *page.Record) uint32 {
	n := page.RecordHeaderSize + len(rec.Freed) + spareRuns
	if rec.Checkpoint {
		n += w.space.CheckpointBound(len(w.freed))
	}
	return page.RunPages(n, w.st.pageSize)
}

// writeRecord completes rec with what was written and writes it at page no, where space pages are set aside, or
// elsewhere if that is too small.
func (w *writer) writeRecord(rec *page.Record, no page.No, space uint32) (page.Link, error) {
	rec.HighWater = w.space.HighWater()
	rec.Digest = w.endWritten()
	w.sections[0] = freelist.AppendExtents(w.sections[0][:0], w.extents)
	rec.Written = w.sections[0]
	if rec.Checkpoint {
		w.sections[2], w.sections[3] = w.space.AppendCheckpoint(rec.Commit, w.freed, w.sections[2][:0], w.sections[3][:0])
		rec.Free, rec.Pending = w.sections[2], w.sections[3]
	}
	if need := page.RunPages(rec.Size(), w.st.pageSize); need > space {
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
	if err := w.writeOne(run, int64(no)<<w.st.shift); err != nil {
		return page.Link{}, fmt.Errorf("write commit record: %w", err)
	}
	w.st.verified.set(no)
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

// endWritten sorts what was written by address, makes w.extents of it, and returns the digest.
func (w *writer) endWritten() uint64 {
	slices.SortFunc(w.written, func(a, b writtenRun) int { return cmp.Compare(a.Page, b.Page) })
	var d page.Digest
	w.extents = w.extents[:0]
	for i := range w.written {
		d.Add(w.written[i].sum)
		w.extents = append(w.extents, w.written[i].Extent)
	}
	w.extents = freelist.Normalize(w.extents)
	return d.Sum()
}

// flush makes the commit durable: its pages and its meta with one flush of the device, or the pages first. After
// an error the slot is as it was.
func (w *writer) flush(m *page.Meta, twoPhase bool) error {
	end := int64(m.HighWater) << w.st.shift
	if twoPhase && !w.st.sabotaged(BugOneFlushSpill) {
		w.st.counts.flushes.Add(1)
		if err := w.st.flushRange(0, end); err != nil {
			return w.st.fail(fmt.Errorf("flush pages: %w", err))
		}
	}
	slot := w.targetSlot()
	from, n := int64(0), end
	if twoPhase {
		from, n = page.MetaOffset(slot), page.MetaBlock
	}
	err := w.writeMeta(slot, m)
	if err == nil {
		w.st.counts.flushes.Add(1)
		if err = w.st.flushRange(from, n); err == nil {
			w.slots[slot] = metaSlot{true, *m}
			return nil
		}
		err = fmt.Errorf("flush commit: %w", err)
	}
	w.putBack(slot)
	return w.st.fail(err)
}

// flushRange makes a range of the file durable.
func (st *Store) flushRange(from, n int64) error {
	if st.sabotaged(BugNoFlush) {
		return nil
	}
	return st.mapping.Sync(from, n)
}

// writeMeta writes m to its slot, and makes sure, the first time, that the mapping shows what was written.
func (w *writer) writeMeta(slot int, m *page.Meta) error {
	if err := w.putMeta(slot, m); err != nil {
		return fmt.Errorf("write meta: %w", err)
	}
	if !w.seen {
		if !bytes.Equal(w.st.mapping.Data()[page.MetaOffset(slot):][:page.MetaBlock], w.meta[:]) {
			return ErrMapping
		}
		w.seen = true
	}
	return nil
}

// putBack writes what stood in a slot again after a failure. Nobody has seen the meta that it overwrites: if that
// still reaches the device, recovery takes the commit as a whole or not at all.
func (w *writer) putBack(slot int) {
	if w.st.sabotaged(BugNoPutBack) {
		return
	}
	clear(w.meta[:])
	if s := &w.slots[slot]; s.valid {
		s.meta.Encode(w.meta[:])
	}
	if err := w.writeOne(w.meta[:], page.MetaOffset(slot)); err != nil {
		w.st.log.Warn("mmdb: put back meta", "path", w.st.path, "error", err)
	}
}

// publish shows the durable commit m to new readers.
func (w *writer) publish(m *page.Meta, checkpoint bool) {
	if checkpoint {
		w.chain = w.chain[:0]
	}
	w.chain = append(w.chain, m.Record)
	w.space.AddPending(w.freed)
	w.st.show(m)
	w.st.counts.commits.Add(1)
	w.countSpace()
	w.shrinkFile()
}
