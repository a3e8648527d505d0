package freelist

import (
	"errors"
	"slices"
	"testing"

	"mmdb/page"
)

func TestAllocPlacesUnitsInFewRuns(t *testing.T) {
	for _, c := range []struct {
		name  string
		free  []Extent
		hw    page.No
		units []uint32
		want  []page.No
	}{
		{"behind the data when nothing is free", nil, 50, []uint32{1, 3, 1}, []page.No{50, 51, 54}},
		{"all in the smallest extent that holds them", []Extent{{10, 9}, {30, 5}, {40, 6}}, 50,
			[]uint32{1, 3, 1}, []page.No{30, 31, 34}},
		{"the first of two equal extents", []Extent{{10, 5}, {30, 5}}, 50, []uint32{5}, []page.No{10}},
		{"singles in the longest runs, ascending", []Extent{{10, 2}, {20, 1}, {30, 3}}, 50,
			[]uint32{1, 1, 1, 1}, []page.No{10, 11, 30, 31}},
		{"long units by best fit, together if they fit", []Extent{{10, 5}, {20, 3}, {30, 1}}, 50,
			[]uint32{1, 2, 1, 3}, []page.No{20, 10, 21, 12}},
		{"long units one by one if not", []Extent{{10, 4}, {20, 2}}, 50,
			[]uint32{3, 2, 1}, []page.No{10, 20, 13}},
		{"the free tail is used when the data grows", []Extent{{10, 1}, {45, 5}}, 50,
			[]uint32{8, 1, 1}, []page.No{45, 10, 53}},
		{"what is left grows the data in one piece", []Extent{{10, 2}}, 50,
			[]uint32{1, 1, 1, 4, 1}, []page.No{10, 11, 50, 51, 55}},
	} {
		l := withFree(c.hw, c.free...)
		got, err := l.Alloc(c.units, nil, 0)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
		validate(t, l)
	}
}

func TestAllocWithoutSpaceChangesNothing(t *testing.T) {
	free := []Extent{{10, 3}, {20, 1}, {30, 4}, {48, 2}}
	for _, c := range []struct {
		units []uint32
		limit page.No
	}{
		{[]uint32{11}, 50},                 // more than there is
		{[]uint32{5}, 50},                  // enough pages, but apart
		{[]uint32{3, 4, 1, 5}, 52},         // found out after the others were placed
		{[]uint32{1, 1, 1, 1, 5, 1}, 52},   // singles too
		{[]uint32{2, 2, 1 << 31}, 1 << 30}, // a high limit
		{[]uint32{5}, 1},                   // a limit below the high water
	} {
		l := withFree(50, free...)
		got, err := l.Alloc(c.units, []page.No{1}, c.limit)
		if !errors.Is(err, ErrFull) || !slices.Equal(got, []page.No{1}) {
			t.Errorf("Alloc(%v, %d) = %v, %v", c.units, c.limit, got, err)
		}
		validate(t, l)
		same(t, l, withFree(50, free...))
	}
}

// TestShortRunsWaitForTheTarget: while the high water is below the target it rises, but for a few short runs.
func TestShortRunsWaitForTheTarget(t *testing.T) {
	var holes []Extent
	for p := page.No(10); p < 90; p += 4 {
		holes = append(holes, Extent{p, 2})
	}
	units := slices.Repeat([]uint32{1}, 12)
	for _, c := range []struct {
		target page.No
		long   bool // there is a long run too
		hw     page.No
	}{
		{0, false, 100},
		{95, false, 100},
		{200, false, 108}, // four pages in two of the holes
		{103, false, 103},
		{200, true, 100},
	} {
		l := withFree(100, holes...)
		if c.long {
			l.Return(Extent{91, 8})
		}
		l.SetTarget(c.target)
		if _, err := l.Alloc(units, nil, 0); err != nil || l.HighWater() != c.hw {
			t.Errorf("%+v: high water %d, %v", c, l.HighWater(), err)
		}
		validate(t, l)
	}
}

// TestLimitIsOnTheHighWater: free pages above the limit, or below one that was lowered,
// may be used.
func TestLimitIsOnTheHighWater(t *testing.T) {
	l := withFree(50, Extent{30, 2})
	if got, err := l.Alloc([]uint32{1, 1}, nil, 1); err != nil || !slices.Equal(got, []page.No{30, 31}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAllocOfNothing(t *testing.T) {
	l := used(50)
	if got, err := l.Alloc(nil, nil, 10); err != nil || len(got) != 0 || l.HighWater() != 50 {
		t.Errorf("%v, %v, high water %d", got, err, l.HighWater())
	}
}

// TestSmallCommitsDoNotAllocate runs the calls of a small commit on a list that has
// been in use for a while.
func TestSmallCommitsDoNotAllocate(t *testing.T) {
	l := scattered(10_000)
	c := newCommitter(l, 8)
	for range 2000 {
		c.commit(t)
	}
	if n := testing.AllocsPerRun(2000, func() { c.commit(t) }); n > 0 {
		t.Errorf("%v allocations a commit", n)
	}
}

// committer makes commits of a fixed number of pages, each freeing those of an earlier.
type committer struct {
	l      *List
	units  []uint32
	now    page.Commit
	live   [][]page.No // by commit, oldest first
	freed  []Pending
	needed [2]page.Commit
}

func newCommitter(l *List, pages int) *committer {
	c := &committer{l: l, units: slices.Repeat([]uint32{1}, pages), now: 1, live: make([][]page.No, 5)}
	return c
}

func (c *committer) commit(t testing.TB) {
	c.now++
	c.needed = [2]page.Commit{c.now - 2, c.now - 1}
	c.l.Reclaim(c.needed[:])
	old := c.live[0]
	c.freed = c.freed[:0]
	for _, p := range old {
		c.freed = append(c.freed, Pending{Extent{p, 1}, c.now - 5, c.now})
	}
	copy(c.live, c.live[1:])
	got, err := c.l.Alloc(c.units, old[:0], 0)
	if err != nil {
		t.Fatal(err)
	}
	c.live[len(c.live)-1] = got
	c.freed = NormalizePending(c.freed)
	c.l.AddPending(c.freed)
}

// What is set aside is for units of several pages, and for single ones only when the rest is used up.
func TestReserveIsForUnitsOfSeveralPages(t *testing.T) {
	free := func() *List {
		l := used(100)
		for _, e := range []Extent{{20, 10}, {40, 3}, {50, 2}, {60, 1}} {
			l.Return(e)
		}
		l.SetTarget(100)
		l.Reserve(Extent{20, 10})
		return l
	}
	singles := func(n int) []uint32 { return slices.Repeat([]uint32{1}, n) }
	for _, c := range []struct {
		what  string
		units []uint32
		want  []page.No
		high  page.No
	}{
		{"single pages go elsewhere", singles(3), []page.No{40, 41, 42}, 100},
		{"into short runs too", singles(6), []page.No{40, 41, 42, 50, 51, 60}, 100},
		{"and there at last", singles(7), []page.No{20, 40, 41, 42, 50, 51, 60}, 100},
		{"a unit that fits elsewhere", []uint32{2}, []page.No{50}, 100},
		{"a unit that does not", append(singles(2), 8), []page.No{50, 51, 20}, 100},
		{"a unit that is too long", []uint32{11}, []page.No{100}, 111},
	} {
		l := free()
		pages := l.FreePages()
		at, err := l.Alloc(c.units, nil, 0)
		if err != nil || !slices.Equal(at, c.want) || l.HighWater() != c.high {
			t.Errorf("%s: %v, high water %d, %v; want %v", c.what, at, l.HighWater(), err, c.want)
		}
		for i, p := range at {
			l.Return(Extent{p, uint64(c.units[i])})
		}
		if l.CutTo(100); l.FreePages() != pages {
			t.Errorf("%s: %d free pages, before %d", c.what, l.FreePages(), pages)
		}
		validate(t, l)
	}
}

func TestAnAllocationThatFailsLeavesTheReserve(t *testing.T) {
	l := used(100)
	l.Return(Extent{20, 10})
	l.SetTarget(100)
	l.Reserve(Extent{20, 10})
	if at, err := l.Alloc([]uint32{9, 2}, nil, 100); err != ErrFull || len(at) != 0 || l.FreePages() != 10 {
		t.Errorf("%v, %v, %d free pages", at, err, l.FreePages())
	}
	validate(t, l)
	if at, err := l.Alloc([]uint32{9, 1}, nil, 100); err != nil || !slices.Equal(at, []page.No{20, 29}) {
		t.Errorf("%v, %v", at, err)
	}
}
