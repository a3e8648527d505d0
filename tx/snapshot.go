package tx

import (
	"bytes"

	"mmdb/mmapfile"
	"mmdb/page"
)

// A snapshot is one published commit: an immutable value that any number of transactions share.
type snapshot struct {
	meta    page.Meta
	word    uint64 // the published number that goes with it
	mapping *mmapfile.Mapping
	readers *readerTable // of its transactions
	root    []byte       // the inline body of the root bucket; nil if that has a page
	rootAt  int64        // where in the mapping root is; 0 if it is not there
	late    bool         // root was not looked for in the file yet: see Tx.late
	region
}

// A region is what of the file may be read. A snapshot's never changes, and all transactions that read it use it; a
// transaction that sees more, or otherwise, has its own.
type region struct {
	data     []byte  // the mapping
	first    page.No // pages from it on may be read
	limit    page.No // pages below it may be read: the high water
	shift    uint8   // log2 of the page size
	verified *bitmap // which pages of it were verified
}

// nowhere is the region of a transaction that has ended.
var nowhere region

// newSnapshot returns commit m as the current mapping shows it.
func (st *Store) newSnapshot(m *page.Meta) *snapshot {
	s := st.lateSnapshot(m)
	st.placeRoot(s)
	return s
}

// lateSnapshot is newSnapshot without a look at the commit's record: a fault, which is a twentieth of an open in a fresh process.
func (st *Store) lateSnapshot(m *page.Meta) *snapshot {
	mp := st.mapping
	s := &snapshot{meta: *m, word: uint64(m.Commit), mapping: mp, readers: st.table(), region: region{mp.Data(), st.first, m.HighWater, st.shift, st.verified.Load()}}
	if m.Root.Root == 0 {
		s.root, s.late = s.meta.Body.Bytes(), true
	}
	return s
}

// late reports whether the root's inline body stands in the snapshot, where a caller's store would change what others read: t hands out copies of
// its parts. That is so until other processes are let in and the snapshot is made anew, or for good where they can't be.
func (t *Tx) late() bool { return !t.done && t.snap.late }

// lendRoot makes ready for handing out names in the root bucket.
func (t *Tx) lendRoot() {
	if t.late() {
		t.root.inline = bytes.Clone(t.root.inline)
	}
}

// placeRoot makes the inline root bucket of s a slice of the commit record, which stays as long as s is needed: a caller's store to a name or
// value in it faults there, as one to a page does. What it is, the meta says. If the record has something else (it is damaged, and nobody
// has looked at it yet) the meta's copy serves.
func (st *Store) placeRoot(s *snapshot) {
	if s.meta.Root.Root != 0 {
		return
	}
	s.root, s.late = s.meta.Body.Bytes(), false
	var err error
	defer st.guard(enter(), &err) // a record that can't be read is no worse than one that differs
	at := int64(s.meta.Record.Page)<<st.shift + page.RunHeaderSize + page.RecordBody
	if to := at + int64(len(s.root)); to > int64(s.limit)<<st.shift || to > int64(len(s.data)) {
		return
	} else if b := s.data[at:to:to]; bytes.Equal(b, s.root) {
		s.root, s.rootAt = b, at
	}
}

// show makes s, whose commit is durable, the one that new readers of all processes see.
func (st *Store) show(s *snapshot) error {
	st.showing.Add(1)
	defer st.showing.Add(-1)
	st.published.Store(s)
	if st.lockFile() == nil {
		st.table().published.Store(s.word) // a reader that has found the snapshot waits for this
		return nil
	}
	return st.inLock(func() {
		// A failure stays: a flush beside this commit may have failed meanwhile, here or in another process.
		p := st.table().published
		for old := p.Load(); !p.CompareAndSwap(old, s.word|old&publishedFailed); old = p.Load() {
		}
	})
}

// inLock calls fn, which touches the memory of the lock file, and returns an error if that was cut.
func (st *Store) inLock(fn func()) error {
	err := st.lockFile().mem.Catch(func() error { fn(); return nil })
	if err != nil {
		err = lockError(st.lockFile().path, errLockCut)
	}
	return err
}

// shareFailure tells the other processes that nobody may write any more.
func (st *Store) shareFailure() {
	if st.lockFile() == nil {
		return
	}
	if err := st.inLock(func() { st.table().published.Or(publishedFailed) }); err != nil {
		st.log.Warn("mmdb: tell other processes of the failure", "path", st.path, "error", err)
	}
}
