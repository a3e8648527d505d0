package freelist

import (
	"math/rand/v2"
	"slices"
	"testing"

	"mmdb/page"
)

// TestLowestTakesTheFirstPlaces: after SetLowest every unit goes to the first place that holds it, in the order of the units, those of
// several pages first; and what does not fit goes behind the data.
func TestLowestTakesTheFirstPlaces(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for round := range 300 {
		l := New(3, 3+page.No(rng.IntN(5000)))
		free := map[page.No]bool{}
		for p := l.first; p < l.HighWater(); p++ {
			if rng.IntN(3) == 0 {
				for n := rng.IntN(9); n >= 0 && p < l.HighWater(); n-- {
					free[p] = true
					p++
				}
			}
		}
		for p := range free {
			l.Return(Extent{p, 1})
		}
		l.SetLowest(true)
		l.SetTarget(page.No(rng.IntN(6000)))
		for range 5 {
			units := make([]uint32, rng.IntN(60))
			for i := range units {
				if units[i] = 1; rng.IntN(4) == 0 {
					units[i] = uint32(1 + rng.IntN(12))
				}
			}
			end := l.HighWater()
			got, err := l.Alloc(units, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			if want := lowest(free, units, end); !slices.Equal(got, want) {
				t.Fatalf("round %d: units %v at %v, want %v", round, units, got, want)
			}
		}
		if n := uint64(len(free)); l.FreePages() != n {
			t.Fatalf("%d pages are free, want %d", l.FreePages(), n)
		}
	}
}

// lowest is where units go, by looking at every page, of a file with these free pages that ends at end. It takes the places.
func lowest(free map[page.No]bool, units []uint32, end page.No) []page.No {
	places := make([]page.No, len(units))
	fits := func(p page.No, n uint32) bool {
		for k := range page.No(n) {
			if !free[p+k] {
				return false
			}
		}
		return true
	}
	for _, several := range []bool{true, false} {
		for i, n := range units {
			if n > 1 != several {
				continue
			}
			for p := page.No(0); p < end && places[i] == 0; p++ {
				if fits(p, n) {
					places[i] = p
					for k := range page.No(n) {
						delete(free, p+k)
					}
				}
			}
		}
	}
	next := end
	for i, n := range units {
		if places[i] == 0 {
			places[i] = next
			next += page.No(n)
		}
	}
	return places
}

// TestLowestKeepsToTheLimit: what does not fit is ErrFull, and changes nothing.
func TestLowestKeepsToTheLimit(t *testing.T) {
	l := New(3, 100)
	for p := page.No(10); p < 90; p += 2 {
		l.Return(Extent{p, 1})
	}
	l.SetLowest(true)
	if _, err := l.Alloc([]uint32{1, 2, 1, 5}, nil, 106); err != ErrFull {
		t.Errorf("error %v, want ErrFull", err)
	}
	if l.FreePages() != 40 || l.HighWater() != 100 {
		t.Errorf("%d pages are free and the high water is %d after it", l.FreePages(), l.HighWater())
	}
	if got, err := l.Alloc([]uint32{1, 2, 1, 5}, nil, 107); err != nil || !slices.Equal(got, []page.No{10, 100, 12, 102}) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestEndAndUsedFrom count as one does page by page.
func TestEndAndUsedFrom(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for range 100 {
		l := New(3, 3+page.No(1+rng.IntN(1000)))
		used := map[page.No]bool{}
		for p := l.first; p < l.HighWater(); p++ {
			switch rng.IntN(3) {
			case 0:
				l.Return(Extent{p, 1})
			case 1:
				l.AddPending([]Pending{{Extent{p, 1}, 1, 2}})
			default:
				used[p] = true
			}
		}
		end := l.End()
		if end > l.first && l.free.has(end-1) || end < l.HighWater() && !l.free.all(Extent{end, uint64(l.HighWater() - end)}) {
			t.Errorf("the end is %d", end)
		}
		from, want := page.No(rng.IntN(1100)), uint64(0)
		for p := range used {
			if p >= from {
				want++
			}
		}
		if got := l.UsedFrom(from); got != want {
			t.Errorf("%d pages in use from %d on, want %d", got, from, want)
		}
	}
}
