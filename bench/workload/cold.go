package workload

import (
	"math"
	"time"

	"mmdb/bench/engine"
)

func addCold() {
	add("cold-get", "cold", Shared, "n/20 random hits in one transaction, nothing in the page cache at first",
		func(v *env) error { return v.cold(false, (*env).coldGets) })
	add("cold-scan", "cold", Shared, "all items in order once, nothing in the page cache at first",
		func(v *env) error { return v.cold(false, (*env).coldScan) })
	add("small-memory-get", "cold", Shared, "n/20 random hits with memory for a quarter of the files, after as many to fill it",
		func(v *env) error { return v.cold(true, (*env).warmColdGets) })
	add("small-memory-scan", "cold", Shared, "all items in order once with memory for a quarter of the files",
		func(v *env) error { return v.cold(true, (*env).coldScan) })
}

// leastMemory is what the program itself needs.
const leastMemory = 48 << 20

// cold drops the store's files from the page cache, limits this process's memory if asked, and opens the store.
func (v *env) cold(limited bool, run func(*env, engine.Session) error) error {
	cache := int64(0)
	if limited {
		limit := v.Memory
		if limit == 0 {
			n, err := diskUsage(v.Dir)
			if err != nil {
				return err
			}
			limit = max(leastMemory, n/4)
		}
		leave, err := limitMemory(limit)
		if err != nil {
			return err
		}
		defer leave()
		cache = limit / 4
	}
	if err := evict(v.Dir); err != nil {
		return err
	}
	var err error
	if v.store, err = v.engine.Open(v.Dir, engine.Options{ReadOnly: true, CacheBytes: cache}); err != nil {
		v.store = nil
		return err
	}
	return run(v, v.store.Session())
}

// coldCount is how many items are read at random.
func (v *env) coldCount() int { return v.atLeast(20, 20) }

// coldGets ends after Limit, like durable writes: a read from a device may be slow.
func (v *env) coldGets(s engine.Session) error {
	var t engine.Touch
	done := 0
	deadline := time.Now().Add(v.Limit)
	err := v.counted("", func() (int, error) {
		err := s.View(func(r engine.Reader) error {
			for done < v.coldCount() && time.Now().Before(deadline) {
				step := min(100, v.coldCount()-done)
				if err := v.getLoop(r, v.Seed+uint64(done), step, &t); err != nil {
					return err
				}
				done += step
			}
			return nil
		})
		return done, err
	})
	if err != nil {
		return err
	}
	var want engine.Touch
	for at := 0; at < done; at += 100 {
		h := v.hits(v.Seed+uint64(at), min(100, done-at))
		want.Items, want.Sum = want.Items+h.Items, want.Sum+h.Sum
	}
	return same(t, want)
}

// warmColdGets fills the memory first.
func (v *env) warmColdGets(s engine.Session) error {
	if err := v.coldGets(s); err != nil {
		return err
	}
	v.metrics = nil
	v.Seed = mix(v.Seed)
	return v.coldGets(s)
}

func (v *env) coldScan(s engine.Session) error {
	var t engine.Touch
	err := v.timed("", v.N, func() error {
		return s.View(func(r engine.Reader) error { return r.Scan(nil, math.MaxInt, false, &t) })
	})
	if err != nil {
		return err
	}
	return same(t, newModel(v.N, v.N, v.ValueSize).touch())
}
