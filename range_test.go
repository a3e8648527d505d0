package mmdb_test

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"testing"

	"mmdb"
)

// numbers reads the keys of an iterator.
func numbers(seq iter.Seq2[[]byte, []byte]) (got []int) {
	for k := range seq {
		var n int
		fmt.Sscanf(string(k), "%d", &n)
		got = append(got, n)
	}
	return got
}

func TestRangesAreClosedBelowAndOpenAbove(t *testing.T) {
	db := open(t, quick)
	cursorKeys(db, 5)
	look := func(b *mmdb.Bucket) error {
		for _, c := range []struct {
			lo, hi int // 0 is nil
			want   []int
		}{
			{0, 0, []int{10, 20, 30, 40, 50}},
			{20, 40, []int{20, 30}},
			{15, 45, []int{20, 30, 40}},
			{0, 30, []int{10, 20}},
			{30, 0, []int{30, 40, 50}},
			{40, 20, nil},
			{30, 30, nil},
			{60, 0, nil},
			{0, 5, nil},
			{0, 99, []int{10, 20, 30, 40, 50}},
		} {
			var lo, hi []byte
			if c.lo != 0 {
				lo = key(c.lo)
			}
			if c.hi != 0 {
				hi = key(c.hi)
			}
			if got := numbers(b.Range(lo, hi)); !slices.Equal(got, c.want) {
				t.Errorf("Range(%d, %d): %v, want %v", c.lo, c.hi, got, c.want)
			}
			if got := b.CountRange(lo, hi); got != uint64(len(c.want)) {
				t.Errorf("CountRange(%d, %d): %d, want %d", c.lo, c.hi, got, len(c.want))
			}
			back := slices.Clone(c.want)
			slices.Reverse(back)
			if got := numbers(b.Backward(lo, hi)); !slices.Equal(got, back) {
				t.Errorf("Backward(%d, %d): %v, want %v", c.lo, c.hi, got, back)
			}
		}
		if got := numbers(b.Range(nil, []byte{})); got != nil {
			t.Errorf("an empty hi is not nil: %v", got)
		}
		if got := numbers(b.Prefix(key(30)[:15])); !slices.Equal(got, []int{30}) {
			t.Errorf("Prefix: %v", got)
		}
		if got := numbers(b.Prefix(nil)); len(got) != 5 {
			t.Errorf("Prefix(nil): %v", got)
		}
		if got := numbers(b.Prefix([]byte("1"))); got != nil {
			t.Errorf("Prefix of nothing: %v", got)
		}
		return nil
	}
	db.view(look)
	db.update(look)
}

func TestPrefixEndsAtItsLastKey(t *testing.T) {
	db := open(t, quick)
	keys := []string{"\xfe", "\xff", "\xff\x00", "\xff\xff", "\xff\xff\xff", "a", "aa", "ab", "b"}
	db.update(func(b *mmdb.Bucket) error {
		for _, k := range keys {
			must(t, b.Put([]byte(k), nil))
		}
		return nil
	})
	db.view(func(b *mmdb.Bucket) error {
		for prefix, want := range map[string]int{"\xff": 4, "\xff\xff": 2, "a": 3, "": 9, "ab": 1, "c": 0} {
			n := 0
			for k := range b.Prefix([]byte(prefix)) {
				if n++; !bytes.HasPrefix(k, []byte(prefix)) {
					t.Errorf("%q in the prefix %q", k, prefix)
				}
			}
			if n != want {
				t.Errorf("%d keys with the prefix %q, want %d", n, prefix, want)
			}
		}
		return nil
	})
}

func TestBucketsMayChangeInsideALoop(t *testing.T) {
	db := open(t, quick)
	const n = 2000
	cursorKeys(db, n)
	db.update(func(b *mmdb.Bucket) error {
		seen := 0
		for k := range b.All() { // what is deleted before it is reached is not seen, what comes in ahead is
			seen++
			must(t, b.Delete(k))
			if seen == 100 {
				_, err := b.DeleteRange(key(10*500), key(10*1000))
				must(t, err)
			}
		}
		if seen != n-500 || b.Len() != 0 {
			t.Errorf("%d were seen, %d are left", seen, b.Len())
		}
		for i := range n {
			must(t, b.Put(key(10*i), make([]byte, 50)))
		}
		seen = 0
		for k, v := range b.All() {
			seen++
			must(t, b.Put(append(bytes.Clone(k), 'x'), v[:10])) // right behind: seen next
			if len(k) > 16 {
				must(t, b.Delete(append(bytes.Clone(k), 'x')))
			}
		}
		if seen != 2*n {
			t.Errorf("%d were seen, want %d", seen, 2*n)
		}
		seen = 0
		for k := range b.Backward(nil, nil) {
			seen++
			must(t, b.Delete(k))
			must(t, b.Put(append([]byte("zz"), k...), nil)) // behind: not seen
		}
		if seen != 2*n {
			t.Errorf("%d were seen backward, want %d", seen, 2*n)
		}
		for range b.All() {
			break // a loop may stop early
		}
		return nil
	})
}

func TestDeleteRangeDeletesTheRangeAndNothingElse(t *testing.T) {
	rng := random(t)
	for round := range scaled(40) {
		db := open(t, quick)
		n := 1 + rng.IntN(20_000)
		db.update(func(b *mmdb.Bucket) error {
			for i := range n {
				v := make([]byte, 50)
				if i%500 == 0 {
					v = make([]byte, 20_000)
				}
				must(t, b.Put(key(10*i), v))
			}
			return nil
		})
		lo, hi := rng.IntN(10*n), rng.IntN(10*n+100)
		if round%10 == 0 {
			lo = 0
		}
		want := max(0, (hi+9)/10-(lo+9)/10)
		if hi > 10*n {
			want = max(0, n-(lo+9)/10)
		}
		db.update(func(b *mmdb.Bucket) error {
			got, err := b.DeleteRange(key(lo), key(hi))
			must(t, err)
			if got != uint64(want) || b.Len() != uint64(n-want) || b.CountRange(key(lo), key(hi)) != 0 {
				t.Errorf("of %d keys DeleteRange(%d, %d) deleted %d, want %d; %d are left", n, lo, hi, got, want, b.Len())
			}
			if again, err := b.DeleteRange(key(lo), key(hi)); again != 0 || err != nil {
				t.Errorf("again: %d, %v", again, err)
			}
			return nil
		})
		db.view(func(b *mmdb.Bucket) error {
			if got := len(numbers(b.All())); got != n-want {
				t.Errorf("%d keys are left, want %d", got, n-want)
			}
			return nil
		})
	}
}

// Deleting nearly everything leaves a tree of few pages, whose space is used again.
func TestDeletedPagesAreUsedAgain(t *testing.T) {
	db := open(t, quick)
	n := scaled(50_000)
	db.fill(n, 10_000, 100)
	size := db.size()
	for range 5 {
		db.update(func(b *mmdb.Bucket) error {
			_, err := b.DeleteRange(key(10), nil)
			return err
		})
		db.view(func(b *mmdb.Bucket) error {
			if s := b.Stats(); s.LeafPages != 1 || s.BranchPages != 0 {
				t.Errorf("10 keys are in %d leaves and %d branches", s.LeafPages, s.BranchPages)
			}
			return nil
		})
		db.fill(n, 10_000, 100)
	}
	if most := 2*size + growthSlack(size); db.size() > most {
		t.Errorf("the file grew from %d to %d", size, db.size())
	}
}

// Iterations share what an ended one leaves. Here they end in another order than they began, and others begin meanwhile.
func TestIterationsEndInAnyOrder(t *testing.T) {
	db := open(t, quick)
	const n = 3000
	cursorKeys(db, n)
	look := func(b *mmdb.Bucket) error {
		type open struct {
			next func() ([]byte, []byte, bool)
			stop func()
			at   int
		}
		var list []*open
		for step := range 4 * n {
			if step%40 == 0 {
				at := 1 + step*7919%n
				next, stop := iter.Pull2(b.Range(key(10*at), nil))
				list = append(list, &open{next, stop, at})
			}
			if step%60 == 59 {
				i := step * 31 % len(list)
				list[i].stop()
				list = slices.Delete(list, i, i+1)
			}
			if len(list) == 0 {
				continue
			}
			p := list[step*17%len(list)]
			k, _, ok := p.next()
			if ok != (p.at <= n) || ok && !bytes.Equal(k, key(10*p.at)) {
				t.Fatalf("step %d: %q, %v; want %q of %d", step, k, ok, key(10*p.at), n)
			}
			p.at++
		}
		for _, p := range list {
			p.stop()
		}
		return nil
	}
	must(t, db.View(func(tx *mmdb.Tx) error { return look(tx.Bucket([]byte("b"))) }))
	must(t, db.Update(func(tx *mmdb.Tx) error { return look(tx.Bucket([]byte("b"))) }))
}

// An iterator that goes on after its transaction gives nothing, also when the file is not mapped any more.
func TestALateNextGivesNothing(t *testing.T) {
	for name, seq := range map[string]func(b *mmdb.Bucket) iter.Seq2[[]byte, []byte]{
		"All":      (*mmdb.Bucket).All,
		"Range":    func(b *mmdb.Bucket) iter.Seq2[[]byte, []byte] { return b.Range(nil, key(90)) },
		"Prefix":   func(b *mmdb.Bucket) iter.Seq2[[]byte, []byte] { return b.Prefix(key(0)[:1]) },
		"Backward": func(b *mmdb.Bucket) iter.Seq2[[]byte, []byte] { return b.Backward(nil, nil) },
	} {
		for before := range 5 {
			for _, closed := range []bool{false, true} {
				db := open(t, quick)
				cursorKeys(db, 20)
				var next func() ([]byte, []byte, bool)
				var stop func()
				must(t, db.View(func(tx *mmdb.Tx) error {
					next, stop = iter.Pull2(seq(tx.Bucket([]byte("b"))))
					for range before {
						next()
					}
					return nil
				}))
				if closed {
					must(t, db.Close())
				}
				if k, _, ok := next(); ok {
					t.Errorf("%s: %q after the end", name, k)
				}
				stop()
			}
		}
	}
}

// An iterator that is stopped after its transaction takes nothing from the one that came to its cursor.
func TestALateStopHitsNobody(t *testing.T) {
	db := open(t, quick)
	cursorKeys(db, 100)
	for name, seq := range map[string]func(b *mmdb.Bucket) iter.Seq2[[]byte, []byte]{
		"All":      (*mmdb.Bucket).All,
		"Prefix":   func(b *mmdb.Bucket) iter.Seq2[[]byte, []byte] { return b.Prefix(key(0)[:1]) },
		"Backward": func(b *mmdb.Bucket) iter.Seq2[[]byte, []byte] { return b.Backward(nil, nil) },
	} {
		var stop func()
		must(t, db.View(func(tx *mmdb.Tx) error {
			var next func() ([]byte, []byte, bool)
			next, stop = iter.Pull2(seq(tx.Bucket([]byte("b"))))
			next()
			return nil
		}))
		must(t, db.View(func(tx *mmdb.Tx) error {
			b := tx.Bucket([]byte("b"))
			c := b.Cursor()
			c.Seek(key(500))
			stop()
			b.Cursor().First()
			if k, _ := c.Next(); !bytes.Equal(k, key(510)) {
				t.Errorf("%s: %q after %q", name, k, key(500))
			}
			return nil
		}))
	}
}
