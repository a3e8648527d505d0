package freelist

import (
	"slices"
	"testing"

	"mmdb/page"
)

// TestPageSetAcrossItsParts adds and removes runs that begin and end within, at and across the borders of words, groups
// and blocks, and compares the set with an array.
func TestPageSetAcrossItsParts(t *testing.T) {
	rng := newRand(t)
	const size = 3*blockPages + 3*groupPages + 100
	var s pageSet
	in := make([]bool, size)
	steps := 120
	if testing.Short() {
		steps = 25
	}
	for range steps {
		for range 20 {
			unit := []int{1, wordPages, groupPages, groupPages, blockPages}[rng.IntN(5)]
			at := min(size-1, rng.IntN(size/unit+1)*unit+rng.IntN(2)*rng.IntN(unit))
			n := 1
			for ; at+n < size && n < 1+rng.IntN(2)*unit+rng.IntN(unit+1) && in[at+n] == in[at]; n++ {
			}
			e := Extent{page.No(at), uint64(n)}
			if in[at] {
				s.remove(e)
			} else {
				s.add(e)
			}
			for i := range n {
				in[at+i] = !in[at+i]
			}
			for range 3 {
				p := page.No(rng.IntN(size))
				if s.has(p) != in[p] {
					t.Fatalf("page %d: %v, want %v", p, s.has(p), in[p])
				}
			}
		}
		var want, got []Extent
		for p := 0; p < size; p++ {
			if in[p] {
				n := slices.Index(in[p:], false)
				if n < 0 {
					n = size - p
				}
				want = append(want, Extent{page.No(p), uint64(n)})
				p += n
			}
		}
		s.each(0, 1, func(e Extent) bool { got = append(got, e); return true })
		if !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
		validateSet(t, &s)
	}
}

func TestPageSetRefusesWhatIsSoAlready(t *testing.T) {
	for _, n := range []uint64{1, wordPages, groupPages, blockPages} {
		mustPanic(t, "adding twice", func() {
			var s pageSet
			s.add(Extent{blockPages + 5, 1})
			s.add(Extent{blockPages, max(n, 6)})
		})
		mustPanic(t, "removing what is absent", func() {
			var s pageSet
			s.add(Extent{blockPages + 1, 2 * blockPages})
			s.remove(Extent{blockPages, n})
		})
	}
}
