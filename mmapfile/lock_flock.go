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
