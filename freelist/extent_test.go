package freelist

import (
	"cmp"
	"slices"
	"testing"

	"mmdb/page"
)

// TestSortPendingSortsWhateverTheSpread sorts lists of all sizes that stand close together, far apart, in order and all but one at one end.
func TestSortPendingSortsWhateverTheSpread(t *testing.T) {
	rng := newRand(t)
	for round := range 400 {
		n := rng.IntN(1500)
		width := uint64(1) << rng.IntN(37)
		list := make([]Pending, n)
		for i := range list {
			list[i] = Pending{Extent{page.No(rng.Uint64N(width)) + 3, uint64(i + 1)}, page.Commit(i), page.Commit(i + 1)}
		}
		switch {
		case n > 0 && round%5 == 0:
			list[rng.IntN(n)].Page = maxPages - 1
		case round%7 == 0:
			slices.SortFunc(list, func(a, b Pending) int { return cmp.Compare(a.Page, b.Page) })
		}
		whole := func(a, b Pending) int { return cmp.Or(cmp.Compare(a.Page, b.Page), cmp.Compare(a.Len, b.Len)) }
		want := slices.SortedFunc(slices.Values(list), whole)
		got := slices.Clone(list)
		sortPending(got)
		if !slices.IsSortedFunc(got, func(a, b Pending) int { return cmp.Compare(a.Page, b.Page) }) {
			t.Fatalf("round %d: %d extents within %d pages are not in order", round, n, width)
		}
		if slices.SortFunc(got, whole); !slices.Equal(got, want) {
			t.Fatalf("round %d: %d extents within %d pages: some are gone", round, n, width)
		}
	}
}

func BenchmarkSortPending(b *testing.B) {
	rng := newRand(b)
	list, work := make([]Pending, 1200), make([]Pending, 1200)
	for i := range list {
		list[i] = Pending{Extent{page.No(rng.IntN(46000)), 1}, 1, 2}
	}
	for _, sorter := range []struct {
		name string
		sort func([]Pending)
	}{
		{"stretches", sortPending},
		{"compare", func(p []Pending) {
			slices.SortFunc(p, func(a, b Pending) int { return cmp.Compare(a.Page, b.Page) })
		}},
	} {
		b.Run(sorter.name, func(b *testing.B) {
			for b.Loop() {
				copy(work, list)
				sorter.sort(work)
			}
		})
	}
}
