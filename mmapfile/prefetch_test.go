package mmapfile

import "testing"

// What is not there any more is no reason to fault before it is read.
func TestPrefetchNeverFaults(t *testing.T) {
	r, err := Anonymous(64<<10, NoReserve)
	if err != nil {
		t.Fatal(err)
	}
	b := r.Bytes()
	if err := r.Unmap(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 512, 4096, len(b)} {
		Prefetch(b[len(b)-n:])
	}
}
