package tx

import (
	"bytes"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"mmdb/mmapfile"
)

// openReserved opens a new store as if only reserve bytes of address space were to be had, so that growth soon needs
// a new mapping.
func openReserved(t *testing.T, reserve int64, opts Options) *Store {
	t.Helper()
	opts.Seam = func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		switch op.Kind {
		case mmapfile.OpSync, mmapfile.OpMsync, mmapfile.OpSyncDir:
			return 0, nil // flushes cost time and prove nothing here
		}
		return do(op)
	}
	st, err := Open(filepath.Join(t.TempDir(), "db"), 0o600, &opts)
	if err != nil {
		t.Fatal(err)
	}
	noError(t, st.mapAgain(reserve))
	t.Cleanup(func() {
		checkStore(t, st)
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// mapAgain maps the file anew, with reserve bytes of address space, while no transaction is open.
func (st *Store) mapAgain(reserve int64) error {
	st.mu.Lock() // others may just be let in
	defer st.mu.Unlock()
	m, err := st.newMapping(reserve)
	if err != nil {
		return err
	}
	old := st.mapping
	st.mapping = m
	st.maps.Store(&[]retiredMap{{m: m}})
	st.verified.Store(newBitmap(uint64(m.Reserved()) >> st.shift))
	st.w.tip = st.newSnapshot(&st.published.Load().meta)
	return firstError(st.show(st.w.tip), old.Unmap())
}

// fillRound puts the pairs of a round: 100 values in leaves and a few in overflow runs.
func fillRound(tx *Tx, round int) error {
	b, err := tx.CreateBucketIfNotExists([]byte("b"))
	if err != nil {
		return err
	}
	for i := range 100 {
		n := 1000
		if i%10 == 0 {
			n = 100_000
		}
		if err := b.Put(roundKey(round, i), roundValue(round, n)); err != nil {
			return err
		}
	}
	return nil
}

func roundKey(round, i int) []byte { return fmt.Appendf(nil, "%04d/%04d", round, i) }

func roundValue(round, n int) []byte { return bytes.Repeat([]byte{byte(round)}, n) }

// compareRounds makes sure that b holds the pairs of the first n rounds, and nothing else.
func compareRounds(t *testing.T, b *Bucket, n int) {
	t.Helper()
	if b.Len() != uint64(100*n) {
		t.Fatalf("%d keys, want %d", b.Len(), 100*n)
	}
	i := 0
	for k, v := range b.All() {
		if !bytes.Equal(k, roundKey(i/100, i%100)) || !bytes.Equal(v, roundValue(i/100, len(v))) {
			t.Fatalf("pair %d changed: %q", i, k)
		}
		i++
	}
	if i != 100*n || b.tx.Err() != nil {
		t.Fatalf("%d pairs of %d, %v", i, 100*n, b.tx.Err())
	}
}

func TestReadersKeepTheirMappingWhenTheReservationIsUsedUp(t *testing.T) {
	st := openReserved(t, 2<<20, Options{})
	const rounds = 30
	var readers []*Tx
	var slices [][]byte
	most := 0
	for round := range rounds {
		if err := st.Update(func(tx *Tx) error { return fillRound(tx, round) }); err != nil {
			t.Fatal(err)
		}
		r, err := st.Begin(false) // in the same goroutine: a writer that waited for readers would wait for ever
		if err != nil {
			t.Fatal(err)
		}
		readers = append(readers, r)
		slices = append(slices, r.Bucket([]byte("b")).Get(roundKey(round, 0)))
		most = max(most, len(st.mappings()))
	}
	if most < 3 {
		t.Errorf("the file was mapped %d times, so the test does not test what it says", most)
	}
	for i, r := range readers {
		compareRounds(t, r.Bucket([]byte("b")), i+1)
		if !bytes.Equal(slices[i], roundValue(i, 100_000)) {
			t.Errorf("slice %d changed", i)
		}
		if err := r.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Update(func(tx *Tx) error { return fillRound(tx, rounds) }); err != nil {
		t.Fatal(err)
	}
	if n := len(st.mappings()); n != 1 {
		t.Errorf("%d mappings are left without a reader, want 1", n)
	}
}

func TestSlicesOfAWriteTransactionSurviveANewMapping(t *testing.T) {
	st := openReserved(t, 2<<20, Options{MaxDirty: 64 << 10})
	if err := st.Update(func(tx *Tx) error { return fillRound(tx, 0) }); err != nil {
		t.Fatal(err)
	}
	err := st.Update(func(tx *Tx) error {
		b := tx.Bucket([]byte("b"))
		var slices [][]byte
		for round := 1; round < 20; round++ { // spills, beyond the reservation
			slices = append(slices, b.Get(roundKey(round-1, 0)), b.Get(roundKey(round-1, 1)))
			if err := fillRound(tx, round); err != nil {
				return err
			}
			compareRounds(t, b, round+1)
		}
		for i, s := range slices {
			if !bytes.Equal(s, roundValue(i/2, len(s))) {
				t.Errorf("slice %d changed", i)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.View(func(tx *Tx) error { compareRounds(t, tx.Bucket([]byte("b")), 20); return nil }); err != nil {
		t.Fatal(err)
	}
}

// A flush fails without the writer lock, while a function that holds it may just make a new mapping: afterwards nothing counts as verified, in
// whichever mapping (I7).
func TestAFailureBesideANewMapping(t *testing.T) {
	st := openReserved(t, 1<<20, Options{Exclusive: true})
	noError(t, putKeys(st, 0, 200))
	wantKeys(t, st, 200)
	failed := make(chan error)
	go func() { failed <- st.fail(syscall.EIO) }()
	st.mu.Lock()
	err := st.remap(2 * st.mapping.Reserved())
	st.mu.Unlock()
	noError(t, err)
	wantError(t, <-failed, ErrFailed)
	for no := range st.published.Load().limit {
		if st.verified.Load().has(no) {
			t.Errorf("page %d counts as verified", no)
		}
	}
	wantKeys(t, st, 200)
}
