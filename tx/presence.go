package tx

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"mmdb/mmapfile"
	"mmdb/page"
)

// Who has the database open (I12). The locks are on bytes of the database file itself, so they hold whatever name it was opened by:
//
//   - presence: shared by every open. Who gets it exclusively is alone: it creates the database or recovers it, and a moment
//     later makes the lock file anew and goes on with the shared one (session.go). An exclusive open keeps it.
//   - the writer's byte: see role. A reader that can use no lock file holds it shared, so that nobody writes meanwhile.
//   - the session: the first process draws a number, notes it in the lock file, and holds the byte with that number shared. Who comes later joins
//     only if somebody holds the byte that its lock file names, and then holds it too. So all who have the database open have the same
//     lock file, and one that was removed, replaced, left by an earlier session, or reached through another name is found out.
const (
	sessionsAt = int64(1) << 60
	sessions   = int64(1) << 60
)

// sessionByte returns the byte of the database file that stands for a session.
func sessionByte(number uint64) int64 { return sessionsAt + int64(number%uint64(sessions)) }

// exclusively reports whether the open keeps others out, because it was asked for, or because the system has no locks of bytes.
func (st *Store) exclusively() bool { return st.opts.Exclusive || !mmapfile.ByteLocks }

// openExclusive takes the exclusive presence lock, and opens the database. A read-only open shares it with others of its kind.
func (st *Store) openExclusive() error {
	if kind, _ := st.file.Network(); kind != "" {
		st.log.Warn("mmdb: the database is on a network file system: locks may not hold between computers", "path", st.path, "file system", kind)
	}
	if st.readOnly {
		if err := lockUnshared(st.file, st.opts.Timeout); err != nil {
			return err
		}
		return st.openAlone()
	}
	busy, err := isTaken(st.file.LockAlone())
	if busy {
		err = lockInTurn(st.file, true, st.opts.Timeout)
	}
	if err != nil {
		return err
	}
	return st.openAlone()
}

// lockInTurn takes the presence lock of f, and then the writer's, within timeout for both.
func lockInTurn(f *mmapfile.File, exclusive bool, timeout time.Duration) error {
	timeout = openTimeout(timeout)
	from := time.Now()
	if err := f.LockPresence(exclusive, timeout); err != nil || !exclusive && !mmapfile.ByteLocks {
		return err
	}
	if timeout > 0 {
		if timeout -= time.Since(from); timeout <= 0 {
			timeout = -1
		}
	}
	return f.LockWriter(exclusive, timeout)
}

// lockUnshared keeps all others from writing to f; who only reads may share it: one without a lock file must find that nobody is present.
func lockUnshared(f *mmapfile.File, timeout time.Duration) error {
	if err := lockInTurn(f, false, timeout); err != nil || !mmapfile.ByteLocks {
		return err
	}
	return f.UnlockPresence()
}

// openShared opens the database together with other processes.
func (st *Store) openShared() error {
	if kind, _ := st.file.Network(); kind != "" || st.opts.network {
		return fmt.Errorf("%s (%s): %w", st.path, kind, ErrNetwork)
	}
	if st.readOnly {
		if err := st.openLocks(); err != nil {
			return err
		}
	}
	wait := newPatience(st.opts.Timeout)
	for {
		ok, err := st.tryAlone()
		if !ok && err == nil {
			ok, err = st.tryJoin()
		}
		if ok || err != nil {
			return err
		}
		if !wait.pause() {
			return firstError(st.joinErr, fmt.Errorf("open %s: %w", st.path, ErrTimeout))
		}
	}
}

// openLocks opens the file of a read-only store once more, for its locks: to lock a byte exclusively takes the right to write. Without it the
// store makes do with shared locks.
func (st *Store) openLocks() error {
	f, err := mmapfile.Open(st.path, mmapfile.Options{})
	if err != nil {
		return nil
	}
	a, err := st.file.Identity()
	b, err2 := f.Identity()
	if err = firstError(err, err2); err == nil && !a.Same(b) {
		err = fmt.Errorf("%s was replaced while it was opened", st.path)
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	st.locks = f
	return nil
}

// busy reports whether a lock was not taken because somebody else has it. Other errors it passes on.
func isTaken(err error) (bool, error) {
	if errors.Is(err, ErrTimeout) {
		return true, nil
	}
	return false, err
}

// tryAlone opens the database if nobody else has it open.
func (st *Store) tryAlone() (ok bool, err error) {
	if st.locks.ReadOnly() {
		if held, err := st.locks.PresenceHeld(); held || err != nil {
			return false, err
		}
		return st.tryStatic()
	}
	busy, err := isTaken(st.locks.LockAlone())
	if err != nil {
		return false, err
	}
	if busy { // the locks one by one tell who is there
		if busy, err := isTaken(st.locks.LockPresence(true, -1)); busy || err != nil {
			return false, err
		}
		// Only readers without a lock file can have this. Who only reads need not wait for them: with it shared, nobody writes either.
		if busy, err := isTaken(st.locks.LockWriter(!st.readOnly, -1)); busy || err != nil {
			return false, firstError(err, st.locks.UnlockPresence())
		}
	}
	m, err := st.bringUp()
	if err != nil {
		return false, err
	}
	st.readers.Store(newReaderTable())
	lf, err := firstLockFile(st.file.RealPath()+lockSuffix, st.file)
	if err != nil {
		err = st.withoutSession(err)
		return err == nil, firstError(err, st.start(m, false))
	}
	if err := st.start(m, true); err != nil {
		return false, firstError(err, lf.drop())
	}
	st.keepOut(lf)
	return true, nil
}

// tryStatic opens the database without a lock file, so that nobody can write to it meanwhile.
func (st *Store) tryStatic() (ok bool, err error) {
	if busy, err := isTaken(st.locks.LockWriter(false, -1)); busy || err != nil {
		return false, err
	}
	if held, err := st.locks.PresenceHeld(); held || err != nil { // they came meanwhile, and would wait for this one to write
		return false, firstError(err, st.locks.UnlockWriter())
	}
	return true, st.openAlone()
}

// joinTime is for how long a lock file that does not fit is looked at again: a process that has just died keeps its locks for a moment. When
// all who had the database open have left, it begins anew.
const joinTime = 300 * time.Millisecond

// tryJoin opens the database together with those who have it open.
func (st *Store) tryJoin() (ok bool, err error) {
	if busy, err := isTaken(st.locks.LockPresence(false, -1)); busy || err != nil {
		st.joinErr = nil
		return false, err
	}
	if held, err := st.locks.ByteHeld(sessionsAt, sessions); !held || err != nil {
		st.joinErr = nil
		return false, firstError(err, st.locks.UnlockPresence()) // they have gone, or try too
	}
	if err := st.joinSession(); err != nil {
		st.dropLock()
		if st.joinErr == nil {
			st.joinSince = time.Now()
		}
		st.joinErr = err
		if time.Since(st.joinSince) > joinTime {
			return false, err
		}
		return false, st.locks.UnlockPresence()
	}
	if err := st.mapFile(); err != nil {
		return false, err
	}
	if err := st.refresh(); err != nil {
		return false, err
	}
	return true, st.prefault(&st.published.Load().meta)
}

// joinSession opens the lock file of those who have the database open, and makes this process one of them.
func (st *Store) joinSession() error {
	size, err := st.file.Size()
	if err != nil {
		return err
	}
	st.w = newWriter(st)
	st.w.fileSize = size
	if _, err := st.readMetas(); err != nil { // for page size and salt
		return fmt.Errorf("%s: %w", st.path, err)
	}
	lf, err := joinLockFile(st.file.RealPath()+lockSuffix, st.file, st.salt)
	if err != nil {
		return err
	}
	st.shared.Store(lf)
	at := sessionByte(lf.session)
	if held, err := st.locks.ByteHeld(at, 1); !held || err != nil {
		return lockError(lf.path, firstError(err, ErrLockFile))
	}
	if err := firstError(st.locks.LockByte(at, false, -1), lf.register(), lf.bound()); err != nil {
		return err
	}
	table, err := newSharedTable(lf)
	st.readers.Store(table)
	return err
}

// dropLock gives the lock file back.
func (st *Store) dropLock() {
	if lf := st.shared.Swap(nil); lf != nil {
		_ = lf.close()
	}
	st.readers.Store(nil)
}

// openAlone opens the database without sharing it.
func (st *Store) openAlone() error {
	st.readers.Store(newReaderTable())
	m, err := st.bringUp()
	if err != nil {
		return err
	}
	return st.start(m, false)
}

// A patience is the wait for others, with pauses that differ, so that two who wait for each other do not go on doing so.
type patience struct {
	until time.Time
	next  time.Duration
}

// openingTime is for how long an open waits at least: who is just opening the database lets others in soon.
const openingTime = 50 * time.Millisecond

// openTimeout returns for how long an open waits that was told timeout; zero is for ever.
func openTimeout(timeout time.Duration) time.Duration {
	if timeout == 0 {
		return 0
	}
	return max(timeout, openingTime)
}

func newPatience(timeout time.Duration) *patience {
	p := &patience{next: admitAfter / 2}
	if timeout = openTimeout(timeout); timeout > 0 {
		p.until = time.Now().Add(timeout)
	}
	return p
}

// pause waits a little, or reports that the time is up.
func (p *patience) pause() bool {
	d := p.next/2 + rand.N(p.next)
	if p.next *= 2; p.next > 20*time.Millisecond {
		p.next = 20 * time.Millisecond
	}
	if !p.until.IsZero() {
		left := time.Until(p.until)
		if left <= 0 {
			return false
		}
		d = min(d, left)
	}
	time.Sleep(d)
	return true
}

// openReaders returns how many read transactions of this process are open.
func (st *Store) openReaders() (n int, err error) {
	if st.lockFile() == nil {
		return st.table().open(), nil
	}
	return n, st.inLock(func() {
		st.elders.settle()
		n = st.table().open()
	})
}

// closeState leaves the file as a clean close does. With others about, it does so only if this process has written, and if no other one
// is about to write.
func (st *Store) closeState() (err error) {
	defer st.guard(enter(), &err)
	lf := st.lockFile()
	if lf == nil {
		if st.pending != nil {
			st.admission.Stop()
			if st.pending.file != nil {
				st.leaveLockFile(st.pending)
			}
		}
		return st.settle()
	}
	alone := !st.locks.ReadOnly() && st.locks.LockPresence(true, -1) == nil
	if alone {
		defer st.leaveLockFile(lf)
	}
	if st.readOnly || st.failed() != nil {
		return st.giveRole()
	}
	if !st.role.held {
		if !alone && !st.role.wrote {
			return nil
		}
		if busy, err := isTaken(st.locks.LockWriter(true, -1)); busy || err != nil {
			return err
		}
		if left := lf.words[atWriter].Load(); left != 0 { // for the next one that writes or opens the database
			return st.locks.UnlockWriter()
		}
		if err := st.beginTurn(); err != nil {
			return firstError(err, st.locks.UnlockWriter())
		}
		st.role.held = true
	}
	return firstError(st.settle(), st.giveRole())
}

// leaveLockFile leaves the lock file for the next open, and takes one away that not everybody can use who can use the database: another
// user has made it, or others have permission now. Who only reads leaves none where there was none. This process is alone, and keeps
// all others from opening the database meanwhile.
func (st *Store) leaveLockFile(lf *lockFile) {
	mine, err := lf.file.Identity()
	db, err2 := st.locks.Identity()
	stays := err == nil && err2 == nil && mine.SameAccess(db) && !(st.readOnly && lf.file.Created())
	if stays || !lf.file.SameFile(lf.path) {
		return
	}
	if err := mmapfile.Remove(lf.path, nil); err != nil {
		st.log.Warn("mmdb: remove the lock file", "path", lf.path, "error", err)
	}
}

// leave ends the use of the locks: this process is not one of those who have the database open any more.
func (st *Store) leave() (err error) {
	if lf := st.lockFile(); lf != nil {
		if err := lf.leave(); err != nil {
			st.log.Warn("mmdb: close", "path", st.path, "error", err)
		}
		err = lf.close()
	}
	if st.pending != nil {
		err = st.pending.drop()
	}
	if st.locks != nil && st.locks != st.file {
		err = firstError(err, st.locks.Close())
	}
	return err
}

// prefault reads the database into memory if Options.Prefault asks for it.
func (st *Store) prefault(m *page.Meta) error {
	if !st.opts.Prefault {
		return nil
	}
	if err := st.mapping.Populate(0, int64(m.HighWater)<<st.shift); err != nil && !errors.Is(err, mmapfile.ErrUnsupported) {
		return err
	}
	return nil
}
