package workload

import (
	"errors"
	"fmt"
	"math"
	"runtime"

	"mmdb/bench/engine"
	"mmdb/bench/native"
)

// Sizes of reads.
const (
	manyKeys   = 32   // keys in a batch of get-many
	rangeItems = 100  // items of a range
	others     = 1000 // read transactions that stay open in begin-1000
	passes     = 3    // scans of everything
)

func addReads() {
	read := func(name, doc string, run func(*env, engine.Session) error) {
		add(name, "main read", Shared, doc, func(v *env) error { return v.read(run) })
	}
	read("get", "n random hits in one transaction", (*env).get)
	read("get-tx", "n random hits, a transaction each", (*env).getTx)
	read("get-par", "n random hits on all cores, one transaction a goroutine", (*env).getPar)
	read("get-miss", "n random misses in one transaction", (*env).getMiss)
	read("get-many", "n random hits in batches of 32, time for each key", (*env).getMany)
	read("scan", "all items in order, three times, time for each item", func(v *env, s engine.Session) error { return v.scan(s, false) })
	read("scan-rev", "the same backwards", func(v *env, s engine.Session) error { return v.scan(s, true) })
	read("range100", "n/10 times 100 items from a random one on, time for each range", (*env).ranges)
	read("begin", "n read transactions that read nothing", func(v *env, s engine.Session) error { return v.begin(s, 0) })
	read("begin-1000", "the same with 1000 others open", func(v *env, s engine.Session) error { return v.begin(s, others) })
}

// read opens the loaded store, reads all of it once, and measures run; or leaves it all to the native program.
func (v *env) read(run func(*env, engine.Session) error) error {
	if v.engine.Native {
		return v.native()
	}
	s, _, err := v.openLoaded(engine.Durable)
	if err != nil {
		return err
	}
	return run(v, s)
}

// native measures with the C program.
func (v *env) native() error {
	ops := map[string]int{"get": v.N, "get-tx": v.N, "get-miss": v.N, "scan": passes, "scan-rev": passes,
		"range100": v.rangeCount(), "begin": v.N}
	n := ops[v.name]
	r, err := native.Run(v.Scratch, v.Dir, v.name, v.N, n, v.Seed)
	if err != nil {
		return err
	}
	var want engine.Touch
	switch v.name {
	case "get", "get-tx":
		want = v.hits(v.Seed, n)
	case "scan", "scan-rev":
		want = newModel(v.N, v.N, v.ValueSize).touch()
		want.Items, want.Sum = want.Items*passes, want.Sum*passes
	case "range100":
		want = v.rangeTouch(n)
	}
	if err := same(engine.Touch{Items: r.Items, Sum: r.Sum}, want); err != nil {
		return err
	}
	if v.name == "scan" || v.name == "scan-rev" {
		n *= v.N
	}
	v.metrics = append(v.metrics, Metric{Unit: "ns", Value: r.Nanoseconds / float64(n), CPU: r.CPU / float64(n), Ops: n})
	return nil
}

// hits is what ops random gets must have read.
func (v *env) hits(seed uint64, ops int) (t engine.Touch) {
	r := random{seed}
	for range ops {
		t.Value([]byte{firstByte(r.below(v.N), 1)})
	}
	return t
}

// getLoop gets ops random keys.
func (v *env) getLoop(r engine.Reader, seed uint64, ops int, t *engine.Touch) error {
	rnd := random{seed}
	key := make([]byte, keySize)
	for range ops {
		putKey(key, rnd.below(v.N))
		value, err := r.Get(key)
		if err != nil {
			return err
		}
		if len(value) != v.ValueSize {
			return fmt.Errorf("key %q has %d bytes", key, len(value))
		}
		t.Value(value)
	}
	return nil
}

func (v *env) get(s engine.Session) error {
	var t engine.Touch
	err := v.timed("", v.N, func() error {
		return s.View(func(r engine.Reader) error { return v.getLoop(r, v.Seed, v.N, &t) })
	})
	if err != nil {
		return err
	}
	return same(t, v.hits(v.Seed, v.N))
}

func (v *env) getTx(s engine.Session) error {
	var t engine.Touch
	rnd := random{v.Seed}
	key := make([]byte, keySize)
	one := func(r engine.Reader) error {
		value, err := r.Get(key)
		if err != nil {
			return err
		}
		if len(value) != v.ValueSize {
			return fmt.Errorf("key %q has %d bytes", key, len(value))
		}
		t.Value(value)
		return nil
	}
	err := v.timed("", v.N, func() error {
		for range v.N {
			putKey(key, rnd.below(v.N))
			if err := s.View(one); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return same(t, v.hits(v.Seed, v.N))
}

// getPar reads on all cores. The time is that of the whole, divided by all gets.
func (v *env) getPar(engine.Session) error {
	procs := runtime.GOMAXPROCS(0)
	each := max(1, v.N/procs)
	touched := make([]engine.Touch, procs)
	err := v.timed("", each*procs, func() error {
		return parallel(procs, func(worker int) error {
			var t engine.Touch
			s := v.store.Session()
			err := s.View(func(r engine.Reader) error { return v.getLoop(r, v.Seed+uint64(worker), each, &t) })
			touched[worker] = t
			return err
		})
	})
	if err != nil {
		return err
	}
	for worker, t := range touched {
		if err := same(t, v.hits(v.Seed+uint64(worker), each)); err != nil {
			return err
		}
	}
	return nil
}

func (v *env) getMiss(s engine.Session) error {
	rnd := random{v.Seed}
	key := make([]byte, keySize)
	return v.timed("", v.N, func() error {
		return s.View(func(r engine.Reader) error {
			for range v.N {
				putMiss(key, rnd.below(v.N))
				value, err := r.Get(key)
				if err != nil {
					return err
				}
				if value != nil {
					return fmt.Errorf("key %q is there", key)
				}
			}
			return nil
		})
	})
}

func (v *env) getMany(s engine.Session) error {
	rnd := random{v.Seed}
	keys := make([][]byte, manyKeys)
	for i := range keys {
		keys[i] = make([]byte, keySize)
	}
	var t engine.Touch
	ops := max(1, v.N/manyKeys) * manyKeys
	err := v.timed("", ops, func() error {
		return s.View(func(r engine.Reader) error {
			for range ops / manyKeys {
				for _, key := range keys {
					putKey(key, rnd.below(v.N))
				}
				if err := r.GetMany(keys, &t); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return same(t, v.hits(v.Seed, ops))
}

func (v *env) scan(s engine.Session, reverse bool) error {
	want := newModel(v.N, v.N, v.ValueSize).touch()
	return v.timed("", passes*v.N, func() error {
		return s.View(func(r engine.Reader) error {
			for range passes {
				var t engine.Touch
				if err := r.Scan(nil, math.MaxInt, reverse, &t); err != nil {
					return err
				}
				if err := same(t, want); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// rangeCount is the number of ranges that are read.
func (v *env) rangeCount() int { return v.atLeast(100, 10) }

// rangeTouch is what ops random ranges must have read.
func (v *env) rangeTouch(ops int) (t engine.Touch) {
	rnd := random{v.Seed}
	var key [keySize]byte
	for range ops {
		from := rnd.below(v.N)
		for i := from; i < min(v.N, from+rangeItems); i++ {
			putKey(key[:], i)
			t.Item(key[:], []byte{firstByte(i, 1)})
		}
	}
	return t
}

func (v *env) ranges(s engine.Session) error {
	rnd := random{v.Seed}
	key := make([]byte, keySize)
	var t engine.Touch
	ops := v.rangeCount()
	err := v.timed("", ops, func() error {
		return s.View(func(r engine.Reader) error {
			for range ops {
				putKey(key, rnd.below(v.N))
				if err := r.Scan(key, rangeItems, false, &t); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return same(t, v.rangeTouch(ops))
}

// begin begins and ends read transactions while others stay open.
func (v *env) begin(s engine.Session, open int) error {
	begun, end, ended := make(chan error), make(chan struct{}), make(chan error)
	for range open {
		go func() {
			first := true
			err := v.store.Session().View(func(engine.Reader) error {
				first = false
				begun <- nil
				<-end
				return nil
			})
			if first {
				begun <- err
			}
			ended <- err
		}()
	}
	var errs error
	for range open {
		errs = errors.Join(errs, <-begun)
	}
	if errs == nil {
		errs = v.timed("", v.N, func() error { return begins(s, v.N) })
	}
	close(end)
	for range open {
		if err := <-ended; errs == nil {
			errs = err
		}
	}
	return errs
}

// begins does nothing in n read transactions.
func begins(s engine.Session, n int) error {
	nothing := func(engine.Reader) error { return nil }
	for range n {
		if err := s.View(nothing); err != nil {
			return err
		}
	}
	return nil
}
