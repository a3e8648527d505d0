package freelist

import (
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
	var pages uint64
	end := page.No(0)
	for _, e := range freeOf(l) {
		if e.Page <= end && end > 0 || e.Page < l.first || !e.valid(l.highWater) {
			t.Fatalf("free extent %v after %d in [%d, %d)", e, end, l.first, l.highWater)
		}
		if !l.bySize.Has(e) {
			t.Fatalf("free extent %v is not filed by size", e)
		}
		pages, end = pages+e.Len, e.End()
	}
	if l.bySize.Len() != l.free.Len() || l.FreeExtents() != l.free.Len() || pages != l.FreePages() {
		t.Fatalf("%d by page, %d by size; %d pages, counted %d", l.free.Len(), l.bySize.Len(), pages, l.FreePages())
	}
	validatePending(t, l)
}

func validatePending(t testing.TB, l *List) {
	t.Helper()
	var last Pending
	var pages uint64
	under := map[page.Commit]uint64{}
	listed := map[page.No][]page.Commit{}
	for _, s := range append(slices.Clone(l.pins), l.fresh) {
		for _, p := range s.extents {
			listed[p] = append(listed[p], s.commit)
		}
	}
	l.pending.Ascend(func(x pinned) bool {
		if x.Page < last.End() || x.Page < l.first || !x.valid(l.highWater) || x.Born >= x.Died || last.joins(x.Pending) {
			t.Fatalf("pending extent %v after %v in [%d, %d)", x, last, l.first, l.highWater)
		}
		if f, ok := l.freeAt(x.End() - 1); ok && f.End() > x.Page {
			t.Fatalf("%v is pending and %v free", x, f)
		}
		if x.pin != unfiled && (x.pin < x.Born || x.pin >= x.Died) {
			t.Fatalf("%v is filed under %d, which does not pin it", x, x.pin)
		}
		if !slices.Contains(listed[x.Page], x.pin) {
			t.Fatalf("%v is not in the set of %d", x, x.pin)
		}
		under[x.pin] += x.Len
		pages, last = pages+x.Len, x.Pending
		return true
	})
	if pages != l.PendingPages() || l.PendingExtents() != l.pending.Len() {
		t.Fatalf("%d pages pending, counted %d", pages, l.PendingPages())
	}
	for i, s := range l.pins {
		if i > 0 && l.pins[i-1].commit >= s.commit {
			t.Fatalf("pins out of order: %d, %d", l.pins[i-1].commit, s.commit)
		}
		if s.pages != under[s.commit] || l.PendingUnder(s.commit) != s.pages {
			t.Fatalf("%d pages under %d, counted %d", under[s.commit], s.commit, s.pages)
		}
		delete(under, s.commit)
	}
	if l.fresh.pages != under[unfiled] {
		t.Fatalf("%d pages unfiled, counted %d", under[unfiled], l.fresh.pages)
	}
	if delete(under, unfiled); len(under) > 0 {
		t.Fatalf("filed under commits that have no set: %v", under)
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
