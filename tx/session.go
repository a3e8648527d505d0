package tx

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mmdb/page"
)

// Who opens the database and finds nobody there keeps the presence lock exclusively for another moment. What it shares with others later, the
// contents of the lock file and the table of readers in it, costs a quarter of the open, most of it for the first store to a page of
// a file, and a program that looks something up and ends needs none of it. After admitAfter, or before it first writes, it lets
// others in. Who comes earlier waits for that as for the rest of the open.

// admitAfter is longer than it takes to look something up, and shorter than anybody notices who waits.
const admitAfter = time.Millisecond

// keepOut leaves it to a timer to let others in, with lf as the lock file.
func (st *Store) keepOut(lf *lockFile) {
	st.mu.Lock() // the timer may be early
	defer st.mu.Unlock()
	st.pending = lf
	st.admission = time.AfterFunc(admitAfter, func() {
		st.mu.Lock()
		defer st.mu.Unlock()
		if !st.closed {
			st.admit()
		}
	})
}

// admit lets other processes open the database, unless it has done so. If that fails the database stays open exclusively, which is logged. The
// caller holds the writer lock.
func (st *Store) admit() {
	lf := st.pending
	if lf == nil {
		return
	}
	st.pending = nil
	st.admission.Stop()
	table, err := st.makeSession(lf)
	if err != nil {
		if err := st.withoutSession(lf.discard(err)); err != nil {
			st.log.Warn("mmdb: the database is open exclusively", "path", st.path, "error", err)
		}
		return
	}
	st.share(lf, table)
	if st.failed() != nil { // by a Sync: nobody was told of it yet
		st.shareFailure()
	}
	err = st.inLock(func() {
		st.elders.count(table)
		st.elders.settle()
	})
	if err = firstError(err, st.locks.LockPresence(false, -1), st.locks.UnlockWriter()); err != nil {
		st.log.Warn("mmdb: let other processes open the database", "path", st.path, "error", err)
	}
	go st.watchElders()
}

// makeSession makes lf the lock file of a new session, with this process as the first, and returns its table of readers.
func (st *Store) makeSession(lf *lockFile) (table *readerTable, err error) {
	session := rand.Uint64()
	if lf.file == nil {
		own, err := ownedLockFile(lf.path, st.file)
		if err != nil {
			return nil, err // which names it
		}
		lf.file = own.file
	}
	if err := lf.fill(); err != nil {
		return nil, err
	}
	if err := lf.begin(bind(st.file, lf.file, st.salt), session); err != nil {
		return nil, err
	}
	if err := st.locks.LockByte(sessionByte(session), false, -1); err != nil {
		return nil, err
	}
	err2 := lf.mem.Catch(func() error {
		lf.words[atTurn].Store(1)
		if st.readOnly { // the newest commit may have to be adopted: the first writer sees to it
			lf.words[atWriter].Store(procMax + 1)
		}
		if table, err = newSharedTable(lf); err == nil {
			s := st.w.tip
			table.published.Store(s.word)
			err = st.elders.expect(st.table(), table, s.meta.Commit)
		}
		return err
	})
	return table, firstError(err, err2)
}

// share makes table, in lf, the one where readers are found. A transaction that is just about to begin finds another snapshot then, and
// begins again with that one's table. One that began earlier is among the elders.
func (st *Store) share(lf *lockFile, table *readerTable) {
	old := st.w.tip
	next := *old
	next.readers = table
	st.placeRoot(&next)
	st.role.turn = 1
	st.shared.Store(lf)
	st.readers.Store(table)
	st.w.tip = &next
	st.published.CompareAndSwap(old, &next) // unless the database is being closed
}

// withoutSession opens the database, or keeps it open, alone, after no lock file could be made because of err.
func (st *Store) withoutSession(err error) error {
	switch {
	case st.readOnly:
		st.log.Warn("mmdb: no lock file: nobody can write to the database while it is open", "path", st.path, "error", err)
		return firstError(st.locks.LockWriter(false, -1), st.locks.UnlockPresence())
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT): // somebody has to make room
		st.log.Warn("mmdb: no room for the lock file: the database is open exclusively", "path", st.path, "error", err)
		return nil
	}
	return fmt.Errorf("%w (Options.Exclusive needs no lock file)", err)
}

// Elders are the read transactions that began before others were let in: in a table that others can't see. All of them read the same
// commit, since nothing was written before. Slots of the shared table hold that commit while they last, as many as there are.
type elders struct {
	mu      sync.Mutex
	table   *readerTable
	slots   []*readerSlot
	counted bool        // no further one begins
	some    atomic.Bool // there are slots
}

// expect takes a slot for readers of commit n in the table old, before it is known whether there are any: nobody else is let in without.
func (e *elders) expect(old, shared *readerTable, n page.Commit) error {
	slot, err := shared.find(uint64(n))
	if err == nil {
		e.table, e.slots = old, []*readerSlot{slot}
		e.some.Store(true)
	}
	return err
}

// count takes a slot for each, now that no further transaction begins in the old table: one that tries ends at once. If there is no room the
// first slot does.
func (e *elders) count(shared *readerTable) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counted = true
	for e.table.open() > len(e.slots) {
		slot, err := shared.find(e.slots[0].Load())
		if err != nil {
			return
		}
		e.slots = append(e.slots, slot)
	}
}

// settle gives back the slots of those that have ended, and returns how many are left. It may be called before count.
func (e *elders) settle() (left int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.slots) == 0 || !e.counted {
		return len(e.slots)
	}
	for open := e.table.open(); len(e.slots) > open; e.slots = e.slots[:len(e.slots)-1] {
		e.slots[len(e.slots)-1].Store(0)
	}
	e.some.Store(len(e.slots) > 0)
	return len(e.slots)
}

// eldersEvery is how often it is looked whether elders have ended, at most.
const eldersEvery = time.Second

// watchElders gives the elders' slots back while nobody here asks for readers: a writer of this process looks before it takes free pages.
func (st *Store) watchElders() {
	for pause := admitAfter; ; pause = min(2*pause, eldersEvery) {
		left := 0
		if err := st.inLock(func() { left = st.elders.settle() }); err != nil || left == 0 {
			return
		}
		time.Sleep(pause)
	}
}
