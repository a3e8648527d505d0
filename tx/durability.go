package tx

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"mmdb/page"
)

// Durability says when a commit returns.
type Durability uint8

const (
	// Durable commits return when they are on the device. Nothing that was committed is ever lost.
	Durable Durability = iota
	// Lazy commits return when they are in the system's page cache, and are flushed later: every Options.SyncInterval, by
	// DB.Sync, by the next Durable commit, at Close. When only the process dies nothing is lost. After a power loss or a
	// crash of the system the database is as it was after some commit, not older than the last flush.
	Lazy
)

func (d Durability) valid() bool { return d <= Lazy }

// String returns the name in lower case.
func (d Durability) String() string {
	switch d {
	case Durable:
		return "durable"
	case Lazy:
		return "lazy"
	}
	return fmt.Sprintf("Durability(%d)", uint8(d))
}

// SetDurability says how t commits, in place of Options.Durability. A Lazy transaction whose commit is shared with a Durable
// one, or that is too large for it (16 MiB, or spilled), is made durable, and so is now and then one
// in a database with Options.MaxSize, which would run out of space for their records. It has no effect in a read transaction. With
// what is no Durability the transaction can't be committed: ErrDurability.
func (t *Tx) SetDurability(d Durability) {
	switch {
	case !t.writable:
	case !d.valid():
		t.fail(fmt.Errorf("%w: %v", ErrDurability, d))
	default:
		t.durability = d
	}
}

// A Lazy commit writes all that a durable one does, its meta too, but does not flush. The commits since the newest durable one
// are the window. The metas of its commits name that one as their base, and recovery verifies all that was written since and is
// still reached, with the checksums that the records list. So the newest durable meta stays in its slot, the other slots take turns,
// and no record of the window is used again while a meta reaches back to it (needRecords). Pages of the window are used again like any
// others. When the window grows beyond a bound, the next commit is made durable.
type window struct {
	durable atomic.Uint64 // the newest commit known to be durable
	bytes   atomic.Int64  // what recovery would have to verify; who owns the flight changes it
}

// base returns the newest commit known to be durable.
func (w *window) base() page.Commit { return page.Commit(w.durable.Load()) }

// reset makes the window empty: commit c is durable. An older one than was known to be tells nothing: another process has
// written meanwhile. A turn begins beside a Sync, so the newest known one never goes back.
func (w *window) reset(c page.Commit) {
	for {
		old := w.durable.Load()
		if uint64(c) < old {
			return
		}
		if w.durable.CompareAndSwap(old, uint64(c)) {
			w.bytes.Store(0)
			return
		}
	}
}

// The window is at most windowMax bytes, and less in a small database: half of it, or windowMin; and one in windowShare of Options.MaxSize,
// because its records take space until it is durable.
const (
	windowMax   = 64 << 20
	windowMin   = 4 << 20
	windowShare = 16
)

// windowLimit returns how many bytes the commits may write that are not durable yet.
func (w *writer) windowLimit() int64 {
	n := max(windowMin, min(windowMax, int64(w.tip.meta.HighWater)<<w.st.shift/2))
	if m := w.st.opts.MaxSize; m > 0 {
		n = min(n, m/windowShare)
	}
	return n
}

// Sync makes durable all that was committed before. It waits for a flush in progress, but not for transactions. With
// Durable commits there is nothing to do, but it flushes the file all the same, for what was changed by other means. Errors:
// ErrDatabaseNotOpen, ErrFailed, and ErrDatabaseReadOnly in a database that was opened read-only, where there is nothing to flush.
func (st *Store) Sync() error {
	if st.readOnly {
		return ErrDatabaseReadOnly
	}
	st.takeFlight()
	defer st.leaveFlight()
	s := st.published.Load()
	if s == nil {
		return ErrDatabaseNotOpen
	}
	return st.syncOwned(s)
}

// emptyWindow makes all that this process has committed durable. The caller holds the writer lock.
func (st *Store) emptyWindow() error {
	if st.w.tip == nil || st.window.base() >= st.w.tip.meta.Commit || st.failed() != nil {
		return nil
	}
	st.takeFlight()
	defer st.leaveFlight()
	return st.syncOwned(st.w.tip)
}

// syncOwned makes s and all before it durable. The caller owns the flight.
func (st *Store) syncOwned(s *snapshot) error {
	if err := st.failed(); err != nil {
		return err
	}
	return st.syncFile(s)
}

// syncFile flushes all of the file, of which s is the newest commit. The caller owns the flight.
func (st *Store) syncFile(s *snapshot) error {
	st.counts.flushes.Add(1)
	from := time.Now()
	if st.sabotaged(BugNoFlush) {
		st.window.reset(s.meta.Commit)
		return nil
	}
	if err := firstError(st.file.Sync(), st.besideFailed()); err != nil {
		return st.fail(fmt.Errorf("flush: %w", err))
	}
	st.counts.flushTook(time.Since(from))
	st.window.reset(s.meta.Commit)
	return nil
}

// A syncer flushes lazy commits after a while.
type syncer struct {
	once   sync.Once
	dirty  chan struct{} // there is something to flush
	urgent chan struct{} // there is much
	stop   chan struct{}
	ended  chan struct{}
	beside sync.Mutex // held during a flush beside commits, until its failure is known
}

// wake tells the syncer of st, which it starts if need be, that a lazy commit was made.
func (s *syncer) wake(st *Store, urgent bool) {
	s.once.Do(func() {
		s.dirty, s.urgent = make(chan struct{}, 1), make(chan struct{}, 1)
		s.stop, s.ended = make(chan struct{}), make(chan struct{})
		go s.run(st)
	})
	signal(s.dirty)
	if urgent {
		signal(s.urgent)
	}
}

// signal makes c ready without waiting.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *syncer) run(st *Store) {
	defer close(s.ended)
	timer := time.NewTimer(st.opts.SyncInterval)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.dirty:
		}
		timer.Reset(st.opts.SyncInterval)
		select {
		case <-s.stop:
			return
		case <-s.urgent:
		case <-timer.C:
		}
		if s := st.published.Load(); s == nil || s.meta.Commit == st.window.base() {
			continue
		}
		// Most of it goes out while commits go on; what they have written meanwhile is what holds them up.
		if st.flushBeside() != nil {
			return
		}
		if st.Sync() != nil {
			return
		}
		select { // what made it urgent meanwhile is flushed; if there is much again, the next commit tells
		case <-s.urgent:
		default:
		}
	}
}

// flushBeside flushes the file without owning the flight.
func (st *Store) flushBeside() error {
	st.syncer.beside.Lock()
	defer st.syncer.beside.Unlock()
	st.counts.flushes.Add(1)
	if err := st.file.Sync(); err != nil {
		return st.fail(fmt.Errorf("flush: %w", err))
	}
	return nil
}

// besideFailed waits for a flush beside commits, and returns the error that it or another failed with. The kernel tells that a
// write was lost only once, to one of the flushes that are in progress: another one is no proof until that is known.
func (st *Store) besideFailed() error {
	st.syncer.beside.Lock()
	defer st.syncer.beside.Unlock()
	return st.failed()
}

// end stops the syncer, if it was started.
func (s *syncer) end() {
	started := true
	s.once.Do(func() { started = false })
	if started {
		close(s.stop)
		<-s.ended
	}
}
