package tx

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"mmdb/freelist"
	"mmdb/mmapfile"
	"mmdb/page"
)

// wantSpace makes sure that the writer of st, which nobody uses, has for free or pending what the file says is.
func wantSpace(t *testing.T, st *Store) {
	t.Helper()
	st.mu.Lock()
	defer st.mu.Unlock()
	w := st.w
	if w.space == nil {
		return
	}
	inFile, _, err := st.replayChain(&w.tip.meta, st.mapping.Data())
	noError(t, err)
	unused := func(l *freelist.List) map[page.No]bool {
		m := make(map[page.No]bool)
		note := func(e freelist.Extent) {
			for no := e.Page; no < e.End(); no++ {
				m[no] = true
			}
		}
		for e := range l.Free() {
			note(e)
		}
		for p := range l.PendingExtentsSeq() {
			note(p.Extent)
		}
		return m
	}
	high := w.space.HighWater()
	if high > inFile.HighWater() {
		t.Fatalf("%d pages, %d in the file", high, inFile.HighWater())
	}
	mine, its := unused(w.space), unused(inFile)
	for no := st.first; no < high; no++ {
		if mine[no] != its[no] {
			t.Fatalf("page %d: not in use %v, in the file %v", no, mine[no], its[no])
		}
	}
}

// Whatever fails on the way, no page is lost to the writer, or free for it though it is in use. Tx.Check would not see that: it looks at the file.
func TestNoPageIsLostInMemory(t *testing.T) {
	options := map[string]Options{
		"usual":       {},
		"lazy":        {Durability: Lazy},
		"spilling":    {MaxDirty: 64 << 10},
		"full":        {MaxSize: 300 * 4096},
		"full, lazy":  {MaxSize: 500 * 4096, MaxDirty: 64 << 10, Durability: Lazy},
		"carrying":    {Carry: true},
		"checkpoints": {bugs: EagerCheckpoint},
	}
	for name, o := range options {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				r := rand.New(rand.NewPCG(seed, 1))
				often := 0 // out of 1000 calls so many fail
				o.Exclusive, o.SyncInterval = true, -1
				o.Seam = func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
					switch op.Kind {
					case mmapfile.OpMsync, mmapfile.OpSync:
						return 0, nil
					case mmapfile.OpWrite, mmapfile.OpAllocate:
						if op.Offset >= page.MetaSlots*page.MetaStride && r.IntN(1000) < often {
							return 0, syscall.ENOSPC
						}
					}
					return do(op)
				}
				st := openStore(t, memoryPath(t), &o)
				noError(t, putKeys(st, 0, 1000))
				for often = range 40 {
					_ = st.Update(func(tx *Tx) error { return changeAtRandom(tx, r) })
					wantSpace(t, st)
					if t.Failed() {
						t.Fatalf("seed %d, round %d", seed, often)
					}
				}
				often = 0
				noError(t, st.failed())
				checkStore(t, st)
				noError(t, st.Close())
			}
		})
	}
}

// changeAtRandom makes some to many changes in one of three buckets, or fails.
func changeAtRandom(tx *Tx, r *rand.Rand) error {
	name := fmt.Appendf(nil, "b%d", r.IntN(3))
	b, err := tx.CreateBucketIfNotExists(name)
	for range r.IntN(1 << r.IntN(10)) {
		if err != nil {
			return err
		}
		switch k := testKey(r.IntN(5000)); r.IntN(12) {
		case 0:
			err = b.Put(k, make([]byte, r.IntN(20000)))
		case 1, 2:
			err = b.Delete(k)
		case 3:
			_, err = b.DeleteRange(k, testKey(r.IntN(5000)))
		default:
			err = b.Put(k, testValue(r.IntN(100)))
		}
	}
	switch {
	case err != nil:
		return err
	case r.IntN(10) == 0:
		return tx.DeleteBucket(name)
	case r.IntN(6) == 0:
		return errors.New("its own")
	}
	return nil
}
