package tx

import (
	"bytes"
	"cmp"
	"slices"

	"mmdb/freelist"
	"mmdb/page"
)

// date finds the newest commit, and which pages it used.
func (s *salvager) date() {
	slices.SortFunc(s.metas, func(a, b page.Meta) int {
		return cmp.Or(cmp.Compare(b.Commit, a.Commit), cmp.Compare(boolInt(b.Settled), boolInt(a.Settled)))
	})
	slices.SortStableFunc(s.records, func(a, b salvagedRecord) int { return cmp.Compare(a.link.Commit, b.link.Commit) })
	link := s.findNewest()
	if s.root == nil {
		s.findNames()
	}
	s.known = s.chain(link)
	s.replay()
	if s.unsure {
		s.agree()
	}
	s.makeIndex()
	s.report.Commit, s.report.Exact = uint64(s.newest), s.missing == 0
}

// findNewest decides which commit to restore, and returns the link to its record, or none if nothing leads there. While all
// metas are whole, that is the newest meta's. Otherwise the one that is lost may have been the newest: then a newer
// record or a newer page of the top level tells of it.
func (s *salvager) findNewest() (link page.Link) {
	s.cut = ^page.Commit(0)
	for i := range s.metas {
		m := &s.metas[i]
		if i+1 < len(s.metas) && s.metas[i+1].Commit >= m.Base && s.torn(m) {
			s.cut = m.Commit
			continue
		}
		s.newest, s.root, s.body, s.limit, link = m.Commit, &m.Root, m.Body.Bytes(), m.HighWater, m.Record
		break
	}
	if len(s.metas) == page.MetaSlots {
		return link
	}
	var best *salvagedRecord
	for i := range s.records {
		r := &s.records[i]
		if r.link.Commit <= s.newest || r.link.Commit >= s.cut {
			continue
		}
		if best == nil || r.link.Commit > best.link.Commit || !s.leadsToRoot(best) {
			best = r
		}
	}
	if best != nil {
		s.newest, s.root, s.body, s.limit, link = best.link.Commit, &best.root, best.body, best.limit, best.link
	}
	if c := s.newestPage(func(p *salvagedPage) bool { return p.tree == page.RootTree && p.born < s.cut }); c > s.newest && s.topOf(0, c) != 0 {
		s.newest, s.root, s.body, s.limit, link = c, nil, nil, page.No(len(s.pages)), page.Link{}
	}
	if len(s.metas) == page.MetaSlots-1 {
		return link // that this meta, the record and the root of a commit are lost is less likely than that it was not finished
	}
	if c := s.newestPage(func(*salvagedPage) bool { return true }); c > s.newest {
		s.newest, s.root, s.body, s.limit, link, s.unsure = c, nil, nil, page.No(len(s.pages)), page.Link{}, true
	}
	return link
}

// newestPage returns the commit that wrote the youngest of the whole leaves and branches for which ok holds.
func (s *salvager) newestPage(ok func(p *salvagedPage) bool) (c page.Commit) {
	for i := range s.pages {
		if p := &s.pages[i]; p.isTree() && p.born > c && ok(p) {
			c = p.born
		}
	}
	return c
}

// leadsToRoot reports whether the root that r names is there, or what it refers to if it has no page. Of two records with one number, one of which belongs to a
// commit that was lost, this tells the right one most of the time.
func (s *salvager) leadsToRoot(r *salvagedRecord) bool {
	leads := func(no page.No) bool { return no < page.No(len(s.pages)) && s.pages[no].isTree() }
	if no := r.root.Root.Page(); no != 0 {
		return leads(no) && s.pages[no].tree == page.RootTree && s.pages[no].born == r.link.Commit
	}
	all := true
	eachInline(r.root, r.body, func(ref page.Ref) {
		all = all && leads(ref.Page()) && s.pages[ref.Page()].born <= r.link.Commit
	})
	return all
}

// findNames takes the names of the top-level buckets from the newest meta or record that has them, because those of the newest commit are
// lost: a bucket keeps the number of its tree.
func (s *salvager) findNames() {
	var body page.Leaf
	var newest page.Commit
	for i := range s.records {
		if r := &s.records[i]; r.root.Root == 0 && r.root.Level == 0 && r.link.Commit >= newest && r.link.Commit <= s.newest {
			body, newest = r.body, r.link.Commit
		}
	}
	for i := range s.metas {
		if m := &s.metas[i]; m.Root.Root == 0 && m.Root.Level == 0 && m.Commit > newest && m.Commit <= s.newest {
			body, newest = m.Body.Bytes(), m.Commit
		}
	}
	s.names = map[page.Tree][]byte{}
	for i := 0; len(body) > 0 && i < body.Count(); i++ {
		s.names[page.DecodeBucket(body.Payload(i)).Tree] = bytes.Clone(body.Key(i))
	}
}

// torn reports whether the commit of m was cut short by a crash, and never acknowledged: a page that it wrote, or its record, is
// still the older one that stood there before. Anything else that is wrong with it is damage.
func (s *salvager) torn(m *page.Meta) bool {
	if m.Settled || m.Base == m.Commit {
		return false
	}
	older := func(no page.No) bool {
		return no < page.No(len(s.pages)) && s.pages[no].kind != 0 && s.pages[no].born < m.Commit
	}
	r := s.find(m.Record)
	if r == nil {
		return older(m.Record.Page)
	}
	rec, ok := s.record(r)
	if !ok {
		return false
	}
	extents, err := freelist.DecodeExtents(rec.Written, rec.HighWater)
	if err != nil {
		return false
	}
	for _, e := range extents {
		for no := e.Page; no < min(e.End(), page.No(len(s.pages))); no++ { // a record may tell of more than the file has
			if older(no) {
				return true
			}
		}
	}
	return false
}

// firstRecord returns the place of the first record of commit c or later.
func (s *salvager) firstRecord(c page.Commit) int {
	i, _ := slices.BinarySearchFunc(s.records, c, func(r salvagedRecord, c page.Commit) int { return cmp.Compare(r.link.Commit, c) })
	return i
}

// find returns the record that l leads to, or nil if it is not whole.
func (s *salvager) find(l page.Link) *salvagedRecord {
	for i := s.firstRecord(l.Commit); i < len(s.records) && s.records[i].link.Commit == l.Commit; i++ {
		if s.records[i].link == l {
			return &s.records[i]
		}
	}
	return nil
}

// chain follows the commit records from the one that link leads to back to a checkpoint, and returns those that are whole, the newest
// first. Where one is missing it goes on with the newest of the older ones that are there, if there is no doubt which of
// that number belongs to this history.
func (s *salvager) chain(link page.Link) (known []*salvagedRecord) {
	below := s.newest
	for {
		var r *salvagedRecord
		if link.Commit != 0 {
			s.account(link.Page, uint64(page.RunPages(int(link.Len), s.file.pageSize)))
			r, below = s.find(link), link.Commit
		}
		if r == nil {
			r = s.stray(below)
		}
		if r == nil {
			return known
		}
		known = append(known, r)
		if r.checkpoint || r.prev.Commit == 0 {
			return known
		}
		link = r.prev
	}
}

// stray returns the newest record below commit c whose number no other has.
func (s *salvager) stray(c page.Commit) *salvagedRecord {
	for i := s.firstRecord(c) - 1; i >= 0; i-- {
		r := &s.records[i]
		if i > 0 && s.records[i-1].link.Commit == r.link.Commit || i+1 < len(s.records) && s.records[i+1].link.Commit == r.link.Commit {
			continue
		}
		return r
	}
	return nil
}
