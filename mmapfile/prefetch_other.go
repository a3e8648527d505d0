//go:build !amd64 || purego

package mmapfile

// Prefetches reports whether Prefetch does anything.
const Prefetches = false

// Prefetch would ask the processor for the memory of b.
func Prefetch([]byte) {}
