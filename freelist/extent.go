package freelist

import (
	"cmp"
	"slices"

	"mmdb/page"
)

// maxPages bounds every page number: 256 TiB at 4096 bytes a page, which is more than a process can map.
// With it no sum below overflows, and what a pageSet takes is bounded.
const maxPages = page.No(1) << 36

// Extent is a run of neighbouring pages.
type Extent struct {
	// Page is the first page.
	Page page.No
	// Len is the number of pages, at least 1.
	Len uint64
}

// End returns the number of the first page behind the extent.
func (e Extent) End() page.No { return e.Page + page.No(e.Len) }

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
	slices.SortFunc(pending, func(a, b Pending) int { return cmp.Compare(a.Page, b.Page) })
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

func byPage(a, b Extent) int { return cmp.Compare(a.Page, b.Page) }
