package tx

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"mmdb/page"
)

// Where a record is missing, the leaves in a hole that are older than it are doubtful: the lost record may have freed them. Two
// things can still settle the matter. A younger leaf with keys in the same range, current or not, means that the older one was
// replaced. And the branch above the hole says how many keys are in it: if the leaves that are left have just as many, and
// there is no unreadable page that could have taken the place of one of them, they are the ones.

// settleDoubts takes doubtful leaves that turn out to be current, and reports whether it took any.
func (s *salvager) settleDoubts() (any bool) {
	if s.missing == 0 || s.unsure {
		return false
	}
	for _, t := range s.sortedTrees() {
		for i := 0; i < len(t.holes); i++ {
			if h := t.holes[i]; (h.open || h.keys > 0) && s.settle(t, h) {
				any = true
			}
		}
	}
	return any
}

// mayBeLeaf reports whether the lost page of h, of which nobody says the level, may itself have been the leaf with the keys.
func (s *salvager) mayBeLeaf(h *hole) bool {
	const least = slotSize + 3 // bytes that a key takes
	return h.level < 0 && !h.branch && h.keys <= uint64(s.file.pageSize/least)
}

// A candidate leaf of a hole.
type heir struct {
	no page.No
	span
	born page.Commit
}

// maxHeirs is for how many leaves in one hole the doubts are settled.
const maxHeirs = 1 << 14

// settle takes the doubtful leaves in hole h of t if they fill it.
func (s *salvager) settle(t *salvagedTree, h hole) bool {
	heirs := s.heirs(t, &h)
	if len(heirs) > maxHeirs {
		return false
	}
	slices.SortFunc(heirs, func(a, b heir) int { return cmp.Or(cmp.Compare(b.born, a.born), cmp.Compare(a.no, b.no)) })
	var sum uint64
	var left []page.No
	for i := range heirs {
		l := &heirs[i]
		if s.standing(l.no) != doubtful || s.pages[l.no].is(taken) {
			continue
		}
		if slices.ContainsFunc(heirs[:i], func(y heir) bool { return y.born > l.born && y.exact && l.exact && y.meets(&l.span) }) {
			s.pages[l.no].flags &^= inUse // it was replaced
		} else if l.inside(&h) && l.born <= h.born {
			sum += l.keys
			left = append(left, l.no)
		}
	}
	if h.open || sum != h.keys || s.mayBeLeaf(&h) || s.hidden(s.bornBefore(&h)) {
		return false
	}
	for _, no := range left {
		s.fill(t, no)
	}
	return true
}

// meets reports whether both ranges have keys in common, as far as the keys tell.
func (sp *span) meets(o *span) bool {
	return bytes.Compare(sp.first, o.last) <= 0 && bytes.Compare(o.first, sp.last) <= 0
}

// heirs returns all leaves of t in the file, of whatever age, that may have keys in the range of h.
func (s *salvager) heirs(t *salvagedTree, h *hole) (heirs []heir) {
	for _, no := range s.pagesOf(t.no) {
		if p := &s.pages[no]; p.kind == page.KindLeaf && len(heirs) <= maxHeirs {
			sp, ok := s.span(no)
			if ok && (h.lo == nil || bytes.Compare(sp.last, h.lo) >= 0 || !sp.exact) && (h.hi == nil || bytes.Compare(sp.first, h.hi) < 0) {
				heirs = append(heirs, heir{no: no, span: sp, born: p.born})
			}
		}
	}
	return heirs
}

// bornBefore returns the newest commit that may have written the lost page of h, and with it what hangs below it.
func (s *salvager) bornBefore(h *hole) page.Commit {
	if c := s.lastWriter(h.page); c != 0 {
		return min(c, h.born)
	}
	if h.page < page.No(len(s.pages)) && s.pages[h.page].is(inUse) && s.oldest == s.missing {
		return min(s.oldest-1, h.born) // it was in use before the only missing commit, which so can't have written it
	}
	return h.born
}

// hidden reports whether some unreadable page may hold a current leaf that nothing leads to, and that commit born or one
// before it wrote.
func (s *salvager) hidden(born page.Commit) bool {
	for no := s.file.first; no < min(s.limit, page.No(len(s.pages))); no++ {
		p := &s.pages[no]
		if p.kind == 0 && p.flags&(accounted|readable) == 0 && (p.is(inUse) || born >= s.oldest) {
			return true
		}
	}
	return s.limit > page.No(len(s.pages))
}

// What is younger than the newest commit of which a root is there is left over from a transaction that was never finished, or
// belongs to a commit whose meta, record and root are all lost. It is never taken; but a leaf that it may have replaced
// is not either.
type laterLeaves struct {
	newest page.Commit // of them; 0 if there are none
	leaves map[page.Tree][]laterLeaf
}

type laterLeaf struct {
	no page.No
	span
}

// add notes a leaf that is younger than the newest commit.
func (l *laterLeaves) add(p *salvagedPage, no page.No, sp span) {
	if l.leaves == nil {
		l.leaves = map[page.Tree][]laterLeaf{}
	}
	l.newest = max(l.newest, p.born)
	l.leaves[p.tree] = append(l.leaves[p.tree], laterLeaf{no, sp})
}

// reportLater reports what is younger than the newest commit.
func (s *salvager) reportLater() {
	if s.later.newest == 0 {
		return
	}
	s.lost(nil, SalvageLoss{Reason: fmt.Sprintf("pages of a later commit, %d, were found, but not its root: it was never finished, or it is lost", s.later.newest)})
	for _, tree := range slices.Sorted(maps.Keys(s.later.leaves)) {
		for _, l := range s.later.leaves[tree] {
			s.report.Doubtful += l.keys
			s.lost(s.trees[tree], SalvageLoss{Page: uint64(l.no), Tree: uint64(tree), Key: l.first, Keys: l.keys, Reason: "this leaf belongs to a later commit whose root is lost"})
		}
	}
}

// overtaken reports whether the current leaf l of t, page no, may have been replaced by a later commit, and reports it if so.
func (s *salvager) overtaken(t *salvagedTree, no page.No, l page.Leaf) bool {
	sp, ok := leafSpan(l, 0)
	if !ok || !slices.ContainsFunc(s.later.leaves[t.no], func(y laterLeaf) bool { return sp.meets(&y.span) }) {
		return false
	}
	s.report.Doubtful += sp.keys
	s.lost(t, SalvageLoss{Page: uint64(no), Key: sp.first, Keys: sp.keys, Reason: "a later commit whose root is lost may have replaced this leaf"})
	return true
}

// findRuns finds the whole overflow runs of the file, current or not, so that their pages don't pass for unreadable ones.
func (s *salvager) findRuns() error {
	buf := make([]byte, s.file.pageSize)
	effort := 4 * s.file.size
	for no := s.file.first; no < page.No(len(s.pages)); no++ {
		if no%4096 == 0 {
			if err := s.progress("searching", uint64(no), uint64(len(s.pages))); err != nil {
				return err
			}
		}
		if s.pages[no].kind == 0 && s.file.at(buf, no) {
			no += page.No(max(s.findRun(buf, no, &effort), 1)) - 1
		}
	}
	return nil
}

// findRun marks the overflow run at page no, whose first page is buf, if it is whole, and returns its length.
func (s *salvager) findRun(buf []byte, no page.No, effort *int64) uint32 {
	size := s.file.runSize(buf, no)
	if page.Number(buf) != no || page.KindOf(buf) != page.KindOverflow || page.TreeNo(buf) == 0 || size == 0 || size > *effort {
		return 0
	}
	*effort -= size
	if sum, ok := s.file.sum(no, size); !ok || sum != page.Stored(buf) {
		return 0
	}
	n := page.Run(buf)
	for i := no; i < no+page.No(n); i++ {
		s.pages[i].flags |= readable
	}
	return n
}
