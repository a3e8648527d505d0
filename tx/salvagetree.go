package tx

import (
	"bytes"
	"fmt"
	"slices"

	"mmdb/page"
)

// A salvagedTree is a bucket with pages of its own, on its way into the new database.
type salvagedTree struct {
	no     page.Tree
	parent *salvagedTree // nil for the top level, and for a bucket whose name is lost
	name   []byte        // in parent; nil if it is lost
	hdr    page.Bucket   // as its cell has it
	body   []byte        // its root, if that was in the cell, or the meta
	known  bool          // hdr is
	born   page.Commit   // of the leaf that holds the cell: the root is no younger
	leaves []page.No     // current ones, in key order as far as a walk found them
	holes  []hole        // lost branch pages, or roots
	gone   []hole        // lost leaves
	mixed  bool          // leaves were added that no branch leads to
	found  uint64        // keys, and buckets, written
}

// A hole is a part of a tree that is out of reach, because the page that leads there is lost. It stands also for the
// page that fills it.
type hole struct {
	page   page.No     // the lost page, 0 if not even a reference is there
	level  int         // its level, -1 if that is not known
	born   page.Commit // it is no younger
	lo, hi []byte      // range of its keys; nil is open
	keys   uint64      // how many were not found elsewhere
	open   bool        // that is not known
	branch bool        // the lost page was a branch
}

// plan decides to which bucket each leaf belongs, and which leaves are left out.
func (s *salvager) plan() error {
	root := &salvagedTree{no: page.RootTree, born: s.newest}
	if s.root != nil {
		root.hdr, root.body, root.known = *s.root, s.body, true
	}
	s.trees = map[page.Tree]*salvagedTree{root.no: root}
	s.queue, s.rest = append(s.queue, root), s.index
	if s.missing != 0 {
		if err := s.findRuns(); err != nil {
			return err
		}
	}
	for {
		for len(s.queue) > 0 {
			t := s.queue[0]
			s.queue = s.queue[1:]
			if err := s.planTree(t); err != nil {
				return err
			}
		}
		if s.settleDoubts() {
			continue
		}
		t := s.nextNameless()
		if t == nil {
			break
		}
		s.trees[t.no] = t
		s.queue = append(s.queue, t)
	}
	s.reportHoles()
	s.reportLeftOut()
	s.reportLater()
	return nil
}

// planTree finds the current pages of t: first those that its root leads to, then those in the holes.
func (s *salvager) planTree(t *salvagedTree) error {
	switch {
	case t.known && !t.hdr.HasPages(): // the root bucket
		s.walkLeaf(t, &salvagedPage{born: t.born, flags: hasBuckets}, t.body)
	case t.known && t.hdr.Root == 0:
		s.walkBranch(t, t.body, hole{level: int(t.hdr.Level), born: t.born})
	case t.known:
		s.walk(t, hole{page: t.hdr.Root.Page(), level: -1, born: t.born, keys: t.hdr.Keys})
	default:
		t.holes = append(t.holes, hole{level: -1, born: s.newest, open: true})
		if t.no == page.RootTree && !s.unsure {
			s.fill(t, s.topOf(0, s.newest))
		}
	}
	s.adopt(t)
	s.planned += uint64(len(t.leaves))
	return s.progress("sorting", s.planned, uint64(len(s.index)))
}

// walk takes the page of h, which a current page refers to, and all below it; what does not fit is a hole.
func (s *salvager) walk(t *salvagedTree, h hole) {
	s.account(h.page, 1)
	buf := make([]byte, s.file.pageSize)
	if !s.fits(t, &h) || !s.file.tree(buf, h.page) {
		if h.level == 0 {
			t.gone = append(t.gone, h)
		} else {
			t.holes = append(t.holes, h)
		}
		return
	}
	p := &s.pages[h.page]
	p.flags |= taken
	if p.level == 0 {
		if s.overtaken(t, h.page, page.Leaf(page.Body(buf))) {
			return
		}
		t.leaves = append(t.leaves, h.page)
		s.walkLeaf(t, p, page.Leaf(page.Body(buf)))
		return
	}
	h.level, h.born = int(p.level), p.born
	s.walkBranch(t, page.Branch(page.Body(buf)), h)
}

// walkBranch is walk for what the branch of h, at its level and written by its commit, refers to.
func (s *salvager) walkBranch(t *salvagedTree, br page.Branch, h hole) {
	low := h.lo
	for i := range br.Count() {
		high, next := h.hi, h.lo
		if i+1 < br.Count() {
			next, high = s.separator(t, br, i+1)
		}
		s.walk(t, hole{page: br.Child(i).Page(), level: h.level - 1, born: h.born, lo: low, hi: high, keys: br.Keys(i)})
		low = next
	}
}

// fits reports whether the page of h is what its parent says.
func (s *salvager) fits(t *salvagedTree, h *hole) bool {
	return h.page < s.limit && s.fitsTree(t.no, h) && !s.pages[h.page].is(taken)
}

// fitsTree reports whether the page of h may be one of tree, at its level, and no younger than h says.
func (s *salvager) fitsTree(tree page.Tree, h *hole) bool {
	if h.page < s.file.first || h.page >= page.No(len(s.pages)) {
		return false
	}
	p := &s.pages[h.page]
	return p.isTree() && p.tree == tree && p.born <= h.born && int(p.level) < maxDepth && (h.level < 0 || int(p.level) == h.level)
}

// separator returns the separator in slot i as a bound for what is above it and one for what is below: they differ where
// only the first part of a large key is left.
func (s *salvager) separator(t *salvagedTree, br page.Branch, i int) (low, high []byte) {
	part := br.Key(i)
	if !br.Large(i) {
		low = bytes.Clone(part)
		return low, low
	}
	o := br.KeyRef(i)
	s.account(o.Page.Page(), uint64(page.RunPages(int(o.Len), s.file.pageSize)))
	if whole, err := s.file.payload(o, t.no); err == nil {
		return whole, whole
	}
	return bytes.Clone(part), above(part)
}

// above returns the first key that is above all that start with part, or nil if there is none.
func above(part []byte) []byte {
	key := bytes.Clone(part)
	for i := len(key) - 1; i >= 0; i-- {
		if key[i]++; key[i] != 0 {
			return key[:i+1]
		}
	}
	return nil
}

// walkLeaf looks for the headers of nested buckets in a current leaf, and accounts for the runs that it refers to.
func (s *salvager) walkLeaf(t *salvagedTree, p *salvagedPage, l page.Leaf) {
	if !p.is(hasBuckets) && s.missing == 0 {
		return
	}
	for i := range l.Count() {
		var name []byte
		if l.Large(i) {
			s.accountRun(l.KeyRef(i))
		}
		switch l.Kind(i) {
		case page.CellOverflow:
			s.accountRun(page.DecodeOverflow(l.Payload(i)))
		case page.CellBucket:
			hdr := page.DecodeBucket(l.Payload(i))
			if !hdr.HasPages() {
				continue
			}
			if name = bytes.Clone(l.Key(i)); l.Large(i) {
				name, _ = s.file.payload(l.KeyRef(i), t.no)
			}
			s.addTree(t, p, l.Payload(i), name)
		}
	}
}

func (s *salvager) accountRun(o page.Overflow) {
	s.account(o.Page.Page(), uint64(page.RunPages(int(o.Len), s.file.pageSize)))
}

// addTree notes that the bucket of cell is nested in t.
func (s *salvager) addTree(t *salvagedTree, p *salvagedPage, cell, name []byte) {
	hdr := page.DecodeBucket(cell)
	if have := s.trees[hdr.Tree]; have != nil {
		s.lost(t, SalvageLoss{Key: name, Reason: fmt.Sprintf("two buckets have the tree number %d", hdr.Tree)})
		return
	}
	c := &salvagedTree{no: hdr.Tree, hdr: hdr, body: bytes.Clone(cell[page.BucketHeaderSize:]), known: true, born: p.born}
	if name != nil {
		c.parent, c.name = t, name
	}
	s.trees[c.no] = c
	s.queue = append(s.queue, c)
}

// pathOf returns the names of the buckets that lead to t in the new database.
func (s *salvager) pathOf(t *salvagedTree) (path [][]byte) {
	for ; t != nil && t.no != page.RootTree; t = t.parent {
		if t.parent == nil {
			return append([][]byte{[]byte(s.lostFound()), t.number()}, path...)
		}
		path = append([][]byte{t.name}, path...)
	}
	return path
}

// number is the name that t gets when its own is lost.
func (t *salvagedTree) number() []byte { return fmt.Append(nil, uint64(t.no)) }

// reportHoles reports what is missing in the trees.
func (s *salvager) reportHoles() {
	for _, t := range s.sortedTrees() {
		for _, h := range slices.Concat(t.gone, t.holes) {
			switch {
			case h.page != 0 && h.keys > 0:
				s.lost(t, SalvageLoss{Page: uint64(h.page), Key: h.lo, Keys: h.keys, Reason: s.whyLost(&h)})
			case h.page == 0 && t.no == page.RootTree:
				s.lost(t, SalvageLoss{Reason: "the root of the newest commit and its record are lost: there may have been more buckets"})
			}
		}
	}
}

// whyLost says what is wrong with the page of h.
func (s *salvager) whyLost(h *hole) string {
	what := "page"
	switch {
	case h.level == 0:
		what = "leaf"
	case h.level > 0:
		what = "branch page"
	}
	if h.page >= page.No(len(s.pages)) {
		return "the file ends before this " + what
	}
	return "the " + what + " is damaged"
}
