package tx

import (
	"bytes"
	"errors"
	"testing"
)

// throughSize is the size of a value that a transaction of a database with that limit writes to the file at once.
const throughDirty, throughSize = 256 << 10, 70 << 10

// Of a large value that is put again and again in one transaction the file holds few copies, and a database with a maximum size does not fill up.
func TestALargeValuePutAgainTakesNoMoreSpace(t *testing.T) {
	for _, maxSize := range []int64{0, 1 << 20} {
		st := openStore(t, newPath(t), unflushed(Options{MaxDirty: throughDirty, MaxSize: maxSize}))
		noError(t, st.Update(func(tx *Tx) error {
			b, err := tx.CreateBucket([]byte("b"))
			for i := 0; i < 100 && err == nil; i++ {
				err = b.Put([]byte("same"), bytes.Repeat([]byte{byte(i)}, throughSize))
				if i%7 == 0 && err == nil {
					err = b.Delete([]byte("same"))
				}
			}
			return err
		}))
		if size := st.w.fileSize; size > 1<<20 {
			t.Errorf("the file has %d bytes for one value of %d", size, throughSize)
		}
		noError(t, st.View(func(tx *Tx) error {
			if v := tx.Bucket([]byte("b")).Get([]byte("same")); !bytes.Equal(v, bytes.Repeat([]byte{99}, throughSize)) {
				t.Error("the last value is not there")
			}
			return nil
		}))
	}
}

// A slice of a large value stays as it is when the value is put again (I2), whenever it was read.
func TestALargeValueThatWasReadStays(t *testing.T) {
	st := openStore(t, newPath(t), unflushed(Options{MaxDirty: throughDirty}))
	noError(t, st.Update(func(tx *Tx) error {
		b, err := tx.CreateBucket([]byte("b"))
		noError(t, err)
		noError(t, b.Put([]byte("same"), bytes.Repeat([]byte{0xff}, throughSize)))
		return nil
	}))
	for _, first := range []int{0, 1, 5} { // the first read
		noError(t, st.Update(func(tx *Tx) error {
			b := tx.Bucket([]byte("b"))
			got := map[int][]byte{}
			for i := range 20 {
				if i >= first && i%2 == first%2 {
					got[i] = b.Get([]byte("same"))
				}
				noError(t, b.Put([]byte("same"), bytes.Repeat([]byte{byte(i)}, throughSize)))
			}
			for i, v := range got {
				want := byte(i - 1)
				if i == 0 {
					want = 0xff
				}
				if !bytes.Equal(v, bytes.Repeat([]byte{want}, throughSize)) {
					t.Errorf("first read before put %d: the slice of put %d has changed", first, i)
				}
			}
			return b.Put([]byte("same"), bytes.Repeat([]byte{0xff}, throughSize))
		}))
	}
}

// A function that fails after it has used the places of its own large values again leaves its group as it was.
func TestALargeValuePutAgainIsUndone(t *testing.T) {
	st, g, first := gated(t, Options{MaxDirty: throughDirty})
	a := joinGroup(t, st, func(tx *Tx) error { return errors.Join(largeInto(tx, "x", 5000), putInto(tx, 10, 40)) })
	again := func(tx *Tx) error {
		for i := range 30 {
			if err := errors.Join(largeInto(tx, "x", throughSize+i), putInto(tx, i, i+1)); err != nil {
				return err
			}
		}
		return nil
	}
	errOops := errors.New("oops")
	b := finished(st, func(tx *Tx) error { return errors.Join(again(tx), errOops) })
	c := joinGroup(t, st, func(tx *Tx) error { return errors.Join(keysAre(tx, 40), putInto(tx, 40, 50)) })
	d := later(func() error { return st.Update(again) })
	g.let(nil)
	noError(t, errors.Join(<-first, <-a, <-c, <-d))
	wantError(t, <-b, errOops)
	wantKeys(t, st, 50)
	noError(t, st.View(func(tx *Tx) error {
		if n := len(tx.Bucket([]byte("z")).Get([]byte("x"))); n != throughSize+29 {
			t.Errorf("the large value has %d bytes", n)
		}
		return nil
	}))
}
