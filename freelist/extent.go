package freelist

import (
	"cmp"
	"math/bits"
	"slices"

	"mmdb/page"
)

// maxPages bounds every page number. With it no sum below overflows, and what a pageSet takes is bounded.
const maxPages = page.MaxPages

// Extent is a run of neighbouring pages.
type Extent struct {
	// Page is the first page.
	Page page.No
	// Len is the number of pages, at least 1.
	Len uint64
}

// End returns the number of the first page behind the extent.
func (e Extent) End() page.No { return e.Page + page.No(e.Len) }

// Split returns the part of the extent below end, which may have no pages, and how many pages the rest has.
func (e Extent) Split(end page.No) (below Extent, rest uint64) {
	below = e
	if below.End() > end {
		below.Len = uint64(max(end, e.Page) - e.Page)
	}
	return below, e.Len - below.Len
}

// valid reports whether the extent is not empty and ends at or below max.
func (e Extent) valid(max page.No) bool {
	return e.Len > 0 && e.Page <= max && e.Len <= uint64(max-e.Page)
}

// Pending is an extent that the newest state does not use any more, but that an
// older snapshot may still reach.
type Pending struct {
	Extent
	// Born is the commit that wrote the pages.
	Born page.Commit
	// Died is the commit that freed them: the first whose snapshot lacks them.
	Died page.Commit
}

// joins reports whether q stands right behind p and lived exactly as long.
func (p Pending) joins(q Pending) bool {
	return p.End() == q.Page && p.Born == q.Born && p.Died == q.Died
}

// Normalize sorts the extents by page, in place, and joins neighbours. The result
// aliases the argument. Overlaps are the caller's bug: the encoders panic on them.
func Normalize(extents []Extent) []Extent {
	slices.SortFunc(extents, byPage)
	n := 0
	for _, e := range extents {
		if n > 0 && extents[n-1].End() == e.Page {
			extents[n-1].Len += e.Len
			continue
		}
		extents[n] = e
		n++
	}
	return extents[:n]
}

// NormalizePending sorts the extents by page, in place, and joins neighbours that
// were born and died together. The result aliases the argument.
func NormalizePending(pending []Pending) []Pending {
	sortPending(pending)
	n := 0
	for _, p := range pending {
		if n > 0 && pending[n-1].joins(p) {
			pending[n-1].Len += p.Len
			continue
		}
		pending[n] = p
		n++
	}
	return pending[:n]
}

// sortPending sorts by page. What a large commit frees stands all over the file: it is first put into 256 stretches of that, in place, each of
// which then has few: twice as fast as comparing all.
func sortPending(pending []Pending) {
	const buckets, few, fewer = 256, 128, 12
	if len(pending) <= fewer { // of a commit of one change: no call for each comparison
		for i := 1; i < len(pending); i++ {
			p, k := pending[i], i
			for ; k > 0 && pending[k-1].Page > p.Page; k-- {
				pending[k] = pending[k-1]
			}
			pending[k] = p
		}
		return
	}
	compare := func(a, b Pending) int { return cmp.Compare(a.Page, b.Page) }
	if len(pending) < few || slices.IsSortedFunc(pending, compare) {
		slices.SortFunc(pending, compare)
		return
	}
	low, high := pending[0].Page, pending[0].Page
	for i := range pending {
		low, high = min(low, pending[i].Page), max(high, pending[i].Page)
	}
	shift := max(0, bits.Len64(uint64(high-low))-bits.Len(buckets-1))
	bucket := func(p *Pending) int { return int(uint64(p.Page-low) >> (shift & 63)) }
	var ends, next [buckets]int
	for i := range pending {
		ends[bucket(&pending[i])]++
	}
	sum := 0
	for k, n := range ends {
		next[k] = sum
		sum += n
		ends[k] = sum
	}
	for k := range next {
		for next[k] < ends[k] {
			at := &pending[next[k]]
			to := bucket(at)
			if to != k {
				other := &pending[next[to]]
				*at, *other = *other, *at
			}
			next[to]++
		}
	}
	from := 0
	for _, end := range ends {
		slices.SortFunc(pending[from:end], compare)
		from = end
	}
}

func byPage(a, b Extent) int { return cmp.Compare(a.Page, b.Page) }
