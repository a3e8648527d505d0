package workload

import (
	"errors"
	"fmt"

	"mmdb/bench/engine"
)

// Sizes of churn.
const (
	churnItems = 1000 // deleted and inserted in a round
	fewItems   = 10   // in a small commit
)

func addChurns() {
	add("delete-churn", "main churn", Copied,
		"n/10000 rounds: a transaction that deletes 1000 random items and one that inserts 1000 random ones, no flush, time for each round",
		(*env).deleteChurn)
	add("churn", "main churn", Copied, "n/10 random items replaced, 100 in a transaction, no flush, time for each transaction",
		func(v *env) error { return v.churn(false) })
	add("churn-reader", "main churn", Copied, "the same with a read transaction open all the time, which then reads all that it saw at its begin",
		func(v *env) error { return v.churn(true) })
	add("freelist-stress", "main churn", Empty,
		"2n items, 90 % deleted at random, then commits of 10 random items each, no flush, time for each commit; 'fresh' is the same on a "+
			"database into which only the rest was loaded", (*env).freelistStress)
	add("aged", "slow churn", Copied,
		"random items replaced, 100 in a transaction, until what was put is -age times the files' size (1.5 times the data); then batch100-sync", (*env).aged)
}

// pool holds items and gives out random ones.
type pool struct {
	items []uint32
	rnd   *random
}

// take removes a random item.
func (p *pool) take() int {
	j := p.rnd.below(len(p.items))
	i := p.items[j]
	p.items[j] = p.items[len(p.items)-1]
	p.items = p.items[:len(p.items)-1]
	return int(i)
}

// deleteItems deletes count random items of live, which become dead, size in a transaction.
func deleteItems(s engine.Session, m *model, live, dead *pool, count, size int) error {
	key := make([]byte, keySize)
	for count > 0 {
		n := min(count, size)
		err := s.Update(func(w engine.Writer) error {
			for range n {
				i := live.take()
				dead.items = append(dead.items, uint32(i))
				m.versions[i] = 0
				putKey(key, i)
				if err := w.Delete(key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		count -= n
	}
	return nil
}

// insertItems puts count random items of dead, in that version, in one transaction.
func insertItems(s engine.Session, m *model, live, dead *pool, count int, version uint32) error {
	key, value := make([]byte, keySize), make([]byte, m.valueSize)
	return s.Update(func(w engine.Writer) error {
		for range count {
			i := dead.take()
			live.items = append(live.items, uint32(i))
			m.versions[i] = version
			putKey(key, i)
			putValue(value, i, version)
			if err := w.Put(key, value); err != nil {
				return err
			}
		}
		return nil
	})
}

// deleteChurn keeps a tenth of the items out, so that there are random ones to insert.
func (v *env) deleteChurn() error {
	s, m, err := v.openLoaded(engine.NoFlush)
	if err != nil {
		return err
	}
	rnd := &random{v.Seed}
	live, dead := &pool{permutation(v.N, v.Seed), rnd}, &pool{rnd: rnd}
	size := min(churnItems, max(1, v.N/20))
	if err := deleteItems(s, m, live, dead, v.N/10+size, churnItems); err != nil {
		return err
	}
	rounds := v.atLeast(10, 10_000)
	err = v.timed("", rounds, func() error {
		for round := range rounds {
			if err := deleteItems(s, m, live, dead, size, size); err != nil {
				return err
			}
			if err := insertItems(s, m, live, dead, size, uint32(round+2)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := m.check(s); err != nil {
		return err
	}
	return v.files()
}

// churn replaces items, if asked under the eyes of an old reader.
func (v *env) churn(withReader bool) error {
	s, m, err := v.openLoaded(engine.NoFlush)
	if err != nil {
		return err
	}
	end, reader := make(chan struct{}), make(chan error, 1)
	if withReader {
		reader = v.oldReader(end)
	} else {
		reader <- nil
	}
	err = v.replaceItems("", m, 1, batch, v.atLeast(10, 10*batch), false)
	close(end)
	if err := errors.Join(err, <-reader); err != nil {
		return err
	}
	if err := m.check(s); err != nil {
		return err
	}
	return v.files()
}

// oldReader opens a read transaction that lasts until end is closed, and then checks that it still sees the loaded store.
func (v *env) oldReader(end <-chan struct{}) chan error {
	begun, result := make(chan struct{}), make(chan error, 1)
	go func() {
		first := true
		err := v.store.Session().View(func(r engine.Reader) error {
			var t engine.Touch
			if err := r.Scan(nil, 1, false, &t); err != nil {
				return err
			}
			first = false
			close(begun)
			<-end
			return newModel(v.N, v.N, v.ValueSize).check(within{r})
		})
		if first {
			close(begun)
		}
		if err != nil {
			err = fmt.Errorf("old reader: %w", err)
		}
		result <- err
	}()
	<-begun
	return result
}

// within is a session inside an open read transaction.
type within struct{ r engine.Reader }

func (s within) View(fn func(engine.Reader) error) error { return fn(s.r) }

func (s within) Update(func(engine.Writer) error) error {
	return fmt.Errorf("%w: a read transaction", engine.ErrUnavailable)
}

// freelistStress compares small commits in a store full of free space with the same in a new one.
func (v *env) freelistStress() error {
	s, err := v.open(engine.NoFlush)
	if err != nil {
		return err
	}
	all := 2 * v.N
	if err := load(s, all, nil, perTransaction, v.ValueSize); err != nil {
		return err
	}
	m := newModel(all, all, v.ValueSize)
	live, dead := &pool{permutation(all, v.Seed), &random{v.Seed}}, &pool{}
	if err := deleteItems(s, m, live, dead, all*9/10, perTransaction); err != nil {
		return err
	}
	commits := v.atLeast(20, 100)
	if err := v.replaceItems("", m, 1, fewItems, commits, false); err != nil {
		return err
	}
	if err := m.check(s); err != nil {
		return err
	}
	if err := v.files(); err != nil {
		return err
	}
	return v.freshCommits(all/10, commits)
}

// freshCommits is the comparison: as many items, in a store of their own, loaded in random order.
func (v *env) freshCommits(n, commits int) (err error) {
	if err := emptyFolder(v.Dir); err != nil {
		return err
	}
	s, err := v.open(engine.NoFlush)
	if err != nil {
		return err
	}
	if err := load(s, n, permutation(n, v.Seed), perTransaction, v.ValueSize); err != nil {
		return err
	}
	m := newModel(n, n, v.ValueSize)
	if err := v.replaceItems("fresh", m, 1, fewItems, commits, false); err != nil {
		return err
	}
	return m.check(s)
}

// aged puts many times the files' size, taken as half as much again as the data, the same for every engine. Then it measures what
// durable transactions cost.
func (v *env) aged() error {
	if _, err := v.open(engine.NoFlush); err != nil {
		return err
	}
	m := newModel(v.N, v.N, v.ValueSize)
	transactions := max(1, v.N*v.Age*3/2/batch)
	if err := v.replaceItems("ageing", m, 1, batch, transactions, false); err != nil {
		return err
	}
	if err := errors.Join(v.store.Sync(), v.close()); err != nil {
		return err
	}
	s, err := v.open(engine.Durable)
	if err != nil {
		return err
	}
	if err := m.check(s); err != nil { // as openLoaded does
		return err
	}
	v.Seed++
	if err := v.replaceItems("", m, 1, batch, v.atLeast(20, 500), true); err != nil {
		return err
	}
	if err := m.check(s); err != nil {
		return err
	}
	v.bytes("live data", int64(m.live())*int64(keySize+v.ValueSize))
	return v.files()
}
