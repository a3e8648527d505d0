package mmdb_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"mmdb"
)

// A held slice was handed out by the database; its bytes must stay what they were.
type held struct {
	what string
	got  []byte
	want []byte
}

// holds are slices that are compared at the end.
type holds []held

func (h *holds) add(what string, b []byte) {
	*h = append(*h, held{what, b, bytes.Clone(b)})
}

func (h holds) compare(t *testing.T) {
	t.Helper()
	for _, s := range h {
		if !bytes.Equal(s.got, s.want) {
			t.Fatalf("%s changed: %.40q, was %.40q", s.what, s.got, s.want)
		}
	}
}

// take collects n slices of b's keys and values by every way that hands them out.
func take(h *holds, b *mmdb.Bucket, rng *rand.Rand, n int) {
	c := b.Cursor()
	for i := 0; i < n; i += 3 {
		at := rng.Uint64N(b.Len())
		k, v := c.SeekIndex(at)
		h.add(fmt.Sprintf("key %d of a cursor", at), k)
		h.add(fmt.Sprintf("value %d of a cursor", at), v)
		h.add(fmt.Sprintf("value %d of Get", at), b.Get(k))
	}
}

// unsettle changes b n times: puts of all sizes, replacements, deletions one by one and by range.
func unsettle(t *testing.T, b *mmdb.Bucket, rng *rand.Rand, n int) {
	t.Helper()
	for i := range n {
		k := key(rng.IntN(4000))
		switch what := rng.IntN(20); {
		case what < 7:
			must(t, b.Delete(k))
		case what < 9:
			must(t, b.Put(append(k, randomBytes(rng, rng.IntN(700))...), randomBytes(rng, rng.IntN(200))))
		case what == 9:
			must(t, b.Put(k, randomBytes(rng, rng.IntN(20_000))))
		case what == 10 && i%50 == 0:
			_, err := b.DeleteRange(k, append(key(rng.IntN(4000)), 0))
			must(t, err)
		case what == 11:
			v, err := b.PutReserve(k, rng.IntN(3000))
			must(t, err)
			for j := range v {
				v[j] = byte(i)
			}
		default:
			must(t, b.Put(k, randomBytes(rng, rng.IntN(200))))
		}
	}
}

// The slices that a transaction hands out keep their bytes until it ends, whatever it does meanwhile.
func TestSlicesOfAWriteTransactionKeepTheirBytes(t *testing.T) {
	for _, maxDirty := range []int64{0, 64 << 10} { // in memory, and spilling
		t.Run(fmt.Sprintf("MaxDirty=%d", maxDirty), func(t *testing.T) {
			opts := quick
			opts.MaxDirty = maxDirty
			db := open(t, opts)
			db.fill(4000, 4000, 100)
			rng := random(t)
			var h holds
			db.update(func(b *mmdb.Bucket) error {
				take(&h, b, rng, 1000) // of the file's pages
				unsettle(t, b, rng, scaled(10_000))
				h.compare(t)
				for range 5 { // of pages that the transaction changed
					take(&h, b, rng, 200)
					unsettle(t, b, rng, scaled(2000))
				}
				h.compare(t)
				return nil
			})
		})
	}
}

// Slices of a nested bucket, inline at first, live as long when it moves out, back, elsewhere, or is deleted.
func TestSlicesOfANestedBucketKeepTheirBytes(t *testing.T) {
	db := open(t, quick)
	name := []byte("nested")
	db.update(func(b *mmdb.Bucket) error {
		n, err := b.CreateBucket(name)
		must(t, err)
		return n.Put([]byte("k"), []byte("value of an inline bucket"))
	})
	rng := random(t)
	var h holds
	db.update(func(b *mmdb.Bucket) error {
		n := b.Bucket(name)
		h.add("inline value", n.Get([]byte("k")))
		for i := range 1000 { // it moves out
			must(t, n.Put(key(i), randomBytes(rng, 50)))
			must(t, b.Put(key(i), randomBytes(rng, 50)))
		}
		h.compare(t)
		take(&h, n, rng, 300)
		dst, err := b.Tx().CreateBucket([]byte("dst"))
		must(t, err)
		must(t, b.MoveBucket(name, dst))
		n = dst.Bucket(name)
		take(&h, n, rng, 300)
		_, err = n.DeleteRange(nil, nil)
		must(t, err)
		unsettle(t, n, rng, 1000)
		take(&h, n, rng, 300)
		must(t, dst.DeleteBucket(name))
		unsettle(t, b, rng, scaled(5000))
		h.compare(t)
		return nil
	})
}

// A value may be stored from a slice that the same transaction handed out, even under the same key.
func TestSlicesOfTheDatabaseCanBePut(t *testing.T) {
	db := open(t, quick)
	big := bytes.Repeat([]byte("big"), 5000)
	db.update(func(b *mmdb.Bucket) error {
		must(t, b.Put([]byte("a"), []byte("value")))
		must(t, b.Put([]byte("big"), big))
		for i := range 2000 {
			must(t, b.Put(key(i), b.Get([]byte("a"))))
			must(t, b.Put([]byte("a"), b.Get(key(i))))
		}
		must(t, b.Put([]byte("big"), b.Get([]byte("big"))))
		must(t, b.Put([]byte("big"), b.Get([]byte("big"))[3:]))
		for k := range b.All() {
			if len(k) == 16 {
				must(t, b.Delete(k))
			}
		}
		return nil
	})
	db.view(func(b *mmdb.Bucket) error {
		if string(b.Get([]byte("a"))) != "value" || !bytes.Equal(b.Get([]byte("big")), big[3:]) || b.Len() != 2 {
			t.Errorf("a: %q, big: %d bytes, %d keys", b.Get([]byte("a")), len(b.Get([]byte("big"))), b.Len())
		}
		return nil
	})
}

func TestReaderLivesThroughGrowthInItsOwnGoroutine(t *testing.T) {
	db := open(t, quick)
	n := 10_000
	db.fill(n, 5000, 100)
	tx, err := db.Begin(false)
	must(t, err)
	var h holds
	take(&h, tx.Bucket([]byte("b")), random(t), 1000)
	before := db.size()
	db.update(func(b *mmdb.Bucket) error {
		v := make([]byte, 100)
		for i := range 12 * n {
			fillValue(v, -i)
			if err := b.Put(key(i), v); err != nil {
				return err
			}
		}
		return nil
	})
	if db.size() < 10*before {
		t.Errorf("the file grew from %d to %d, not ten-fold", before, db.size())
	}
	h.compare(t)
	checkOld(t, tx, n)
	must(t, tx.Rollback())
}

// A reader that stays open through many commits, each of which frees pages, still sees what it saw.
func TestReaderSeesItsSnapshotThroughManyCommits(t *testing.T) {
	db := open(t, quick)
	n := scaled(5000)
	db.fill(n, 5000, 100)
	rng := random(t)
	var old []*mmdb.Tx
	for range 20 {
		tx, err := db.Begin(false)
		must(t, err)
		old = append(old, tx)
		for range 10 {
			db.update(func(b *mmdb.Bucket) error {
				for range 50 {
					if err := b.Put(key(rng.IntN(n)), randomBytes(rng, 100)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		for e := range old[rng.IntN(len(old))].Check() {
			t.Fatal(e)
		}
	}
	checkOld(t, old[0], n)
	for _, i := range rng.Perm(len(old)) {
		for e := range old[i].Check() {
			t.Fatalf("snapshot %d: %v", i, e)
		}
		must(t, old[i].Rollback())
	}
}

func TestSlicesHaveNoSpareCapacity(t *testing.T) {
	db := open(t, quick)
	exact := func(what string, b []byte) {
		t.Helper()
		if len(b) != cap(b) {
			t.Errorf("%s: %d bytes, capacity %d", what, len(b), cap(b))
		}
	}
	look := func(b *mmdb.Bucket) error {
		for k, v := range b.All() {
			exact("key", k)
			exact("value", v)
			exact("value of Get", b.Get(k))
		}
		if nested := b.Bucket([]byte("nested")); nested != nil {
			for k, v := range nested.All() {
				exact("key in an inline bucket", k)
				exact("value in an inline bucket", v)
			}
		}
		return nil
	}
	db.update(func(b *mmdb.Bucket) error {
		for _, n := range []int{0, 1, 100, 3000, 5000, 100_000} {
			must(t, b.Put(key(n), make([]byte, n)))
			must(t, b.Put(bytes.Repeat([]byte("k"), n%32768+1), []byte("v")))
			v, err := b.PutReserve(append(key(n), 'r'), n)
			must(t, err)
			exact("PutReserve", v)
		}
		nested, err := b.CreateBucket([]byte("nested"))
		must(t, err)
		must(t, nested.Put([]byte("k"), []byte("v")))
		must(t, nested.Put([]byte("empty"), nil))
		return look(b)
	})
	db.view(look)
}

func TestKeysAndValuesAreCopiedByPut(t *testing.T) {
	db := open(t, quick)
	db.update(func(b *mmdb.Bucket) error {
		k, v := []byte("key"), bytes.Repeat([]byte("v"), 5000)
		must(t, b.Put(k, v))
		nested, err := b.CreateBucket([]byte("nested")[:6:6])
		must(t, err)
		name := []byte("second")
		_, err = b.CreateBucket(name)
		must(t, err)
		clear(name)
		clear(k)
		clear(v)
		must(t, nested.Put([]byte("in"), []byte("side")))
		must(t, b.Bucket([]byte("second")).Put([]byte("in"), []byte("side")))
		return nil
	})
	db.view(func(b *mmdb.Bucket) error {
		if v := b.Get([]byte("key")); len(v) != 5000 || v[0] != 'v' || b.Bucket([]byte("second")) == nil {
			t.Errorf("the database kept the caller's slice: %.10q", v)
		}
		return nil
	})
}
