//go:build linux

package mmapfile

import "unsafe"

// ptr and slice let tests take over a piece of address space; see memory.go for why that is safe.
func ptr(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

func slice(p unsafe.Pointer, n int) []byte { return unsafe.Slice((*byte)(p), n) }
