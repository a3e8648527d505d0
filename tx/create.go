package tx

import (
	"crypto/rand"
	"encoding/binary"

	"mmdb/page"
)

// firstCommit is the number of the commit that creation makes: an empty root bucket.
const firstCommit = 1

// create makes the file an empty database: its first record, a flush, its metas, a flush, and a flush of the directory.
// A crash on the way leaves a file without a meta, which the next Open makes anew, or one whose only commit
// the next Open adopts: the metas are not settled, because nobody knows yet whether they are durable. All slots get the
// same meta, so that damage to one does no harm.
func (st *Store) create() (*page.Meta, error) {
	var salt [8]byte
	rand.Read(salt[:])
	st.salt = binary.LittleEndian.Uint64(salt[:])
	rec := st.first
	m := page.Meta{Version: page.Version, PageSize: uint32(st.pageSize), Salt: st.salt, Commit: firstCommit, Base: firstCommit,
		Root: page.Bucket{Tree: page.RootTree}, Body: page.NewInlineRoot(emptyBody), NextTree: page.RootTree + 1, HighWater: rec + 1, Settled: st.sabotaged(BugSettleEarly)}
	if n := st.opts.MaxSize; n > 0 {
		if int64(m.HighWater)<<st.shift > n {
			return nil, ErrMaxSizeReached
		}
		st.opts.InitialSize = min(st.opts.InitialSize, n)
	}
	img := make([]byte, int64(m.HighWater)<<st.shift)
	m.Record = st.firstRecord(&m, img[int64(rec)<<st.shift:], rec)
	if err := st.writeFirst(&m, img); err != nil {
		return nil, err
	}
	st.w.fileSize = max(int64(len(img)), st.opts.InitialSize)
	return &m, nil
}

// writeFirst makes the pages of a new file durable, then its metas, then its name.
func (st *Store) writeFirst(m *page.Meta, img []byte) error {
	if err := st.file.WriteAt([][]byte{img}, 0); err != nil {
		return err
	}
	if n := st.opts.InitialSize; n > int64(len(img)) {
		if err := st.file.Allocate(int64(len(img)), n-int64(len(img))); err != nil {
			return err
		}
	}
	if err := st.file.Sync(); err != nil {
		return err
	}
	for i := range page.MetaSlots {
		if err := st.w.putMeta(i, m); err != nil {
			return err
		}
		st.w.slots[i] = metaSlot{valid: true, meta: *m}
	}
	if err := st.file.Sync(); err != nil {
		return err
	}
	if st.sabotaged(BugNoDirSync) {
		return nil
	}
	return st.file.SyncDir()
}

// firstRecord fills run with the record of the first commit: a checkpoint of nothing.
func (st *Store) firstRecord(m *page.Meta, run []byte, no page.No) page.Link {
	rec := page.Record{PageSize: m.PageSize, Salt: m.Salt, Commit: m.Commit, Base: m.Base, HighWater: m.HighWater,
		Root: m.Root, Body: m.Body.Bytes(), NextTree: m.NextTree, Checkpoint: true}
	n := len(run) - page.RunHeaderSize
	page.InitRun(run, page.Header{Number: no, Born: m.Commit, Kind: page.KindRecord, Run: 1}, n)
	rec.Encode(page.RunPayload(run))
	return page.Link{Page: no, Len: uint64(n), Checksum: page.Seal(run, m.Salt), Commit: m.Commit}
}

// putMeta writes m to a slot.
func (w *writer) putMeta(slot int, m *page.Meta) error {
	b := w.metaBlock()
	m.Encode(b)
	return w.writeOne(b, page.MetaOffset(slot))
}

// metaBlock returns the buffer for what is written to a meta slot, all zero.
func (w *writer) metaBlock() []byte {
	if w.meta == nil {
		w.meta = make([]byte, page.MetaBlock) // who only reads needs none
	}
	clear(w.meta)
	return w.meta
}
