package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"

	"mmdb/bench/engine"
)

// The sizes of redb's published benchmark, for a bulk load of n items.
const (
	redbKey     = 24
	redbValue   = 150
	redbSingles = 1000 // durable transactions of one item
	redbBatches = 100  // durable transactions of redbBatch items
	redbBatch   = 1000
	redbSeek    = 10 // items that are read after a seek
)

func addRedb() {
	add("redb", "main redb", Empty, "the steps of redb's published benchmark: 24-byte random keys, 150-byte values; n in the bulk load", (*env).redb)
}

// redbRun is that benchmark under way. Item i's key is random, and its value follows from i.
type redbRun struct {
	*env
	s        engine.Session
	put      int // items put so far
	removed  int // of those, the first ones
	key, val []byte
}

// redbPutKey makes dst[:24] the random key of item i.
func redbPutKey(dst []byte, i int) {
	x := mix(uint64(i) + stride)
	for j := 0; j < redbKey; j += 8 {
		binary.BigEndian.PutUint64(dst[j:], x)
		x = mix(x + stride)
	}
}

// redb runs all steps.
func (v *env) redb() error {
	s, err := v.open(engine.Durable)
	if err != nil {
		return err
	}
	b := &redbRun{env: v, s: s, key: make([]byte, redbKey), val: make([]byte, redbValue)}
	singles, batches, size := min(redbSingles, v.atLeast(10, 1000)), min(redbBatches, v.atLeast(2, 10_000)), min(redbBatch, v.atLeast(10, 1000))
	reads := v.N
	steps := []func() error{
		func() error { return v.timed("", v.N, func() error { return b.bulk(v.N) }) },
		func() error { return v.timed("single writes", singles, func() error { return b.write(singles, 1) }) },
		func() error { return v.timed("batch writes", batches, func() error { return b.write(batches, size) }) },
		func() error { return v.timed("len", 1, b.length) },
		func() error { return b.reads("random reads", reads) },
		func() error { return b.ranges("range reads", max(1, reads/2)) },
		func() error { return b.parallelReads("reads on all cores", reads) },
		func() error { return b.removeHalf("removals") },
		func() error { return b.size("size") },
		func() error { return v.timed("compaction", 1, v.store.Compact) },
		func() error { b.s = v.store.Session(); return b.size("size compacted") },
		b.check,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// write puts new items, size in a transaction.
func (b *redbRun) write(transactions, size int) error {
	for range transactions {
		err := b.s.Update(func(w engine.Writer) error {
			for i := b.put; i < b.put+size; i++ {
				redbPutKey(b.key, i)
				fill(b.val, uint64(i))
				if err := w.Put(b.key, b.val); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		b.put += size
	}
	return nil
}

// bulk puts n new items, in one transaction if that suits the engine.
func (b *redbRun) bulk(n int) error {
	for b.put < n {
		if err := b.write(1, b.engine.InBulk(n-b.put)); err != nil {
			return err
		}
	}
	return nil
}

// length compares the number of items.
func (b *redbRun) length() error {
	return b.s.View(func(r engine.Reader) error {
		n, err := r.Len()
		if err == nil && n != b.put-b.removed {
			err = fmt.Errorf("%d items, expected %d", n, b.put-b.removed)
		}
		return err
	})
}

// readLoop gets ops random items.
func (b *redbRun) readLoop(r engine.Reader, seed uint64, ops int) error {
	rnd := random{seed}
	key := make([]byte, redbKey)
	for range ops {
		i := rnd.below(b.put)
		redbPutKey(key, i)
		value, err := r.Get(key)
		if err != nil {
			return err
		}
		if len(value) != redbValue || value[0] != byte(i) {
			return fmt.Errorf("item %d has another value, of %d bytes", i, len(value))
		}
	}
	return nil
}

func (b *redbRun) reads(name string, ops int) error {
	return b.timed(name, ops, func() error {
		return b.s.View(func(r engine.Reader) error { return b.readLoop(r, b.Seed, ops) })
	})
}

// parallelReads does ops reads on every core.
func (b *redbRun) parallelReads(name string, ops int) error {
	procs := runtime.GOMAXPROCS(0)
	return b.timed(name, ops*procs, func() error {
		return parallel(procs, func(worker int) error {
			return b.store.Session().View(func(r engine.Reader) error {
				return b.readLoop(r, b.Seed+uint64(worker), ops)
			})
		})
	})
}

// ranges seeks random items and reads 10 from there.
func (b *redbRun) ranges(name string, ops int) error {
	rnd := random{b.Seed}
	var t engine.Touch
	err := b.timed(name, ops, func() error {
		return b.s.View(func(r engine.Reader) error {
			for range ops {
				redbPutKey(b.key, rnd.below(b.put))
				if err := r.Scan(b.key, redbSeek, false, &t); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err == nil && (t.Items > ops*redbSeek || t.Items < ops) {
		err = fmt.Errorf("%d items read by %d seeks", t.Items, ops)
	}
	return err
}

// removeHalf deletes half of the items, in one transaction if that suits the engine.
func (b *redbRun) removeHalf(name string) error {
	half := b.put / 2
	return b.timed(name, half, func() error {
		for b.removed < half {
			if err := b.remove(b.engine.InBulk(half - b.removed)); err != nil {
				return err
			}
		}
		return nil
	})
}

// remove deletes the next n items in a transaction.
func (b *redbRun) remove(n int) error {
	err := b.s.Update(func(w engine.Writer) error {
		for i := b.removed; i < b.removed+n; i++ {
			redbPutKey(b.key, i)
			if err := w.Delete(b.key); err != nil {
				return err
			}
		}
		return nil
	})
	b.removed += n
	return err
}

// size reports the size of the files of the open store.
func (b *redbRun) size(name string) error {
	n, err := diskUsage(b.Dir)
	b.bytes(name, n)
	return err
}

// check looks at every byte that should be left, and that nothing else is.
func (b *redbRun) check() error {
	return errors.Join(b.length(), b.s.View(func(r engine.Reader) error {
		for i := range b.put {
			redbPutKey(b.key, i)
			fill(b.val, uint64(i))
			value, err := r.Get(b.key)
			if err != nil {
				return err
			}
			if i < b.removed && value != nil || i >= b.removed && string(value) != string(b.val) {
				return fmt.Errorf("item %d has %d bytes that it should not have", i, len(value))
			}
		}
		return nil
	}))
}
