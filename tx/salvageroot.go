package tx

import "mmdb/page"

// Every commit writes new pages from a leaf up to the root. Where meta and record of the newest commit are lost, they can be found by
// that. But a large commit writes some pages more than once, and what it left behind looks the same. So a page is
// believed to be the top of a tree only if it leads to everything else that the commit wrote in it. (That leaves one case, in which
// a state from within the newest commit is taken for its end: all metas, its record, and every page that it wrote after
// it spilled to the file are lost, and no other.)

// topOf returns the page that commit c wrote in tree, or in all trees if that is 0, and that leads to all others which it wrote
// there. It returns 0 if there is no such page.
func (s *salvager) topOf(tree page.Tree, c page.Commit) (top page.No) {
	of := tree
	if of == 0 {
		of = page.RootTree
	}
	level := -1
	for no := range s.pages {
		p := &s.pages[no]
		switch {
		case !p.isTree() || p.tree != of || p.born != c:
		case int(p.level) > level:
			level, top = int(p.level), page.No(no)
		case int(p.level) == level:
			top = 0
		}
	}
	if top == 0 {
		return 0
	}
	r := reach{s: s, born: c, nested: tree == 0, seen: make([]bool, len(s.pages))}
	r.visit(page.PageRef(top), of, level)
	for no := range s.pages {
		if p := &s.pages[no]; p.isTree() && p.born == c && (tree == 0 || p.tree == tree) && !r.seen[no] {
			return 0
		}
	}
	return top
}

// A reach is what a page leads to of all that one commit wrote.
type reach struct {
	s      *salvager
	born   page.Commit
	nested bool // nested buckets too
	seen   []bool
}

// visit follows a reference to a page of tree, at level (-1: not known).
func (r *reach) visit(ref page.Ref, tree page.Tree, level int) {
	s, h := r.s, hole{page: ref.Page(), level: level, born: r.born}
	if !s.fitsTree(tree, &h) || s.pages[h.page].born != r.born || r.seen[h.page] {
		return
	}
	buf := make([]byte, s.file.pageSize)
	if !s.file.tree(buf, h.page) {
		return
	}
	r.seen[h.page] = true
	if p := &s.pages[h.page]; p.kind == page.KindBranch {
		eachChild(buf, func(ref page.Ref) { r.visit(ref, tree, int(p.level)-1) })
		return
	}
	for l, i := page.Leaf(page.Body(buf)), 0; i < l.Count() && r.nested; i++ {
		if l.Kind(i) != page.CellBucket {
			continue
		}
		cell := l.Payload(i)
		if hdr := page.DecodeBucket(cell); hdr.Root != 0 {
			r.visit(hdr.Root, hdr.Tree, -1)
		} else if hdr.Level > 0 {
			eachInline(hdr, cell[page.BucketHeaderSize:], func(ref page.Ref) { r.visit(ref, hdr.Tree, int(hdr.Level)-1) })
		}
	}
}

// agree is for a file that lost most metas, in which the youngest pages belong to a commit whose record and root are not there either: it may
// have been finished, and then its pages are current, or not, and then the ones before it are. What its branches refer to
// and older commits wrote is current in both cases.
func (s *salvager) agree() {
	buf := make([]byte, s.file.pageSize)
	good := map[page.Tree]bool{}
	for no := range s.pages {
		p := &s.pages[no]
		if p.kind != page.KindBranch || p.born != s.newest {
			continue
		}
		ok, known := good[p.tree]
		if !known {
			ok = s.topOf(p.tree, p.born) != 0
			good[p.tree] = ok
		}
		if !ok || !s.file.tree(buf, page.No(no)) {
			continue
		}
		eachChild(buf, func(ref page.Ref) {
			h := hole{page: ref.Page(), level: int(p.level) - 1, born: p.born - 1}
			if s.fitsTree(p.tree, &h) {
				s.pages[h.page].flags |= agreed
			}
		})
	}
}
