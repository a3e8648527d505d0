package freelist

import (
	"errors"
	"slices"
	"testing"

	"mmdb/page"
)

func TestNormalizeSortsAndJoins(t *testing.T) {
	got := Normalize([]Extent{{9, 1}, {1, 2}, {3, 1}, {10, 5}, {20, 1}})
	if want := []Extent{{1, 3}, {9, 6}, {20, 1}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	pending := NormalizePending([]Pending{
		{Extent{9, 1}, 1, 2}, {Extent{1, 2}, 1, 2}, {Extent{3, 1}, 1, 2}, {Extent{4, 1}, 1, 3}, {Extent{5, 1}, 2, 3},
	})
	want := []Pending{{Extent{1, 3}, 1, 2}, {Extent{4, 1}, 1, 3}, {Extent{5, 1}, 2, 3}, {Extent{9, 1}, 1, 2}}
	if !slices.Equal(pending, want) {
		t.Errorf("%v, want %v", pending, want)
	}
	if len(Normalize(nil)) != 0 || len(NormalizePending(nil)) != 0 {
		t.Error("nothing becomes something")
	}
}

func TestPendingUnderTheNewestPin(t *testing.T) {
	l := used(100)
	l.AddPending([]Pending{{Extent{10, 4}, 1, 9}, {Extent{20, 2}, 5, 9}, {Extent{30, 1}, 1, 4}})
	l.Reclaim([]page.Commit{2, 6})
	for r, want := range map[page.Commit]uint64{2: 1, 6: 6, 3: 0} {
		if got := l.PendingUnder(r); got != want {
			t.Errorf("under %d: %d pages, want %d", r, got, want)
		}
	}
	l.Reclaim([]page.Commit{2})
	if l.PendingUnder(2) != 5 || l.FreePages() != 2 {
		t.Errorf("%d pages under 2, %d free", l.PendingUnder(2), l.FreePages())
	}
	l.Reclaim(nil)
	if l.PendingPages() != 0 || l.FreePages() != 7 {
		t.Errorf("%d pending, %d free", l.PendingPages(), l.FreePages())
	}
}

// TestReclaimLooksOnlyWherePinsWent counts the extents that Reclaim looks at, by what
// is left in the sets.
func TestReclaimLooksOnlyWherePinsWent(t *testing.T) {
	l := used(10_000)
	for i := range page.No(1000) {
		l.AddPending([]Pending{{Extent{1 + 2*i, 1}, 1, 5}, {Extent{5001 + 2*i, 1}, 5, 9}})
	}
	l.Reclaim([]page.Commit{3, 7})
	pin, _ := l.findPin(3)
	set := pin.extents // kept as it is, not built anew
	l.Reclaim([]page.Commit{3})
	if pin, _ := l.findPin(3); &pin.extents[0] != &set[0] || l.pins.Len() != 1 || len(l.fresh.extents) != 0 {
		t.Error("the set of a commit that is needed still was rebuilt")
	}
	if l.PendingPages() != 1000 || l.FreePages() != 1000 {
		t.Errorf("%d pending, %d free", l.PendingPages(), l.FreePages())
	}
	validate(t, l)
}

func TestHighWater(t *testing.T) {
	l := withFree(100, Extent{40, 10}, Extent{90, 10})
	if got := l.Trim(10); got != 100 {
		t.Errorf("Trim kept too few pages: %d", got)
	}
	if got := l.Trim(4); got != 94 {
		t.Errorf("Trim(4) = %d", got)
	}
	l.CutTo(200)
	if l.HighWater() != 94 {
		t.Errorf("CutTo raised the high water to %d", l.HighWater())
	}
	l.CutTo(45) // pages in use go too
	same(t, l, withFree(45, Extent{40, 5}))
	if err := l.SetHighWater(60); err != nil {
		t.Fatal(err)
	}
	same(t, l, withFree(60, Extent{40, 20}))
	for _, hw := range []page.No{0, 39, maxPages + 1} {
		if err := l.SetHighWater(hw); !errors.Is(err, page.ErrCorrupt) {
			t.Errorf("SetHighWater(%d): %v", hw, err)
		}
	}
	if err := l.SetHighWater(40); err != nil {
		t.Fatal(err)
	}
	same(t, l, used(40))
	validate(t, l)
}

func TestReplayRefusesContradictions(t *testing.T) {
	list := func() *List {
		l := New(12, 100)
		l.Return(Extent{20, 5})
		l.AddPending([]Pending{{Extent{30, 5}, 1, 2}})
		return l
	}
	for name, c := range map[string]struct {
		written []Extent
		freed   []Pending
	}{
		"written twice":           {written: []Extent{{20, 1}, {20, 1}}},
		"written in use":          {written: []Extent{{24, 2}}},
		"written before the data": {written: []Extent{{11, 1}}},
		"written nothing":         {written: []Extent{{20, 0}}},
		"written above all":       {written: []Extent{{maxPages, 1}}},
		"written endlessly":       {written: []Extent{{99, 1<<64 - 1}}},
		"freed free":              {freed: []Pending{{Extent{19, 2}, 1, 2}}},
		"freed pending":           {freed: []Pending{{Extent{33, 4}, 1, 2}}},
		"freed before the data":   {freed: []Pending{{Extent{11, 2}, 1, 2}}},
		"freed above all":         {freed: []Pending{{Extent{99, 2}, 1, 2}}},
		"freed nothing":           {freed: []Pending{{Extent{50, 0}, 1, 2}}},
		"freed before birth":      {freed: []Pending{{Extent{50, 1}, 3, 2}}},
		"freed twice":             {freed: []Pending{{Extent{50, 1}, 1, 2}, {Extent{50, 1}, 1, 2}}},
	} {
		l := list()
		if err := l.Replay(c.written, c.freed); !errors.Is(err, page.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		validate(t, l)
	}
	l := list()
	if err := l.Replay([]Extent{{22, 3}, {31, 2}, {110, 2}}, []Pending{{Extent{23, 1}, 3, 3}}); err != nil {
		t.Fatal(err)
	}
	validate(t, l)
	if want := []Extent{{20, 2}, {23, 1}, {100, 10}}; !slices.Equal(freeOf(l), want) {
		t.Errorf("free: %v, want %v", freeOf(l), want)
	}
	if want := []Pending{{Extent{30, 1}, 1, 2}, {Extent{33, 2}, 1, 2}}; !slices.Equal(pendingOf(l), want) {
		t.Errorf("pending: %v, want %v", pendingOf(l), want)
	}
}

func TestMisuseOfAListPanics(t *testing.T) {
	l := withFree(100, Extent{20, 5})
	l.AddPending([]Pending{{Extent{90, 5}, 1, 2}})
	mustPanic(t, "no first page", func() { New(0, 5) })
	mustPanic(t, "a high water before the data", func() { New(12, 5) })
	mustPanic(t, "returning a free page", func() { l.Return(Extent{24, 2}) })
	mustPanic(t, "returning a pending page", func() { l.Return(Extent{94, 2}) })
	mustPanic(t, "returning a page above", func() { l.Return(Extent{99, 2}) })
	mustPanic(t, "freeing a free page", func() { l.AddPending([]Pending{{Extent{20, 1}, 1, 2}}) })
	mustPanic(t, "freeing before birth", func() { l.AddPending([]Pending{{Extent{50, 1}, 2, 1}}) })
	mustPanic(t, "cutting pending pages", func() { l.CutTo(94) })
	mustPanic(t, "an empty unit", func() { l.Alloc([]uint32{0}, nil, 0) })
	mustPanic(t, "unsorted extents", func() { AppendExtents(nil, []Extent{{5, 1}, {3, 1}}) })
	mustPanic(t, "freed by another commit", func() { AppendFreed(nil, []Pending{{Extent{5, 1}, 1, 2}}, 3) })
	mustPanic(t, "a checkpoint before its pending extents", func() { l.AppendCheckpoint(1, nil, nil, nil) })
}
