package tx

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// openTest opens a database that is checked and closed at the end of the test.
func openTest(t *testing.T, opts *Options) *Store {
	t.Helper()
	st, err := Open(filepath.Join(t.TempDir(), "test.mmdb"), 0o600, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.View(func(tx *Tx) error {
			for err := range tx.Check() {
				t.Error(err)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// update runs fn in an Update that must succeed.
func update(t *testing.T, st *Store, fn func(tx *Tx)) {
	t.Helper()
	if err := st.Update(func(tx *Tx) error { fn(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

// A bucket that was moved and opened again was reachable twice, through its handle and through its new cell, so a spill
// wrote its pages twice and freed them twice.
func TestMovedBucketOpenedAgainSpillsOnce(t *testing.T) {
	st := openTest(t, &Options{MaxDirty: 256 << 10})
	value := make([]byte, 100)
	update(t, st, func(tx *Tx) {
		a, _ := tx.CreateBucket([]byte("a"))
		d, _ := tx.CreateBucket([]byte("d"))
		c, _ := a.CreateBucket([]byte("c"))
		for i := range 300 {
			c.Put(fmt.Appendf(nil, "c%04d", i), value)
		}
		if err := a.MoveBucket([]byte("c"), d); err != nil {
			t.Fatal(err)
		}
		c = d.Bucket([]byte("c"))
		for i := range 5000 {
			a.Put(fmt.Appendf(nil, "a%05d", i), value)
			c.Put(fmt.Appendf(nil, "d%05d", i), value)
		}
		if tx.Stats().PagesSpilled == 0 {
			t.Error("nothing was spilled")
		}
	})
	st.View(func(tx *Tx) error {
		if n := tx.Bucket([]byte("d")).Bucket([]byte("c")).Len(); n != 5300 {
			t.Error(n, "keys")
		}
		return nil
	})
}

// With pages of 64 KiB a leaf is as large as a run that is written without a copy, and was compacted onto itself.
func TestLargestPagesWithRemovedCells(t *testing.T) {
	st := openTest(t, &Options{PageSize: 65536})
	for range 3 {
		update(t, st, func(tx *Tx) {
			b, _ := tx.CreateBucketIfNotExists([]byte("b"))
			for i := range 500 {
				b.Put(fmt.Appendf(nil, "%04d", i), make([]byte, 100+i))
			}
			for i := 0; i < 500; i += 2 {
				b.Delete(fmt.Appendf(nil, "%04d", i))
			}
		})
	}
}

// A value that PutReserve returned is no slice that must outlive the next change, but it may be that change's argument.
func TestReservedValueIsAnArgumentOfTheNextChange(t *testing.T) {
	st := openTest(t, nil)
	update(t, st, func(tx *Tx) {
		b, _ := tx.CreateBucket([]byte("b"))
		for i := range 2000 {
			key := fmt.Appendf(nil, "%05d", i*7919%2000)
			v, err := b.PutReserve(key, 700)
			if err != nil {
				t.Fatal(err)
			}
			copy(v, bytes.Repeat(key, 140))
			if err := b.Put(append([]byte("copy"), key...), v); err != nil {
				t.Fatal(err)
			}
		}
	})
	st.View(func(tx *Tx) error {
		b := tx.Bucket([]byte("b"))
		for i := range 2000 {
			key := fmt.Appendf(nil, "%05d", i)
			if want := bytes.Repeat(key, 140); !bytes.Equal(b.Get(key), want) || !bytes.Equal(b.Get(append([]byte("copy"), key...)), want) {
				t.Fatalf("%s differs", key)
			}
		}
		return nil
	})
}

// A cursor beside the first or last item lost its place when the bucket changed.
func TestCursorBesideTheItemsKeepsItsPlace(t *testing.T) {
	st := openTest(t, nil)
	update(t, st, func(tx *Tx) {
		b, _ := tx.CreateBucket([]byte("b"))
		c := b.Cursor()
		want := func(what string, k []byte, key string) {
			t.Helper()
			if string(k) != key {
				t.Errorf("%s: %q, want %q", what, k, key)
			}
		}
		k, _ := c.First()
		want("First of nothing", k, "")
		b.Put([]byte("m"), nil)
		k, _ = c.Next()
		want("Next from the start", k, "m")
		k, _ = c.SeekLE([]byte("a"))
		want("SeekLE before all", k, "")
		b.Put([]byte("n"), nil)
		k, _ = c.Next()
		want("Next from before all", k, "m")
		k, _ = c.Seek([]byte("y"))
		want("Seek behind all", k, "")
		b.Put([]byte("z"), nil)
		k, _ = c.Next()
		want("Next from between", k, "z")
	})
}

// In a full database a deletion was of no use until the file was opened again: only a further commit, for which there was
// no space, would have let go of what was deleted.
func TestFullDatabaseUsesWhatIsDeleted(t *testing.T) {
	st := openTest(t, &Options{MaxSize: 2 << 20})
	put := func(from int) (err error) {
		return st.Update(func(tx *Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			for i := from; i < from+40 && err == nil; i++ {
				err = b.Put(fmt.Appendf(nil, "%06d", i), make([]byte, 400))
			}
			return err
		})
	}
	n := 0
	for put(n) == nil {
		n += 40
	}
	update(t, st, func(tx *Tx) {
		if _, err := tx.Bucket([]byte("b")).DeleteRange(fmt.Appendf(nil, "%06d", n/2), nil); err != nil {
			t.Error(err)
		}
	})
	for i := n / 2; i < n-400; i += 40 {
		if err := put(i); err != nil {
			t.Fatal(i, n, err)
		}
	}
}

// A file that begins with zeros was taken for one that creation had left unfinished, whatever stood behind.
func TestForeignFileThatBeginsWithZerosIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	img := make([]byte, 1<<20)
	copy(img[600_000:], "somebody's data")
	if err := os.WriteFile(path, img, 0o600); err != nil {
		t.Fatal(err)
	}
	if st, err := Open(path, 0o600, nil); !errors.Is(err, ErrInvalid) {
		t.Error(err)
		st.Close()
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, img) {
		t.Error("the file was changed", err)
	}
}

// A loop that deletes each item and puts it again never ended: the cursor stood before the item that had come back.
func TestCursorPassesAnItemThatWasDeletedAndPutAgain(t *testing.T) {
	st := openTest(t, nil)
	update(t, st, func(tx *Tx) {
		b, _ := tx.CreateBucket([]byte("b"))
		for i := range 100 {
			b.Put(fmt.Appendf(nil, "%03d", i), nil)
		}
		n := 0
		c := b.Cursor()
		for k, _ := c.First(); k != nil && n < 1000; k, _ = c.Next() {
			if err := c.Delete(); err != nil {
				t.Fatal(err)
			}
			b.Put(k, []byte("again"))
			n++
		}
		if n != 100 {
			t.Error(n, "rounds")
		}
	})
}
