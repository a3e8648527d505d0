package tx

import (
	"bytes"
	"iter"
	"slices"

	"mmdb/page"
)

// Info describes a database file as a transaction sees it.
type Info struct {
	PageSize     int        // bytes
	Version      int        // of the file format
	Commit       uint64     // the commit that the transaction sees
	Base         uint64     // the newest commit known durable when that one was written
	Settled      bool       // its meta was written by Close, or by creation
	HighWater    uint64     // pages in use or free; the file may be longer
	FileSize     int64      // bytes
	FreePages    uint64     // pages that may be used again
	PendingPages uint64     // pages that were freed, and wait for the newest commits to be durable or for a reader to end
	Salt         uint64     // of all checksums in the file
	NextTree     uint64     // number of the next bucket
	Record       uint64     // page of the commit record
	RecordChain  int        // records up to the last checkpoint
	Metas        []MetaInfo // the three meta slots
}

// MetaInfo describes one of the three meta slots of a file.
type MetaInfo struct {
	Slot    int
	Valid   bool
	Reason  string // why it is not valid
	Commit  uint64
	Settled bool
}

// PageInfo describes a page, or a run of pages, of a file.
type PageInfo struct {
	Number         uint64
	Run            int    // pages
	Kind           string // meta, branch, leaf, overflow, record, free, pending or unknown
	Tree           uint64 // number of the bucket that it belongs to
	Level          int    // 0 for a leaf
	Born           uint64 // the commit that wrote it
	Died           uint64 // the commit that freed it, for pending pages
	Keys           int    // cells of a branch or leaf
	Used, Capacity int    // bytes of cells, or of payload
	Problem        string // why the kind is unknown
}

// Info returns what there is to know about the file. If the free list can't be read its figures are zero, and Tx.Err
// tells why.
func (t *Tx) Info() (info Info) {
	if !t.managed {
		defer t.exit(enter())
	}
	if err := t.usable(); err != nil {
		t.fail(err)
		return info
	}
	m, st := &t.snap.meta, t.store
	info = Info{PageSize: st.pageSize, Version: int(m.Version), Commit: uint64(m.Commit), Base: uint64(m.Base), Settled: m.Settled,
		HighWater: uint64(m.HighWater), Salt: m.Salt, NextTree: uint64(m.NextTree), Record: uint64(m.Record.Page)}
	var err error
	if info.FileSize, err = st.file.Size(); err != nil {
		t.fail(err)
	}
	info.Metas = t.metas()
	list, links, err := st.replayChain(m, t.data)
	info.RecordChain = len(links)
	if err != nil {
		t.fail(err)
		return info
	}
	list.Reclaim(t.needed())
	info.FreePages, info.PendingPages = list.FreePages(), list.PendingPages()
	return info
}

// metas reads the three slots.
func (t *Tx) metas() (infos []MetaInfo) {
	for i := range page.MetaSlots {
		var m page.Meta
		s := MetaInfo{Slot: i}
		buf := t.data[page.MetaOffset(i):][:page.MetaSize]
		if err := m.Decode(buf); err != nil {
			s.Reason = err.Error()
		} else {
			s.Valid, s.Commit, s.Settled = true, uint64(m.Commit), m.Settled
		}
		infos = append(infos, s)
	}
	return infos
}

// PageBytes returns the bytes of page no, or of the run that starts there, unverified. They live as Get's do. A page that t sees as free may
// be gone from the end of the file since: it is all zeros then.
func (t *Tx) PageBytes(no uint64) (b []byte, err error) { return t.pageBytes(no, true) }

// pageBytes is PageBytes; what is not lasting is only good for a look.
func (t *Tx) pageBytes(no uint64, lasting bool) (b []byte, err error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	if no >= uint64(t.limit) {
		return nil, page.Corruptf(page.No(no), "no such page: the database has %d", t.limit)
	}
	if t.writable {
		t.show()
	}
	if b, err = t.pageOrRun(page.No(no), lasting); err == nil {
		return b, nil
	}
	if gone, listErr := t.notInUse(); listErr == nil {
		if _, ok := extentAt(gone, no); ok {
			return make([]byte, t.store.pageSize), nil
		}
	}
	t.fail(err)
	return nil, err
}

// pageOrRun is pageBytes for a page below the high water that the file still has. An error is for the caller to judge.
func (t *Tx) pageOrRun(no page.No, lasting bool) (b []byte, err error) {
	defer t.caught(enter(), &err)
	b = t.raw(no, 1)
	if lasting { // metas change, and what t sees as free is used again or cut off
		b = copyOf(b)
	}
	if no < t.store.first {
		return b, nil
	}
	if n := page.Run(b); n > 1 && t.inside(no, n) && page.Verify(t.raw(no, n), t.store.pageSize, no, t.store.salt) == nil {
		b = t.raw(no, n)
		if lasting && !t.stays(no) {
			b = copyOf(b)
		}
	}
	return b, nil
}

// stays reports whether page no is one that t needs.
func (t *Tx) stays(no page.No) bool {
	gone, err := t.notInUse()
	_, ok := extentAt(gone, uint64(no))
	return err == nil && !ok
}

// copyOf returns a copy of b that can't be appended to in place.
func copyOf(b []byte) []byte { return slices.Clip(bytes.Clone(b)) }

// Page describes page no, the run that starts there, or the free or pending extent that it lies in. A page inside a run
// is of unknown kind. It reads the free list anew: to look at many pages use Pages.
func (t *Tx) Page(no uint64) (PageInfo, error) {
	if err := t.usable(); err != nil {
		return PageInfo{}, err
	}
	gone, err := t.notInUse() // these may not be in the file any more
	if err != nil {
		return PageInfo{}, err
	}
	if p, ok := extentAt(gone, no); ok {
		return p, nil
	}
	return t.describe(page.No(no))
}

// extentAt returns the one of the extents that page no lies in.
func extentAt(extents map[page.No]PageInfo, no uint64) (PageInfo, bool) {
	for _, p := range extents {
		if no >= p.Number && no-p.Number < uint64(p.Run) {
			return p, true
		}
	}
	return PageInfo{}, false
}

// describe reads page no. What does not verify is unknown.
func (t *Tx) describe(no page.No) (p PageInfo, err error) {
	if !t.managed {
		defer t.exitErr(enter(), &err)
	}
	b, err := t.pageBytes(uint64(no), false)
	if err != nil {
		return p, err
	}
	p = PageInfo{Number: uint64(no), Run: 1, Kind: "unknown"}
	if no < t.store.first {
		p.Kind = "meta"
		return p, nil
	}
	if err := page.Verify(b, t.store.pageSize, no, t.store.salt); err != nil {
		p.Problem = err.Error()
		if c, ok := asCorrupt(err); ok {
			p.Problem = c.Reason
		}
		return p, nil
	}
	p.Run, p.Tree, p.Level, p.Born = len(b)>>t.shift, uint64(page.TreeNo(b)), int(page.Level(b)), uint64(page.Born(b))
	switch page.KindOf(b) {
	case page.KindBranch:
		br := page.Branch(page.Body(b))
		p.Kind, p.Keys, p.Used, p.Capacity = "branch", br.Count(), br.Used(), br.Capacity()
	case page.KindLeaf:
		l := page.Leaf(page.Body(b))
		p.Kind, p.Keys, p.Used, p.Capacity = "leaf", l.Count(), l.Used(), l.Capacity()
	case page.KindOverflow:
		p.Kind, p.Used, p.Capacity = "overflow", len(page.RunPayload(b)), len(b)-page.RunHeaderSize
	case page.KindRecord:
		p.Kind, p.Used, p.Capacity = "record", len(page.RunPayload(b)), len(b)-page.RunHeaderSize
	}
	return p, nil
}

// Pages iterates over everything below the high water in address order: pages and runs in use, free and pending
// extents as one each. An error ends the iteration.
func (t *Tx) Pages() iter.Seq2[PageInfo, error] {
	return func(yield func(PageInfo, error) bool) {
		if err := t.usable(); err != nil {
			yield(PageInfo{}, err)
			return
		}
		gone, err := t.notInUse()
		if err != nil {
			yield(PageInfo{}, err)
			return
		}
		for no := page.No(0); no < t.limit; {
			p, ok := gone[no]
			switch {
			case ok:
			case no < t.store.first:
				p = PageInfo{Number: 0, Run: int(t.store.first), Kind: "meta"}
			default:
				if p, err = t.describe(no); err != nil {
					yield(PageInfo{}, err)
					return
				}
			}
			if !yield(p, nil) {
				return
			}
			no += page.No(max(p.Run, 1))
		}
	}
}

// notInUse returns the free and pending extents by their first pages.
func (t *Tx) notInUse() (gone map[page.No]PageInfo, err error) {
	defer t.exitErr(enter(), &err)
	list, _, err := t.store.replayChain(&t.snap.meta, t.data)
	if err != nil {
		return nil, err
	}
	list.Reclaim(t.needed())
	gone = make(map[page.No]PageInfo)
	for e := range list.Free() {
		gone[e.Page] = PageInfo{Number: uint64(e.Page), Run: int(e.Len), Kind: "free"}
	}
	for e := range list.PendingExtentsSeq() {
		gone[e.Page] = PageInfo{Number: uint64(e.Page), Run: int(e.Len), Kind: "pending", Born: uint64(e.Born), Died: uint64(e.Died)}
	}
	return gone, nil
}
