package tx

import (
	"errors"
	"fmt"
	"time"

	"mmdb/freelist"
	"mmdb/page"
)

// Another process publishes a commit by its number in the lock file. A reader that finds a number there that is not its snapshot's
// brings the snapshot up to it: it reads the meta with that number from the file, forgets which of the pages that were written since were
// verified (I3), and maps what the file has grown by. The meta and its pages are durable by then, and they stay: a slot
// of the reader table holds the commit meanwhile.

// publishedFailed is set in the published number when a flush or meta write has failed: nobody may write any more, or trust what was
// verified (I7). It stays until all processes have closed the database.
const publishedFailed = uint64(1) << 63

// refreshTries bounds how often a published meta is looked for. It is always there, unless somebody else has written to the file.
const refreshTries = 10

// refresh makes the newest published commit the snapshot of new readers.
func (st *Store) refresh() error {
	st.refreshing.Lock()
	defer st.refreshing.Unlock()
	for missing := 0; ; {
		// In this order: what this process publishes it shows here first.
		word := st.table().published.Load()
		s := st.published.Load()
		switch {
		case s == nil && st.closing.Load():
			return ErrDatabaseNotOpen
		case s != nil && s.word == word:
			return nil
		case s != nil && uint64(s.meta.Commit) > word&^publishedFailed:
			return st.showsOlder(s)
		}
		if err := st.lockFile().sameSession(); err != nil {
			return err
		}
		if word&publishedFailed != 0 {
			st.failedElsewhere()
		}
		found, err := st.follow(s, word)
		if err != nil || found {
			return err
		}
		if st.table().published.Load() != word {
			continue
		}
		if missing++; missing == refreshTries {
			return page.Corruptf(0, "commit %d is published, and no meta page holds it", word&^publishedFailed)
		}
		time.Sleep(time.Millisecond)
	}
}

// awaitRefresh waits for a reader that saw a snapshot and looks for another process's, for Close, after which others see that there is none.
func (st *Store) awaitRefresh() {
	st.refreshing.Lock()
	defer st.refreshing.Unlock()
}

// showsOlder returns an error if the lock file tells of an older commit than s, and not only because this process is just about to show that: then
// somebody has put an older copy of it there, and who waited for the number of s would wait for ever.
func (st *Store) showsOlder(s *snapshot) error {
	if st.showing.Load() == 0 && st.table().published.Load()&^publishedFailed < uint64(s.meta.Commit) {
		return lockError(st.lockFile().path, errLockOther)
	}
	return nil
}

// follow makes commit word the snapshot in place of s, and reports false if it is not found, because it is not the newest any more.
func (st *Store) follow(s *snapshot, word uint64) (found bool, err error) {
	n := page.Commit(word &^ publishedFailed)
	slot, err := st.table().find(uint64(n))
	if err != nil {
		return false, err
	}
	defer func() {
		slot.Store(0)
		if st.closing.Load() {
			st.readerGone()
		}
	}()
	if st.closing.Load() { // Close may not have seen the slot: what is read here may be gone at any time
		return false, ErrDatabaseNotOpen
	}
	if st.table().published.Load() != word {
		return false, nil
	}
	m, err := st.metaOf(n)
	if m == nil || err != nil {
		return false, err
	}
	if s != nil {
		st.forget(s.meta.Commit, m)
	}
	if err := st.remap(int64(m.HighWater) << st.shift); err != nil {
		return false, err
	}
	next := st.newSnapshot(m)
	next.word = word
	return st.published.CompareAndSwap(s, next), nil
}

// metaOf returns the meta of commit n, or nil if no slot holds it.
func (st *Store) metaOf(n page.Commit) (*page.Meta, error) {
	for i := range page.MetaSlots {
		c := candidate{slot: i}
		switch err := st.readMeta(&c); {
		case err == nil && c.meta.Commit == n && c.meta.Salt == st.salt && int(c.meta.PageSize) == st.pageSize:
			return &c.meta, nil
		case err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrInvalid): // one that is just being written is damaged
			return nil, err
		}
	}
	return nil, nil
}

// failedAnywhere reports whether a flush or meta write has failed, here or in another process that has the database open.
func (st *Store) failedAnywhere() bool {
	if st.failed() == nil && st.table().published.Load()&publishedFailed != 0 {
		st.failedElsewhere()
	}
	return st.failed() != nil
}

// failedElsewhere does what fail does, after a failure in another process.
func (st *Store) failedElsewhere() {
	if st.failed() == nil {
		err := fmt.Errorf("%w: a flush or meta write failed in another process that has the database open", ErrFailed)
		st.failure.CompareAndSwap(nil, &err)
	}
	st.verified.Load().disable()
}

// forgetMax bounds the records that are read to learn what was written: beyond, all is verified again.
const forgetMax = 1000

// forget clears the verified bits of all that was written after commit from, up to m.
func (st *Store) forget(from page.Commit, m *page.Meta) {
	l := m.Record
	for range forgetMax {
		if l.Commit == from {
			return
		}
		if l.Commit < from || !st.forgetOne(&l, m.HighWater) {
			break
		}
	}
	st.verified.Load().reset()
}

// forgetOne clears the bits of what the commit of record l wrote, and makes l the one before it. The record is copied and its checksum is
// compared, so it can be read even if a checkpoint has made it superfluous, as long as its pages were not used again.
func (st *Store) forgetOne(l *page.Link, limit page.No) bool {
	var parts []part
	rec, err := st.verifyRecord(*l, limit, &parts)
	if err != nil {
		return false
	}
	written, err := freelist.DecodeExtents(rec.Written, rec.HighWater)
	if err != nil {
		return false
	}
	for _, e := range append(written, st.extentOf(*l)) {
		st.verified.Load().clear(e.Page, e.Len)
	}
	*l = rec.Prev
	return true
}
