package mmdb_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"mmdb"
	"mmdb/mmapfile"
	"mmdb/page"
)

// What the growth of the file may leave behind its last page while it is open, in bytes: two chunks and an eighth of
// it. Close cuts it off.
func growthSlack(size int64) int64 { return 2<<20 + size/8 }

// loadPairs puts keys of 16 bytes with values of 100, 1000 in a transaction, in the order that order gives.
func loadPairs(db *testDB, n int, order func(i int) int) {
	db.t.Helper()
	const perTx = 1000
	v := make([]byte, 100)
	for i := 0; i < n; i += perTx {
		db.update(func(b *mmdb.Bucket) error {
			for j := i; j < min(i+perTx, n); j++ {
				k := order(j)
				fillValue(v, k)
				if err := b.Put(key(k), v); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func TestLoadInOrderTakesLittleMoreThanTheData(t *testing.T) {
	n := scaled(1_000_000)
	for _, order := range []struct {
		name string
		of   func(i int) int
		most float64
	}{
		{"ascending", func(i int) int { return i }, 1.12},
		{"descending", func(i int) int { return n - 1 - i }, 1.13}, // not promised, but the same care
	} {
		t.Run(order.name, func(t *testing.T) {
			db := open(t, quick)
			loadPairs(db, n, order.of)
			db.close()
			raw := int64(n) * (16 + 100)
			fixed := int64(200 << 10) // what even a small file has: metas, records, free pages of the last commits
			t.Logf("%d keys, %d bytes raw: file %d, ratio %.4f", n, raw, db.size(), float64(db.size())/float64(raw))
			if n < 1_000_000 {
				raw += fixed
			}
			if ratio := float64(db.size()) / float64(raw); ratio > order.most {
				t.Errorf("the file is %.4f times the data, at most %v is promised", ratio, order.most)
			}
		})
	}
}

func TestLoadInRandomOrderFillsLeaves(t *testing.T) {
	n := sized(1_000_000, 100_000)
	db := open(t, quick)
	order := random(t).Perm(n)
	loadPairs(db, n, func(i int) int { return order[i] })
	db.view(func(b *mmdb.Bucket) error {
		s := b.Stats()
		fill := float64(s.LeafUsed) / float64(s.LeafAlloc)
		t.Logf("%d keys: %d leaves %.4f full, %d branches %.4f full, depth %d", n, s.LeafPages, fill, s.BranchPages,
			float64(s.BranchUsed)/float64(s.BranchAlloc), s.Depth)
		if fill < 0.75 {
			t.Errorf("leaves are %.4f full, at least 0.75 is promised", fill)
		}
		return nil
	})
	db.close()
	t.Logf("file %d, %.4f times the data", db.size(), float64(db.size())/float64(n*116))
}

// TestAnAgedFileKeepsToItsSlack changes a database at random, in small commits, many more than there are between two checkpoints: with the
// free pages, the commit records and what the last commits have replaced the file is never more than Options.Slack says.
func TestAnAgedFileKeepsToItsSlack(t *testing.T) {
	n := sized(400_000, 100_000)
	for _, perTx := range []int{1, n / 5000} {
		db := open(t, quick)
		loadPairs(db, n, func(i int) int { return i })
		db.replaceRandom(n, perTx, n/50)
		high := int64(0)
		for range 10 {
			db.replaceRandom(n, perTx, n/200)
			high = max(high, db.size())
		}
		used := int64(0)
		db.view(func(b *mmdb.Bucket) error {
			s := b.Stats()
			used = s.LeafAlloc + s.BranchAlloc
			return nil
		})
		t.Logf("%d keys, %d in a commit: the file has up to %.4f times the pages in use", n, perTx, float64(high)/float64(used))
		if used > 4<<20 && float64(high) > 1.5*float64(used) {
			t.Errorf("%d keys, %d in a commit: the file has up to %d bytes, %.4f times its pages in use", n, perTx, high, float64(high)/float64(used))
		}
	}
}

func TestRolledBackSpillLeavesNoTrace(t *testing.T) {
	opts := quick
	opts.MaxDirty = 1 << 20
	db := open(t, opts)
	db.fill(scaled(50_000), 5000, 100)
	db.put("small", "commit") // the size that a commit leaves
	before := db.size()
	tx, err := db.Begin(true)
	must(t, err)
	b := tx.Bucket([]byte("b"))
	for i := range scaled(100_000) {
		must(t, b.Put(fmt.Appendf(nil, "other %d", i), make([]byte, 1000)))
	}
	must(t, b.Put([]byte("through"), make([]byte, 5<<20)))
	if tx.Stats().PagesSpilled == 0 {
		t.Fatal("nothing was spilled")
	}
	during := db.size()
	must(t, tx.Rollback())
	db.put("small", "again")
	t.Logf("file before %d, spilled to %d, after rollback and a commit %d", before, during, db.size())
	if most := before + growthSlack(before); db.size() > most {
		t.Errorf("the file has %d bytes, at most %d were expected", db.size(), most)
	}
	db.close()
	t.Logf("after Close %d", db.size())
}

// TestSpilledPagesAreUsedAgain: a load in random order in one transaction writes each leaf many times.
func TestSpilledPagesAreUsedAgain(t *testing.T) {
	n := scaled(60_000)
	for _, reads := range []bool{false, true} {
		opts := quick
		opts.MaxDirty = 256 << 10
		db := open(t, opts)
		db.update(func(b *mmdb.Bucket) error { return nil })
		order := random(t).Perm(n)
		v := make([]byte, 100)
		var kept [][]byte // handed out in the transaction: they stay as they are (I2)
		var of []int
		live := int64(0)
		db.update(func(b *mmdb.Bucket) error {
			for i, k := range order {
				fillValue(v, k)
				if err := b.Put(key(k), v); err != nil {
					return err
				}
				if old := order[i/2]; reads && i > n/4 && i%50 == 0 {
					kept, of = append(kept, b.Get(key(old))), append(of, old)
				}
			}
			for i, got := range kept {
				if fillValue(v, of[i]); string(got) != string(v) {
					t.Fatalf("the value of key %d, handed out before, has changed", of[i])
				}
			}
			if b.Tx().Stats().PagesSpilled == 0 {
				t.Error("nothing was spilled")
			}
			return nil
		})
		db.view(func(b *mmdb.Bucket) error {
			s := b.Stats()
			live = s.LeafAlloc + s.BranchAlloc
			return nil
		})
		db.close()
		t.Logf("reads %v: file %d, %d in use", reads, db.size(), live)
		if most := live*2 + 1<<20; !reads && db.size() > most {
			t.Errorf("the file has %d bytes, at most %d were expected", db.size(), most)
		}
	}
}

// recordBytes counts the bytes of commit records and checkpoints that pass the seam.
type recordBytes int64

func (n *recordBytes) seam(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	if op.Kind == mmapfile.OpWrite && op.Offset >= page.MetaSlots*page.MetaStride && page.KindOf(op.Data[0]) == page.KindRecord {
		*n += recordBytes(op.Length)
	}
	return noFlush(op, do)
}

// commitOnePut makes n commits of one put each and returns the bytes of their records.
func commitOnePut(db *testDB, n int, count *recordBytes) int64 {
	db.t.Helper()
	*count = 0
	for i := range n {
		must(db.t, db.Update(func(tx *mmdb.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("one"))
			if err != nil {
				return err
			}
			return b.Put(key(i%1000), fmt.Appendf(nil, "value %d", i))
		}))
	}
	return int64(*count)
}

func TestManyFreePagesDoNotMakeCommitsDearer(t *testing.T) {
	commits, free := sized(5000, 1000), sized(500_000, 50_000)
	var count recordBytes
	fresh := open(t, mmdb.Options{Seam: count.seam})
	alone := commitOnePut(fresh, commits, &count)

	var scatteredCount recordBytes
	db := open(t, mmdb.Options{Seam: scatteredCount.seam})
	db.fill(2*free, 10_000, 4000) // a page each
	for i := 0; i < 2*free; i += 20_000 {
		db.update(func(b *mmdb.Bucket) error {
			for j := i; j < min(i+20_000, 2*free); j += 2 {
				if err := b.Delete(key(j)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 3 { // what was deleted becomes free
		db.put("settle", "down")
	}
	must(t, db.View(func(tx *mmdb.Tx) error {
		info := tx.Info()
		t.Logf("%d pages free, %d pending, of %d", info.FreePages, info.PendingPages, info.HighWater)
		if info.FreePages+info.PendingPages < uint64(free) {
			t.Errorf("there are not %d free pages: the test does not test what it says", free)
		}
		return tx.Err()
	}))
	scattered := commitOnePut(db, commits, &scatteredCount)
	ratio := float64(scattered) / float64(alone)
	t.Logf("records of %d commits: %d bytes on a fresh database, %d with scattered free pages, ratio %.3f", commits, alone, scattered, ratio)
	if ratio > 1.5 {
		t.Errorf("bookkeeping is %.3f times that of a fresh database, at most 1.5 is promised", ratio)
	}
}

// churn replaces the values of perTx keys of n in each of 200 transactions. pick gives the keys. It returns the size of the file
// then, and of the pages of the tree at the start.
func churn(t *testing.T, n, perTx int, withReader bool, pick func(rng *rand.Rand) int) (size, snapshot int64) {
	t.Helper()
	db := open(t, quick)
	db.fill(n, 1000, 100)
	db.reopen()
	db.view(func(b *mmdb.Bucket) error {
		s := b.Stats()
		snapshot = s.LeafAlloc + s.BranchAlloc
		return nil
	})
	if withReader {
		tx, err := db.Begin(false)
		must(t, err)
		defer tx.Rollback()
		defer checkOld(t, tx, n)
	}
	rng := random(t)
	v := make([]byte, 100)
	for i := range 200 {
		db.update(func(b *mmdb.Bucket) error {
			for range perTx {
				k := pick(rng)
				fillValue(v, n+i)
				if err := b.Put(key(k), v); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return db.size(), snapshot
}

// checkOld makes sure that tx still sees the pairs of fill.
func checkOld(t *testing.T, tx *mmdb.Tx, n int) {
	v := make([]byte, 100)
	i := 0
	for k, got := range tx.Bucket([]byte("b")).All() {
		if fillValue(v, i); string(k) != string(key(i)) || string(got) != string(v) {
			t.Fatalf("the old snapshot changed at key %d", i)
		}
		i++
	}
	if i != n || tx.Err() != nil {
		t.Fatalf("the old snapshot has %d of %d keys, %v", i, n, tx.Err())
	}
}

func TestOldReaderKeepsOneVersionNotEveryOne(t *testing.T) {
	n := sized(1_000_000, 100_000)
	perTx := n / 1000
	anywhere := func(rng *rand.Rand) int { return rng.IntN(n) }
	part := func(rng *rand.Rand) int { return n/2 + rng.IntN(n/20) }

	without, _ := churn(t, n, perTx, false, anywhere)
	with, snapshot := churn(t, n, perTx, true, anywhere)
	most := 1.2 * float64(without+snapshot)
	t.Logf("random keys: %d bytes without a reader, %d with one, snapshot %d: %.3f of what is promised", without, with, snapshot, float64(with)/most)
	if float64(with) > most {
		t.Errorf("random keys: the file has %d bytes, at most %.0f are promised", with, most)
	}

	without, _ = churn(t, n, perTx, false, part)
	with, _ = churn(t, n, perTx, true, part)
	t.Logf("a range of 5 %%: %d bytes without a reader, %d with one, ratio %.3f", without, with, float64(with)/float64(without))
	if float64(with) > 1.2*float64(without) {
		t.Errorf("a range of 5 %%: the file has %d bytes, at most 1.2 × %d are promised", with, without)
	}
}
