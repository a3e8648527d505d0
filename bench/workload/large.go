package workload

import (
	"bytes"
	"fmt"

	"mmdb/bench/engine"
)

// Large values are put about a mebibyte in a transaction, and read a byte in each page.
const (
	largePerTransaction = 1 << 20
	largePage           = 4096
	largeBytes          = 256 // for each item of N, in all
)

func addLarge() {
	for _, c := range []struct {
		name string
		size int
	}{{"1k", 1 << 10}, {"64k", 64 << 10}, {"1m", 1 << 20}} {
		add("large-"+c.name, "main large", Empty,
			fmt.Sprintf("values of %d bytes, 256n bytes in all, in random order, 1 MiB in a transaction, no flush; "+
				"'read' is a random get with a look at each 4 KiB", c.size),
			func(v *env) error { return v.large(engine.NoFlush, c.size) })
	}
	add("large-1m-sync", "main large", Empty, "large-1m with durable transactions, which may end before all are put",
		func(v *env) error { return v.large(engine.Durable, 1<<20) })
}

// largeModel is what large stores: items in random order, all in version 1, count of them put.
type largeModel struct {
	order []uint32
	count int
	value []byte
}

// look reads a byte of each page of value.
func look(value []byte, t *engine.Touch) {
	t.Items++
	for i := 0; i < len(value); i += largePage {
		t.Sum += uint64(value[i])
	}
}

// large writes large values and reads them.
func (v *env) large(d engine.Durability, size int) error {
	s, err := v.open(d)
	if err != nil {
		return err
	}
	n := max(8, v.N*largeBytes/size)
	m := &largeModel{order: permutation(n, v.Seed), value: make([]byte, size)}
	writes := n
	if d == engine.Durable {
		writes = min(n, 100)
	}
	if err := v.largeWrite(s, m, writes, max(1, largePerTransaction/size)); err != nil {
		return err
	}
	if err := v.largeRead(s, m, max(n, v.N/100)); err != nil {
		return err
	}
	if err := m.check(s); err != nil {
		return err
	}
	return v.files()
}

// largeWrite puts the values. Making them takes part in the time: 130 us a mebibyte on a fast machine, about as long as the fastest
// engines take to put it.
func (v *env) largeWrite(s engine.Session, m *largeModel, n, size int) error {
	key := make([]byte, keySize)
	return v.timed("", n, func() error {
		for m.count < n {
			end := min(m.count+size, n)
			err := s.Update(func(w engine.Writer) error {
				for _, i := range m.order[m.count:end] {
					putKey(key, int(i))
					putValue(m.value, int(i), 1)
					if err := w.Put(key, m.value); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			m.count = end
		}
		return nil
	})
}

// largeRead gets random values.
func (v *env) largeRead(s engine.Session, m *largeModel, ops int) error {
	rnd := random{v.Seed}
	key := make([]byte, keySize)
	var got engine.Touch
	err := v.timed("read", ops, func() error {
		return s.View(func(r engine.Reader) error {
			for range ops {
				putKey(key, int(m.order[rnd.below(m.count)]))
				value, err := r.Get(key)
				if err != nil {
					return err
				}
				if len(value) != len(m.value) {
					return fmt.Errorf("key %q has %d bytes", key, len(value))
				}
				look(value, &got)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	sums := make(map[uint32]uint64)
	for _, i := range m.order[:m.count] {
		var t engine.Touch
		putValue(m.value, int(i), 1)
		look(m.value, &t)
		sums[i] = t.Sum
	}
	rnd = random{v.Seed}
	want := engine.Touch{Items: ops}
	for range ops {
		want.Sum += sums[m.order[rnd.below(m.count)]]
	}
	return same(got, want)
}

// check compares every byte.
func (m *largeModel) check(s engine.Session) error {
	key := make([]byte, keySize)
	return s.View(func(r engine.Reader) error {
		for _, i := range m.order[:m.count] {
			putKey(key, int(i))
			putValue(m.value, int(i), 1)
			value, err := r.Get(key)
			if err != nil {
				return err
			}
			if !bytes.Equal(value, m.value) {
				return fmt.Errorf("key %q has another value", key)
			}
		}
		n, err := r.Len()
		if err == nil && n != m.count {
			err = fmt.Errorf("%d items, expected %d", n, m.count)
		}
		return err
	})
}
