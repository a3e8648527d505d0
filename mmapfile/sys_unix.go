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
	return openRetry(path, accessFlag(readOnly)|openFlags, 0)
}

func accessFlag(readOnly bool) int {
	if readOnly {
		return unix.O_RDONLY
	}
	return unix.O_RDWR
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

// sysBlocking undoes the O_NONBLOCK that kept open from waiting, the only flag that could be set.
func sysBlocking(fd int, noAtime bool) error {
	if noAtime && noAtimeFlag != 0 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, noAtimeFlag); err == nil {
			return nil
		}
		// Only the file's owner may.
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0)
	return err
}

func sysDup(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }

func sysRead(fd int, p []byte, off int64) (int, error) { return unix.Pread(fd, p, off) }

// sysKind returns the type bits of what stands at path.
func sysKind(path string, follow bool) (os.FileMode, error) {
	var st unix.Stat_t
	for tries := 0; ; tries++ {
		var err error
		if follow {
			err = unix.Stat(path, &st)
		} else {
			err = unix.Lstat(path, &st)
		}
		if err != unix.EINTR || tries == maxInterrupts {
			return kindOf(&st), err
		}
	}
}

// sysKindOf returns the type bits of an open file, and which one it is.
func sysKindOf(fd int) (os.FileMode, Identity, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return kindOf(&st), identityOf(&st), err
}

// kindOf makes type bits of package os of the system's.
func kindOf(st *unix.Stat_t) os.FileMode {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return 0
	case unix.S_IFDIR:
		return os.ModeDir
	case unix.S_IFLNK:
		return os.ModeSymlink
	case unix.S_IFIFO:
		return os.ModeNamedPipe
	case unix.S_IFSOCK:
		return os.ModeSocket
	case unix.S_IFCHR, unix.S_IFBLK:
		return os.ModeDevice
	}
	return os.ModeIrregular
}

func sysSize(fd int) (int64, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return st.Size, err
}

// sysSpace counts blocks of 512 bytes, whatever those of the file system are.
func sysSpace(fd int) (size, allocated int64, err error) {
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return st.Size, int64(st.Blocks) * 512, err
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

// sysSyncDir flushes a directory, or where it can't be opened, the file system that it is on, by way of inside, a descriptor of a file in it.
// A negative one stands for file, which is opened where the directory is one to put files into, and not to look at.
func sysSyncDir(dir, file string, inside int) (err error) {
	fd, err := openRetry(dir, unix.O_RDONLY|unix.O_DIRECTORY|openFlags, 0)
	flush := unix.Fsync
	if err != nil && inside >= 0 { // it was renamed, say, or there is no descriptor left
		if e := sysSyncAll(inside); e != unix.EACCES {
			return e
		}
	} else if err == unix.EACCES {
		if inside, e := openRetry(file, unix.O_RDONLY|openFlags, 0); e == nil {
			fd, flush, err = inside, sysSyncAll, nil
		}
	}
	if err != nil {
		return err
	}
	defer func() {
		if e := unix.Close(fd); err == nil {
			err = e
		}
	}()
	return flush(fd)
}
