//go:build unix

package tx

import (
	"testing"

	"golang.org/x/sys/unix"
)

// hugeSlice returns n bytes that may not be touched, and take no memory.
func hugeSlice(t *testing.T, n int) []byte {
	t.Helper()
	b, err := unix.Mmap(-1, 0, n, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	noError(t, err)
	t.Cleanup(func() { noError(t, unix.Munmap(b)) })
	return b
}
