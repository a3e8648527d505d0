package mmdb_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"mmdb"
)

// writeRound gives every one of n keys the value round, and moves a few keys about so that pages split and merge.
func writeRound(b *mmdb.Bucket, n, round int) error {
	v := fmt.Appendf(nil, "%08d%s", round, bytes.Repeat([]byte("."), round%90))
	for i := range n {
		if err := b.Put(key(i), v); err != nil {
			return err
		}
	}
	for i := range n / 4 {
		if err := b.Delete(fmt.Appendf(nil, "%d of round %d", i, round-1)); err != nil {
			return err
		}
		if err := b.Put(fmt.Appendf(nil, "%d of round %d", i, round), make([]byte, (i*37)%3000)); err != nil {
			return err
		}
	}
	return b.SetSequence(uint64(round))
}

// readRound makes sure that all that b holds is of one round, and returns it.
func readRound(b *mmdb.Bucket, n int, rng *rand.Rand) (int, error) {
	round := int(b.Sequence())
	if round == 0 {
		return 0, nil
	}
	if b.Len() != uint64(n+n/4) {
		return 0, fmt.Errorf("%d keys in round %d", b.Len(), round)
	}
	want := fmt.Appendf(nil, "%08d", round)
	i := 0
	for k, v := range b.Prefix([]byte("0000")) {
		if !bytes.Equal(k, key(i)) || !bytes.HasPrefix(v, want) {
			return 0, fmt.Errorf("key %q has the value %.20q in round %d", k, v, round)
		}
		i++
	}
	for range 20 {
		if v := b.Get(key(rng.IntN(n))); !bytes.HasPrefix(v, want) {
			return 0, fmt.Errorf("Get gives %.20q in round %d", v, round)
		}
		if b.Get(fmt.Appendf(nil, "%d of round %d", rng.IntN(n/4), round)) == nil {
			return 0, fmt.Errorf("a key of round %d is not there", round)
		}
	}
	if i != n {
		return 0, fmt.Errorf("%d of %d keys in round %d", i, n, round)
	}
	return round, b.Tx().Err()
}

func TestReadersSeeWholeCommitsUnderAWriter(t *testing.T) {
	const readers = 6
	db := open(t, quick)
	n, rounds := 400, scaled(300)
	db.update(func(b *mmdb.Bucket) error { return nil })
	var stop atomic.Bool
	var wg sync.WaitGroup
	var reads atomic.Int64
	for r := range readers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(*seed, uint64(r)))
			last := 0
			for !stop.Load() {
				round := 0
				read := func(tx *mmdb.Tx) (err error) {
					round, err = readRound(tx.Bucket([]byte("b")), n, rng)
					return err
				}
				var err error
				if r%2 == 0 {
					err = db.View(read)
				} else if tx, e := db.Begin(false); e != nil {
					err = e
				} else {
					err = errors.Join(read(tx), tx.Rollback())
				}
				if err != nil || round < last {
					t.Errorf("reader %d: round %d after %d: %v", r, round, last, err)
					return
				}
				last = round
				reads.Add(1)
			}
		})
	}
	for round := 1; round <= rounds; round++ {
		db.update(func(b *mmdb.Bucket) error { return writeRound(b, n, round) })
		db.view(func(b *mmdb.Bucket) error {
			if got := b.Sequence(); got != uint64(round) { // what was committed is seen by the next View
				t.Errorf("after the commit of round %d: %d", round, got)
			}
			return nil
		})
	}
	stop.Store(true)
	wg.Wait()
	if s := db.Stats(); s.OpenReaders != 0 {
		t.Errorf("%d readers are left open", s.OpenReaders)
	}
	t.Logf("%d reads beside %d commits", reads.Load(), rounds)
}

func TestWritersTakeTurns(t *testing.T) {
	const writers = 8
	db := open(t, quick)
	db.put("counter", "0")
	each := scaled(200)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			do := db.Update
			if w%2 == 1 {
				do = db.Batch
			}
			for i := range each {
				err := do(func(tx *mmdb.Tx) error {
					b := tx.Bucket([]byte("b"))
					n, err := strconv.Atoi(string(b.Get([]byte("counter"))))
					if err != nil {
						return err
					}
					if i%10 == 0 { // one in ten fails, and counts nothing
						return errors.Join(b.Put([]byte("counter"), []byte("nonsense")), errUndo)
					}
					return b.Put([]byte("counter"), fmt.Append(nil, n+1))
				})
				if err != nil && !errors.Is(err, errUndo) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	db.view(func(b *mmdb.Bucket) error {
		if got, want := string(b.Get([]byte("counter"))), fmt.Sprint(writers*(each-each/10)); got != want {
			t.Errorf("the counter is %s, want %s", got, want)
		}
		return nil
	})
}

func TestManyReadersAtOnce(t *testing.T) {
	db := open(t, quick)
	db.put("k", "first")
	var txs []*mmdb.Tx
	for range 1000 {
		tx, err := db.Begin(false)
		must(t, err)
		txs = append(txs, tx)
	}
	if n := db.Stats().OpenReaders; n != 1000 {
		t.Errorf("%d open readers", n)
	}
	db.put("k", "second")
	for i := range txs {
		tx := txs[(i*7)%len(txs)]
		if v := tx.Bucket([]byte("b")).Get([]byte("k")); string(v) != "first" {
			t.Fatalf("reader %d sees %q", i, v)
		}
		must(t, tx.Rollback())
	}
	if n := db.Stats().OpenReaders; n != 0 {
		t.Errorf("%d readers are left open", n)
	}
}

// Close may be called while goroutines go on using the database: each of their calls is either whole or refused.
func TestCloseUnderLoad(t *testing.T) {
	for round := range scaled(50) {
		db := open(t, quick)
		db.put("k", "v")
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for {
					err := db.DB.View(func(tx *mmdb.Tx) error {
						if v := tx.Bucket([]byte("b")).Get([]byte("k")); len(v) != 1 {
							return fmt.Errorf("read %q", v)
						}
						return nil
					})
					if w == 0 && err == nil {
						err = db.DB.Update(func(tx *mmdb.Tx) error { return tx.Bucket([]byte("b")).Put([]byte("k"), []byte("w")) })
					}
					if errors.Is(err, mmdb.ErrDatabaseNotOpen) {
						return
					} else if err != nil {
						t.Errorf("round %d: %v", round, err)
						return
					}
				}
			})
		}
		handle := db.DB
		must(t, handle.Close())
		wg.Wait()
	}
}
