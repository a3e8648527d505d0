package tx

import (
	"bytes"
	"runtime/debug"
	"testing"
)

// The free end of the file that an older snapshot still counts may be cut off: its pages are free all the same, and nothing is damaged.
func TestPagesOfAReaderWhoseFreeEndWasCutOff(t *testing.T) {
	st := openStore(t, newPath(t), unflushed(Options{}))
	fill := func(from, to, size int) error {
		return st.Update(func(tx *Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			for i := from; i < to && err == nil; i++ {
				err = b.Put(testKey(i), make([]byte, size))
			}
			return err
		})
	}
	cut := func(from, to int) error {
		return st.Update(func(tx *Tx) error {
			_, err := tx.Bucket([]byte("b")).DeleteRange(testKey(from), testKey(to))
			return err
		})
	}
	noError(t, fill(0, 8000, 500))
	noError(t, fill(8000, 16_000, 500))
	noError(t, cut(100, 8000))
	noError(t, fill(0, 100, 400))
	older, err := st.Begin(false) // it keeps the high water where it is for the next one
	noError(t, err)
	noError(t, cut(8000, 16_000))
	for i := range 100 { // until nothing at the end is in use
		noError(t, fill(0, 100, 400+i%2))
	}
	old, err := st.Begin(false)
	noError(t, err)
	defer func() { noError(t, old.Rollback()) }()
	had := make(map[uint64][2][]byte) // of the pages that will be cut off, and others, with copies
	for no := range uint64(old.limit) {
		if no%16 == 0 || no < uint64(st.first) {
			b, err := old.PageBytes(no)
			noError(t, err)
			had[no] = [2][]byte{b, bytes.Clone(b)}
		}
	}
	noError(t, older.Rollback())
	for i := 0; i < 1000 && st.w.fileSize >= old.Size()/2; i++ {
		noError(t, fill(0, 1, 400+i%2))
	}
	if st.w.fileSize >= old.Size() {
		t.Fatalf("the file has %d bytes, and the reader sees %d", st.w.fileSize, old.Size())
	}
	for _, no := range []uint64{uint64(old.limit) - 1, uint64(st.w.fileSize>>st.shift) + 1} {
		if p, err := old.Page(no); err != nil || p.Kind != "free" && p.Kind != "pending" {
			t.Errorf("page %d: %+v %v", no, p, err)
		}
		b, err := old.PageBytes(no)
		if noError(t, err); len(b) != st.pageSize || !isZero(b) {
			t.Errorf("page %d has %d bytes, which are not all zeros", no, len(b))
		}
	}
	for no, b := range had { // they live as long as the transaction
		fault := func() (r any) {
			defer func() { r = recover() }()
			defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
			if !bytes.Equal(b[0], b[1]) {
				t.Errorf("the bytes of page %d have changed", no)
			}
			return nil
		}()
		if fault != nil {
			t.Fatalf("the bytes of page %d are gone: %v", no, fault)
		}
	}
	noError(t, old.Err())
	for err := range old.Check() {
		t.Error(err)
	}
}
