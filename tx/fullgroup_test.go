package tx

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// In a database that has reached its maximum size, updates that write no more than they replace succeed, though they share their commits
// with others that fail for want of space.
func TestSmallUpdatesSucceedInAFullDatabase(t *testing.T) {
	for seed := range uint64(8) {
		st := openStore(t, newPath(t), &Options{MaxSize: 400 * 4096, Durability: Durability(seed % 2), Exclusive: seed%3 == 0})
		noError(t, putKeys(st, 0, 50))
		var clients sync.WaitGroup
		full := make([]int, 8)
		for c := range 8 {
			clients.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(c)))
				for i := range 200 {
					err := st.Update(func(tx *Tx) error {
						if c < 4 {
							return largeInto(tx, fmt.Sprint(c, rng.IntN(20)), rng.IntN(100_000))
						}
						return tx.Bucket([]byte("b")).Put(testKey(rng.IntN(50)), testValue(i))
					})
					if c < 4 && errors.Is(err, ErrMaxSizeReached) {
						full[c]++
					} else if err != nil {
						t.Errorf("seed %d, client %d, update %d: %v", seed, c, i, err)
						return
					}
				}
			})
		}
		clients.Wait()
		if full[0] == 0 {
			t.Errorf("seed %d: the database was never full", seed)
		}
		checkStore(t, st)
	}
}

// A database that puts of one key each have filled up can be emptied by deletions of one key each: the puts that split a leaf, though they
// take only a page more than they free, leave some of the pages that are kept for deletions.
func TestDatabaseFilledByPutsCanBeEmptied(t *testing.T) {
	for _, c := range []struct{ pages, size int }{{25, 10}, {25, 1000}, {50, 100}, {50, 3000}, {256, 1000}} {
		st := openStore(t, memoryPath(t), &Options{MaxSize: int64(c.pages) * 4096, Exclusive: true})
		one := func(change func(b *Bucket) error) error {
			return st.Update(func(tx *Tx) error {
				b, err := tx.CreateBucketIfNotExists([]byte("b"))
				if err != nil {
					return err
				}
				return change(b)
			})
		}
		n, err := 0, error(nil)
		for ; err == nil; n++ {
			err = one(func(b *Bucket) error { return b.Put([]byte(fmt.Sprint(n)), make([]byte, c.size)) })
		}
		wantError(t, err, ErrMaxSizeReached)
		for i := range n - 1 {
			if err := one(func(b *Bucket) error { return b.Delete([]byte(fmt.Sprint(i))) }); err != nil {
				t.Errorf("%d pages, values of %d bytes: deletion %d of %d: %v", c.pages, c.size, i, n-1, err)
				break
			}
		}
		checkStore(t, st)
	}
}

// The same with lazy puts of several goroutines: the records of the deletions must not take what they need.
func TestDatabaseFilledByLazyPutsCanBeEmptied(t *testing.T) {
	for seed := range uint64(4) {
		st := openStore(t, memoryPath(t), &Options{MaxSize: 106 * 4096, Durability: Lazy, Exclusive: true})
		var clients sync.WaitGroup
		done := make([]int, 6)
		key := func(client, i int) []byte { return fmt.Append(nil, (client+6*i)*7919%10007) }
		for c := range done {
			clients.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(c)))
				for full := 0; full < 5; done[c]++ {
					err := st.Update(func(tx *Tx) error {
						b, err := tx.CreateBucketIfNotExists([]byte("b"))
						if err != nil {
							return err
						}
						return b.Put(key(c, done[c]), make([]byte, 1+rng.IntN(1400)))
					})
					if err != nil {
						full++
					}
				}
			})
		}
		clients.Wait()
		for c, n := range done {
			for i := range n {
				if err := st.Update(func(tx *Tx) error { return tx.Bucket([]byte("b")).Delete(key(c, i)) }); err != nil {
					t.Fatalf("seed %d: deletion %d of %d of client %d: %v", seed, i, n, c, err)
				}
			}
		}
		checkStore(t, st)
	}
}

// Records of lazy commits do not take the pages that are kept for updates that grow nothing. What such an update waits for is a flush, after
// which it still is a lazy commit: a checkpoint then would free nothing, and there must be one at last.
func TestRecordsOfLazyCommitsStayFew(t *testing.T) {
	st, _ := lazyStore(t, Options{MaxSize: 400 * 4096})
	noError(t, putKeys(st, 0, 50))
	var err error
	for i := 0; err == nil; i++ {
		err = putLarge(st, fmt.Sprint(i), 40_000)
	}
	wantError(t, err, ErrMaxSizeReached)
	for i := range 1000 {
		noError(t, putKeys(st, i%50, i%50+1))
		if n, due := st.w.chainPages, uint64(400/chainShare); n > 2*due+1 {
			t.Fatalf("commit %d: a chain of %d pages, %d are due", i, n, due)
		}
	}
}
