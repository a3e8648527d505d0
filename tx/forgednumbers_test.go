package tx

import (
	"errors"
	"testing"

	"mmdb/page"
)

// withNumbers is a file with bucket "b" whose commit has edit's numbers.
func withNumbers(c page.Commit, edit func(m *page.Meta, r *page.Record)) *forge {
	f := newForge(14)
	f.leaf(12, 2, "a")
	f.commit(13, c, forgeBody(forgedLeaf("b", 12, 2, 1)), edit)
	return f
}

// Numbers that would come to an end, or into each other's way, are damage before anything is committed with them.
func TestNumbersTooHighToGoOn(t *testing.T) {
	for _, n := range []uint64{page.MaxNumber + 1, 1<<63 - 1, 1 << 63, ^uint64(0)} {
		for name, f := range map[string]*forge{
			"commit":    withNumbers(page.Commit(n), nil),
			"next tree": withNumbers(1, func(m *page.Meta, r *page.Record) { m.NextTree, r.NextTree = page.Tree(n), page.Tree(n) }),
		} {
			_, err := Open(writeFile(t, f.img), 0o600, quick())
			wantError(t, err, ErrCorrupt, name)
		}
	}
	for _, f := range []*forge{
		withNumbers(page.MaxNumber, nil),
		withNumbers(1, func(m *page.Meta, r *page.Record) { m.NextTree, r.NextTree = page.MaxNumber, page.MaxNumber }),
	} {
		st := forged(t, f)
		checkStore(t, st)
		wantError(t, st.Update(func(tx *Tx) error { _, err := tx.CreateBucket([]byte("n")); return err }), ErrCorrupt, "numbers")
	}
}

// A record may tell of any high water. One that no file has is an error, for all who read the free list, and never a panic.
func TestHighWaterThatNoFileHas(t *testing.T) {
	f := withNumbers(1, func(_ *page.Meta, r *page.Record) { r.HighWater = 1 << 40 })
	st := forged(t, f)
	if all := problems(t, st); len(all) == 0 || all[0] != "database is damaged: page 13 (in commit records): commit record: high water 1099511627776" {
		t.Errorf("check finds %q", all)
	}
	noError(t, st.View(func(tx *Tx) error {
		for name, do := range map[string]func() error{
			"page": func() error { _, err := tx.Page(12); return err },
			"pages": func() (err error) {
				for _, err = range tx.Pages() {
				}
				return err
			},
		} {
			if err := do(); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: %v", name, err)
			}
		}
		return nil
	}))
	wantError(t, st.View(func(tx *Tx) error { tx.Info(); return nil }), ErrCorrupt)
	for range 2 { // the writer lock is given back
		wantError(t, putKeys(st, 0, 1), ErrCorrupt)
	}
	got, _, _, err := salvageImage(t, f.img, forgeSize)
	if noError(t, err); len(got) != 2 {
		t.Errorf("salvage has %q", got)
	}
}
