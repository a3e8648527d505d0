package tx

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"mmdb/freelist"
	"mmdb/page"
)

// A function whose spilled pages are used again, or dropped, leaves free pages up to the high water: they belong to the
// free list, whoever reads it.
func TestFreePagesAtTheHighWaterAreKnown(t *testing.T) {
	beyond := 0
	for i := range 40 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			st := openStore(t, memoryPath(t), &Options{MaxDirty: 64 << 10})
			noError(t, putKeys(st, 0, 10))
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			noError(t, st.Update(func(tx *Tx) error {
				for range 50 + 10*i {
					if err := largeInto(tx, fmt.Sprint(rng.IntN(30)), rng.IntN(20000)); err != nil {
						return err
					}
				}
				return putInto(tx, 10, 20)
			}))
			m := &st.published.Load().meta
			if replayed(t, st, m).HighWater() < m.HighWater {
				beyond++
			}
			checkStore(t, st)
			noError(t, st.View(func(tx *Tx) error {
				n := uint64(0)
				for p, err := range tx.Pages() {
					if err != nil {
						return err
					}
					n += uint64(max(p.Run, 1))
				}
				if n != uint64(m.HighWater) {
					t.Errorf("%d pages of %d", n, m.HighWater)
				}
				return nil
			}))
			wantKeys(t, st, 20)
		})
	}
	if beyond == 0 {
		t.Error("no database has free pages at its high water")
	}
}

// replayed returns what the commit records up to m say of the space, and nothing else.
func replayed(t *testing.T, st *Store, m *page.Meta) *freelist.List {
	t.Helper()
	recs, links, err := st.readChain(m, st.mapping.Data(), page.Link{})
	noError(t, err)
	space := freelist.New(st.first, recs[0].HighWater)
	noError(t, space.LoadCheckpoint(recs[0].Commit, recs[0].Free, recs[0].Pending))
	r := replay{space: space, end: page.MaxPages}
	for i := 1; i < len(recs); i++ {
		noError(t, r.record(&recs[i], st.extentOf(links[i])))
	}
	return space
}
