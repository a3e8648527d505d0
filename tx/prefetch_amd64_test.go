//go:build !purego

package tx

import (
	"testing"

	"mmdb/mmapfile"
)

// A page that is not there any more, or was cut off, is no reason to fault before it is read.
func TestPrefetchNeverFaults(t *testing.T) {
	r, err := mmapfile.Anonymous(64<<10, mmapfile.NoReserve)
	noError(t, err)
	b := r.Bytes()
	noError(t, r.Unmap())
	var tx Tx
	for _, n := range []int{1, 512, 4096, len(b)} {
		tx.prefetch(b[len(b)-n:])
	}
}
