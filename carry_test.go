package mmdb_test

import (
	"testing"

	"mmdb"
	"mmdb/tx"
)

// replaceRandom replaces perTx random values of n in each of so many transactions.
func (db *testDB) replaceRandom(n, perTx, transactions int) {
	db.t.Helper()
	rng := random(db.t)
	v := make([]byte, 100)
	for i := range transactions {
		db.update(func(b *mmdb.Bucket) error {
			for range perTx {
				k := rng.IntN(n)
				fillValue(v, n+i)
				if err := b.Put(key(k), v); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// TestCarryingMakesFewRuns counts the writes of commits in an aged file, with and without Options.Carry, which grows no larger
// than Options.Slack says.
func TestCarryingMakesFewRuns(t *testing.T) {
	n := max(sized(300_000, 150_000), 150_000) // in a small file there is nothing to carry
	runs := map[bool]float64{}
	for _, carry := range []bool{false, true} {
		opts := quick
		opts.Carry = carry
		db := open(t, opts)
		order := random(t).Perm(n)
		loadPairs(db, n, func(i int) int { return order[i] })
		db.replaceRandom(n, n/5000, 1500)
		before := db.Stats()
		db.replaceRandom(n, n/5000, 500)
		after := db.Stats()
		runs[carry] = float64(after.Writes-before.Writes) / 500
		used := int64(0)
		db.view(func(b *mmdb.Bucket) error {
			s := b.Stats()
			used = s.LeafAlloc + s.BranchAlloc
			return nil
		})
		t.Logf("carry %v: %.1f writes and %.1f pages a commit, %.1f carried, file %.3f times the pages in use", carry, runs[carry],
			float64(after.PagesWritten-before.PagesWritten)/500, float64(after.PagesCarried-before.PagesCarried)/500, float64(db.size())/float64(used))
		if most := int64(1.5*float64(used)) + growthSlack(used); db.size() > most {
			t.Errorf("carry %v: the file has %d bytes, at most %d were expected", carry, db.size(), most)
		}
		if carried := after.PagesCarried > before.PagesCarried; carried != carry {
			t.Errorf("carry %v: %d pages were carried", carry, after.PagesCarried)
		}
	}
	if runs[true] > runs[false]/2 {
		t.Errorf("%.1f writes a commit with carrying, %.1f without", runs[true], runs[false])
	}
}

// TestCarryingLeavesNestedBucketsWhole carries pages of several trees along, also of ones that the function has deleted or moved.
func TestCarryingLeavesNestedBucketsWhole(t *testing.T) {
	opts := quick
	tx.Sabotage(&opts, tx.EagerCarry)
	db := open(t, opts)
	rng := random(t)
	names := []string{"one", "two", "three", "four"}
	want := map[string]map[string]string{}
	for _, name := range names {
		want[name] = map[string]string{}
	}
	for range 300 {
		must(t, db.Update(func(tx *mmdb.Tx) error {
			for _, name := range names {
				b, err := tx.CreateBucketIfNotExists([]byte(name))
				if err != nil {
					return err
				}
				if rng.IntN(30) == 0 {
					must(t, tx.DeleteBucket([]byte(name)))
					clear(want[name])
					continue
				}
				for range rng.IntN(20) {
					k := string(key(rng.IntN(3000)))
					v := string(make([]byte, rng.IntN(300)))
					if rng.IntN(200) == 0 {
						v = string(make([]byte, 9000))
					}
					want[name][k] = v
					if err := b.Put([]byte(k), []byte(v)); err != nil {
						return err
					}
				}
			}
			return nil
		}))
	}
	if db.Stats().PagesCarried == 0 {
		t.Error("nothing was carried")
	}
	must(t, db.View(func(tx *mmdb.Tx) error {
		for name, pairs := range want {
			b := tx.Bucket([]byte(name))
			if b == nil {
				if len(pairs) > 0 {
					t.Errorf("bucket %s is gone", name)
				}
				continue
			}
			n := 0
			for k, v := range b.All() {
				if n++; pairs[string(k)] != string(v) {
					t.Fatalf("%s/%s changed", name, k)
				}
			}
			if n != len(pairs) {
				t.Errorf("%s has %d keys, want %d", name, n, len(pairs))
			}
		}
		return tx.Err()
	}))
}
