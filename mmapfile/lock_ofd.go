//go:build linux || darwin

package mmapfile

import "golang.org/x/sys/unix"

// Open-file-description locks belong to one open of the file: they hold between two opens in one
// process, and closing some other descriptor of the file does not drop them.

func (f *File) tryPresence(fd int, mode lockMode) error { return lockByte(fd, presenceByte, mode) }

func (f *File) tryWriter(fd int, mode lockMode) error { return lockByte(fd, writerByte, mode) }

// tryAlone takes both bytes, which stand side by side.
func (f *File) tryAlone(fd int) error { return lockBytes(fd, presenceByte, 2, lockExclusive) }

// ByteLocks says that this system can lock single bytes of a file (LockByte).
const ByteLocks = true

func lockByte(fd int, at int64, mode lockMode) error { return lockBytes(fd, at, 1, mode) }

func lockBytes(fd int, at, n int64, mode lockMode) error {
	kind := int16(unix.F_UNLCK)
	switch mode {
	case lockShared:
		kind = unix.F_RDLCK
	case lockExclusive:
		kind = unix.F_WRLCK
	}
	return unix.FcntlFlock(uintptr(fd), ofdSetLock, &unix.Flock_t{Type: kind, Start: at, Len: n})
}

// heldBytes asks whether an exclusive lock of n bytes would be refused. Asking needs no right to write.
func heldBytes(fd int, at, n int64) (bool, error) {
	l := unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: n}
	err := unix.FcntlFlock(uintptr(fd), ofdGetLock, &l)
	return l.Type != unix.F_UNLCK, err
}

// unlockBytes gives back all locks of an open at once.
func unlockBytes(fd int) error {
	return unix.FcntlFlock(uintptr(fd), ofdSetLock, &unix.Flock_t{Type: unix.F_UNLCK})
}
