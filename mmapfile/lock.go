package mmapfile

import (
	"errors"
	"syscall"
	"time"
)

// lockMode is how a lock byte is held.
type lockMode uint8

const (
	lockNone lockMode = iota
	lockShared
	lockExclusive
)

// The lock bytes lie far beyond any data. A lock there needs no byte to exist.
const (
	presenceByte = int64(1) << 62
	writerByte   = presenceByte + 1
)

// Waiting for a lock means asking again and again: a wait in the kernel could not be given up.
const (
	firstPause  = time.Millisecond
	writerPause = 20 * time.Microsecond
	lastPause   = 25 * time.Millisecond
)

// LockPresence takes the lock that says "this file is in use": shared by any number of opens, or
// exclusive to this one. It excludes other opens of the same file, in this process and in others,
// through whatever links; goroutines that share one File are for the caller to keep apart. A held
// lock changes its kind. timeout 0 waits for ever, a negative one asks once; ErrTimeout says that
// the lock was not free. The exclusive kind needs a file that is open for writing.
//
// The lock ends with UnlockPresence, with Close and with the process.
func (f *File) LockPresence(exclusive bool, timeout time.Duration) error {
	mode := lockShared
	if exclusive {
		mode = lockExclusive
	}
	return f.wait(opPresence, timeout, func(fd int) error { return f.setPresence(fd, mode) })
}

// UnlockPresence gives the presence lock back.
func (f *File) UnlockPresence() error {
	return wrap("unlock", f.path, f.with(func(fd int) error { return f.setPresence(fd, lockNone) }))
}

// PresenceHeld reports whether another open of the file holds the presence lock, in whatever way. On systems without
// byte locks that is ErrUnsupported.
func (f *File) PresenceHeld() (bool, error) { return f.ByteHeld(presenceByte, 1) }

// LockWriter takes the lock of the one writer: exclusive to write, or shared with others to make sure that nobody writes
// meanwhile. Rules and timeout are those of LockPresence; waiting begins with shorter pauses, because a writer may need the lock
// for a fraction of a millisecond. On systems without byte locks it needs the exclusive presence lock.
func (f *File) LockWriter(exclusive bool, timeout time.Duration) error {
	mode := lockShared
	if exclusive {
		mode = lockExclusive
	}
	return f.wait(opWriter, timeout, func(fd int) error { return f.setWriter(fd, mode) })
}

// LockAlone takes the presence lock and the writer's, both exclusively, or neither: with one call where the system has byte locks. It asks
// once; ErrTimeout says that one of them was not free.
func (f *File) LockAlone() error {
	return f.wait(opPresence, -1, func(fd int) error {
		f.lockMu.Lock()
		defer f.lockMu.Unlock()
		err := f.tryAlone(fd)
		if err == nil {
			f.presence, f.writer = lockExclusive, lockExclusive
		}
		return err
	})
}

// UnlockWriter gives the writer lock back.
func (f *File) UnlockWriter() error {
	return wrap("unlock", f.path, f.with(func(fd int) error { return f.setWriter(fd, lockNone) }))
}

func (f *File) setPresence(fd int, mode lockMode) error {
	f.lockMu.Lock()
	defer f.lockMu.Unlock()
	err := f.tryPresence(fd, mode)
	if err == nil {
		f.presence = mode
	}
	return err
}

func (f *File) setWriter(fd int, mode lockMode) error {
	f.lockMu.Lock()
	defer f.lockMu.Unlock()
	err := f.tryWriter(fd, mode)
	if err == nil {
		f.writer = mode
	}
	return err
}

// wait calls try until it succeeds, fails for another reason than a lock that is held, or time is up.
func (f *File) wait(op string, timeout time.Duration, try func(fd int) error) error {
	var start time.Time
	pause := firstPause
	if op == opWriter {
		pause = writerPause
	}
	for {
		err := f.with(try)
		switch {
		case err == nil:
			return nil
		case !held(err) && !interrupted(err):
			return wrap(op, f.path, err)
		case timeout < 0:
			return wrap(op, f.path, ErrTimeout)
		case timeout > 0:
			if start.IsZero() {
				start = time.Now()
			}
			left := timeout - time.Since(start)
			if left <= 0 {
				return wrap(op, f.path, ErrTimeout)
			}
			time.Sleep(min(pause, left))
		default:
			time.Sleep(pause)
		}
		pause = min(2*pause, lastPause)
	}
}

// held reports whether err says that somebody else has the lock.
func held(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES)
}
