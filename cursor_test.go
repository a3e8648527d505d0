package mmdb_test

import (
	"fmt"
	"testing"

	"mmdb"
)

// cursorKeys fills the bucket "b" with the keys 10, 20 … 10n, long enough that there are several levels.
func cursorKeys(db *testDB, n int) {
	db.t.Helper()
	db.update(func(b *mmdb.Bucket) error {
		for i := 1; i <= n; i++ {
			if err := b.Put(key(10*i), make([]byte, 100)); err != nil {
				return err
			}
		}
		return nil
	})
}

// at fails the test when the cursor did not move to the wanted key; 0 is none.
func at(t *testing.T, what string, k, v []byte, want int) {
	t.Helper()
	switch {
	case want == 0 && (k != nil || v != nil):
		t.Errorf("%s: %q, want none", what, k)
	case want != 0 && (string(k) != string(key(want)) || v == nil):
		t.Errorf("%s: %q, want %q", what, k, key(want))
	}
}

func TestCursorStaysAtTheEnds(t *testing.T) {
	for _, n := range []int{1, 5, 5000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			db := open(t, quick)
			cursorKeys(db, n)
			look := func(b *mmdb.Bucket) error {
				c := b.Cursor()
				move := func(what string, f func() ([]byte, []byte), want int) {
					t.Helper()
					k, v := f()
					at(t, what, k, v, want)
				}
				second, secondLast := 20, 10*(n-1)
				if n == 1 {
					second, secondLast = 0, 0
				}
				move("Next of a new cursor", c.Next, 10)
				c = b.Cursor()
				move("Prev of a new cursor", c.Prev, 10*n)
				move("Last", c.Last, 10*n)
				move("Next after the end", c.Next, 0)
				move("Next after the end again", c.Next, 0)
				move("Prev after the end", c.Prev, secondLast)
				move("First", c.First, 10)
				move("Prev before the start", c.Prev, 0)
				move("Prev before the start again", c.Prev, 0)
				move("Next after the start", c.Next, second)
				k, v := c.Seek(key(10*n + 1))
				at(t, "Seek beyond the last", k, v, 0)
				move("Next after it", c.Next, 0)
				move("Prev after it", c.Prev, 10*n)
				return nil
			}
			db.view(look)
			db.update(look)
		})
	}
}

func TestCursorOfAnEmptyBucket(t *testing.T) {
	db := open(t, quick)
	look := func(b *mmdb.Bucket) error {
		c := b.Cursor()
		for what, move := range map[string]func() ([]byte, []byte){"First": c.First, "Last": c.Last, "Next": c.Next, "Prev": c.Prev,
			"Seek":   func() ([]byte, []byte) { return c.Seek([]byte("x")) },
			"SeekLE": func() ([]byte, []byte) { return c.SeekLE([]byte("x")) }, "SeekIndex": func() ([]byte, []byte) { return c.SeekIndex(0) }} {
			k, v := move()
			at(t, what, k, v, 0)
		}
		for range b.All() {
			t.Error("All yields")
		}
		for range b.Backward(nil, nil) {
			t.Error("Backward yields")
		}
		if n := b.CountRange(nil, nil); n != 0 || c.Rank() != 0 {
			t.Errorf("%d keys, rank %d", n, c.Rank())
		}
		return nil
	}
	db.update(func(b *mmdb.Bucket) error { return look(b) })
	db.view(look)
	db.update(func(b *mmdb.Bucket) error {
		for i := range 1000 {
			must(t, b.Put(key(i), nil))
		}
		n, err := b.DeleteRange(nil, nil)
		if n != 1000 {
			t.Errorf("%d deleted", n)
		}
		must(t, err)
		return look(b)
	})
	db.view(look)
}

func TestSeekRankAndIndexAgree(t *testing.T) {
	db := open(t, quick)
	n := scaled(20_000)
	cursorKeys(db, n)
	look := func(b *mmdb.Bucket) error {
		c := b.Cursor()
		for i := 1; i <= n; i += 7 {
			k, v := c.Seek(key(10*i - 3))
			at(t, "Seek between", k, v, 10*i)
			k, v = c.Seek(key(10 * i))
			at(t, "Seek", k, v, 10*i)
			if r := c.Rank(); r != uint64(i-1) {
				t.Fatalf("Rank of %d is %d", 10*i, r)
			}
			k, v = c.SeekLE(key(10*i + 3))
			at(t, "SeekLE between", k, v, 10*i)
			k, v = c.SeekLE(key(10 * i))
			at(t, "SeekLE", k, v, 10*i)
			if r := c.Rank(); r != uint64(i-1) {
				t.Fatalf("Rank of %d after SeekLE is %d", 10*i, r)
			}
			k, v = c.SeekIndex(uint64(i - 1))
			at(t, "SeekIndex", k, v, 10*i)
			if i < n {
				k, v = c.Next()
				at(t, "Next after SeekIndex", k, v, 10*i+10)
			}
			if got := b.CountRange(key(10*i-3), key(10*i+3)); got != 1 {
				t.Fatalf("CountRange around %d: %d", 10*i, got)
			}
			if got := b.CountRange(nil, key(10*i)); got != uint64(i-1) {
				t.Fatalf("CountRange below %d: %d", 10*i, got)
			}
			if got := b.CountRange(key(10*i), nil); got != uint64(n-i+1) {
				t.Fatalf("CountRange from %d: %d", 10*i, got)
			}
		}
		k, v := c.SeekLE(key(9))
		at(t, "SeekLE before the first", k, v, 0)
		k, v = c.SeekLE(key(10*n + 5))
		at(t, "SeekLE after the last", k, v, 10*n)
		k, v = c.SeekIndex(uint64(n))
		at(t, "SeekIndex outside", k, v, 0)
		k, v = c.SeekIndex(1 << 63)
		at(t, "SeekIndex far outside", k, v, 0)
		if got := b.CountRange(key(500), key(100)); got != 0 {
			t.Errorf("CountRange of an inverted range: %d", got)
		}
		if b.Len() != uint64(n) || b.CountRange(nil, nil) != uint64(n) {
			t.Errorf("Len %d, CountRange %d", b.Len(), b.CountRange(nil, nil))
		}
		return nil
	}
	db.view(look)
	db.update(func(b *mmdb.Bucket) error { // in a dirty tree too
		for i := 1; i <= n; i++ {
			must(t, b.Put(key(10*i+1), nil))
		}
		for i := 1; i <= n; i++ {
			must(t, b.Delete(key(10*i+1)))
		}
		return look(b)
	})
}

func TestRankOfAPlaceBetweenKeys(t *testing.T) {
	db := open(t, quick)
	cursorKeys(db, 100)
	db.view(func(b *mmdb.Bucket) error {
		c := b.Cursor()
		c.Seek(key(100*10 + 1))
		if r := c.Rank(); r != 100 {
			t.Errorf("after the last: %d", r)
		}
		c.SeekLE(key(1))
		if r := c.Rank(); r != 0 {
			t.Errorf("before the first: %d", r)
		}
		return nil
	})
}

func TestCursorDeleteDoesNotSkip(t *testing.T) {
	for _, back := range []bool{false, true} {
		t.Run(fmt.Sprintf("back=%v", back), func(t *testing.T) {
			db := open(t, quick)
			const n = 3000
			cursorKeys(db, n)
			db.update(func(b *mmdb.Bucket) error {
				c := b.Cursor()
				wantErr(t, "Delete before the first move", c.Delete(), mmdb.ErrCursorPosition)
				step := c.Next // the failed call has not placed it
				if back {
					step = c.Prev
				}
				seen := 0
				for k, _ := step(); k != nil; k, _ = step() {
					if seen++; seen%3 != 0 {
						must(t, c.Delete())
						wantErr(t, "second Delete", c.Delete(), mmdb.ErrCursorPosition)
					}
				}
				if seen != n || b.Len() != n/3 {
					t.Errorf("%d keys were seen, %d are left", seen, b.Len())
				}
				return nil
			})
			db.view(func(b *mmdb.Bucket) error {
				i := 1
				for k := range b.All() {
					want := 10 * 3 * i
					if back {
						want = 10 * (3*i - 2)
					}
					at(t, "what is left", k, []byte{}, want)
					i++
				}
				return nil
			})
		})
	}
}

func TestCursorKeepsItsPlaceWhileTheBucketChanges(t *testing.T) {
	db := open(t, quick)
	cursorKeys(db, 1000)
	db.update(func(b *mmdb.Bucket) error {
		c := b.Cursor()
		k, v := c.Seek(key(5000))
		at(t, "Seek", k, v, 5000)
		for i := range 3000 { // splits everywhere
			must(t, b.Put(key(10*i+5), make([]byte, 200)))
		}
		k, v = c.Next()
		at(t, "Next after puts", k, v, 5005)
		k, v = c.Prev()
		at(t, "Prev", k, v, 5000)
		must(t, b.Delete(key(5000)))
		must(t, b.Delete(key(5005)))
		k, v = c.Next()
		at(t, "Next after its key was deleted", k, v, 5010)
		_, err := b.DeleteRange(key(4000), key(6000))
		must(t, err)
		k, v = c.Prev()
		at(t, "Prev after its range was deleted", k, v, 3995)
		_, err = b.DeleteRange(nil, nil)
		must(t, err)
		k, v = c.Next()
		at(t, "Next in an emptied bucket", k, v, 0)
		return nil
	})
}

// Where a cursor stands on no key, its place is still on one side of each key.
func TestCursorKeepsItsPlaceBesideAllKeys(t *testing.T) {
	db := open(t, quick)
	db.update(func(b *mmdb.Bucket) error {
		c := b.Cursor()
		c.First()
		must(t, b.Put(key(50), []byte{}))
		k, v := c.Next()
		at(t, "First of an empty bucket, put, Next", k, v, 50)
		c.SeekLE(key(10))
		must(t, b.Put(key(60), []byte{}))
		k, v = c.Next()
		at(t, "SeekLE before the first, put, Next", k, v, 50)
		c.Seek(key(70))
		must(t, b.Put(key(80), []byte{}))
		k, v = c.Next()
		at(t, "Seek after the last, put beyond, Next", k, v, 80)
		c.Last()
		c.Next()
		must(t, b.Put(key(90), []byte{}))
		k, v = c.Next()
		at(t, "at the last, put, Next", k, v, 90)
		return nil
	})
}
