package mmapfile

import (
	"bufio"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const (
	reserveFlags  = unix.MAP_PRIVATE | unix.MAP_ANON | unix.MAP_NORESERVE
	populateFlag  = unix.MAP_POPULATE
	noReserveFlag = unix.MAP_NORESERVE
	noAtimeFlag   = unix.O_NOATIME
)

// msyncReachesDevice: msync(MS_SYNC) writes what is dirty in the range, however it was written,
// and flushes the device.
const msyncReachesDevice = true

func sysWritev(fd int, bufs [][]byte, off int64) (int, error) {
	if len(bufs) == 1 {
		return unix.Pwrite(fd, bufs[0], off)
	}
	return unix.Pwritev(fd, bufs, off)
}

func sysSync(fd int) error { return unix.Fdatasync(fd) }

// sysSyncAll flushes the file system that fd is on.
func sysSyncAll(fd int) error { return unix.Syncfs(fd) }

func sysStart(fd int, off, n int64) error {
	return unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WRITE)
}

func sysDrop(fd int) error { return unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) }

func sysAllocate(fd int, off, n int64) error { return unix.Fallocate(fd, 0, off, n) }

func sysPunch(fd int, off, n int64) error {
	return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
}

// sysPopulate reads b in; kernels before 5.14 can only be asked to begin.
func sysPopulate(b []byte) error {
	err := unix.Madvise(b, unix.MADV_POPULATE_READ)
	if err == unix.EINVAL {
		return sysWillNeed(b)
	}
	return err
}

// sysAreas counts the areas of the kernel's list that overlap [from, to).
func sysAreas(from, to uintptr) (n int, err error) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		var lo, hi uint64
		if _, err := fmt.Sscanf(sc.Text(), "%x-%x ", &lo, &hi); err != nil {
			return 0, err
		}
		if lo < uint64(to) && hi > uint64(from) {
			n++
		}
	}
	return n, sc.Err()
}
