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
