package tx

import (
	"bytes"
	"testing"

	"mmdb/mmapfile"
)

// unflushed returns o for a database that is never flushed, so that a test can make many.
func unflushed(o Options) *Options {
	o.Exclusive = true
	o.Seam = func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		if op.Kind == mmapfile.OpSync || op.Kind == mmapfile.OpMsync {
			return 0, nil
		}
		return do(op)
	}
	return &o
}

// Every verb that changes pages keeps to Options.MaxDirty, those too that only take something away.
func TestDeletionsAndMovesKeepMemoryBounded(t *testing.T) {
	const maxDirty, items = 128 << 10, 3000
	value := make([]byte, 700)
	verbs := map[string]func(t *testing.T, tx *Tx, dirty func()){
		"Cursor.Delete": func(t *testing.T, tx *Tx, dirty func()) {
			c, i := tx.Bucket([]byte("values")).Cursor(), 0
			for k, _ := c.First(); k != nil; k, _ = c.Next() {
				if !bytes.Equal(k, testKey(i)) {
					t.Fatalf("the cursor is on %q, should be on item %d", k, i)
				}
				if i%2 == 0 {
					noError(t, c.Delete())
				}
				i++
				dirty()
			}
		},
		"DeleteBucket": func(t *testing.T, tx *Tx, dirty func()) {
			for i := 0; i < items; i += 2 {
				noError(t, tx.Bucket([]byte("buckets")).DeleteBucket(testKey(i)))
				dirty()
			}
		},
		"MoveBucket": func(t *testing.T, tx *Tx, dirty func()) {
			dst, err := tx.CreateBucket([]byte("moved"))
			noError(t, err)
			for i := range items {
				noError(t, tx.Bucket([]byte("buckets")).MoveBucket(testKey(i), dst))
				dirty()
			}
		},
	}
	left := map[string][3]int{"Cursor.Delete": {items / 2, items, 0}, "DeleteBucket": {items, items / 2, 0}, "MoveBucket": {items, 0, items}}
	for verbName, verb := range verbs {
		t.Run(verbName, func(t *testing.T) {
			st := openStore(t, newPath(t), unflushed(Options{MaxDirty: maxDirty}))
			noError(t, st.Update(func(tx *Tx) error {
				b, err := tx.CreateBucket([]byte("values"))
				noError(t, err)
				nest, err := tx.CreateBucket([]byte("buckets"))
				noError(t, err)
				for i := range items {
					noError(t, b.Put(testKey(i), value))
					c, err := nest.CreateBucket(testKey(i))
					noError(t, err)
					noError(t, c.Put(testKey(i), value))
				}
				return nil
			}))
			noError(t, st.Update(func(tx *Tx) error {
				verb(t, tx, func() {
					if n := tx.Stats().DirtyBytes; n > maxDirty+maxDirty/2 {
						t.Fatalf("%d bytes are dirty, Options.MaxDirty is %d", n, maxDirty)
					}
					if n := len(st.w.dirty.limbo); n > 100 {
						t.Fatalf("%d pages that left the tree are still in memory", n)
					}
				})
				if tx.Stats().PagesSpilled == 0 {
					t.Error("nothing was spilled")
				}
				return nil
			}))
			noError(t, st.View(func(tx *Tx) error {
				for i, name := range []string{"values", "buckets", "moved"} {
					if b := tx.Bucket([]byte(name)); b != nil && b.Len() != uint64(left[verbName][i]) {
						t.Errorf("%s has %d items", name, b.Len())
					}
				}
				for err := range tx.Check() {
					t.Error(err)
				}
				return nil
			}))
		})
	}
}

// Buckets that stay open, and are small enough to be stored in their parent's leaf, are loaded anew at each spill: that takes no more memory
// each time, and what the caller has read of them stays as it is (I2).
func TestOpenBucketsKeepMemoryBounded(t *testing.T) {
	const buckets, rounds = 100, 60
	for _, reads := range []bool{false, true} {
		st := openStore(t, newPath(t), unflushed(Options{MaxDirty: 64 << 10}))
		noError(t, st.Update(func(tx *Tx) error {
			var open []*Bucket
			for i := range buckets {
				b, err := tx.CreateBucket(testKey(i))
				noError(t, err)
				open = append(open, b)
			}
			var seen [][]byte
			var of []byte
			for round := range rounds {
				for i, b := range open {
					noError(t, b.Put([]byte("key"), bytes.Repeat([]byte{byte(round)}, 300+(round+i)%10*50)))
				}
				for i, b := range open { // of most the cell is all there is now
					if reads && (round+i)%3 == 0 {
						k, v := b.Cursor().First()
						seen, of = append(seen, v, b.Get(k)), append(of, byte(round), byte(round))
					}
				}
			}
			for i, v := range seen {
				if len(v) < 300 || !bytes.Equal(v, bytes.Repeat(of[i:i+1], len(v))) {
					t.Fatalf("slice %d of %d has changed", i, len(seen))
				}
			}
			if n := len(st.w.dirty.copies) * copyBlock; !reads && n > 4*buckets*1000 {
				t.Errorf("%d bytes of copies", n)
			}
			return nil
		}))
		noError(t, st.View(func(tx *Tx) error {
			for i := range buckets {
				if v := tx.Bucket(testKey(i)).Get([]byte("key")); !bytes.Equal(v, bytes.Repeat([]byte{rounds - 1}, 300+(rounds-1+i)%10*50)) {
					t.Errorf("bucket %d has %d bytes", i, len(v))
				}
			}
			return nil
		}))
	}
}
