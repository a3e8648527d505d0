//go:build !race

package mmdb_test

// The race detector allocates, and empties pools at random: this file is left out then.

import (
	"fmt"
	"testing"

	"mmdb"
)

// allocated fails the test when f allocates more than max times a call, once warm.
func allocated(t *testing.T, what string, max float64, f func()) {
	t.Helper()
	n := testing.AllocsPerRun(200, f)
	t.Logf("%s: %v allocations", what, n)
	if n > max {
		t.Errorf("%s: %v allocations, at most %v are promised", what, n, max)
	}
}

// treeAndNested returns a database with a large bucket "b" and a nested one "b"/"nested" in it.
func treeAndNested(t *testing.T) *testDB {
	db := open(t, quick)
	db.fill(scaled(20_000), 5000, 100)
	db.update(func(b *mmdb.Bucket) error {
		nested, err := b.CreateBucket([]byte("nested"))
		if err != nil {
			return err
		}
		if _, err := b.CreateBucket([]byte("inline")); err != nil {
			return err
		}
		must(t, b.Bucket([]byte("inline")).Put([]byte("k"), []byte("v")))
		for i := range 500 {
			if err := nested.Put(key(i), make([]byte, 50)); err != nil {
				return err
			}
		}
		return b.Put([]byte("overflow"), make([]byte, 10_000))
	})
	return db
}

func TestReadsInATransactionAllocateNothing(t *testing.T) {
	db := treeAndNested(t)
	keys := [][]byte{key(3), key(700), []byte("absent"), []byte("overflow"), key(1999)}
	values := make([][]byte, 0, len(keys))
	read := func(t *testing.T, tx *mmdb.Tx) {
		b := tx.Bucket([]byte("b"))
		c := b.Cursor()
		i := 0
		allocated(t, "Get", 0, func() { i++; b.Get(keys[i%len(keys)]) })
		allocated(t, "GetMany", 0, func() { values = b.GetMany(keys, values[:0]) })
		allocated(t, "Cursor.Seek", 0, func() { i++; c.Seek(keys[i%len(keys)]) })
		allocated(t, "Cursor.SeekLE", 0, func() { i++; c.SeekLE(keys[i%len(keys)]) })
		allocated(t, "Cursor.SeekIndex", 0, func() { i++; c.SeekIndex(uint64(i)) })
		allocated(t, "Cursor.Rank", 0, func() { c.Rank() })
		c.First()
		allocated(t, "Cursor.Next", 0, func() { c.Next() })
		c.Last()
		allocated(t, "Cursor.Prev", 0, func() { c.Prev() })
		allocated(t, "Range", 0, func() {
			for range b.Range(keys[0], keys[1]) {
				break
			}
		})
		allocated(t, "Backward", 0, func() {
			for range b.Backward(keys[0], keys[1]) {
			}
		})
		allocated(t, "CountRange", 0, func() { b.CountRange(keys[0], keys[1]) })
		must(t, tx.Err())
	}
	t.Run("View", func(t *testing.T) {
		must(t, db.View(func(tx *mmdb.Tx) error { read(t, tx); return nil }))
	})
	t.Run("Begin", func(t *testing.T) {
		tx, err := db.Begin(false)
		must(t, err)
		defer tx.Rollback()
		read(t, tx)
	})
	t.Run("Update", func(t *testing.T) {
		must(t, db.Update(func(tx *mmdb.Tx) error { read(t, tx); return nil }))
	})
}

func TestViewAllocatesNothing(t *testing.T) {
	db := treeAndNested(t)
	name, inline, nested, from := []byte("b"), []byte("inline"), []byte("nested"), key(100)
	var bytes int
	seekAndIterate := func(tx *mmdb.Tx) error {
		b := tx.Bucket(name).Bucket(nested)
		bytes += len(b.Get(from))
		c := b.Cursor()
		n := 0
		for k, v := c.Seek(from); k != nil && n < 200; k, v = c.Next() {
			bytes += len(k) + len(v)
			n++
		}
		for k, v := range b.All() {
			bytes += len(k) + len(v)
		}
		bytes += len(tx.Bucket(name).Bucket(inline).Get(inline))
		return nil
	}
	iterate := func(tx *mmdb.Tx) error {
		b := tx.Bucket(name).Bucket(nested)
		for k, v := range b.Range(from, nil) {
			bytes += len(k) + len(v)
		}
		for k, v := range b.Prefix(from[:14]) {
			bytes += len(k) + len(v)
		}
		for k, v := range b.Backward(nil, from) {
			bytes += len(k) + len(v)
		}
		return nil
	}
	empty := func(*mmdb.Tx) error { return nil }
	view := func(fn func(*mmdb.Tx) error) func() {
		return func() {
			if err := db.View(fn); err != nil {
				t.Fatal(err)
			}
		}
	}
	allocated(t, "empty View", 0, view(empty))
	allocated(t, "View that opens a nested bucket, seeks, gets and iterates", 0, view(seekAndIterate))
	allocated(t, "View with Range, Prefix and Backward", 0, view(iterate))
	if bytes == 0 {
		t.Fatal("nothing was read")
	}
}

func TestSinglePutUpdateAllocatesLittle(t *testing.T) {
	for _, size := range []int{100, 10_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			db := treeAndNested(t)
			name, k, v := []byte("b"), key(777), make([]byte, size)
			put := func(tx *mmdb.Tx) error { return tx.Bucket(name).Put(k, v) }
			update := func() {
				if err := db.Update(put); err != nil {
					t.Fatal(err)
				}
			}
			for range 100 { // the free list and its tree reach their usual size
				update()
			}
			allocated(t, "single-put Update", 5, update)
		})
	}
}
