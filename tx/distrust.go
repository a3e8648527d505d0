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

// closedCleanly looks at the metas only. If they say so, it keeps their bytes for recovery (Store.metas), which reads them again otherwise:
// the cache may be dropped before.
func (st *Store) closedCleanly() bool {
	var commit page.Commit
	clean := false
	all := make([]byte, page.MetaSlots*page.MetaSize)
	for i := range page.MetaSlots {
		buf := all[i*page.MetaSize:][:page.MetaSize]
		var m page.Meta
		if n, err := st.file.ReadAt(buf, page.MetaOffset(i)); n < len(buf) || err != nil || m.Decode(buf) != nil {
			return false
		}
		if m.Commit > commit || m.Commit == commit && m.Settled {
			commit, clean = m.Commit, m.Settled
		}
	}
	if clean {
		st.metas = all
	}
	return clean
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
