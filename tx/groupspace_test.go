package tx

import (
	"bytes"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"mmdb/mmapfile"
	"mmdb/page"
)

// The file is not cut back to what the metas need while an open group counts on what is behind it (I7).
func TestSpaceThatAGroupHasSecuredStays(t *testing.T) {
	g, path := newGate(), newPath(t)
	var full atomic.Bool
	st := openStore(t, path, &Options{Seam: func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		if full.Load() && op.Path == path && op.Kind == mmapfile.OpAllocate {
			return 0, syscall.ENOSPC
		}
		return g.seam(op, do)
	}})
	noError(t, putKeys(st, 0, 1))
	g.close(true)
	first := later(func() error { return putKeys(st, 1, 10) })
	<-g.held
	a := joinGroup(t, st, func(tx *Tx) error { return putInto(tx, 10, 20) })
	b := joinGroup(t, st, func(tx *Tx) error { return largeInto(tx, "large", 8<<20) })
	full.Store(true)
	g.let(nil)
	noError(t, errors.Join(<-first, <-a, <-b))
}

// seenKeys returns the values of keys 0 to n, and a function that makes sure that they do not change.
func seenKeys(t *testing.T, tx *Tx, n int) (unchanged func()) {
	b := tx.Bucket([]byte("b"))
	var values [][]byte
	for i := range n {
		values = append(values, b.Get(testKey(i)))
	}
	return func() {
		t.Helper()
		for i, v := range values {
			if !bytes.Equal(v, testValue(i)) {
				t.Fatalf("value %d changed", i)
			}
		}
	}
}

// A Check in an Update publishes what ran before. If that fails, the function fails, but what it has read stays until it ends (I2).
func TestAFailedCheckLeavesAnUpdateWhatItHasRead(t *testing.T) {
	p := new(tape)
	g := newGate()
	st := openStore(t, newPath(t), &Options{Seam: func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		return g.seam(op, func(op mmapfile.Op) (int, error) { return p.seam(op, do) })
	}})
	noError(t, putKeys(st, 0, 10))
	g.close(true)
	first := later(func() error { return putKeys(st, 0, 10) })
	<-g.held
	a := joinGroup(t, st, func(tx *Tx) error { return putInto(tx, 10, 1000) })
	err := st.Update(func(tx *Tx) error {
		unchanged := seenKeys(t, tx, 1000)
		p.set(func(_ int, op mmapfile.Op) error {
			if op.Kind == mmapfile.OpWrite && op.Offset >= page.MetaSlots*page.MetaStride {
				return syscall.ENOSPC
			}
			return nil
		})
		g.let(nil)
		for err := range tx.Check() {
			wantError(t, err, syscall.ENOSPC)
		}
		p.set(nil)
		unchanged()
		return errors.Join(keysAre(tx, 1000), putInto(tx, 100, 300))
	})
	wantError(t, err, syscall.ENOSPC)
	noError(t, <-first)
	wantError(t, <-a, syscall.ENOSPC)
	wantKeys(t, st, 10)
	noError(t, putKeys(st, 10, 100))
	wantKeys(t, st, 100)
}

func TestSlicesSurviveACheckThatMapsAnew(t *testing.T) {
	st := openReserved(t, 2<<20, Options{})
	noError(t, putKeys(st, 0, 1000))
	st.takeFlight() // by a Sync, say
	a := joinGroup(t, st, func(tx *Tx) error { return largeInto(tx, "large", 3<<20) })
	noError(t, st.Update(func(tx *Tx) error {
		unchanged := seenKeys(t, tx, 1000)
		st.leaveFlight()
		for err := range tx.Check() {
			t.Error("check:", err)
		}
		if len(st.mappings()) < 2 {
			t.Error("nothing was mapped anew, so the test does not test what it says")
		}
		unchanged()
		return nil
	}))
	noError(t, <-a)
}
