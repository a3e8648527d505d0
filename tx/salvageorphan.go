package tx

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"mmdb/page"
)

// adopt finds the pages of t that are current and that nothing leads to any more, and puts them into the holes where they
// belong: upper levels first, because what hangs below them fills smaller holes.
func (s *salvager) adopt(t *salvagedTree) {
	if len(t.holes) == 0 {
		return
	}
	for _, no := range s.pagesOf(t.no) {
		if p := &s.pages[no]; p.is(taken) || s.standing(no) != current {
			continue
		}
		s.fill(t, no)
	}
}

// fill puts page no of t and all below it into the hole where it belongs, if there is one.
func (s *salvager) fill(t *salvagedTree, no page.No) {
	sp, ok := s.span(no)
	if !ok {
		return
	}
	i := s.holeFor(t, no, &sp)
	if i < 0 {
		return
	}
	h := &t.holes[i]
	if !h.open {
		h.keys -= sp.keys
	}
	h.branch, t.mixed = true, true
	p := &s.pages[no]
	s.walk(t, hole{page: no, level: int(p.level), born: p.born, lo: h.lo, hi: h.hi, keys: sp.keys})
}

// holeFor returns the smallest hole that page no, with keys in sp, fits into, or -1.
func (s *salvager) holeFor(t *salvagedTree, no page.No, sp *span) int {
	best := -1
	p := &s.pages[no]
	for i := range t.holes {
		h := &t.holes[i]
		switch {
		case h.level >= 0 && int(p.level) >= h.level, p.born > h.born, !h.open && sp.keys > h.keys, !sp.inside(h):
		case best < 0 || uint(h.level) < uint(t.holes[best].level): // -1 is the largest
			best = i
		}
	}
	return best
}

// A span is the range of keys of a page, as far as the page itself tells: of large keys only the first part.
type span struct {
	first, last []byte
	short       bool // first is only the part of a large key
	exact       bool // neither is
	keys        uint64
}

// inside reports whether the keys of sp may lie in the range of h.
func (sp *span) inside(h *hole) bool {
	below := h.lo != nil && bytes.Compare(sp.first, h.lo) < 0 && !(sp.short && bytes.HasPrefix(h.lo, sp.first))
	return !below && (h.hi == nil || bytes.Compare(sp.last, h.hi) < 0)
}

// span reads the range of keys of a whole leaf or branch. A branch with one child has none of its own: its child's is
// taken. It returns false for a page without keys, and where there is nothing to go by.
func (s *salvager) span(no page.No) (sp span, ok bool) {
	buf := make([]byte, s.file.pageSize)
	for {
		if !s.file.tree(buf, no) {
			return sp, false
		}
		p := &s.pages[no]
		if p.level == 0 {
			return leafSpan(page.Leaf(page.Body(buf)), sp.keys)
		}
		br := page.Branch(page.Body(buf))
		if sp.keys == 0 {
			sp.keys = br.TotalKeys()
		}
		if n := br.Count(); n > 1 {
			sp.first, sp.last, sp.short = bytes.Clone(br.Key(1)), bytes.Clone(br.Key(n-1)), br.Large(1)
			return sp, true
		}
		if no = br.Child(0).Page(); no >= page.No(len(s.pages)) {
			return sp, false
		}
		if c := &s.pages[no]; !c.isTree() || c.tree != p.tree || c.level != p.level-1 || c.born > p.born {
			return sp, false
		}
	}
}

// leafSpan returns the range of keys of l, and their number, or what the branch above says of it.
func leafSpan(l page.Leaf, keys uint64) (sp span, ok bool) {
	n := l.Count()
	if n == 0 {
		return sp, false
	}
	return span{first: bytes.Clone(l.Key(0)), last: bytes.Clone(l.Key(n - 1)), short: l.Large(0),
		exact: !l.Large(0) && !l.Large(n-1), keys: max(keys, uint64(n))}, true
}

// nextNameless returns a tree with current pages that no bucket leads to, the parent of others before these.
func (s *salvager) nextNameless() *salvagedTree {
	for ; len(s.rest) > 0; s.rest = s.rest[len(s.pagesOf(s.pages[s.rest[0]].tree)):] {
		no := s.pages[s.rest[0]].tree
		if !s.nameless(no) {
			continue
		}
		for range maxDepth { // what hints say may go in circles
			up := s.hints[no].tree
			if !s.nameless(up) {
				break
			}
			no = up
		}
		t := &salvagedTree{no: no, born: s.newest}
		if root := s.trees[page.RootTree]; len(root.leaves) == 0 && s.names[no] != nil {
			t.parent, t.name = root, s.names[no]
		}
		return t
	}
	return nil
}

// nameless reports whether tree has current pages and is not known yet.
func (s *salvager) nameless(tree page.Tree) bool {
	return tree != 0 && s.trees[tree] == nil && slices.ContainsFunc(s.pagesOf(tree), func(no page.No) bool { return s.standing(no) == current })
}

// sortedTrees returns the trees in the order of their numbers.
func (s *salvager) sortedTrees() []*salvagedTree {
	return slices.SortedFunc(maps.Values(s.trees), func(a, b *salvagedTree) int { return cmp.Compare(a.no, b.no) })
}

// reportLeftOut reports readable leaves that were left out: those that may or may not be current, and those that are
// in use but belong nowhere.
func (s *salvager) reportLeftOut() {
	for _, no := range s.index {
		p := &s.pages[no]
		if p.kind != page.KindLeaf || p.is(taken) {
			continue
		}
		st := s.standing(no)
		if st == stale {
			continue
		}
		sp, ok := s.span(no)
		if !ok {
			continue
		}
		t := s.trees[p.tree]
		reason := "the page is in use, but belongs nowhere in its tree"
		if st == doubtful {
			if t != nil && s.holeFor(t, no, &span{first: sp.first, last: sp.last, short: sp.short, keys: 1}) < 0 {
				continue // its tree is whole there: an old version
			}
			reason = "a commit record is lost: this leaf may be current, or an old version"
		}
		s.report.Doubtful += sp.keys
		l := SalvageLoss{Page: uint64(no), Tree: uint64(p.tree), Key: sp.first, Keys: sp.keys, Reason: reason}
		s.lost(t, l)
	}
}
