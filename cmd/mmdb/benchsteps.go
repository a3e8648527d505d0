package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"mmdb"
	"mmdb/mmapfile"
)

const (
	benchKeySize = 16
	benchBatch   = 100 // puts of a commit, where there are several
)

var benchBucket = []byte("bench")

// benchKey writes the key of number i to key. Neighbouring numbers are far apart.
func benchKey(key []byte, i int) []byte {
	h := uint64(i) * 0x9e3779b97f4a7c15
	binary.BigEndian.PutUint64(key, h)
	binary.BigEndian.PutUint64(key[8:], uint64(i))
	return key
}

// repeat calls fn until the time is over, and returns how long each call took.
func (b *bench) repeat(fn func() error) (times []time.Duration, wall time.Duration, err error) {
	start := time.Now()
	for last := start; ; {
		err := b.a.interrupted()
		if err == nil {
			err = fn()
		}
		if err != nil {
			return nil, 0, err
		}
		now := time.Now()
		times = append(times, now.Sub(last))
		last = now
		if wall = now.Sub(start); wall >= b.o.each {
			return times, wall, nil
		}
	}
}

// flushes measures the disk: a block that exists is written over, and flushed as a commit is.
func (b *bench) flushes() error {
	f, err := mmapfile.Open(filepath.Join(b.dir, "flush"), mmapfile.Options{Create: true, Mode: fileMode})
	if err != nil {
		return err
	}
	defer f.Close()
	const blocks = 256
	block := make([]byte, 4096)
	if err := f.WriteAt([][]byte{make([]byte, blocks*len(block))}, 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	i := 0
	times, wall, err := b.repeat(func() error {
		i++
		block[i%len(block)]++
		if err := f.WriteAt([][]byte{block}, int64(i*7%blocks*len(block))); err != nil {
			return err
		}
		return f.Sync()
	})
	if err == nil {
		b.figure("flush", "4 KiB written over and flushed: the disk alone", times, 1, wall)
	}
	return err
}

// load fills the database, in the order of the keys, with commits of 10,000.
func (b *bench) load() error {
	const batch = 10_000
	value := make([]byte, b.o.value)
	order := make([]int, b.o.keys)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int {
		var kx, ky [benchKeySize]byte
		return slices.Compare(benchKey(kx[:], x), benchKey(ky[:], y))
	})
	var key [benchKeySize]byte
	start := time.Now()
	for len(order) > 0 {
		n := min(batch, len(order))
		err := b.db.Update(func(tx *mmdb.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists(benchBucket)
			for _, i := range order[:n] {
				if err == nil {
					err = bucket.Put(benchKey(key[:], i), value)
				}
			}
			if err == nil {
				err = b.a.interrupted()
			}
			return err
		})
		if err != nil {
			return err
		}
		order = order[n:]
	}
	wall := time.Since(start)
	b.figure("load", "puts in key order, 10,000 a commit", []time.Duration{wall}, b.o.keys, wall)
	return nil
}

// put stores n random keys in one commit.
func (b *bench) put(r *rand.Rand, value []byte, n int) error {
	return b.db.Update(func(tx *mmdb.Tx) error {
		bucket := tx.Bucket(benchBucket)
		var key [benchKeySize]byte
		for range n {
			if err := bucket.Put(benchKey(key[:], r.IntN(b.o.keys)), value); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) putSync() error {
	r, value := rand.New(rand.NewPCG(1, 1)), make([]byte, b.o.value)
	before := b.db.Stats()
	times, wall, err := b.repeat(func() error { return b.put(r, value, 1) })
	if err == nil {
		after := b.db.Stats()
		b.figure("put", fmt.Sprintf("durable commits of one random put, %.1f flushes each",
			float64(after.Flushes-before.Flushes)/float64(max(after.Commits-before.Commits, 1))), times, 1, wall)
	}
	return err
}

// putLazy is putSync without the wait for the disk.
func (b *bench) putLazy() error {
	r, value := rand.New(rand.NewPCG(6, 1)), make([]byte, b.o.value)
	var key [benchKeySize]byte
	one := func(tx *mmdb.Tx) error {
		tx.SetDurability(mmdb.Lazy)
		return tx.Bucket(benchBucket).Put(benchKey(key[:], r.IntN(b.o.keys)), value)
	}
	times, wall, err := b.repeat(func() error { return b.db.Update(one) })
	if err == nil {
		err = b.db.Sync()
	}
	if err == nil {
		b.figure("put lazy", "the same, flushed later: power loss may undo the last ones", times, 1, wall)
	}
	return err
}

// putMany is putSync by several goroutines at once.
func (b *bench) putMany() error {
	const writers = 16
	all := make([][]time.Duration, writers)
	errs := make([]error, writers)
	before := b.db.Stats()
	start := time.Now()
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			r, value := rand.New(rand.NewPCG(2, uint64(i))), make([]byte, b.o.value)
			all[i], _, errs[i] = b.repeat(func() error { return b.put(r, value, 1) })
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	wall, after := time.Since(start), b.db.Stats()
	times := slices.Concat(all...)
	b.figure("put x16", fmt.Sprintf("durable ones by 16 goroutines, %.1f puts a flush", float64(len(times))/float64(max(after.Flushes-before.Flushes, 1))), times, 1, wall)
	return nil
}

func (b *bench) putBatch() error {
	r, value := rand.New(rand.NewPCG(3, 1)), make([]byte, b.o.value)
	times, wall, err := b.repeat(func() error { return b.put(r, value, benchBatch) })
	if err == nil {
		b.figure("put x100", "random puts, durable commits of 100", times, benchBatch, wall)
	}
	return err
}

// get reads random keys in one transaction.
func (b *bench) get() error {
	r := rand.New(rand.NewPCG(4, 1))
	var times []time.Duration
	var wall time.Duration
	err := b.db.View(func(tx *mmdb.Tx) (err error) {
		bucket := tx.Bucket(benchBucket)
		var key [benchKeySize]byte
		times, wall, err = b.repeat(func() error {
			for range benchBatch {
				if bucket.Get(benchKey(key[:], r.IntN(b.o.keys))) == nil {
					return errBenchMissing
				}
			}
			return nil
		})
		return err
	})
	if err == nil {
		b.figure("get", "random gets in one transaction", times, benchBatch, wall)
	}
	return err
}

// errBenchMissing says that a key that was put is not there.
var errBenchMissing = errors.New("a key of the benchmark is missing")

// getTx reads each random key in a transaction of its own.
func (b *bench) getTx() error {
	r := rand.New(rand.NewPCG(5, 1))
	var key [benchKeySize]byte
	one := func(tx *mmdb.Tx) error {
		if tx.Bucket(benchBucket).Get(benchKey(key[:], r.IntN(b.o.keys))) == nil {
			return errBenchMissing
		}
		return nil
	}
	times, wall, err := b.repeat(func() error {
		for range benchBatch {
			if err := b.db.View(one); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		b.figure("get-tx", "random gets, each in a transaction of its own", times, benchBatch, wall)
	}
	return err
}

// scan reads all keys in order, again and again.
func (b *bench) scan() error {
	sum := 0
	times, wall, err := b.repeat(func() error {
		return b.db.View(func(tx *mmdb.Tx) error {
			for k, v := range tx.Bucket(benchBucket).All() {
				sum += len(k) + len(v)
			}
			return nil
		})
	})
	runtime.KeepAlive(sum)
	if err == nil {
		b.figure("scan", "keys with values in order", times, b.o.keys, wall)
	}
	return err
}

// reopen closes the database and opens it again.
func (b *bench) reopen() error {
	times, wall, err := b.repeat(func() error {
		if err := b.db.Close(); err != nil {
			return err
		}
		db, err := mmdb.Open(b.path, fileMode, nil)
		if err == nil {
			b.db = db
		}
		return err
	})
	if err == nil {
		b.figure("open", "close and open again", times, 1, wall)
	}
	return err
}

// quantile returns the q-quantile of times, in nanoseconds. It sorts them.
func quantile(times []time.Duration, q float64) float64 {
	slices.Sort(times)
	return float64(times[min(int(q*float64(len(times))), len(times)-1)])
}
