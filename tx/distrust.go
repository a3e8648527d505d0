package tx

import (
	"fmt"

	"mmdb/page"
)

// After a failed write or flush the page cache can't be trusted: it shows what the device lacks, and on ext4 even
// takes further writes of such a page, reports them as flushed, and loses them (File.Drop tells how). So a file that was
// not closed cleanly is flushed and dropped from the cache before anything of it is read, and recovery sees what the
// device holds.
//
// A file was closed cleanly if its newest meta is settled and all three slots are valid. The first write of a session
// makes one slot invalid (markOpen), Close makes all valid again; in between the file looks unclean, whatever ends the
// process.

// distrustCache drops what the system keeps of a file that was not closed cleanly.
func (st *Store) distrustCache(size int64) error {
	if size == 0 || st.opts.Immutable || st.closedCleanly() {
		return nil
	}
	if err := st.file.Sync(); err != nil {
		return fmt.Errorf("flush before recovery: %w", err)
	}
	return st.file.Drop()
}

// closedCleanly looks at the metas only. If they say so, it keeps them for recovery (Store.metas), which reads them again otherwise: the
// cache may be dropped before.
func (st *Store) closedCleanly() bool {
	all := st.memory.metas[:]
	var buf [page.MetaSize]byte
	for i := range all {
		all[i].slot = i
		if n, err := st.file.ReadAt(buf[:], page.MetaOffset(i)); n < len(buf) || err != nil || all[i].meta.Decode(buf[:]) != nil {
			return false
		}
	}
	sortMetas(all)
	if !all[0].meta.Settled {
		return false
	}
	st.metas = all
	return true
}

// looksClosed reports whether the slots are as a clean close leaves them.
func (w *writer) looksClosed() bool {
	for i := range w.slots {
		if !w.slots[i].valid {
			return false
		}
	}
	return w.slots[w.newestSlot()].meta.Settled
}

// markOpen makes the slot of the next meta invalid before the first write of this session. It is not flushed: it need
// be seen only as long as this system's page cache lives.
func (w *writer) markOpen() error {
	if w.marked {
		return nil
	}
	slot := w.targetSlot()
	w.slots[slot].valid = false
	if err := w.writeOne(w.metaBlock(), page.MetaOffset(slot)); err != nil {
		return w.st.fail(fmt.Errorf("write meta: %w", err))
	}
	w.marked = true
	return nil
}
