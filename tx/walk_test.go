package tx

import (
	"runtime"
	"strings"
	"testing"
)

// Check takes memory in proportion to the pages, however deep buckets are nested.
func TestCheckOfDeeplyNestedBuckets(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	noError(t, st.Update(func(tx *Tx) error {
		b, err := tx.CreateBucket([]byte("r"))
		for range 2000 {
			if err != nil {
				return err
			}
			b, err = b.CreateBucket([]byte(strings.Repeat("\x00", 40)))
		}
		return err
	}))
	noError(t, st.View(func(tx *Tx) error {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for err := range tx.Check() {
			t.Error(err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
			t.Errorf("Check took %d KiB, the file has %d", n>>10, tx.Info().FileSize>>10)
		}
		return nil
	}))
}
