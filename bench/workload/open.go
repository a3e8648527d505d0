package workload

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"mmdb/bench/engine"
)

func addOpen() {
	add("open", "main", Shared, "opening after a clean close and a first get, in a fresh process", (*env).openAndGet)
}

// openAndGet is one operation: only the first one is in a fresh process.
func (v *env) openAndGet() error {
	key, want := make([]byte, keySize), make([]byte, v.ValueSize)
	i := v.N / 3
	putKey(key, i)
	putValue(want, i, 1)
	got := make([]byte, 0, v.ValueSize)
	var s engine.Session
	err := v.timed("", 1, func() (err error) {
		if s, err = v.open(engine.Durable); err != nil {
			return err
		}
		return s.View(func(r engine.Reader) error {
			value, err := r.Get(key)
			got = append(got, value...)
			return err
		})
	})
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("key %q has another value", key)
	}
	return newModel(v.N, v.N, v.ValueSize).check(s)
}

// emptyFolder removes all that is in dir.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if err == nil {
			err = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
	return err
}
