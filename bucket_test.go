package mmdb_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"mmdb"
)

func TestBucketsAndValuesDoNotStandInForEachOther(t *testing.T) {
	db := open(t, quick)
	bucket, value, absent := []byte("bucket"), []byte("value"), []byte("absent")
	db.update(func(b *mmdb.Bucket) error {
		_, err := b.CreateBucket(bucket)
		must(t, err)
		must(t, b.Put(value, value))

		wantErr(t, "Put", b.Put(bucket, value), mmdb.ErrIncompatibleValue)
		_, err = b.PutReserve(bucket, 1)
		wantErr(t, "PutReserve", err, mmdb.ErrIncompatibleValue)
		_, err = b.PutReserve(bucket, 100_000)
		wantErr(t, "PutReserve, large", err, mmdb.ErrIncompatibleValue)
		wantErr(t, "Delete", b.Delete(bucket), mmdb.ErrIncompatibleValue)
		_, err = b.CreateBucket(value)
		wantErr(t, "CreateBucket", err, mmdb.ErrIncompatibleValue)
		_, err = b.CreateBucketIfNotExists(value)
		wantErr(t, "CreateBucketIfNotExists", err, mmdb.ErrIncompatibleValue)
		wantErr(t, "DeleteBucket", b.DeleteBucket(value), mmdb.ErrIncompatibleValue)
		wantErr(t, "DeleteBucket", b.DeleteBucket(absent), mmdb.ErrBucketNotFound)
		_, err = b.CreateBucket(bucket)
		wantErr(t, "CreateBucket", err, mmdb.ErrBucketExists)
		_, err = b.DeleteRange(nil, nil)
		wantErr(t, "DeleteRange", err, mmdb.ErrIncompatibleValue)
		if b.Len() != 2 {
			t.Errorf("a refused DeleteRange deleted: %d keys", b.Len())
		}
		c := b.Cursor()
		c.Seek(bucket)
		wantErr(t, "Cursor.Delete", c.Delete(), mmdb.ErrIncompatibleValue)
		wantErr(t, "Tx.DeleteBucket", b.Tx().DeleteBucket(absent), mmdb.ErrBucketNotFound)

		// The top level holds buckets only.
		c = b.Tx().Cursor()
		if k, v := c.First(); string(k) != "b" || v != nil {
			t.Errorf("top level: %q, %v", k, v)
		}
		wantErr(t, "Delete of a top-level bucket by cursor", c.Delete(), mmdb.ErrIncompatibleValue)
		wantErr(t, "Put at the top level", c.Bucket().Put(value, value), mmdb.ErrIncompatibleValue)
		return nil // misuse does no harm to the transaction
	})
	db.view(func(b *mmdb.Bucket) error {
		if b.Len() != 2 || !bytes.Equal(b.Get(value), value) || b.Bucket(bucket) == nil {
			t.Error("refused operations changed something")
		}
		return nil
	})
}

func TestNestedBuckets(t *testing.T) {
	db := open(t, quick)
	const depth = 20
	name := func(i int) []byte { return fmt.Appendf(nil, "level %d", i) }
	db.update(func(b *mmdb.Bucket) error {
		for i := range depth {
			must(t, b.Put([]byte("depth"), fmt.Append(nil, i)))
			next, err := b.CreateBucket(name(i))
			must(t, err)
			b = next
		}
		return nil
	})
	descend := func(b *mmdb.Bucket) *mmdb.Bucket {
		for i := range depth {
			if got := string(b.Get([]byte("depth"))); got != fmt.Sprint(i) {
				t.Fatalf("level %d says %q", i, got)
			}
			b = b.Bucket(name(i))
		}
		return b
	}
	db.view(func(b *mmdb.Bucket) error { descend(b); return nil })
	db.update(func(b *mmdb.Bucket) error { // a change at the bottom alone
		last := descend(b)
		if last.Len() != 0 {
			t.Errorf("the last bucket has %d keys", last.Len())
		}
		for i := range 1000 {
			must(t, last.Put(key(i), key(i)))
		}
		return nil
	})
	db.view(func(b *mmdb.Bucket) error {
		if n := descend(b).Len(); n != 1000 {
			t.Errorf("%d keys at the bottom", n)
		}
		var names []string
		must(t, b.ForEachBucket(func(k []byte) error { names = append(names, string(k)); return nil }))
		if fmt.Sprint(names) != "[level 0]" {
			t.Errorf("ForEachBucket: %v", names)
		}
		return nil
	})
	must(t, db.Update(func(tx *mmdb.Tx) error { return tx.DeleteBucket([]byte("b")) }))
	must(t, db.View(func(tx *mmdb.Tx) error {
		if tx.Bucket([]byte("b")) != nil {
			t.Error("the deleted bucket is there")
		}
		return nil
	}))
}

func TestHandlesOfABucketShareItsState(t *testing.T) {
	db := open(t, quick)
	db.update(func(b *mmdb.Bucket) error {
		n1, err := b.CreateBucket([]byte("n"))
		must(t, err)
		n2 := b.Bucket([]byte("n"))
		for i := range 500 {
			must(t, n1.Put(key(2*i), nil))
			must(t, n2.Put(key(2*i+1), nil))
		}
		if n1.Len() != 1000 || n2.Len() != 1000 || n1.Get(key(1)) == nil || n2.Get(key(0)) == nil {
			t.Errorf("%d and %d keys", n1.Len(), n2.Len())
		}
		must(t, b.DeleteBucket([]byte("n")))
		wantErr(t, "Put in a deleted bucket", n1.Put(key(0), nil), mmdb.ErrBucketNotFound)
		fresh, err := b.CreateBucket([]byte("n"))
		must(t, err)
		if fresh.Len() != 0 || fresh.Get(key(0)) != nil {
			t.Error("a bucket made anew is not empty")
		}
		return fresh.Put([]byte("k"), []byte("v"))
	})
}

func TestSequences(t *testing.T) {
	db := open(t, quick)
	db.update(func(b *mmdb.Bucket) error {
		if n := b.Sequence(); n != 0 {
			t.Errorf("a new bucket's sequence is %d", n)
		}
		for want := uint64(1); want <= 3; want++ {
			got, err := b.NextSequence()
			must(t, err)
			if got != want || b.Sequence() != want {
				t.Errorf("NextSequence %d, Sequence %d, want %d", got, b.Sequence(), want)
			}
		}
		nested, err := b.CreateBucket([]byte("nested"))
		must(t, err)
		must(t, nested.SetSequence(1<<63))
		return nil
	})
	_ = db.Update(func(tx *mmdb.Tx) error { tx.Bucket([]byte("b")).NextSequence(); return errUndo })
	db.reopen()
	db.update(func(b *mmdb.Bucket) error {
		if b.Sequence() != 3 || b.Bucket([]byte("nested")).Sequence() != 1<<63 {
			t.Errorf("sequences %d and %d", b.Sequence(), b.Bucket([]byte("nested")).Sequence())
		}
		for i := range 1000 { // it moves out of its parent's leaf, with its sequence
			must(t, b.Bucket([]byte("nested")).Put(key(i), nil))
		}
		return nil
	})
	db.update(func(b *mmdb.Bucket) error { return b.SetSequence(7) }) // nothing else changes
	db.view(func(b *mmdb.Bucket) error {
		if b.Sequence() != 7 || b.Bucket([]byte("nested")).Sequence() != 1<<63 {
			t.Errorf("sequences %d and %d", b.Sequence(), b.Bucket([]byte("nested")).Sequence())
		}
		return nil
	})
}

func TestMoveBucket(t *testing.T) {
	for _, size := range []int{0, 3, 5000} { // empty, inline, a tree
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			db := open(t, quick)
			name := []byte("moved")
			db.update(func(b *mmdb.Bucket) error {
				m, err := b.CreateBucket(name)
				must(t, err)
				for i := range size {
					must(t, m.Put(key(i), key(i)))
				}
				inner, err := m.CreateBucket([]byte("inner"))
				must(t, err)
				must(t, inner.Put([]byte("k"), []byte("v")))
				must(t, m.SetSequence(42))
				_, err = b.Tx().CreateBucket([]byte("dst"))
				return err
			})
			whole := func(m *mmdb.Bucket) {
				t.Helper()
				if m == nil || m.Len() != uint64(size)+1 || m.Sequence() != 42 || string(m.Bucket([]byte("inner")).Get([]byte("k"))) != "v" {
					t.Fatalf("the moved bucket is not whole: %v", m)
				}
			}
			db.update(func(b *mmdb.Bucket) error {
				tx := b.Tx()
				must(t, b.MoveBucket(name, tx.Bucket([]byte("dst"))))
				if b.Bucket(name) != nil {
					t.Error("it is still at its old place")
				}
				whole(tx.Bucket([]byte("dst")).Bucket(name))
				return nil
			})
			db.update(func(b *mmdb.Bucket) error { // to the top level and back into another
				tx := b.Tx()
				must(t, tx.MoveBucket(name, tx.Bucket([]byte("dst")), nil))
				whole(tx.Bucket(name))
				must(t, tx.Bucket(name).Put([]byte("added"), nil))
				must(t, tx.Bucket(name).Delete([]byte("added")))
				must(t, tx.MoveBucket(name, nil, b))
				whole(b.Bucket(name))
				return nil
			})
			db.view(func(b *mmdb.Bucket) error { whole(b.Bucket(name)); return nil })
		})
	}
}

func TestMoveBucketRefusals(t *testing.T) {
	db, other := open(t, quick), open(t, quick)
	other.put("k", "v")
	db.put("k", "v")
	db.update(func(b *mmdb.Bucket) error {
		a, err := b.CreateBucket([]byte("a"))
		must(t, err)
		child, err := a.CreateBucket([]byte("child"))
		must(t, err)
		dst, err := b.CreateBucket([]byte("dst"))
		must(t, err)
		_, err = dst.CreateBucket([]byte("a"))
		must(t, err)
		must(t, dst.Put([]byte("child"), []byte("a value")))
		must(t, a.Put([]byte("value"), []byte("v")))

		wantErr(t, "absent", a.MoveBucket([]byte("absent"), dst), mmdb.ErrBucketNotFound)
		wantErr(t, "a value", a.MoveBucket([]byte("value"), dst), mmdb.ErrIncompatibleValue)
		wantErr(t, "to where it is", a.MoveBucket([]byte("child"), a), mmdb.ErrSameBuckets)
		wantErr(t, "onto a bucket", b.MoveBucket([]byte("a"), dst), mmdb.ErrBucketExists)
		wantErr(t, "onto a value", a.MoveBucket([]byte("child"), dst), mmdb.ErrIncompatibleValue)
		wantErr(t, "into itself", b.MoveBucket([]byte("a"), a), mmdb.ErrSameBuckets)
		wantErr(t, "into its own child", b.MoveBucket([]byte("a"), child), mmdb.ErrSameBuckets)
		other.view(func(foreign *mmdb.Bucket) error {
			wantErr(t, "into a read transaction of another database", a.MoveBucket([]byte("child"), foreign), mmdb.ErrTxNotWritable)
			return nil
		})
		other.update(func(foreign *mmdb.Bucket) error {
			wantErr(t, "to another database", a.MoveBucket([]byte("child"), foreign), mmdb.ErrDifferentDB)
			return nil
		})
		read, err := db.Begin(false)
		must(t, err)
		defer read.Rollback()
		before := read.Bucket([]byte("b"))
		wantErr(t, "into a read transaction", a.MoveBucket([]byte("child"), before), mmdb.ErrTxNotWritable)
		must(t, read.Rollback())
		wantErr(t, "into an ended transaction", a.MoveBucket([]byte("child"), before), mmdb.ErrTxClosed)
		if a.Bucket([]byte("child")) == nil || b.Bucket([]byte("a")) == nil {
			t.Error("a refused move moved something")
		}
		return nil
	})
}

// A bucket that was moved and opened again in the same transaction is written once when the transaction spills.
func TestMovedBucketSurvivesASpill(t *testing.T) {
	opts := quick
	opts.MaxDirty = 256 << 10
	for _, grow := range []string{"moved", "other"} {
		t.Run(grow, func(t *testing.T) {
			db := open(t, opts)
			n := scaled(20_000)
			db.update(func(b *mmdb.Bucket) error {
				src, err := b.CreateBucket([]byte("src"))
				must(t, err)
				dst, err := b.CreateBucket([]byte("dst"))
				must(t, err)
				c, err := src.CreateBucket([]byte("c"))
				must(t, err)
				inner, err := c.CreateBucket([]byte("inner"))
				must(t, err)
				for i := range 300 {
					must(t, c.Put(key(i), make([]byte, 100)))
					must(t, inner.Put(key(i), make([]byte, 100)))
				}
				must(t, src.MoveBucket([]byte("c"), dst))
				c = dst.Bucket([]byte("c"))
				c.Bucket([]byte("inner"))
				target := map[string]*mmdb.Bucket{"moved": c, "other": src}[grow]
				for i := range n {
					must(t, target.Put(key(i), make([]byte, 100)))
				}
				return nil
			})
			db.view(func(b *mmdb.Bucket) error {
				c := b.Bucket([]byte("dst")).Bucket([]byte("c"))
				want := uint64(301)
				if grow == "moved" {
					want = uint64(n) + 1
				}
				if c.Len() != want || c.Bucket([]byte("inner")).Len() != 300 {
					t.Errorf("%d keys, %d in the inner bucket", c.Len(), c.Bucket([]byte("inner")).Len())
				}
				return nil
			})
		})
	}
}

func TestSmallBucketsLiveInTheirParentsLeaf(t *testing.T) {
	db := open(t, quick)
	name := []byte("small")
	state := func() (root uint64, s mmdb.BucketStats) {
		db.view(func(b *mmdb.Bucket) error {
			root, s = b.Bucket(name).Root(), b.Stats()
			return nil
		})
		return root, s
	}
	for round := range 3 {
		db.update(func(b *mmdb.Bucket) error {
			n, err := b.CreateBucketIfNotExists(name)
			must(t, err)
			return n.Put([]byte("k"), []byte("v"))
		})
		if root, s := state(); root != 0 || s.InlineBuckets != 1 || s.Buckets != 1 || s.Keys != 1 {
			t.Errorf("round %d: a small bucket has root %d, %+v", round, root, s)
		}
		db.update(func(b *mmdb.Bucket) error { // it grows, and moves out
			for i := range 5000 {
				must(t, b.Bucket(name).Put(key(i), make([]byte, 20)))
			}
			return nil
		})
		if root, s := state(); root == 0 || s.InlineBuckets != 0 || s.Buckets != 1 {
			t.Errorf("round %d: a large bucket has root %d, %+v", round, root, s)
		}
		db.update(func(b *mmdb.Bucket) error { // it shrinks, and moves back
			n, err := b.Bucket(name).DeleteRange(key(0), key(5000))
			if n != 5000 {
				t.Errorf("%d deleted", n)
			}
			return err
		})
		db.view(func(b *mmdb.Bucket) error {
			if v := b.Bucket(name).Get([]byte("k")); string(v) != "v" || b.Bucket(name).Len() != 1 {
				t.Errorf("round %d: %q, %d keys", round, v, b.Bucket(name).Len())
			}
			return nil
		})
	}
}

// Many small buckets in one parent, each with changes in the same transaction.
func TestManySmallBuckets(t *testing.T) {
	db := open(t, quick)
	n := scaled(3000)
	for round := range 3 {
		db.update(func(b *mmdb.Bucket) error {
			for i := range n {
				c, err := b.CreateBucketIfNotExists(key(i))
				must(t, err)
				must(t, c.Put(fmt.Append(nil, round), make([]byte, (i+round*30)%300)))
			}
			return nil
		})
	}
	db.view(func(b *mmdb.Bucket) error {
		if b.Len() != uint64(n) {
			t.Errorf("%d buckets", b.Len())
		}
		for i := range n {
			if c := b.Bucket(key(i)); c.Len() != 3 || len(c.Get([]byte("2"))) != (i+60)%300 {
				t.Fatalf("bucket %d has %d keys", i, c.Len())
			}
		}
		return nil
	})
}

func TestForEachStopsAtAnError(t *testing.T) {
	db := open(t, quick)
	db.fill(100, 100, 10)
	db.view(func(b *mmdb.Bucket) error {
		n := 0
		err := b.ForEach(func(k, v []byte) error {
			if n++; n == 10 {
				return errUndo
			}
			return nil
		})
		if err != errUndo || n != 10 {
			t.Errorf("%v after %d items", err, n)
		}
		return nil
	})
	must(t, db.Update(func(tx *mmdb.Tx) error {
		_, err := tx.CreateBucket([]byte("a"))
		return err
	}))
	var names []string
	must(t, db.View(func(tx *mmdb.Tx) error {
		return tx.ForEach(func(name []byte, b *mmdb.Bucket) error {
			names = append(names, fmt.Sprintf("%s:%d", name, b.Len()))
			return nil
		})
	}))
	if !slices.Equal(names, []string{"a:0", "b:100"}) {
		t.Errorf("Tx.ForEach: %v", names)
	}
}

func TestGetMany(t *testing.T) {
	db := open(t, quick)
	db.fill(2000, 2000, 10)
	look := func(b *mmdb.Bucket) error {
		got := b.GetMany([][]byte{key(5), []byte("absent"), key(1999), key(5)}, [][]byte{[]byte("before")})
		if len(got) != 5 || string(got[0]) != "before" || got[2] != nil {
			t.Fatalf("%q", got)
		}
		for i, k := range map[int]int{1: 5, 3: 1999, 4: 5} {
			if !bytes.Equal(got[i], b.Get(key(k))) {
				t.Errorf("value %d: %q", i, got[i])
			}
		}
		return nil
	}
	db.view(look)
	db.update(look)
}

func TestPutReserve(t *testing.T) {
	db := open(t, quick)
	sizes := []int{0, 1, 100, 1900, 2100, 5000, 1 << 20}
	db.update(func(b *mmdb.Bucket) error {
		for round := range 2 { // new, and in place of a value of the same size
			for _, n := range sizes {
				v, err := b.PutReserve(key(n), n)
				must(t, err)
				if len(v) != n {
					t.Fatalf("%d bytes, want %d", len(v), n)
				}
				fillValue(v, n+round)
			}
		}
		return nil
	})
	db.view(func(b *mmdb.Bucket) error {
		for _, n := range sizes {
			want := make([]byte, n)
			if fillValue(want, n+1); !bytes.Equal(b.Get(key(n)), want) {
				t.Errorf("value of %d bytes is wrong", n)
			}
		}
		return nil
	})
}

func TestSmallBucketsMadeInAHugeTransactionAreInline(t *testing.T) {
	opts := quick
	opts.MaxDirty = 1 << 20
	db := open(t, opts)
	n := scaled(5000)
	db.update(func(b *mmdb.Bucket) error {
		for i := range n {
			c, err := b.CreateBucket(key(i))
			must(t, err)
			must(t, c.Put(key(1), key(2)))
		}
		return nil
	})
	db.view(func(b *mmdb.Bucket) error {
		if s := b.Stats(); s.InlineBuckets != n {
			t.Errorf("%d of %d small buckets are inline", s.InlineBuckets, n)
		}
		return nil
	})
}
