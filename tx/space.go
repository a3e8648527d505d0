package tx

import (
	"slices"

	"mmdb/freelist"
	"mmdb/page"
)

// lastNumber is the largest number of a commit and of the next tree with which a file is written to: what is committed to a file whose numbers
// somebody has set so high that they come to an end would be refused by the next open.
const lastNumber = page.MaxNumber / 2

// loadSpace reads the free list as of commit m. It is done by the first write transaction, so that a reader's open does
// not pay for it.
func (w *writer) loadSpace(m *page.Meta) error {
	if max(uint64(m.Commit), uint64(m.NextTree)) > lastNumber {
		return page.Corruptf(0, "commit %d and next tree number %d: there are too few numbers left to write", m.Commit, m.NextTree)
	}
	space, links := w.resume(m)
	if space == nil {
		var err error
		if space, links, err = w.st.replayChain(m, w.st.mapping.Data()); err != nil {
			return err
		}
	}
	w.chain, w.chainPages = links, 1
	for _, l := range links[1:] {
		w.chainPages += w.st.extentOf(l).Len
	}
	w.loadCuts(links[0])
	space.Reclaim(w.neededCommits())
	if err := space.SetHighWater(m.HighWater); err != nil {
		return err
	}
	space.ReserveRun(w.st.extentOf(links[0]).Len) // for the next checkpoint
	w.space = space
	w.countSpace()
	return nil
}

// A lastTurn is what the writer knew at the end of this process's last turn: the free list, and the chain of records that it comes from.
type lastTurn struct {
	space *freelist.List
	chain []page.Link
}

// resume brings the free list of the last turn up to commit m, by the records of what other processes have committed since, and returns it with the
// chain. It returns nil where the chain is to be read as a whole: there was no such turn, one of the commits is a checkpoint, or
// something is wrong, which that will tell.
func (w *writer) resume(m *page.Meta) (*freelist.List, []page.Link) {
	k := w.lastTurn
	w.lastTurn = lastTurn{}
	if k.space == nil {
		return nil, nil
	}
	recs, links, err := w.st.readChain(m, w.st.mapping.Data(), k.chain[len(k.chain)-1])
	if err != nil || len(recs) > 0 && recs[0].Checkpoint {
		return nil, nil
	}
	if r := (replay{space: k.space, end: page.MaxPages}); r.all(w.st, m, recs, links) != nil {
		return nil, nil
	}
	w.resumed++
	return k.space, append(k.chain, links...)
}

// countSpace keeps the figures of the free list for Stats.
func (w *writer) countSpace() {
	w.st.counts.freePages.Store(w.space.FreePages())
	w.st.counts.pendingPages.Store(w.space.PendingPages())
}

// replayChain reads the newest checkpoint at or before commit m and applies the records after it. data is the mapping. It returns the list,
// whose pending extents include all that the writer had reclaimed since, and the links of the records, the checkpoint's first.
// After an error the links are those that were read.
func (st *Store) replayChain(m *page.Meta, data []byte) (*freelist.List, []page.Link, error) {
	recs, links, err := st.readChain(m, data, page.Link{})
	if err != nil {
		return nil, links, err
	}
	first := &recs[0]
	r := replay{space: freelist.New(st.first, min(first.HighWater, m.HighWater)), end: m.HighWater}
	above, err := r.space.LoadBelow(first.HighWater, first.Commit, first.Free, first.Pending)
	if err != nil {
		return nil, links, err
	}
	r.above = int64(above)
	if err := r.all(st, m, recs[1:], links[1:]); err != nil {
		return nil, links, err
	}
	if r.above != 0 {
		return nil, links, page.Corruptf(m.HighWater, "%d pages at or above the high water are in use", r.above)
	}
	return r.space, links, nil
}

// A replay brings a free list up to a commit, by the records of what was committed since. Pages from end on, the high water of that
// commit, it only counts: the file had more pages once, or a record lies about it.
type replay struct {
	space *freelist.List
	end   page.No
	above int64 // pages from end on that are in use
}

// all applies what the commits of recs wrote and freed, the newest of which is m.
func (r *replay) all(st *Store, m *page.Meta, recs []page.Record, links []page.Link) error {
	for i := range recs {
		if err := r.record(&recs[i], st.extentOf(links[i])); err != nil {
			return err
		}
	}
	// A transaction may have spilled up to the high water, and used those places for nothing in the end.
	if m.HighWater > r.space.HighWater() {
		return r.space.SetHighWater(m.HighWater)
	}
	return nil
}

// record applies what one commit wrote, its record among it, and freed.
func (r *replay) record(rec *page.Record, own freelist.Extent) error {
	written, freed, err := changesOf(rec)
	if err != nil {
		return err
	}
	written = freelist.Normalize(append(written, own))
	w := written[:0]
	for _, e := range written {
		e, rest := e.Split(r.end)
		if r.above += int64(rest); e.Len > 0 {
			w = append(w, e)
		}
	}
	f := freed[:0]
	for _, p := range freed {
		e, rest := p.Split(r.end)
		if r.above -= int64(rest); e.Len > 0 {
			f = append(f, freelist.Pending{Extent: e, Born: p.Born, Died: p.Died})
		}
	}
	return r.space.Replay(w, f)
}

// readChain returns the commit records from the newest checkpoint to m's, or those after known, unless that is zero, if it comes first, and the links to
// them.
func (st *Store) readChain(m *page.Meta, data []byte, known page.Link) (recs []page.Record, links []page.Link, err error) {
	pages := uint64(0)
	for link := m.Record; known.Commit == 0 || link != known; {
		rec, err := st.readRecord(data, link, m.HighWater)
		if err != nil {
			return nil, links, err
		}
		if pages += st.extentOf(link).Len; pages > uint64(m.HighWater) { // none stands inside another
			return nil, links, page.Corruptf(link.Page, "the commit records take more pages than the database has")
		}
		recs, links = append(recs, rec), append(links, link)
		if rec.Checkpoint {
			break
		}
		if rec.Prev.Commit == 0 || rec.Prev.Commit >= link.Commit {
			return nil, links, page.Corruptf(link.Page, "the chain of commit records has no checkpoint")
		}
		link = rec.Prev
	}
	slices.Reverse(recs)
	slices.Reverse(links)
	return recs, links, nil
}

// changesOf returns what the commit of rec wrote, its record excepted, and what it freed.
func changesOf(rec *page.Record) (written []freelist.Extent, freed []freelist.Pending, err error) {
	if written, err = freelist.DecodeExtents(rec.Written, rec.HighWater); err != nil {
		return nil, nil, err
	}
	freed, err = freelist.DecodeFreed(rec.Freed, rec.Commit, rec.HighWater)
	return written, freed, err
}

// readRecord returns the commit record that l leads to, checked. Its sections are slices of the mapping.
func (st *Store) readRecord(data []byte, l page.Link, limit page.No) (rec page.Record, err error) {
	n := page.RunPages(int(l.Len), st.pageSize)
	if l.Len > page.MaxValueSize || l.Page < st.first || l.Page >= limit || uint64(n) > uint64(limit-l.Page) {
		return rec, page.Corruptf(l.Page, "commit record outside the database")
	}
	from := int64(l.Page) << st.shift
	b := data[from : from+int64(n)<<st.shift]
	return rec, st.checkRecord(&rec, b, l)
}

// checkRecordHead returns an error unless l describes the record run that begins with b.
func (st *Store) checkRecordHead(b []byte, l page.Link) error {
	if (page.KindOf(b) != page.KindRecord || page.Stored(b) != l.Checksum || page.Born(b) != l.Commit || uint64(page.PayloadLen(b)) != l.Len) &&
		!st.sabotaged(BugTrustRecord) {
		return page.Corruptf(l.Page, "not the commit record that its link describes")
	}
	return nil
}

// checkRecord decodes the record run b, which l must describe.
func (st *Store) checkRecord(rec *page.Record, b []byte, l page.Link) error {
	if err := st.checkRecordHead(b, l); err != nil {
		return err
	}
	if err := page.Verify(b, st.pageSize, l.Page, st.salt); err != nil && !st.sabotaged(BugTrustRecord) {
		return err
	}
	if err := rec.Decode(page.RunPayload(b)); err != nil {
		if c, ok := asCorrupt(err); ok {
			c.Page = l.Page
			return c
		}
		return page.Corruptf(l.Page, "%v", err)
	}
	if rec.Commit != l.Commit || rec.Salt != st.salt || int(rec.PageSize) != st.pageSize {
		return page.Corruptf(l.Page, "the commit record belongs to another commit or file")
	}
	return nil
}
