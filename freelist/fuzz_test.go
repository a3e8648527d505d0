package freelist

import (
	"errors"
	"slices"
	"testing"

	"mmdb/page"
)

// corrupt checks that err, if any, says that the input is damaged.
func corrupt(t *testing.T, err error) bool {
	t.Helper()
	if err != nil && !errors.Is(err, page.ErrCorrupt) {
		t.Fatalf("not a corruption: %v", err)
	}
	return err != nil
}

// FuzzExtents decodes any bytes as written extents and replays them.
func FuzzExtents(f *testing.F) {
	f.Add([]byte{}, uint64(0))
	f.Add(AppendExtents(nil, []Extent{{12, 1}, {13, 2}, {100, 200}}), uint64(300))
	f.Add([]byte{25, 0x80}, uint64(1<<36))
	f.Fuzz(func(t *testing.T, b []byte, max uint64) {
		extents, err := DecodeExtents(b, page.No(max))
		if corrupt(t, err) {
			return
		}
		if cap(extents) > len(b) {
			t.Fatalf("room for %d extents from %d bytes", cap(extents), len(b))
		}
		at := page.No(0)
		for _, e := range extents {
			if e.Page < at || !e.valid(page.No(max)) {
				t.Fatalf("extent %v after %d, max %d", e, at, max)
			}
			at = e.End()
		}
		again := AppendExtents(nil, extents)
		if len(again) > len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(again))
		}
		if back, err := DecodeExtents(again, page.No(max)); err != nil || !slices.Equal(back, extents) {
			t.Fatalf("%v came back as %v, %v", extents, back, err)
		}
		l := New(12, 40)
		l.Return(Extent{15, 5})
		l.AddPending([]Pending{{Extent{20, 5}, 1, 2}})
		corrupt(t, l.Replay(extents, nil))
		validate(t, l)
	})
}

// FuzzFreed decodes any bytes as freed extents and replays them.
func FuzzFreed(f *testing.F) {
	f.Add([]byte{}, uint64(3), uint64(0))
	f.Add(AppendFreed(nil, []Pending{{Extent{12, 1}, 7, 9}, {Extent{14, 3}, 9, 9}}, 9), uint64(9), uint64(100))
	f.Fuzz(func(t *testing.T, b []byte, died, max uint64) {
		freed, err := DecodeFreed(b, page.Commit(died), page.No(max))
		if corrupt(t, err) {
			return
		}
		if cap(freed) > len(b) {
			t.Fatalf("room for %d extents from %d bytes", cap(freed), len(b))
		}
		at := page.No(0)
		for _, p := range freed {
			if p.Page < at || !p.valid(page.No(max)) || p.Born > p.Died || uint64(p.Died) != died {
				t.Fatalf("%v after %d, max %d", p, at, max)
			}
			at = p.End()
		}
		back, err := DecodeFreed(AppendFreed(nil, freed, page.Commit(died)), page.Commit(died), page.No(max))
		if err != nil || !slices.Equal(back, freed) {
			t.Fatalf("%v came back as %v, %v", freed, back, err)
		}
		l := New(12, 40)
		l.Return(Extent{15, 5})
		l.AddPending([]Pending{{Extent{20, 5}, 1, 2}})
		corrupt(t, l.Replay(nil, freed))
		validate(t, l)
		l.Reclaim([]page.Commit{1, page.Commit(died / 2)})
		validate(t, l)
	})
}

// FuzzCheckpoint loads any bytes as a checkpoint, and uses the list that comes out.
func FuzzCheckpoint(f *testing.F) {
	l := withFree(100, Extent{20, 1}, Extent{50, 7})
	l.AddPending([]Pending{{Extent{12, 1}, 7, 9}, {Extent{14, 3}, 8, 9}})
	free, pending := l.AppendCheckpoint(10, nil, nil, nil)
	f.Add(free, pending, uint64(10), uint64(100))
	f.Add([]byte{}, []byte{}, uint64(0), uint64(0))
	f.Add([]byte{0x80}, []byte{24, 1, 1, 2, 0, 0}, ^uint64(0), uint64(1<<36))
	f.Fuzz(func(t *testing.T, free, pending []byte, commit, hw uint64) {
		now, top := page.Commit(commit), min(max(page.No(hw), 12), maxPages)
		l := New(12, top)
		if corrupt(t, l.LoadCheckpoint(now, free, pending)) {
			same(t, l, New(12, top))
			return
		}
		validate(t, l)
		checkReload(t, l, now)
		l.Reclaim([]page.Commit{now / 2})
		validate(t, l)
		if _, err := l.Alloc([]uint32{3, 1, 1, 2, 9}, nil, top); err != nil && !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
		l.Trim(3)
		validate(t, l)
		checkReload(t, l, now)
	})
}

// checkReload checks that a checkpoint of l keeps its bound and gives l again.
func checkReload(t *testing.T, l *List, now page.Commit) {
	t.Helper()
	free, pending := l.AppendCheckpoint(now, nil, nil, nil)
	if n, bound := len(free)+len(pending), l.CheckpointBound(0); n > bound {
		t.Fatalf("checkpoint of %d bytes, bound %d", n, bound)
	}
	again := New(l.first, l.highWater)
	if err := again.LoadCheckpoint(now, free, pending); err != nil {
		t.Fatal(err)
	}
	same(t, again, l)
}
