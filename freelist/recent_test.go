package freelist

import (
	"slices"
	"testing"

	"mmdb/page"
)

// holes returns a list of hw pages of which each fourth is free, with a target that allows the file to be as large.
func holes(hw page.No) *List {
	l := used(hw)
	for p := page.No(1); p < hw; p += 4 {
		l.Return(Extent{p, 1})
	}
	l.SetTarget(hw)
	return l
}

func TestSmallCommitsTakeWhatBecameFreeLast(t *testing.T) {
	l := holes(3000)
	l.AddPending([]Pending{{Extent{2003, 1}, 1, 2}, {Extent{2507, 1}, 1, 2}})
	l.Reclaim([]page.Commit{2})
	nos, err := l.Alloc([]uint32{1, 1}, nil, 0)
	if want := []page.No{2003, 2507}; err != nil || !slices.Equal(nos, want) {
		t.Fatalf("pages %d, %v; %d have become free last", nos, err, want)
	}
	validate(t, l)
}

func TestLargeFileTakesWhatStandsInFront(t *testing.T) {
	l := holes(3000)
	l.SetTarget(1500) // it is too large: commits move to its front
	l.AddPending([]Pending{{Extent{2003, 1}, 1, 2}})
	l.Reclaim([]page.Commit{2})
	nos, err := l.Alloc([]uint32{1, 1}, nil, 0)
	if want := []page.No{1, 5}; err != nil || !slices.Equal(nos, want) {
		t.Fatalf("pages %d, %v; the first are %d", nos, err, want)
	}
	validate(t, l)
}

func TestWhatIsReservedIsNotTakenLast(t *testing.T) {
	l := holes(3000)
	l.Reserve(Extent{2500, 20})
	var freed []Pending
	for p := page.No(2500); p < 2520; p++ {
		if p%4 != 1 {
			freed = append(freed, Pending{Extent{p, 1}, 1, 2})
		}
	}
	l.AddPending(freed)
	l.Reclaim([]page.Commit{2})
	nos, err := l.Alloc([]uint32{1, 1, 1, 1, 1, 1}, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, no := range nos {
		if no >= 2500 && no < 2520 {
			t.Errorf("pages %d: %d is reserved", nos, no)
		}
	}
	validate(t, l)
}
