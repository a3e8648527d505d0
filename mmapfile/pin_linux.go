package mmapfile

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// sysPin locks all of b in memory and reads in present, the part of it that a file has. Locking on
// fault first: plain mlock fails for pages beyond the end of the file. b is mapped memory, which
// does not move; the system call only marks it.
func sysPin(b, present []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, _, errno := unix.Syscall(unix.SYS_MLOCK2, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MLOCK_ONFAULT)
	if errno != 0 {
		return errno
	}
	if len(present) == 0 {
		return nil
	}
	return sysPopulate(present)
}

// sysResident reports whether the page that b is, of a mapping, is in memory. The system call writes one byte, to vec. (A read
// that must not wait would need no address, but it starts reading ahead, and may find what it has started.)
func sysResident(b []byte) bool {
	var vec [1]byte
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(unsafe.Pointer(&vec)))
	return errno != 0 || vec[0]&1 != 0
}
