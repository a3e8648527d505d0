package freelist

import (
	"math/rand/v2"
	"slices"
	"testing"

	"mmdb/page"
)

// An ageing is a file of which each commit replaces some random leaves, and most of the few branches.
type ageing struct {
	t      *testing.T
	rng    *rand.Rand
	l      *List
	at     []page.No // of each page: leaves, then branches
	leaves int
	died   [3][]Extent // of the last commits
}

const (
	ageLeaves, ageBranches = 6000, 90
	ageChanged, ageHot     = 40, 45
)

func newAgeing(t *testing.T) *ageing {
	g := &ageing{t: t, rng: newRand(t), leaves: ageLeaves, at: make([]page.No, ageLeaves+ageBranches)}
	pages := page.No(len(g.at))
	g.l = New(1, 1+pages*3/2)
	for i := range g.at {
		g.at[i] = 1 + page.No(i)
	}
	g.l.Return(Extent{1 + pages, uint64(pages / 2)})
	g.l.SetTarget(g.l.HighWater())
	return g
}

// commit makes one commit, and returns in how many runs it was placed.
func (g *ageing) commit(hot bool) (runs int) {
	for _, e := range g.died[2] {
		g.l.Return(e)
	}
	changed := append(g.rng.Perm(g.leaves)[:ageChanged], g.rng.Perm(ageBranches)[:ageHot]...)
	for i := ageChanged; i < len(changed); i++ {
		changed[i] += g.leaves
	}
	units := slices.Repeat([]uint32{1}, len(changed))
	if hot {
		g.l.SetHot(ageChanged, len(changed))
	}
	to, err := g.l.Alloc(units, nil, g.l.HighWater())
	if err != nil {
		g.t.Fatal(err)
	}
	var died []Extent
	for i, p := range changed {
		died = append(died, Extent{g.at[p], 1})
		g.at[p] = to[i]
	}
	copy(g.died[1:], g.died[:2])
	g.died[0] = died
	slices.Sort(to)
	for i, p := range to {
		if i > 0 && to[i-1] == p {
			g.t.Fatalf("page %d was given twice", p)
		}
		if i == 0 || to[i-1]+1 != p {
			runs++
		}
	}
	return runs
}

// Pages that change in most commits have a zone of their own, so that commits of an aged file are placed in fewer runs.
func TestHotPagesStandApart(t *testing.T) {
	runs := map[bool]int{}
	for _, hot := range []bool{false, true} {
		g := newAgeing(t)
		for i := range 1500 {
			n := g.commit(hot)
			if i >= 1000 {
				runs[hot] += n
			}
			if i%100 == 0 {
				validate(t, g.l)
			}
		}
	}
	t.Logf("runs of a commit: %.1f, with a zone %.1f", float64(runs[false])/500, float64(runs[true])/500)
	if runs[true] > runs[false]*9/10 {
		t.Errorf("%d runs with a zone, %d without", runs[true], runs[false])
	}
}

// The zone is a wish: an allocation that needs all of the free pages gets them, and one that fails changes nothing.
func TestZoneYieldsWhenPagesAreShort(t *testing.T) {
	g := newAgeing(t)
	for range 500 {
		g.commit(true)
	}
	before, n := freeOf(g.l), int(g.l.FreePages())
	units := append(slices.Repeat([]uint32{1}, ageHot), 500) // no run is that long, nor may the file become
	g.l.SetHot(0, ageHot)
	if to, err := g.l.Alloc(units, nil, g.l.HighWater()+400); err != ErrFull || len(to) != 0 || !slices.Equal(freeOf(g.l), before) {
		t.Errorf("a unit that fits nowhere: %d places, %v", len(to), err)
	}
	validate(t, g.l)
	for _, more := range []int{1, 0} {
		units := slices.Repeat([]uint32{1}, n+more)
		g.l.SetHot(n-ageHot, n)
		to, err := g.l.Alloc(units, nil, g.l.HighWater())
		if more > 0 && (err != ErrFull || !slices.Equal(freeOf(g.l), before)) || more == 0 && (err != nil || g.l.FreePages() != 0) {
			t.Errorf("%d pages of %d: %d places, %v", n+more, n, len(to), err)
		}
		validate(t, g.l)
	}
}

// In a full file nothing stands apart: what fits somewhere is placed, whatever is hot or set aside.
func TestAFullFileHasNoZone(t *testing.T) {
	for _, reserve := range []Extent{{}, {Page: 60, Len: 2}} {
		l := used(6000)
		l.Return(Extent{2, 126}) // the zone
		for p := page.No(1000); p < 2000; p += 2 {
			l.Return(Extent{p, 1})
		}
		l.SetTarget(l.HighWater())
		l.Reserve(reserve)
		units := append(slices.Repeat([]uint32{1}, 130), 3)
		l.SetHot(110, 130)
		to, err := l.Alloc(units, nil, l.HighWater())
		if err != nil {
			t.Fatalf("reserve %v: %v", reserve, err)
		}
		if to[130] >= 128 {
			t.Errorf("reserve %v: the run in page %d", reserve, to[130])
		}
		if l.FreePages() != 626-133 {
			t.Errorf("%d free pages", l.FreePages())
		}
	}
}

// SetHot is for the next allocation only, also when that one takes a single run.
func TestHotUnitsAreForgotten(t *testing.T) {
	for _, n := range []int{32, 200} {
		l := withFree(5000, Extent{10, 200}, Extent{300, 1}, Extent{302, 1})
		l.SetTarget(5000)
		l.SetHot(10, n)
		if _, err := l.Alloc(slices.Repeat([]uint32{1}, n), nil, 0); err != nil {
			t.Fatal(err)
		}
		l.SetHot(100, 200)
		if _, err := l.Alloc(nil, nil, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Alloc(slices.Repeat([]uint32{1}, 171), nil, 0); err != nil {
			t.Fatal(err)
		}
		validate(t, l)
	}
}
