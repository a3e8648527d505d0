package tx

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"mmdb/page"
)

// A candidate is a meta that recovery may take.
type candidate struct {
	slot int
	meta page.Meta
}

// recover finds the newest commit that is whole (design, section 4). A settled one is taken as it is: it was known
// to be durable when it was marked, so damage in it is damage, not a commit cut short. Any other is verified, and
// then adopted: its pages are written and flushed once more before anybody sees it (I5), because a page cache may
// show what the device lacks.
func (st *Store) recover() (*page.Meta, error) {
	all, err := st.readMetas()
	if err != nil {
		return nil, err
	}
	var floor page.Commit
	var firstErr error
	for i := range all {
		m := &all[i].meta
		if i > 0 && m.Commit == all[i-1].meta.Commit && m.Record == all[i-1].meta.Record {
			continue // a copy of one that was looked at
		}
		if m.Commit < floor {
			break
		}
		parts, err := st.verifyCommit(m)
		if err == nil {
			return m, st.take(all, i, parts)
		}
		if !errors.Is(err, ErrCorrupt) {
			return nil, err
		}
		firstErr = firstError(firstErr, err)
		if m.Settled && !st.sabotaged(BugIgnoreBase) {
			break
		}
		if !st.sabotaged(BugIgnoreBase) {
			floor = max(floor, m.Base)
		}
		st.counts.rejected.Add(1)
		st.log.Warn("mmdb: the newest commit is not whole; the one before is taken", "path", st.path, "commit", uint64(m.Commit), "reason", err)
	}
	return nil, firstErr
}

// readMetas returns the valid metas of the file, the newest first, a settled one before an unsettled copy.
func (st *Store) readMetas() ([]candidate, error) {
	if st.metas != nil {
		return st.metas, st.agree(st.metas)
	}
	var all []candidate
	var invalid, damaged error
	for i := range page.MetaSlots {
		c := candidate{slot: i}
		switch err := st.readMeta(&c); {
		case err == nil:
			all = append(all, c)
		case errors.Is(err, ErrInvalid):
			invalid = firstError(invalid, err)
		case errors.Is(err, ErrCorrupt):
			damaged = firstError(damaged, err)
		default: // of a newer version: what else there is is older; or the file can't be read
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, firstError(damaged, invalid)
	}
	sortMetas(all)
	return all, st.agree(all)
}

// sortMetas puts the newest meta first. They are three at most, and every open sorts them.
func sortMetas(all []candidate) {
	for i := 1; i < len(all); i++ {
		for j := i; j > 0 && compareMetas(&all[j].meta, &all[j-1].meta) > 0; j-- {
			all[j], all[j-1] = all[j-1], all[j]
		}
	}
}

// readMeta reads the meta in c's slot.
func (st *Store) readMeta(c *candidate) error {
	buf := make([]byte, page.MetaSize)
	n, err := st.file.ReadAt(buf, page.MetaOffset(c.slot))
	if n < len(buf) && (err == nil || errors.Is(err, io.EOF)) {
		err = fmt.Errorf("%w: the file ends before it", ErrInvalid)
	} else if err == nil {
		err = c.meta.Decode(buf)
	}
	if err != nil {
		return fmt.Errorf("meta slot %d: %w", c.slot, err)
	}
	return nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// agree checks that the metas are of one file, and takes page size and salt from them.
func (st *Store) agree(all []candidate) error {
	m := &all[0].meta
	for i := range all {
		if o := &all[i].meta; o.Salt != m.Salt || o.PageSize != m.PageSize {
			return page.Corruptf(0, "the meta pages belong to different files")
		}
	}
	if st.mapping != nil { // another process has written since this one opened it
		if m.Salt != st.salt || int(m.PageSize) != st.pageSize {
			return page.Corruptf(0, "the meta pages belong to a different file")
		}
		if m.ReadOnlyCompatible&^page.KnownReadOnlyCompatible != 0 && !st.readOnly {
			return fmt.Errorf("%w: another process has used a feature that this version can only read", ErrVersion)
		}
		return nil
	}
	if m.ReadOnlyCompatible&^page.KnownReadOnlyCompatible != 0 && !st.readOnly {
		st.log.Warn("mmdb: the file uses a feature that this version can only read; it is opened read-only", "path", st.path)
		st.readOnly = true
	}
	st.setPageSize(int(m.PageSize))
	st.salt = m.Salt
	st.w.dirty.pageSize = st.pageSize
	return nil
}

// verifyCommit reads and checks all that commit m wrote since its base, and returns it. A settled commit, and one
// whose pages were flushed before its meta, need only the record.
func (st *Store) verifyCommit(m *page.Meta) ([]part, error) {
	if int64(m.HighWater)<<st.shift > st.w.fileSize {
		return nil, page.Corruptf(m.HighWater-1, "the file ends before this page: it was cut off")
	}
	if m.Settled || st.sabotaged(BugSkipVerify) {
		return nil, nil
	}
	if m.Base != m.Commit && m.Record.Len > windowMax {
		return nil, page.Corruptf(m.Record.Page, "commit record larger than all that may be written before a flush")
	}
	var parts []part
	rec, err := st.verifyRecord(m.Record, m.HighWater, &parts)
	if err != nil {
		return nil, err
	}
	if err := agrees(m, &rec); err != nil {
		return nil, err
	}
	if m.Base == m.Commit {
		return parts, nil
	}
	c := windowCheck{st: st, base: m.Base, parts: parts}
	err = c.verify(rec, m.HighWater)
	return c.parts, err
}

// agrees returns an error if meta m and its record are of different states.
func agrees(m *page.Meta, rec *page.Record) error {
	if rec.Base != m.Base && m.Base != m.Commit || rec.HighWater != m.HighWater || rec.Root != m.Root ||
		!bytes.Equal(rec.Body, m.Body.Bytes()) || rec.NextTree != m.NextTree {
		return page.Corruptf(m.Record.Page, "meta and commit record differ")
	}
	return nil
}

// take makes candidate i the state of the file, adopting it if it is not known to be durable.
func (st *Store) take(all []candidate, i int, parts []part) error {
	w := st.w
	m := &all[i].meta
	for j := range all {
		if all[j].meta.Commit <= m.Commit {
			w.slots[all[j].slot] = metaSlot{valid: true, meta: all[j].meta}
		}
	}
	switch {
	case m.Settled && i == 0 || st.opts.Immutable:
		return nil
	case st.readOnly:
		// What can't be written again is flushed through this descriptor. The kernel may have lost a write that an
		// earlier flush failed on, and show it all the same until memory is short: that gap remains.
		if err := st.file.Sync(); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
		return nil
	}
	st.counts.adopted.Add(1)
	return st.adopt(m, parts)
}

// An unsureError is that of an adoption after which the page cache may show what the device lacks: it must not be tried again before the
// file was dropped from the cache (distrustCache), which takes that nobody has it open.
type unsureError struct{ error }

func (e unsureError) Unwrap() error { return e.error }

// adopt writes commit m once more, the same bytes to the same places, puts it into every slot that holds no older valid
// meta, so that a rejected one is gone, and flushes. The file's name is flushed too: creation may have been cut short
// before it was.
func (st *Store) adopt(m *page.Meta, parts []part) error {
	if st.sabotaged(BugAdoptUnwritten) {
		return st.file.Sync()
	}
	for _, p := range parts {
		if err := st.file.WriteAt([][]byte{p.bytes}, int64(p.page)<<st.shift); err != nil {
			return fmt.Errorf("adopt commit %d: %w", m.Commit, err)
		}
	}
	for i := range st.w.slots {
		s := &st.w.slots[i]
		if s.valid && s.meta.Commit != m.Commit || !s.valid && st.sabotaged(BugKeepRejected) {
			continue
		}
		if err := st.w.putMeta(i, m); err != nil {
			return fmt.Errorf("adopt commit %d: write meta: %w", m.Commit, unsureError{err})
		}
		st.w.slots[i] = metaSlot{valid: true, meta: *m}
	}
	if err := st.file.Sync(); err != nil {
		return fmt.Errorf("adopt commit %d: flush: %w", m.Commit, unsureError{err})
	}
	if err := st.file.SyncDir(); err != nil {
		return fmt.Errorf("adopt commit %d: flush the directory: %w", m.Commit, unsureError{err})
	}
	return nil
}

// settle ends the use of the file: a copy of the newest meta, marked settled, goes to the spare slot, and the
// file is cut to its pages.
func (st *Store) settle() error {
	w := st.w
	if st.readOnly || st.failed() != nil || w == nil {
		return nil
	}
	if w.tip != nil && st.window.base() != w.tip.meta.Commit {
		if err := st.syncFile(w.tip); err != nil {
			return fmt.Errorf("close: %w", err)
		}
	}
	m := w.slots[w.newestSlot()].meta
	if end := max(w.fileEnd(), st.opts.InitialSize); w.fileSize > end {
		if err := st.file.Truncate(end); err != nil {
			return fmt.Errorf("close: %w", err)
		}
		w.fileSize = end
	}
	if m.Settled && w.slots[w.targetSlot()].valid { // all are: the file was closed cleanly, and nothing has changed since
		return nil
	}
	m.Settled = true
	return w.settleIn(w.targetSlot(), &m)
}

// settleIn writes m, which is marked settled, to a slot. After a failure the slot is as it was: the file must not look closed cleanly when the
// device may lack what it shows.
func (w *writer) settleIn(slot int, m *page.Meta) error {
	st, old := w.st, w.slots[slot]
	err := w.putMeta(slot, m)
	if err == nil {
		if err = st.mapping.Sync(page.MetaOffset(slot), page.MetaBlock); err == nil {
			return nil
		}
		err = fmt.Errorf("flush: %w", err)
	}
	back := w.metaBlock()
	if old.valid {
		old.meta.Encode(back)
	}
	if err := w.writeOne(back, page.MetaOffset(slot)); err != nil {
		st.log.Warn("mmdb: put back meta", "path", st.path, "error", err)
	}
	return st.fail(fmt.Errorf("close: write meta: %w", err))
}
