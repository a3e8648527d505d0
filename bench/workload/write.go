package workload

import (
	"fmt"
	"sync/atomic"
	"time"

	"mmdb/bench/engine"
)

// batch is how many items batch100 puts in a transaction.
const batch = 100

func addWrites() {
	for _, g := range []int{1, 16, 64} {
		add(fmt.Sprintf("put-sync-%d", g), "main write", Copied,
			fmt.Sprintf("random items replaced, a durable transaction each, by %d goroutines", g),
			func(v *env) error { return v.puts(engine.Durable, g, 1, v.atLeast(20, 5)) })
	}
	add("put-lazy", "main write", Copied, "n/5 random items replaced, a transaction each, flushed later",
		func(v *env) error { return v.puts(engine.Lazy, 1, 1, v.atLeast(20, 5)) })
	add("put-noflush", "write", Copied, "n/5 random items replaced, a transaction each, never flushed",
		func(v *env) error { return v.puts(engine.NoFlush, 1, 1, v.atLeast(20, 5)) })
	add("batch100-sync", "main write", Copied, "random items replaced, 100 in a durable transaction, time for each transaction",
		func(v *env) error { return v.puts(engine.Durable, 1, batch, v.atLeast(5, 1000)) })
	add("batch100-noflush", "write", Copied, "the same, never flushed",
		func(v *env) error { return v.puts(engine.NoFlush, 1, batch, v.atLeast(5, 200)) })
}

// puts measures transactions that replace size random items each, by several goroutines. It ends after Limit.
func (v *env) puts(d engine.Durability, goroutines, size, transactions int) error {
	s, m, err := v.openLoaded(d)
	if err != nil {
		return err
	}
	if err := v.replaceItems("", m, goroutines, size, transactions, true); err != nil {
		return err
	}
	return m.check(s)
}

// replaceItems is the measured part of puts. The goroutines have items of their own, so that the model knows the end.
func (v *env) replaceItems(name string, m *model, goroutines, size, transactions int, limited bool) error {
	goroutines = min(goroutines, len(m.versions))
	var done, begun atomic.Int64
	return v.counted(name, func() (int, error) {
		deadline := time.Now().Add(v.Limit)
		err := parallel(goroutines, func(worker int) error {
			rp := newReplacer(v, m, worker, goroutines, size)
			s := v.store.Session()
			for begun.Add(1) <= int64(transactions) {
				if err := s.Update(rp.run); err != nil {
					return err
				}
				rp.commit()
				done.Add(1)
				if limited && time.Now().After(deadline) {
					return nil
				}
			}
			return nil
		})
		return int(done.Load()), err
	})
}

// A change is an item and the version that it gets.
type change struct {
	item    int
	version uint32
}

// A replacer replaces random live items, those whose number leaves the remainder worker, divided by workers.
type replacer struct {
	m               *model
	rnd             random
	worker, workers int
	key, value      []byte
	items           []change // what a transaction puts
	run             func(engine.Writer) error
}

func newReplacer(v *env, m *model, worker, workers, size int) *replacer {
	p := &replacer{m: m, rnd: random{v.Seed ^ mix(uint64(worker)+1)}, worker: worker, workers: workers, items: make([]change, size)}
	p.key, p.value = make([]byte, keySize), make([]byte, m.valueSize)
	p.run = p.replace
	p.choose()
	return p
}

// choose picks the next transaction's items and their versions. An item may come twice; it gets the same version.
func (p *replacer) choose() {
	own := (len(p.m.versions) - p.worker + p.workers - 1) / p.workers
	for j := range p.items {
		i := p.rnd.below(own)*p.workers + p.worker
		for p.m.versions[i] == 0 {
			i = p.rnd.below(own)*p.workers + p.worker
		}
		p.items[j] = change{i, p.m.versions[i] + 1}
	}
}

// replace is the transaction. It may be called again after a failure.
func (p *replacer) replace(w engine.Writer) error {
	for _, c := range p.items {
		putKey(p.key, c.item)
		putValue(p.value, c.item, c.version)
		if err := w.Put(p.key, p.value); err != nil {
			return err
		}
	}
	return nil
}

// commit tells the model, and chooses anew.
func (p *replacer) commit() {
	for _, c := range p.items {
		p.m.versions[c.item] = c.version
	}
	p.choose()
}
