package tx

import (
	"bytes"
	"fmt"
	"time"

	"mmdb/mmapfile"
	"mmdb/page"
)

// A flight is a sealed group on its way to the device. There is one at a time; who leads owns it.
type flight struct {
	meta     page.Meta
	snap     *snapshot
	slot     int      // where the meta goes
	old      metaSlot // what stood there
	durable  bool     // it is flushed
	twoPhase bool     // the pages must be durable before the meta is written
	bytes    int64    // what it adds to the window, see windowBytes
	size     int      // functions in it
	block    []byte   // of a meta; made when first needed: most who open a database only read
	one      [1][]byte
}

// land makes the flight durable and publishes it, and returns how long that took. locked says whether the caller holds the writer lock.
func (st *Store) land(locked bool) (took time.Duration, err error) {
	f := &st.flight
	from := time.Now()
	if err := f.flush(st); err != nil {
		return 0, st.fail(err)
	}
	took = time.Since(from)
	st.window.reset(f.meta.Commit)
	if err := st.show(f.snap); err != nil {
		return took, st.fail(err)
	}
	f.snap = nil
	st.counts.landed(f.size, took)
	st.tell()
	if locked {
		st.w.shrinkFile()
	} else if st.mu.TryLock() {
		st.w.shrinkFile()
		st.mu.Unlock()
	}
	return took, nil
}

// landLazily publishes the flight without a flush.
func (st *Store) landLazily() error {
	f := &st.flight
	if err := f.writeMeta(st); err != nil {
		f.putBack(st)
		return st.fail(err)
	}
	if err := st.show(f.snap); err != nil {
		return st.fail(err)
	}
	f.snap = nil
	st.counts.landed(f.size, 0)
	st.counts.lazy.Add(1)
	st.tell()
	bytes := st.window.bytes.Add(f.bytes)
	if st.sabotaged(BugBaseEarly) {
		st.window.reset(f.meta.Commit)
	}
	st.syncer.wake(st, bytes > st.w.windowLimit()/2)
	return nil
}

// flush makes the commit durable: its pages and its meta with one flush of the device, or the pages first. After
// an error the slot is as it was.
func (f *flight) flush(st *Store) error {
	end := int64(f.meta.HighWater) << st.shift
	from, n := int64(0), end
	if f.twoPhase && !st.sabotaged(BugOneFlushSpill) {
		if err := f.sync(st, from, n); err != nil {
			return fmt.Errorf("flush pages: %w", err)
		}
	}
	if f.twoPhase {
		from, n = page.MetaOffset(f.slot), page.MetaBlock
	}
	err := f.writeMeta(st)
	if err == nil {
		if err = f.sync(st, from, n); err == nil {
			return nil
		}
		err = fmt.Errorf("flush commit: %w", err)
	}
	f.putBack(st)
	return err
}

// sync makes a range of the file durable.
func (f *flight) sync(st *Store, from, n int64) error {
	st.counts.flushes.Add(1)
	return st.flushRange(f.snap.mapping, from, n)
}

// flushRange makes a range of the file durable.
func (st *Store) flushRange(m *mmapfile.Mapping, from, n int64) error {
	if st.sabotaged(BugNoFlush) {
		return nil
	}
	return firstError(m.Sync(from, n), st.besideFailed())
}

// writeMeta writes the meta to its slot, and makes sure, the first time, that the mapping shows what was written.
func (f *flight) writeMeta(st *Store) error {
	if err := f.put(st, &f.meta); err != nil {
		return fmt.Errorf("write meta: %w", err)
	}
	if !st.seen {
		if !bytes.Equal(f.snap.mapping.Data()[page.MetaOffset(f.slot):][:page.MetaBlock], f.block) {
			return ErrMapping
		}
		st.seen = true
	}
	return nil
}

// putBack writes what stood in the slot again after a failure. Nobody has seen the meta that it overwrites: if that
// still reaches the device, recovery takes the commit as a whole or not at all.
func (f *flight) putBack(st *Store) {
	if st.sabotaged(BugNoPutBack) {
		return
	}
	var m *page.Meta
	if f.old.valid {
		m = &f.old.meta
	}
	if err := f.put(st, m); err != nil {
		st.log.Warn("mmdb: put back meta", "path", st.path, "error", err)
	}
}

// put writes m, or zeros, to the slot.
func (f *flight) put(st *Store, m *page.Meta) error {
	if f.block == nil {
		f.block = make([]byte, page.MetaBlock)
	}
	clear(f.block)
	if m != nil {
		m.Encode(f.block)
	}
	f.one[0] = f.block
	return st.file.WriteAt(f.one[:], page.MetaOffset(f.slot))
}
