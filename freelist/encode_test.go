package freelist

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"mmdb/page"
)

// TestEncodingIsFixed holds the encodings to the tables in the package documentation.
func TestEncodingIsFixed(t *testing.T) {
	extents := []Extent{{12, 1}, {13, 2}, {100, 200}}
	want := []byte{
		24,   // page 12, one page
		1, 0, // right behind it, two pages
		0xab, 1, 0xc6, 1, // 85 pages on: 85<<1|1 = 171; 200 pages: 198
	}
	if got := AppendExtents([]byte{}, extents); !bytes.Equal(got, want) {
		t.Errorf("extents: %v, want %v", got, want)
	}
	freed := []Pending{{Extent{12, 1}, 7, 9}, {Extent{14, 3}, 9, 9}}
	want = []byte{24, 2, 3, 1, 0}
	if got := AppendFreed(nil, freed, 9); !bytes.Equal(got, want) {
		t.Errorf("freed: %v, want %v", got, want)
	}
	l := withFree(100, Extent{20, 1})
	l.AddPending([]Pending{{Extent{12, 1}, 7, 9}})
	free, pending := l.AppendCheckpoint(10, []Pending{{Extent{14, 1}, 8, 10}, {Extent{15, 2}, 8, 10}, {Extent{21, 1}, 10, 10}}, nil, nil)
	if want := []byte{41, 0}; !bytes.Equal(free, want) { // joined with what died unseen
		t.Errorf("free: %v, want %v", free, want)
	}
	if want := []byte{24, 2, 1, 3, 1, 2, 0}; !bytes.Equal(pending, want) {
		t.Errorf("pending: %v, want %v", pending, want)
	}
}

func TestDecodersReturnWhatWasEncoded(t *testing.T) {
	rng := newRand(t)
	for range 500 {
		var extents []Extent
		var freed []Pending
		died := page.Commit(rng.Uint64() >> rng.IntN(64))
		at := page.No(0)
		for range rng.IntN(40) {
			e := Extent{at + page.No(rng.Uint64()>>(20+rng.IntN(44))), 1 + rng.Uint64()>>(20+rng.IntN(44))}
			if !e.valid(maxPages) {
				break
			}
			extents, at = append(extents, e), e.End()
			freed = append(freed, Pending{e, died - min(died, page.Commit(rng.Uint64()>>rng.IntN(64))), died})
		}
		prefix := []byte("before")
		b := AppendExtents(prefix, extents)
		got, err := DecodeExtents(b[len(prefix):], at)
		if err != nil || !slices.Equal(got, extents) || !bytes.HasPrefix(b, prefix) {
			t.Fatalf("extents %v: got %v, %v", extents, got, err)
		}
		gotFreed, err := DecodeFreed(AppendFreed(nil, freed, died), died, at)
		if err != nil || !slices.Equal(gotFreed, freed) {
			t.Fatalf("freed %v: got %v, %v", freed, gotFreed, err)
		}
		if len(extents) > 0 {
			if _, err := DecodeExtents(b[len(prefix):], at-1); !errors.Is(err, page.ErrCorrupt) {
				t.Fatalf("extents above the high water: %v", err)
			}
		}
	}
}

func TestDecodersRefuseDamage(t *testing.T) {
	long := bytes.Repeat([]byte{0xff}, 11)
	for name, b := range map[string][]byte{
		"cut off":         {0x80},
		"length missing":  {1},
		"too long":        long,
		"length too long": append([]byte{1}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
		"above":           {0xff, 1},
		"length above":    {25, 100},
	} {
		if es, err := DecodeExtents(b, 100); !errors.Is(err, page.ErrCorrupt) || es != nil {
			t.Errorf("extents, %s: %v, %v", name, es, err)
		}
		if ps, err := DecodeFreed(b, 9, 100); !errors.Is(err, page.ErrCorrupt) || ps != nil {
			t.Errorf("freed, %s: %v, %v", name, ps, err)
		}
		l := withFree(100, Extent{50, 1})
		if err := l.LoadCheckpoint(9, b, nil); !errors.Is(err, page.ErrCorrupt) {
			t.Errorf("free section, %s: %v", name, err)
		}
		if err := l.LoadCheckpoint(9, nil, b); !errors.Is(err, page.ErrCorrupt) {
			t.Errorf("pending section, %s: %v", name, err)
		}
		same(t, l, withFree(100, Extent{50, 1}))
	}
	if _, err := DecodeFreed([]byte{24, 10}, 9, 100); !errors.Is(err, page.ErrCorrupt) {
		t.Errorf("born before commit 0: %v", err)
	}
}

func TestLoadCheckpointRefusesContradictions(t *testing.T) {
	for name, c := range map[string]struct{ free, pending []byte }{
		"free before the data":    {free: []byte{8}},
		"pending before the data": {pending: []byte{8, 1, 1}},
		"free and pending":        {[]byte{24}, []byte{24, 1, 1}},
		"free inside pending":     {[]byte{28}, []byte{25, 9, 1, 1}},
		"pending inside free":     {[]byte{25, 9}, []byte{28, 1, 1}},
		"died before commit 0":    {pending: []byte{24, 1, 10}},
		"born before commit 0":    {pending: []byte{24, 9, 1}},
	} {
		l := New(12, 100)
		l.Return(Extent{50, 2})
		if err := l.LoadCheckpoint(9, c.free, c.pending); !errors.Is(err, page.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if l.FreePages() != 2 || l.PendingPages() != 0 {
			t.Errorf("%s: the list changed", name)
		}
	}
}

// TestCheckpointBoundHolds compares the bounds with the sizes for lists of all shapes,
// also when pages are allocated between the two.
func TestCheckpointBoundHolds(t *testing.T) {
	rng := newRand(t)
	for range 300 {
		hw := page.No(1 + rng.Uint64()>>(28+rng.IntN(30)))
		now := page.Commit(1 + rng.Uint64()>>rng.IntN(60))
		l := used(hw)
		var extra []Pending
		l.Reclaim([]page.Commit{now})
		at, spread := page.No(1), uint64(1)<<rng.IntN(20)
		for range rng.IntN(400) {
			e := Extent{at + page.No(rng.Uint64N(spread)), 1 + rng.Uint64N(1+rng.Uint64N(spread))}
			at = e.End() + 1
			if !e.valid(hw) {
				break
			}
			p := Pending{e, now - min(now, page.Commit(rng.Uint64()>>rng.IntN(64))), now}
			switch rng.IntN(4) {
			case 0:
				l.AddPending([]Pending{p})
			case 1:
				extra = append(extra, p)
			default:
				l.Return(e)
			}
		}
		bound, freedBound := l.CheckpointBound(len(extra)), l.FreedBound(len(extra))
		if _, err := l.Alloc([]uint32{1, 5, 1, 1, 30, 2}, nil, 0); err != nil && hw < maxPages-100 {
			t.Fatal(err)
		}
		commit := now + min(math.MaxUint64-now, page.Commit(rng.IntN(boundAhead+1)))
		free, pending := l.AppendCheckpoint(commit, extra, nil, nil)
		if n := len(free) + len(pending); n > bound {
			t.Fatalf("%d bytes for %d free and %d pending extents, bound %d", n, l.FreeExtents(), l.pendingCount(), bound)
		}
		for i := range extra {
			extra[i].Died = commit
		}
		if n := len(AppendFreed(nil, extra, commit)); n > freedBound {
			t.Fatalf("%d bytes for %d freed extents, bound %d", n, len(extra), freedBound)
		}
	}
}

// TestCheckpointBoundIsTight holds the bound to 1.2 times the size where size matters.
func TestCheckpointBoundIsTight(t *testing.T) {
	l := scattered(100_000)
	free, pending := l.AppendCheckpoint(1, nil, nil, nil)
	if n, bound := len(free)+len(pending), l.CheckpointBound(0); bound > n*6/5 {
		t.Errorf("bound %d for %d bytes", bound, n)
	}
}
