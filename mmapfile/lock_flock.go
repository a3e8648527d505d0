//go:build freebsd

package mmapfile

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// There are no open-file-description locks here. flock(2) belongs to one open of the file too, but
// there is only one per file: it serves as the presence lock, and whoever has that exclusively is
// the writer.

func (f *File) tryPresence(fd int, mode lockMode) error {
	how := unix.LOCK_UN
	switch mode {
	case lockShared:
		how = unix.LOCK_SH
	case lockExclusive:
		how = unix.LOCK_EX
	}
	return unix.Flock(fd, how|unix.LOCK_NB)
}

// tryWriter is called with lockMu held.
func (f *File) tryWriter(_ int, mode lockMode) error {
	if mode != lockNone && f.presence != lockExclusive {
		return fmt.Errorf("the writer lock needs the exclusive presence lock on this system: %w", ErrUnsupported)
	}
	return nil
}

// tryAlone takes the one lock that there is.
func (f *File) tryAlone(fd int) error { return f.tryPresence(fd, lockExclusive) }

// ByteLocks says that this system can lock single bytes of a file (LockByte).
const ByteLocks = false

func lockByte(int, int64, lockMode) error { return ErrUnsupported }

func heldBytes(int, int64, int64) (bool, error) { return false, ErrUnsupported }

// unlockBytes gives back the one lock of an open.
func unlockBytes(fd int) error { return unix.Flock(fd, unix.LOCK_UN) }
