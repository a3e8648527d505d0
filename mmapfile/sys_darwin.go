package mmapfile

import (
	"errors"

	"golang.org/x/sys/unix"
)

const (
	reserveFlags  = unix.MAP_PRIVATE | unix.MAP_ANON | unix.MAP_NORESERVE
	populateFlag  = 0
	noReserveFlag = unix.MAP_NORESERVE
	noAtimeFlag   = 0
)

// msyncReachesDevice: here it stops at the device's cache.
const msyncReachesDevice = false

// F_OFD_SETLK and F_OFD_GETLK of sys/fcntl.h, which golang.org/x/sys does not name.
const (
	ofdSetLock = 90
	ofdGetLock = 92
)

func sysWritev(fd int, bufs [][]byte, off int64) (int, error) {
	if len(bufs) == 1 {
		return unix.Pwrite(fd, bufs[0], off)
	}
	return unix.Pwritev(fd, bufs, off)
}

// sysSync empties the device's cache too. File systems that can't (network ones) do what they can.
func sysSync(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_FULLFSYNC, 0)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, unix.ENOTTY) {
		return unix.Fsync(fd)
	}
	return err
}

// sysSyncAll: there is no such call that waits, so a directory that can't be opened stays an error.
func sysSyncAll(int) error { return unix.EACCES }

// sysAllocate sets space aside behind the end of the file; only whole growth is possible here.
func sysAllocate(fd int, off, n int64) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if off+n <= st.Size {
		return nil
	}
	store := unix.Fstore_t{Flags: unix.F_ALLOCATEALL, Posmode: unix.F_PEOFPOSMODE, Length: off + n - st.Size}
	if err := unix.FcntlFstore(uintptr(fd), unix.F_PREALLOCATE, &store); err != nil {
		return err
	}
	return unix.Ftruncate(fd, off+n)
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
