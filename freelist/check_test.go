package freelist

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"mmdb/page"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests (0: from the clock)")

// newRand returns a source of random numbers whose seed is printed when the test fails.
func newRand(t testing.TB) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay with: go test -run '^%s$' -seed=%d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// used returns a list whose pages from 1 to hw are all in use.
func used(hw page.No) *List { return New(1, hw) }

// withFree returns a list with the given free extents, and all other pages in use.
func withFree(hw page.No, free ...Extent) *List {
	l := used(hw)
	for _, e := range free {
		l.Return(e)
	}
	return l
}

func freeOf(l *List) []Extent     { return slices.Collect(l.Free()) }
func pendingOf(l *List) []Pending { return slices.Collect(l.PendingExtentsSeq()) }

// validate checks everything that a list promises about itself.
func validate(t testing.TB, l *List) {
	t.Helper()
	end := page.No(0)
	for _, e := range freeOf(l) {
		if e.Page <= end && end > 0 || e.Page < l.first || !e.valid(l.highWater) {
			t.Fatalf("free extent %v after %d in [%d, %d)", e, end, l.first, l.highWater)
		}
		if l.pending.any(e) {
			t.Fatalf("%v is free, and pages of it are pending", e)
		}
		end = e.End()
	}
	validateSet(t, &l.free)
	validateSet(t, &l.pending)
	validatePending(t, l)
}

// validateSums compares what the parts of a set know of their runs with a count.
func validateSums(t testing.TB, s *pageSet) {
	t.Helper()
	for i, b := range s.blocks {
		if b == nil {
			continue
		}
		for j := range b.groups {
			if g := b.groups[j]; !g.stale && g.words != nil && g.words != fullWords {
				known := g.sum
				if g.stale = true; g.summary() != known {
					t.Fatalf("group %d of block %d: %v, counted %v", j, i, known, g.sum)
				}
			}
		}
		if c := *b; !c.stale && b != fullBlock {
			if c.stale = true; c.summary() != b.sum {
				t.Fatalf("block %d: %v, counted %v", i, b.sum, c.sum)
			}
		}
	}
}

// validateSet compares what a set knows of itself with its bits.
func validateSet(t testing.TB, s *pageSet) {
	t.Helper()
	var pages, longest uint64
	var runs int
	var all []Extent
	s.each(0, 1, func(e Extent) bool {
		runs, pages, longest = runs+1, pages+e.Len, max(longest, e.Len)
		all = append(all, e)
		return true
	})
	if s.runs != runs || s.pages != pages || s.longest(0) != longest {
		t.Fatalf("%d runs, %d pages, the longest %d; counted %d, %d, %d", s.runs, s.pages, s.longest(0), runs, pages, longest)
	}
	if got, want := s.appendTo(nil), AppendExtents(nil, all); !bytes.Equal(got, want) {
		t.Fatalf("listed as %x, its runs are %x", got, want)
	}
	if s.longestRun() != longest || longest > 0 && !s.hasRun(longest) || s.hasRun(longest+1) {
		t.Fatalf("the longest run has %d pages, counted %d", s.longestRun(), longest)
	}
	validateSums(t, s)
	for _, least := range []uint64{2, 3, 5, 8, 16, 64, 65, 100, 128, 300, 5000} {
		want := slices.DeleteFunc(slices.Clone(all), func(e Extent) bool { return e.Len < least })
		var got []Extent
		s.each(0, least, func(e Extent) bool { got = append(got, e); return true })
		if !slices.Equal(got, want) {
			t.Fatalf("runs of at least %d: %v, want %v", least, got, want)
		}
	}
	for _, from := range []page.No{wordPages, 3 * wordPages, groupPages - wordPages, groupPages, groupPages + wordPages, blockPages - groupPages,
		blockPages, blockPages + groupPages + wordPages} {
		validateFrom(t, s, all, from)
	}
	for _, e := range all {
		if !s.all(e) || s.begin(e.End()-1) != e.Page || s.has(e.End()) || s.has(e.Page-1) {
			t.Fatalf("%v is not a run", e)
		}
	}
}

// validateFrom compares the runs of s behind from with those of all.
func validateFrom(t testing.TB, s *pageSet, all []Extent, from page.No) {
	t.Helper()
	var longest uint64
	for _, least := range []uint64{1, 2, 8, 64, 5000} {
		var got, want []Extent
		for _, e := range all {
			if e.End() <= from {
				continue
			}
			e = Extent{max(e.Page, from), uint64(e.End() - max(e.Page, from))}
			longest = max(longest, e.Len)
			if e.Len >= least {
				want = append(want, e)
			}
		}
		s.each(from, least, func(e Extent) bool { got = append(got, e); return true })
		if !slices.Equal(got, want) {
			t.Fatalf("runs of at least %d behind %d: %v, want %v", least, from, got, want)
		}
	}
	if got := s.longest(from); got != longest {
		t.Fatalf("the longest run behind %d has %d pages, want %d", from, got, longest)
	}
}

// validatePending checks the sets of pending extents, and puts them right first.
func validatePending(t testing.TB, l *List) {
	t.Helper()
	sorted := pendingOf(l)
	var last Pending
	pages := uint64(0)
	for _, p := range sorted {
		if p.Page < last.End() || p.Page < l.first || !p.valid(l.highWater) || p.Born >= p.Died || last.joins(p) {
			t.Fatalf("pending extent %v after %v in [%d, %d)", p, last, l.first, l.highWater)
		}
		if !l.pending.all(p.Extent) {
			t.Fatalf("pages of %v are not marked pending", p)
		}
		pages, last = pages+p.Len, p
	}
	if pages != l.PendingPages() {
		t.Fatalf("%d pages pending, counted %d", pages, l.PendingPages())
	}
	sets := []*pinSet{&l.fresh}
	l.pins.Ascend(func(s *pinSet) bool { sets = append(sets, s); return true })
	for _, s := range sets {
		under := uint64(0)
		for _, p := range s.extents {
			if under += p.Len; s.commit != unfiled && (s.commit < p.Born || s.commit >= p.Died) {
				t.Fatalf("%v is filed under %d, which does not pin it", p, s.commit)
			}
		}
		if s.pages != under || s.commit != unfiled && l.PendingUnder(s.commit) != under {
			t.Fatalf("%d pages under %d, counted %d", under, s.commit, s.pages)
		}
	}
}

// same checks that two lists hold the same extents.
func same(t testing.TB, got, want *List) {
	t.Helper()
	if got.HighWater() != want.HighWater() {
		t.Fatalf("high water %d, want %d", got.HighWater(), want.HighWater())
	}
	if g, w := freeOf(got), freeOf(want); !slices.Equal(g, w) {
		t.Fatalf("free extents differ:\n got %v\nwant %v", g, w)
	}
	if g, w := pendingOf(got), pendingOf(want); !slices.Equal(g, w) {
		t.Fatalf("pending extents differ:\n got %v\nwant %v", g, w)
	}
}

// mustPanic checks that f panics.
func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}
