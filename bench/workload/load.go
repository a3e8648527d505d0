package workload

import "mmdb/bench/engine"

// perTransaction is how many items loads put in a transaction.
const perTransaction = 1000

func addLoads() {
	add("load-seq", "main load", Empty, "n puts in order, 1000 in a transaction, no flush", func(v *env) error {
		return v.loadAndCheck(nil, perTransaction)
	})
	add("load-rand", "main load", Empty, "n puts in random order, 1000 in a transaction, no flush", func(v *env) error {
		return v.loadAndCheck(permutation(v.N, v.Seed), perTransaction)
	})
	add("load-bulk", "main load", Empty, "n puts in random order in one transaction, or the largest that suits the engine, no flush", func(v *env) error {
		return v.loadAndCheck(permutation(v.N, v.Seed), v.engine.InBulk(v.N))
	})
}

// loadAndCheck measures a load.
func (v *env) loadAndCheck(order []uint32, size int) error {
	s, err := v.open(engine.NoFlush)
	if err != nil {
		return err
	}
	err = v.timed("", v.N, func() error { return load(s, v.N, order, size, v.ValueSize) })
	if err != nil {
		return err
	}
	if err := newModel(v.N, v.N, v.ValueSize).check(s); err != nil {
		return err
	}
	return v.files()
}

// load puts items 0 to n-1 in version 1, in the given order or their own, size in a transaction.
func load(s engine.Session, n int, order []uint32, size, valueSize int) error {
	key, value := make([]byte, keySize), make([]byte, valueSize)
	next, end := 0, 0
	fn := func(w engine.Writer) error {
		for ; next < end; next++ {
			i := next
			if order != nil {
				i = int(order[next])
			}
			putKey(key, i)
			putValue(value, i, 1)
			if err := w.Put(key, value); err != nil {
				return err
			}
		}
		return nil
	}
	for next < n {
		end = min(next+size, n)
		if err := s.Update(fn); err != nil {
			return err
		}
	}
	return nil
}

// Load makes the store that workloads start from: n items, put in random order, or in order if sequential.
func Load(e engine.Engine, c Config, sequential bool) error {
	v := &env{Config: c, engine: e}
	s, err := v.open(engine.NoFlush)
	if err != nil {
		return err
	}
	var order []uint32
	if !sequential {
		order = permutation(v.N, v.Seed)
	}
	steps := []func() error{
		func() error { return load(s, v.N, order, perTransaction, v.ValueSize) },
		v.store.Settle,
		v.store.Sync,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			v.store.Close()
			return err
		}
	}
	return v.close()
}
