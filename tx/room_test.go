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
