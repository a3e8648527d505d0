//go:build amd64 && !race

package mmapfile

import (
	"sync/atomic"
	"unsafe"
)

// Release stores v in w after all that the caller has read and written before, for all threads of all processes. Others see it soon:
// what the caller reads afterwards it may read before they do, other than with w.Store, which waits for that.
func Release(w *atomic.Uint64, v uint64) {
	// The layout of atomic.Uint64 is that of its only field with a size. This architecture keeps the order of stores, and of loads
	// before them, so a plain one will do; it saves a locked instruction, and an eighth of the time of a read transaction that does nothing.
	*(*uint64)(unsafe.Pointer(w)) = v
}
