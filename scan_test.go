package mmdb_test

import (
	"bytes"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"mmdb"
)

// An item is what a scan returned; kind tells nil from empty.
type item struct{ key, value string }

func itemOf(k, v []byte) item {
	if v == nil {
		return item{string(k), "nil"}
	}
	return item{string(k), fmt.Sprintf("%d %q", len(v), v[:min(len(v), 8)])}
}

// fillMixed puts items of every form into b, next to each other: values of all sizes, also in overflow runs, keys that stand in
// runs, nested buckets. It returns them in order.
func fillMixed(t *testing.T, rng *rand.Rand, b *mmdb.Bucket, n int) (items []item) {
	t.Helper()
	for range n {
		k := fmt.Appendf(nil, "%04x", rng.IntN(1<<16))
		for rng.IntN(8) == 0 && len(k) < 2000 {
			k = append(k, bytes.Repeat([]byte{'k'}, 400)...)
		}
		if b.Get(k) != nil || b.Bucket(k) != nil {
			continue
		}
		var v []byte
		switch rng.IntN(20) {
		case 0:
			_, err := b.CreateBucket(k)
			must(t, err)
		case 1:
			v = randomBytes(rng, 2000+rng.IntN(9000))
		case 2:
			v = []byte{}
		default:
			v = randomBytes(rng, 1+rng.IntN(100))
		}
		if v != nil {
			must(t, b.Put(k, v))
		}
		items = append(items, itemOf(k, v))
	}
	slices.SortFunc(items, func(a, b item) int { return bytes.Compare([]byte(a.key), []byte(b.key)) })
	return items
}

func TestScansReturnItemsOfEveryForm(t *testing.T) {
	rng := random(t)
	db := open(t, quick)
	var items []item
	db.update(func(b *mmdb.Bucket) error {
		items = fillMixed(t, rng, b, scaled(6000))
		return nil
	})
	look := func(tx *mmdb.Tx) error {
		for range 200 {
			scanBounds(t, rng, tx.Bucket([]byte("b")), items)
		}
		for range 20 {
			scanZigzag(t, rng, tx.Bucket([]byte("b")), items)
			getTogether(t, rng, tx.Bucket([]byte("b")), items)
		}
		return nil
	}
	must(t, db.View(look))
	must(t, db.Update(func(tx *mmdb.Tx) error {
		b := tx.Bucket([]byte("b"))
		items = append(items, fillMixed(t, rng, b, scaled(500))...)
		slices.SortFunc(items, func(a, b item) int { return bytes.Compare([]byte(a.key), []byte(b.key)) })
		return look(tx)
	}))
	tx, err := db.Begin(false)
	must(t, err)
	must(t, look(tx))
	must(t, tx.Rollback())
}

// scanBounds compares iterators between random bounds with items.
func scanBounds(t *testing.T, rng *rand.Rand, b *mmdb.Bucket, items []item) {
	t.Helper()
	from, to := rng.IntN(len(items)), rng.IntN(len(items))
	if from > to {
		from, to = to, from
	}
	lo, hi := []byte(items[from].key), []byte(items[to].key)
	want := items[from:to]
	collect := func(seq iter.Seq2[[]byte, []byte]) (got []item) {
		for k, v := range seq {
			if len(k) != cap(k) || len(v) != cap(v) {
				t.Fatalf("key %.20q: slices with room behind them", k)
			}
			got = append(got, itemOf(k, v))
		}
		return got
	}
	if got := collect(b.Range(lo, hi)); !slices.Equal(got, want) {
		t.Fatalf("Range(%.20q, %.20q): %d items, want %d", lo, hi, len(got), len(want))
	}
	got := collect(b.Backward(lo, hi))
	slices.Reverse(got)
	if !slices.Equal(got, want) {
		t.Fatalf("Backward(%.20q, %.20q): %d items, want %d", lo, hi, len(got), len(want))
	}
	prefix := lo[:rng.IntN(len(lo)+1)]
	want = slices.DeleteFunc(slices.Clone(items), func(i item) bool { return !bytes.HasPrefix([]byte(i.key), prefix) })
	if got := collect(b.Prefix(prefix)); !slices.Equal(got, want) {
		t.Fatalf("Prefix(%.20q): %d items, want %d", prefix, len(got), len(want))
	}
}

// getTogether asks for keys that are there and for some that are not.
func getTogether(t *testing.T, rng *rand.Rand, b *mmdb.Bucket, items []item) {
	t.Helper()
	var keys [][]byte
	var want []item
	for range rng.IntN(200) {
		i := items[rng.IntN(len(items))]
		keys, want = append(keys, []byte(i.key)), append(want, i)
		if rng.IntN(4) == 0 {
			absent := []byte(i.key + "+")
			keys, want = append(keys, absent), append(want, itemOf(absent, nil))
		}
	}
	values := b.GetMany(keys, nil)
	if len(values) != len(keys) {
		t.Fatalf("%d values of %d keys", len(values), len(keys))
	}
	for j, v := range values {
		if itemOf(keys[j], v) != want[j] {
			t.Fatalf("key %d, %.20q: another value", j, keys[j])
		}
	}
}

// scanZigzag moves a cursor to and fro, and compares each item and, now and then, the rank.
func scanZigzag(t *testing.T, rng *rand.Rand, b *mmdb.Bucket, items []item) {
	t.Helper()
	c := b.Cursor()
	at := rng.IntN(len(items))
	check := func(move string, k, v []byte) {
		t.Helper()
		if k == nil || itemOf(k, v) != items[at] {
			t.Fatalf("%s: %.20q, want %.20q", move, k, items[at].key)
		}
		if len(k) != cap(k) || len(v) != cap(v) {
			t.Fatalf("%s: %.20q: slices with room behind them", move, k)
		}
	}
	k, v := c.Seek([]byte(items[at].key))
	check("Seek", k, v)
	for range 20 {
		if rng.IntN(3) == 0 { // with as many moves expected as followed the last one
			at = rng.IntN(len(items))
			k, v = c.Seek([]byte(items[at].key))
			check("Seek", k, v)
		}
		back := rng.IntN(2) == 0
		for range rng.IntN(100) {
			if back && at > 0 {
				at--
				k, v = c.Prev()
				check("Prev", k, v)
			} else if !back && at < len(items)-1 {
				at++
				k, v = c.Next()
				check("Next", k, v)
			}
		}
		if rank := c.Rank(); rank != uint64(at) {
			t.Fatalf("rank %d, want %d", rank, at)
		}
	}
}

func TestACursorOfAnEndedTransactionReturnsNothing(t *testing.T) {
	db := open(t, quick)
	db.fill(1000, 1000, 20)
	var c *mmdb.Cursor
	must(t, db.View(func(tx *mmdb.Tx) error {
		c = tx.Bucket([]byte("b")).Cursor()
		c.First()
		c.Next() // it is in the middle of a leaf
		return nil
	}))
	if k, _ := c.Next(); k != nil {
		t.Errorf("Next after the transaction: %q", k)
	}
	if k, _ := c.Prev(); k != nil {
		t.Errorf("Prev after the transaction: %q", k)
	}
}
