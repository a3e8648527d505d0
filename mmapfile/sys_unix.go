//go:build linux || darwin || freebsd

package mmapfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// supported says that this system can do what the package is for.
const supported = true

const openFlags = unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY

func sysOpen(path string, readOnly bool) (int, error) {
	flags := unix.O_RDWR
	if readOnly {
		flags = unix.O_RDONLY
	}
	return openRetry(path, flags|openFlags, 0)
}

func sysCreate(path string, mode os.FileMode) (int, error) {
	return openRetry(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|openFlags, uint32(mode.Perm()))
}

func openRetry(path string, flags int, mode uint32) (int, error) {
	for tries := 0; ; tries++ {
		fd, err := unix.Open(path, flags, mode)
		if err != unix.EINTR || tries == maxInterrupts {
			return fd, err
		}
	}
}

func sysClose(fd int) error { return unix.Close(fd) }

// sysBlocking undoes the O_NONBLOCK that kept open from waiting.
func sysBlocking(fd int) error { return unix.SetNonblock(fd, false) }

func sysSize(fd int) (int64, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return st.Size, err
}

func sysTruncate(fd int, size int64) error { return unix.Ftruncate(fd, size) }

func sysMsync(b []byte) error { return unix.Msync(b, unix.MS_SYNC) }

func sysAdvise(b []byte, a Advice) error {
	advice := unix.MADV_NORMAL
	switch a {
	case AdviceRandom:
		advice = unix.MADV_RANDOM
	case AdviceSequential:
		advice = unix.MADV_SEQUENTIAL
	}
	return unix.Madvise(b, advice)
}

func sysWillNeed(b []byte) error { return unix.Madvise(b, unix.MADV_WILLNEED) }

func sysUnpin(b []byte) error { return unix.Munlock(b) }

// sysSyncDir flushes a directory.
func sysSyncDir(dir string) (err error) {
	fd, err := openRetry(dir, unix.O_RDONLY|unix.O_DIRECTORY|openFlags, 0)
	if err != nil {
		return err
	}
	defer func() {
		if e := unix.Close(fd); err == nil {
			err = e
		}
	}()
	return unix.Fsync(fd)
}
