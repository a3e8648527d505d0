//go:build !amd64 || race

package mmapfile

import "sync/atomic"

// Release stores v in w after all that the caller has read and written before, for all threads of all processes. Others see it soon:
// what the caller reads afterwards it may read before they do.
func Release(w *atomic.Uint64, v uint64) { w.Store(v) }
