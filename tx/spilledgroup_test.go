package tx

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mmdb/mmapfile"
)

// A function that has spilled is the last of its group, whoever else flushes: its pages carry the group's number, and one that came after it
// would stand on pages above what the file has for it.
func TestASpilledFunctionIsTheLastOfItsGroup(t *testing.T) {
	st := openStore(t, newPath(t), &Options{Exclusive: true, MaxDirty: 32 << 10, Seam: func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		if op.Kind == mmapfile.OpSync || op.Kind == mmapfile.OpMsync {
			return 0, nil
		}
		return do(op)
	}})
	noError(t, putKeys(st, 0, 200))
	var wg sync.WaitGroup
	most := 2 * time.Second
	if testing.Short() {
		most = 200 * time.Millisecond
	}
	end := time.Now().Add(most)
	var stop atomic.Bool
	run := func(fn func(i int) error) {
		wg.Go(func() {
			for i := 0; time.Now().Before(end) && !stop.Load(); i++ {
				if err := fn(i); err != nil {
					t.Error(err)
					stop.Store(true)
				}
			}
		})
	}
	for g := range 4 {
		run(func(int) error { return st.Sync() })
		run(func(i int) error { return putLarge(st, fmt.Sprint(g, i%50), 9000+i%5*4096) })
		run(func(i int) error {
			return st.Update(func(tx *Tx) error {
				if st.w.group != nil && st.w.spilled {
					return fmt.Errorf("a function joins a group of %d that has spilled", st.w.group.size)
				}
				return tx.Bucket([]byte("b")).Put(testKey(g*50+i%50), testValue(g*50+i%50))
			})
		})
	}
	wg.Wait()
	wantKeys(t, st, 200)
}
