package workload

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mmdb/bench/engine"
)

// tiny is a measurement that takes no time.
func tiny(t *testing.T) Config {
	return Config{Dir: t.TempDir(), Scratch: t.TempDir(), N: 2000, ValueSize: 100, Limit: 20 * time.Millisecond, Age: 1, Seed: 1}
}

// Every workload runs on every engine, and finds in the store what it put there.
func TestEveryWorkloadOnEveryEngine(t *testing.T) {
	for _, e := range engine.All() {
		for _, w := range All() {
			t.Run(e.Name+"/"+w.Name, func(t *testing.T) {
				t.Parallel()
				if strings.HasPrefix(w.Name, "small-memory") {
					t.Skip("it would limit the memory of this process")
				}
				if w.For(e) {
					runTiny(t, w, e)
				}
			})
		}
	}
}

// runTiny loads what w starts from, and runs it.
func runTiny(t *testing.T, w Workload, e engine.Engine) {
	c := tiny(t)
	if w.Start != Empty {
		loader, ok := engine.Named(e.Files())
		if !ok {
			t.Fatalf("no engine %q", e.Files())
		}
		if err := Load(loader, c, false); err != nil {
			t.Fatal(err)
		}
	}
	metrics, err := w.Run(e, c)
	if errors.Is(err, engine.ErrUnavailable) {
		t.Log(err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(metrics) == 0 || metrics[0].Name == "" && metrics[0].Value <= 0 {
		t.Errorf("metrics: %v", metrics)
	}
}

// mmdb leaves nothing out.
func TestEverythingIsAvailable(t *testing.T) {
	e, _ := engine.Named("mmdb")
	for _, w := range Select("main") {
		t.Run(w.Name, func(t *testing.T) {
			c := tiny(t)
			if w.Start != Empty {
				if err := Load(e, c, true); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.Run(e, c); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestKeysAreInOrderAndApart(t *testing.T) {
	numbers := []int{0, 1, 2, 7, 8, 127, 128, 1 << 20, 1<<31 - 1, 1 << 31, 1 << 40}
	last := ""
	for _, i := range numbers {
		key, miss := make([]byte, keySize), make([]byte, keySize)
		putKey(key, i)
		putMiss(miss, i)
		if want := fmt.Sprintf("%016x", 2*i); string(key) != want {
			t.Errorf("item %d: key %q, expected %q", i, key, want)
		}
		if _, err := hex.DecodeString(string(miss)); err != nil || string(miss) <= string(key) || string(key) <= last {
			t.Errorf("item %d: key %q, miss %q, after %q", i, key, miss, last)
		}
		last = string(miss)
	}
}

func TestPermutationsHoldEveryNumberOnce(t *testing.T) {
	p := permutation(1000, 7)
	if slices.IsSorted(p) {
		t.Error("it is no random order")
	}
	slices.Sort(p)
	for i, x := range p {
		if int(x) != i {
			t.Fatalf("number %d where %d should be", x, i)
		}
	}
}

// A store that differs from the model in any way is found out.
func TestTheModelFindsDifferences(t *testing.T) {
	e, _ := engine.Named("mmdb")
	for name, spoil := range map[string]func(w engine.Writer, key, value []byte) error{
		"missing": func(w engine.Writer, key, _ []byte) error { return w.Delete(key) },
		"extra":   func(w engine.Writer, key, value []byte) error { return w.Put(append(key, 'x'), value) },
		"last":    func(w engine.Writer, _, value []byte) error { return w.Put([]byte("zzz"), value) },
		"value":   func(w engine.Writer, key, value []byte) error { value[len(value)-1]++; return w.Put(key, value) },
		"version": func(w engine.Writer, key, value []byte) error { putValue(value, 500, 2); return w.Put(key, value) },
	} {
		t.Run(name, func(t *testing.T) {
			c := tiny(t)
			v := &env{Config: c, engine: e}
			s, err := v.open(engine.NoFlush)
			if err != nil {
				t.Fatal(err)
			}
			defer v.close()
			if err := load(s, 1000, nil, 100, 100); err != nil {
				t.Fatal(err)
			}
			m := newModel(1000, 1000, 100)
			if err := m.check(s); err != nil {
				t.Fatal(err)
			}
			key, value := make([]byte, keySize), make([]byte, 100)
			putKey(key, 500)
			putValue(value, 500, 1)
			if err := s.Update(func(w engine.Writer) error { return spoil(w, key, value) }); err != nil {
				t.Fatal(err)
			}
			if err := m.check(s); err == nil {
				t.Error("no difference found")
			}
		})
	}
}
