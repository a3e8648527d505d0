package mmapfile

import "time"

// MaxLockByte is the highest byte that LockByte locks. Those above are the presence lock and the writer's.
const MaxLockByte = presenceByte - 1

// LockByte takes a lock of the byte at offset at, which need not exist: shared by any number of opens of the file, or exclusive
// to this one. A held lock changes its kind. Rules and timeout are those of LockPresence; the exclusive kind needs a
// file that is open for writing. What a byte means is the caller's business. Without ByteLocks it is ErrUnsupported.
func (f *File) LockByte(at int64, exclusive bool, timeout time.Duration) error {
	if at < 0 || at > MaxLockByte {
		return invalid(opByte, f.path, "byte %d", at)
	}
	mode := lockShared
	if exclusive {
		mode = lockExclusive
	}
	return f.wait(opByte, timeout, func(fd int) error {
		f.lockMu.Lock()
		defer f.lockMu.Unlock()
		err := lockByte(fd, at, mode)
		f.bytes = f.bytes || err == nil
		return err
	})
}

// UnlockByte gives the lock of a byte back.
func (f *File) UnlockByte(at int64) error {
	if at < 0 || at > MaxLockByte {
		return invalid(opByte, f.path, "byte %d", at)
	}
	return wrap("unlock a byte of", f.path, f.with(func(fd int) error { return lockByte(fd, at, lockNone) }))
}

// ByteHeld reports whether another open of the file, of this process or another, holds a lock of one of the n bytes from
// at on. The answer may be old when it arrives, unless the caller has another lock that keeps it true.
func (f *File) ByteHeld(at, n int64) (held bool, err error) {
	if at < 0 || n < 1 {
		return false, invalid(opByte, f.path, "bytes %d+%d", at, n)
	}
	err = f.with(func(fd int) (err error) {
		held, err = heldBytes(fd, at, n)
		return err
	})
	return held, wrap("ask for a lock of", f.path, err)
}

// WriterHeld is PresenceHeld for the writer's lock.
func (f *File) WriterHeld() (bool, error) { return f.ByteHeld(writerByte, 1) }
