package tx

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"mmdb/mmapfile"
	"mmdb/page"
)

// One process at a time writes: the one that holds the writer's byte of the database file. It keeps the byte while it has something to
// publish, and as long as nobody else wants it. Who waits takes a number in the lock file, and says there that somebody
// waits; the holder hands over when it has nothing under way, or after roleTime. Waiting processes take their turns in order. While
// processes write in turns, each gives the byte back as soon as it has nothing under way: nobody has to wait for a holder to notice.
//
// Who takes the byte after another process reads the metas anew, as an open does, and what has changed in the free list. The lock file says
// whether the last holder left it clean. If it died, its newest commit is adopted first (I5), as recovery does: readers of what was
// published go on meanwhile.
type role struct {
	held    bool
	watched bool                      // watchRole runs
	turn    uint64                    // the number of the turn in which this process wrote last
	since   time.Time                 // when the turn began
	wrote   bool                      // this process has had a turn
	others  atomic.Pointer[time.Time] // when a turn began that followed one of another process
	reaped  time.Time                 // when dead processes were looked for
}

const (
	// roleTime is how long a process with many writers keeps the byte while others wait.
	roleTime = 10 * time.Millisecond
	// roleTick is how often an idle holder looks whether somebody waits, and roleIdle how often until it gives the byte
	// back unasked: a reader without a lock file can't ask.
	roleTick = 2 * time.Millisecond
	roleIdle = 10
	// roleMixed is how long after a turn of another process each turn is as short as can be, and roleLazy how long it is if that takes a flush
	// that would not be needed otherwise.
	roleMixed = 20 * time.Millisecond
	roleLazy  = 2 * time.Millisecond
	// roleLook is how often at most a process that waits looks whether the byte is free.
	roleLook = 10 * time.Microsecond
	// roleFree is how long the byte may be free before who waits does not wait for its turn any more: the process that is next is stopped.
	roleFree = 10 * time.Millisecond
	// reapTime is how often dead processes are looked for.
	reapTime = 500 * time.Millisecond
)

// takeRole makes this process the writer. The caller holds the writer lock of the process.
func (st *Store) takeRole(ctx context.Context) (err error) {
	st.admit()
	r := &st.role
	if st.lockFile() == nil || r.held {
		return nil
	}
	if err := st.waitRole(ctx); err != nil {
		return err
	}
	defer func() {
		if !r.held {
			_ = st.locks.UnlockWriter()
		}
	}()
	if err := st.beginTurn(); err != nil {
		return err
	}
	r.held, r.wrote, r.since = true, true, time.Now()
	if !r.watched {
		r.watched = true
		go st.watchRole()
	}
	return nil
}

// waitRole takes the writer's byte, in turn.
func (st *Store) waitRole(ctx context.Context) error {
	lf := st.lockFile()
	if lf.words[atWant].Load() == 0 {
		if busy, err := isTaken(st.locks.LockWriter(true, -1)); !busy {
			return err
		}
	}
	number := lf.proc(lf.self)[atNumber:][:1]
	number[0].Store(lf.words[atTicket].Add(1))
	defer number[0].Store(0)
	var free time.Time // since when the byte is not held
	for began := time.Now(); ; {
		lf.words[atWant].Store(1)
		mine := lf.isNext(number[0].Load())
		if !mine {
			held, err := st.locks.WriterHeld()
			switch {
			case err != nil:
				return err
			case held:
				free = time.Time{}
			case free.IsZero():
				free = time.Now()
			case time.Since(free) > roleFree:
				lf.reap()
				mine = true
			}
		}
		if mine {
			if busy, err := isTaken(st.locks.LockWriter(true, -1)); !busy {
				return err
			}
		}
		// The longer it takes, the longer it may still take: commits take tens of microseconds, those of a holder that sleeps much more.
		if err := sleep(ctx, min(max(time.Since(began)/8, roleLook), time.Millisecond)); err != nil {
			return err
		}
	}
}

// sleep waits for d, or gives up when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d < time.Millisecond {
		mmapfile.Pause(d)
		return ctx.Err()
	}
	if ctx.Done() == nil {
		time.Sleep(d)
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isNext reports whether no other process waits with a lower number.
func (lf *lockFile) isNext(number uint64) bool {
	for i := range procMax {
		if n := lf.proc(i)[atNumber].Load(); n != 0 && n < number {
			return false
		}
	}
	return true
}

// beginTurn makes the state of the writer that of the file.
func (st *Store) beginTurn() error {
	lf, r := st.lockFile(), &st.role
	if err := lf.intact(); err != nil {
		return err
	}
	lf.words[atWant].Store(0) // those who still wait say so again
	if st.failedAnywhere() {
		return st.failed()
	}
	st.reap()
	last := lf.words[atWriter].Load()
	turn := lf.words[atTurn].Add(1)
	switch {
	case turn <= r.turn: // an older copy of it was put into the lock file
		return lockError(lf.path, errLockOther)
	case last != 0:
		if err := st.takeOver(); err != nil {
			return err
		}
	case turn != r.turn+1:
		now := time.Now()
		r.others.Store(&now)
		if err := st.reload(); err != nil {
			return err
		}
		if st.closed { // what readers see does not matter any more
			st.w.tip = nil
			break
		}
		if err := st.continueFrom(); err != nil {
			return err
		}
	}
	r.turn = turn
	lf.words[atWriter].Store(uint64(lf.self) + 1)
	return nil
}

// reap gives back what dead processes have left, now and then.
func (st *Store) reap() {
	if st.lockFile() == nil || time.Since(st.role.reaped) < reapTime {
		return
	}
	st.role.reaped = time.Now()
	if n := st.lockFile().reap(); n > 0 {
		st.log.Info("mmdb: processes that had the database open have died", "path", st.path, "processes", n)
	}
}

// reload reads what another process has left: size and metas now, the free list when it is needed.
func (st *Store) reload() error {
	w := st.w
	size, err := st.file.Size()
	if err != nil {
		return err
	}
	all, err := st.readMetas()
	if err != nil {
		return err
	}
	clear(w.slots[:])
	for _, c := range all {
		w.slots[c.slot] = metaSlot{valid: true, meta: c.meta}
	}
	w.marked = !w.looksClosed()
	w.fileSize = size
	if w.space != nil {
		w.lastTurn = lastTurn{w.space, w.chain}
	}
	w.space, w.chain = nil, nil
	return nil
}

// continueFrom makes the published commit what the writer goes on from.
func (st *Store) continueFrom() error {
	if err := st.refresh(); err != nil {
		return err
	}
	st.w.tip = st.published.Load()
	st.window.reset(st.w.tip.meta.Commit) // who gives the byte back, or recovers, has made it durable
	return nil
}

// takeOver recovers the database from a writer that died: its newest commit is adopted if it is whole, and published. What was
// published is durable, so nothing older may be taken.
func (st *Store) takeOver() error {
	size, err := st.file.Size()
	if err != nil {
		return err
	}
	st.log.Warn("mmdb: the process that was writing has died, or was killed: its last commit is recovered", "path", st.path)
	if err := st.refresh(); err != nil {
		return err
	}
	clear(st.w.slots[:])
	st.w.fileSize = size
	published := st.published.Load()
	m, err := st.recoverBeside()
	if unsure := (unsureError{}); errors.As(err, &unsure) {
		return st.fail(fmt.Errorf("take over from a process that died: %w", err))
	}
	st.w.marked = !st.w.looksClosed()
	if err == nil && m.Commit < published.meta.Commit {
		err = page.Corruptf(m.Record.Page, "commit %d was published, and is not whole any more", published.meta.Commit)
	}
	if err != nil {
		return fmt.Errorf("take over from a process that died: %w", err)
	}
	if m.Commit > published.meta.Commit {
		st.forget(published.meta.Commit, m)
		if err := st.remap(int64(m.HighWater) << st.shift); err != nil {
			return err
		}
		if err := st.show(st.newSnapshot(m)); err != nil {
			return err
		}
	}
	st.w.space, st.w.chain, st.w.lastTurn = nil, nil, lastTurn{}
	return st.continueFrom()
}

// recoverBeside is recover while other goroutines may call Sync.
func (st *Store) recoverBeside() (*page.Meta, error) {
	st.takeFlight()
	defer st.leaveFlight()
	if err := st.failed(); err != nil { // of a Sync that was waited for
		return nil, err
	}
	m, err := st.recover()
	return m, firstError(err, st.besideFailed())
}

// giveRole ends the turn. The caller holds the writer lock of the process, and all that ran under it is published.
func (st *Store) giveRole() error {
	r := &st.role
	if !r.held {
		return nil
	}
	flushed := st.emptyWindow() // the next one does not know what is not durable yet
	r.held = false
	// What this process did to its mapping is seen by a refresh from here on.
	st.refreshing.Lock()
	defer st.refreshing.Unlock()
	var err error
	if st.failed() == nil {
		err = st.inLock(func() { st.lockFile().words[atWriter].Store(0) })
	}
	return firstError(flushed, err, st.locks.UnlockWriter())
}

// roleWanted reports whether another process waits for the writer's byte, which this one holds.
func (st *Store) roleWanted() (wanted bool) {
	if st.lockFile() == nil {
		return false
	}
	_ = st.inLock(func() { wanted = st.lockFile().words[atWant].Load() != 0 })
	return wanted
}

// turnIsOver reports whether this process has had the byte for a while, and another one waits for it. The caller holds the writer lock of the
// process.
func (st *Store) turnIsOver() bool {
	return st.role.held && st.roleWanted() && time.Since(st.role.since) >= roleTime
}

// handOver gives the byte to a process that waits. The caller holds the writer lock of the process, and goes on with takeRole.
func (st *Store) handOver() error {
	st.drain()
	return st.giveRole()
}

// mixed reports whether another process has had a turn in the last d.
func (r *role) mixed(d time.Duration) bool {
	at := r.others.Load()
	return at != nil && time.Since(*at) < d
}

// offerRole gives the byte to a process that waits, or may come soon, if nobody here does. The caller has ended a write transaction.
func (st *Store) offerRole() {
	if st.lockFile() == nil || st.queued.Load() > 0 || !st.role.mixed(roleMixed) && !st.roleWanted() || !st.mu.TryLock() {
		return
	}
	defer st.mu.Unlock()
	if !st.role.held || st.closed || !st.quiet() {
		return
	}
	if !st.lazyPending() || st.role.mixed(roleLazy) || st.roleWanted() {
		st.noteRole(st.giveRole())
	}
}

// lazyPending reports whether there are commits that are not durable: to give the byte back takes a flush then. The caller holds the
// writer lock.
func (st *Store) lazyPending() bool {
	return st.w.tip != nil && st.window.base() < st.w.tip.meta.Commit
}

// noteRole logs an error of giving the byte back, which nobody else can see.
func (st *Store) noteRole(err error) {
	if err != nil && !errors.Is(err, ErrDatabaseNotOpen) {
		st.log.Warn("mmdb: give the writer lock back", "path", st.path, "error", err)
	}
}

// watchRole gives the byte back when this process has nothing to write in its turn and another one waits, or some time has passed. It ends some
// time after the turn.
func (st *Store) watchRole() {
	commits, turn, idle := st.counts.commits.Load(), uint64(0), 0
	for {
		time.Sleep(roleTick)
		idle++
		if n := st.counts.commits.Load(); n != commits {
			commits, idle = n, 0
		}
		if !st.mu.TryLock() {
			continue
		}
		r := &st.role
		if r.turn != turn {
			turn, idle = r.turn, 0
		}
		if st.closed || !r.held && idle >= roleIdle {
			r.watched = false
			st.mu.Unlock()
			return
		}
		if r.held && st.quiet() && (idle >= roleIdle && !st.lazyPending() || st.queued.Load() == 0 && st.roleWanted()) {
			st.noteRole(st.giveRole())
		}
		st.mu.Unlock()
	}
}

// quiet reports whether all that this process has run is published. The caller holds the writer lock.
func (st *Store) quiet() bool { return st.w.group == nil && st.idle() }
