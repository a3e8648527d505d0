//go:build linux || darwin || freebsd

package mmapfile

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// All use of unsafe in this module is in this file and in pin_linux.go. The pointers are to memory that mmap gave,
// which the garbage collector neither moves nor frees, and they are turned into slices of exactly
// the length that was mapped, so every later access is bounds-checked. Nothing here turns an
// integer into a pointer.

// memReserve takes n bytes of address space without memory behind it.
func memReserve(n int) ([]byte, error) {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(n), unix.PROT_NONE, reserveFlags)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), n), nil
}

// memPlace maps the file from off on over dst, which is part of a reservation: MAP_FIXED replaces
// address space that is ours.
func memPlace(dst []byte, fd int, off int64, writable bool) error {
	prot := unix.PROT_READ
	if writable {
		prot |= unix.PROT_WRITE
	}
	_, err := unix.MmapPtr(fd, off, unsafe.Pointer(unsafe.SliceData(dst)), uintptr(len(dst)), prot, unix.MAP_SHARED|unix.MAP_FIXED)
	return err
}

// memTakeBack turns dst, which was placed, into reserved address space again.
func memTakeBack(dst []byte) error {
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(unsafe.SliceData(dst)), uintptr(len(dst)), unix.PROT_NONE, reserveFlags|unix.MAP_FIXED)
	return err
}

// memBlank puts memory of no file, all zero, in place of dst, which was placed. No access fails meanwhile.
func memBlank(dst []byte) error {
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(unsafe.SliceData(dst)), uintptr(len(dst)), unix.PROT_READ|unix.PROT_WRITE, sysFlags(Private|NoReserve, true)|unix.MAP_FIXED)
	return err
}

// memMap maps n bytes of a file, or of no file when fd is -1, wherever the kernel likes.
func memMap(fd int, off int64, n int, prot Prot, flags Flag) ([]byte, error) {
	p, err := unix.MmapPtr(fd, off, nil, uintptr(n), sysProt(prot), sysFlags(flags, fd < 0))
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), n), nil
}

// memUnmap gives the pages of b back; b comes from memReserve or memMap, or is a part of it that
// begins on a page.
func memUnmap(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b)))
}

// memAddr returns the address of the first byte of b, to compare with; it is never made a pointer again.
func memAddr(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// memWords shows b, which begins on a page, as words. An atomic.Uint64 is eight bytes and nothing else.
func memWords(b []byte) []atomic.Uint64 {
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/8)
}

func sysProt(p Prot) int {
	prot := unix.PROT_NONE
	if p&ProtRead != 0 {
		prot |= unix.PROT_READ
	}
	if p&ProtWrite != 0 {
		prot |= unix.PROT_WRITE
	}
	return prot
}

func sysFlags(f Flag, anonymous bool) int {
	flags := 0
	if f&Shared != 0 {
		flags |= unix.MAP_SHARED
	}
	if f&Private != 0 {
		flags |= unix.MAP_PRIVATE
	}
	if f&Populate != 0 {
		flags |= populateFlag
	}
	if f&NoReserve != 0 {
		flags |= noReserveFlag
	}
	if anonymous {
		flags |= unix.MAP_ANON
	}
	return flags
}
