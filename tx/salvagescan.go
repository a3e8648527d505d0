package tx

import (
	"bytes"
	"cmp"
	"slices"

	"mmdb/freelist"
	"mmdb/page"
)

// A salvagedPage is what salvage remembers of a page of the file.
type salvagedPage struct {
	born  page.Commit
	tree  page.Tree
	seen  page.Commit // no commit before this one freed the page, says another page that refers to it
	kind  page.Kind   // branch, leaf or record if a whole one starts here, else 0
	level uint8
	flags pageFlags
}

// pageFlags is a set of facts about a page.
type pageFlags uint8

const (
	hasBuckets pageFlags = 1 << iota // a leaf with cells of nested buckets
	vouched                          // the record of the commit that wrote it says so
	inUse                            // the commit records say that the newest commit uses it, or may use it
	taken                            // it is part of the new database's plan
	accounted                        // a current reference tells what stands, or stood, here
	readable                         // part of a whole run
	agreed                           // current, whether or not the newest commit was finished
)

func (p *salvagedPage) is(f pageFlags) bool { return p.flags&f != 0 }

// isTree reports whether a whole leaf or branch stands here.
func (p *salvagedPage) isTree() bool { return p.kind == page.KindBranch || p.kind == page.KindLeaf }

// A salvagedRecord is a whole commit record in the file, of this or another history.
type salvagedRecord struct {
	link       page.Link // to it
	prev       page.Link
	root       page.Bucket
	body       []byte
	limit      page.No
	checkpoint bool
}

// A hint says in which tree the header of a nested bucket was found last; it is good only for an order.
type hint struct {
	tree page.Tree
	born page.Commit
}

// whole returns how many leaves and branches the scan found.
func (s *salvager) whole() (n int) {
	for i := range s.pages {
		if s.pages[i].isTree() {
			n++
		}
	}
	return n
}

// scanAll scans the file as each of ids, and keeps the best result, or the first if none has anything.
func (s *salvager) scanAll(ids []identity) error {
	best, most := 0, 0
	for i, id := range ids {
		if err := s.scan(id); err != nil {
			return err
		}
		if n := s.whole() + len(s.records); n > most {
			best, most = i, n
		}
	}
	if best == len(ids)-1 || len(ids) == 0 {
		return nil
	}
	return s.scan(ids[best])
}

// scan looks at every page of the file.
func (s *salvager) scan(id identity) error {
	f := &s.file
	f.become(id)
	s.pages = make([]salvagedPage, f.pages())
	s.records, s.hints = nil, map[page.Tree]hint{}
	chunk := make([]byte, 1<<20)
	effort := 4 * f.size // bytes of runs to verify: many false heads must not cost a pass over the file each
	n := page.No(len(chunk) >> f.shift)
	for at := page.No(0); at < f.pages(); at += n {
		if err := s.progress("reading", uint64(at), uint64(f.pages())); err != nil {
			return err
		}
		part := chunk[:min(n, f.pages()-at)<<f.shift]
		ok := f.at(part, at)
		for no := at; len(part) > 0; no++ {
			b := part[:f.pageSize]
			part = part[f.pageSize:]
			if no >= f.first && (ok || f.at(b, no)) && page.Number(b) == no {
				s.scanPage(b, no, &effort)
			}
		}
	}
	return s.progress("reading", uint64(f.pages()), uint64(f.pages()))
}

// scanPage remembers page b if it is whole.
func (s *salvager) scanPage(b []byte, no page.No, effort *int64) {
	f := &s.file
	kind := page.KindOf(b)
	switch kind {
	case page.KindBranch, page.KindLeaf:
	case page.KindRecord:
		n := f.runSize(b, no)
		if n == 0 || n > *effort {
			return
		}
		if n > int64(len(b)) {
			*effort -= n
			if sum, ok := f.sum(no, n); !ok || sum != page.Stored(b) {
				return
			}
			b = make([]byte, n)
			if !f.at(b, no) {
				return
			}
		}
	default:
		return
	}
	if page.Verify(b, f.pageSize, no, f.salt) != nil {
		return
	}
	p := &s.pages[no]
	p.born, p.tree, p.kind, p.level = page.Born(b), page.TreeNo(b), kind, page.Level(b)
	if kind == page.KindRecord {
		s.scanRecord(p, b, no)
		return
	}
	eachChild(b, func(ref page.Ref) { s.see(ref, p.born) })
	if kind == page.KindLeaf {
		s.scanLeaf(p, page.Leaf(page.Body(b)))
	}
}

// scanLeaf looks at the headers of nested buckets in a leaf.
func (s *salvager) scanLeaf(p *salvagedPage, l page.Leaf) {
	if s.hint(p.tree, p.born, l) {
		p.flags |= hasBuckets
	}
}

// hint notes which buckets with pages are in l, a leaf of tree that commit born wrote, and reports whether there are any buckets.
func (s *salvager) hint(tree page.Tree, born page.Commit, l page.Leaf) (any bool) {
	for i := range l.Count() {
		if l.Kind(i) != page.CellBucket {
			continue
		}
		any = true
		if h := page.DecodeBucket(l.Payload(i)); h.HasPages() && s.hints[h.Tree].born <= born {
			s.hints[h.Tree] = hint{tree, born}
		}
	}
	return any
}

// see notes that something that was current when commit c began, or became so in it, refers to the page at ref. If what stands
// there now is not younger, it is what was meant, and only commits from c on can have freed it.
func (s *salvager) see(ref page.Ref, c page.Commit) {
	if no := ref.Page(); no < page.No(len(s.pages)) && s.pages[no].seen < c {
		s.pages[no].seen = c
	}
}

// scanRecord remembers the commit record in the run b.
func (s *salvager) scanRecord(p *salvagedPage, b []byte, no page.No) {
	payload := page.RunPayload(b)
	var rec page.Record
	if rec.Decode(payload) != nil || rec.Commit != p.born || rec.Salt != s.file.salt || int(rec.PageSize) != s.file.pageSize {
		*p = salvagedPage{seen: p.seen}
		return
	}
	s.mark(freelist.Extent{Page: no, Len: uint64(page.Run(b))}, readable)
	if rec.Root.Root == 0 {
		eachInline(rec.Root, rec.Body, func(ref page.Ref) { s.see(ref, rec.Commit) })
		if rec.Root.Level == 0 {
			s.hint(page.RootTree, rec.Commit, rec.Body)
		}
	}
	s.records = append(s.records, salvagedRecord{
		link: page.Link{Page: no, Len: uint64(len(payload)), Checksum: page.Stored(b), Commit: rec.Commit},
		prev: rec.Prev, root: rec.Root, body: bytes.Clone(rec.Body), limit: rec.HighWater, checkpoint: rec.Checkpoint,
	})
}

// record reads a commit record that the scan found. Its sections are slices of new memory.
func (s *salvager) record(r *salvagedRecord) (rec page.Record, ok bool) {
	b := make([]byte, int64(page.RunPages(int(r.link.Len), s.file.pageSize))<<s.file.shift)
	if !s.file.at(b, r.link.Page) || page.Stored(b) != r.link.Checksum || page.Sum(b, s.file.salt) != r.link.Checksum {
		return rec, false
	}
	return rec, rec.Decode(page.RunPayload(b)) == nil
}

// makeIndex lists every whole leaf and branch by tree, in each the upper levels first.
func (s *salvager) makeIndex() {
	for no := range s.pages {
		if s.pages[no].isTree() {
			s.index = append(s.index, page.No(no))
		}
	}
	slices.SortFunc(s.index, func(a, b page.No) int {
		p, q := &s.pages[a], &s.pages[b]
		return cmp.Or(cmp.Compare(p.tree, q.tree), cmp.Compare(q.level, p.level), cmp.Compare(a, b))
	})
}

// pagesOf returns the part of the index that is about tree.
func (s *salvager) pagesOf(tree page.Tree) []page.No {
	find := func(t page.Tree) int {
		i, _ := slices.BinarySearchFunc(s.index, t, func(no page.No, t page.Tree) int { return cmp.Compare(s.pages[no].tree, t) })
		return i
	}
	return s.index[find(tree):find(tree+1)]
}
