package mmapfile

import "golang.org/x/sys/unix"

const (
	reserveFlags  = unix.MAP_GUARD // address space to be replaced by later fixed mappings
	populateFlag  = 0
	noReserveFlag = 0
	noAtimeFlag   = 0
)

// msyncReachesDevice: not promised here.
const msyncReachesDevice = false

// sysWritev writes buffer by buffer: golang.org/x/sys has no pwritev for this system.
func sysWritev(fd int, bufs [][]byte, off int64) (n int, err error) {
	for _, b := range bufs {
		k, err := unix.Pwrite(fd, b, off+int64(n))
		if k > 0 {
			n += k
		}
		if err != nil || k < len(b) {
			return n, err
		}
	}
	return n, nil
}

func sysSync(fd int) error {
	_, _, errno := unix.Syscall(unix.SYS_FDATASYNC, uintptr(fd), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// sysSyncAll: there is no such call that waits, so a directory that can't be opened stays an error.
func sysSyncAll(int) error { return unix.EACCES }

// sysAllocate: posix_fallocate returns its error; EINVAL is how ZFS says that it can't.
func sysAllocate(fd int, off, n int64) error {
	r, _, errno := unix.Syscall(unix.SYS_POSIX_FALLOCATE, uintptr(fd), uintptr(off), uintptr(n))
	if errno == 0 {
		errno = unix.Errno(r)
	}
	switch errno {
	case 0:
		return nil
	case unix.EINVAL, unix.ENODEV:
		return ErrUnsupported
	}
	return errno
}

func sysPunch(int, int64, int64) error { return ErrUnsupported }

func sysPopulate(b []byte) error { return sysWillNeed(b) }

func sysResident([]byte) bool { return true }

// sysPin locks the part that the file has: the rest can't be.
func sysPin(_, present []byte) error {
	if len(present) == 0 {
		return nil
	}
	return unix.Mlock(present)
}

func sysAreas(uintptr, uintptr) (int, error) { return 0, ErrUnsupported }

// sysStart: a write sets out when the system sees fit.
func sysStart(int, int64, int64) error { return nil }

// sysDrop has no counterpart here.
func sysDrop(int) error { return ErrUnsupported }
