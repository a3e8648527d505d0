package freelist

import (
	"slices"
	"testing"

	"mmdb/page"
)

// inAreas returns a list of so many areas of which the i-th has one free page in share(i).
func inAreas(areas int, share func(i int) page.No) *List {
	l := New(1, 1+page.No(areas)*areaPages)
	for i := range areas {
		for p := page.No(i)*areaPages + share(i); p < page.No(i+1)*areaPages; p += share(i) {
			l.Return(Extent{p, 1})
		}
	}
	l.SetTarget(l.HighWater())
	return l
}

func TestSinglesGoWhereMostIsFree(t *testing.T) {
	l := inAreas(40, func(i int) page.No {
		if i == 17 || i == 30 {
			return 4
		}
		return 16
	})
	const n = 400
	nos, err := l.Alloc(slices.Repeat([]uint32{1}, n), nil, l.HighWater())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range nos {
		if a := p / areaPages; a != 17 && a != 30 {
			t.Fatalf("page %d stands in area %d", p, a)
		}
	}
	if !slices.IsSorted(nos) {
		t.Fatal("the places are not in order")
	}
	validate(t, l)
}

func TestSinglesGoToTheBeginWhereMuchIsFree(t *testing.T) {
	l := inAreas(40, func(i int) page.No {
		if i > 35 {
			return 2
		}
		return 3
	})
	nos, err := l.Alloc(slices.Repeat([]uint32{1}, 400), nil, l.HighWater())
	if err != nil {
		t.Fatal(err)
	}
	if last := nos[len(nos)-1]; last > 2*areaPages {
		t.Fatalf("page %d was taken: the end of the file can't become free", last)
	}
	validate(t, l)
}

func TestRunsThatGoBeyondAnAreaAreFound(t *testing.T) {
	l := New(1, 1+20*areaPages)
	for i := page.No(1); i < 20; i++ {
		l.Return(Extent{i*areaPages - 2, 4})
	}
	l.SetTarget(l.HighWater())
	nos, err := l.Alloc(slices.Repeat([]uint32{1}, 76), nil, l.HighWater())
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(nos); i += 4 {
		if nos[i]%areaPages != areaPages-2 || nos[i+3] != nos[i]+3 {
			t.Fatalf("places %v are no run over the end of an area", nos[i:i+4])
		}
	}
	if l.FreePages() != 0 {
		t.Fatalf("%d pages are free, all were asked for", l.FreePages())
	}
	validate(t, l)
}

// TestDenseRunsAreRuns compares what eachDense yields with the runs of each area.
func TestDenseRunsAreRuns(t *testing.T) {
	rng := newRand(t)
	for range 50 {
		l := New(1, 1+page.No(rng.IntN(30)+1)*areaPages)
		for p := page.No(1); p < l.HighWater(); {
			n := uint64(rng.IntN(12) + 1)
			if p+page.No(n) < l.HighWater() {
				l.Return(Extent{p, n})
			}
			p += page.No(n) + 50 + page.No(rng.IntN(100)*rng.IntN(20))
		}
		from, least := page.No(rng.IntN(5*wordPages))*wordPages, uint64(rng.IntN(shortRun-1)+1)
		var want []Extent
		l.free.each(from, 1, func(e Extent) bool {
			for e.Len > 0 {
				part := min(e.Len, uint64(areaPages-e.Page%areaPages))
				if part >= least {
					want = append(want, Extent{e.Page, part})
				}
				e.Page, e.Len = e.Page+page.No(part), e.Len-part
			}
			return true
		})
		var got []Extent
		l.eachDense(from, least, func(e Extent) bool { got = append(got, e); return true })
		slices.SortFunc(got, byPage)
		if !slices.Equal(got, want) {
			t.Fatalf("runs of at least %d behind %d: %v, want %v", least, from, got, want)
		}
	}
}

// Small commits leave the end of a file that was emptied alone, so that it can be cut off.
func TestSmallCommitsLeaveTheEndOfAnEmptiedFile(t *testing.T) {
	l := withFree(10_000, Extent{10, 5_000}, Extent{5_100, 4_000}, Extent{9_200, 800})
	for range 50 {
		got, err := l.Alloc([]uint32{1, 1, 1}, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range got {
			if p >= 9_200 {
				t.Fatalf("%v: at the end of the file", got)
			}
		}
	}
	validate(t, l)
}
