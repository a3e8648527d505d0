package tx

import (
	"mmdb/freelist"
	"mmdb/page"
)

// A standing is what salvage thinks of a whole leaf or branch.
type standing int

const (
	stale    standing = iota // an old version, deleted, or of a commit that was lost
	current                  // the newest commit uses it
	doubtful                 // one of the two: a record that would tell is missing
)

// standing returns what the records and other pages say of page no.
func (s *salvager) standing(no page.No) standing {
	p := &s.pages[no]
	switch {
	case !p.isTree() || !p.is(inUse):
		return stale
	case p.is(agreed), max(p.born, min(p.seen, s.newest)) > s.missing: // what happened to it since then is known
		return current
	}
	return doubtful
}

// account notes that what stands, or stood, in n pages from no on is known. It ends where that was known before: current runs
// have no page in common, and any number of false references may name a run as long as the file.
func (s *salvager) account(no page.No, n uint64) {
	for end := min(no+page.No(n), page.No(len(s.pages))); no < end && !s.pages[no].is(accounted); no++ {
		s.pages[no].flags |= accounted
	}
}

// mark sets flags of the pages of e, as far as the file has them.
func (s *salvager) mark(e freelist.Extent, f pageFlags) {
	for no := e.Page; no < e.End() && no < page.No(len(s.pages)); no++ {
		s.pages[no].flags |= f
	}
}

// unmark clears flags of the pages of e.
func (s *salvager) unmark(e freelist.Extent, f pageFlags) {
	for no := e.Page; no < e.End() && no < page.No(len(s.pages)); no++ {
		s.pages[no].flags &^= f
	}
}

// replay marks the pages that the newest commit uses: those that the last checkpoint knows, with what the commits after it
// wrote and freed. What a missing record would say of pages that can be read is made up for where possible: they were in use when they
// were written.
func (s *salvager) replay() {
	n := len(s.known)
	if n == 0 || !s.known[n-1].checkpoint {
		s.mark(freelist.Extent{Page: s.file.first, Len: uint64(len(s.pages))}, inUse)
	}
	var done page.Commit // all commits up to here were looked at
	for i := n - 1; i >= 0; i-- {
		r := s.known[i]
		switch {
		case i == n-1 && !r.checkpoint:
			s.skip(0, max(r.prev.Commit, r.link.Commit-1))
		case i < n-1 && r.prev != s.known[i+1].link:
			s.skip(done, r.prev.Commit)
		}
		if rec, ok := s.record(r); !ok || !s.apply(&rec) {
			s.skip(done, r.link.Commit)
		}
		s.mark(freelist.Extent{Page: r.link.Page, Len: uint64(page.RunPages(int(r.link.Len), s.file.pageSize))}, inUse)
		done = r.link.Commit
	}
	if done < s.newest {
		s.skip(done, s.newest)
	}
	s.dropForeign()
}

// skip is for the commits after from up to to, whose records are missing.
func (s *salvager) skip(from, to page.Commit) {
	if s.missing == 0 {
		s.oldest = from + 1
	}
	s.oldest, s.missing = min(s.oldest, from+1), max(s.missing, to)
	for i := range s.pages {
		if p := &s.pages[i]; p.isTree() && p.born > from && p.born <= to {
			p.flags |= inUse
		}
	}
}

// apply does what a commit did to the use of pages, and reports whether its record made sense.
func (s *salvager) apply(rec *page.Record) bool {
	written, freed, err := changesOf(rec)
	if err != nil {
		return false
	}
	if rec.Checkpoint && !s.applyCheckpoint(rec) {
		return false
	}
	for _, e := range written {
		s.mark(e, inUse)
		for no := e.Page; no < e.End() && no < page.No(len(s.pages)); no++ {
			switch p := &s.pages[no]; {
			case !p.isTree():
			case p.born == rec.Commit:
				p.flags |= vouched
			case p.born < rec.Commit: // what the commit wrote here is lost, and this is what stood here before
				p.kind = 0
			}
		}
	}
	for _, p := range freed {
		s.unmark(p.Extent, inUse)
		if s.missing != 0 {
			s.testify(p)
		}
	}
	return true
}

// testify notes what pages that were freed refer to: that was still current then.
func (s *salvager) testify(freed freelist.Pending) {
	buf := make([]byte, s.file.pageSize)
	for no := freed.Page; no < freed.End() && no < page.No(len(s.pages)); no++ {
		p := &s.pages[no]
		if !p.isTree() || p.born != freed.Born || p.kind == page.KindLeaf && !p.is(hasBuckets) || !s.file.tree(buf, no) {
			continue
		}
		eachChild(buf, func(ref page.Ref) { s.see(ref, freed.Died) })
	}
}

// eachChild calls fn for each page that the whole leaf or branch b refers to, overflow runs left out.
func eachChild(b []byte, fn func(page.Ref)) {
	if page.KindOf(b) == page.KindBranch {
		for br, i := page.Branch(page.Body(b)), 0; i < br.Count(); i++ {
			fn(br.Child(i))
		}
		return
	}
	eachInLeaf(page.Leaf(page.Body(b)), fn)
}

// eachInLeaf calls fn for each page that the buckets in l refer to.
func eachInLeaf(l page.Leaf, fn func(page.Ref)) {
	for i := range l.Count() {
		if l.Kind(i) != page.CellBucket {
			continue
		}
		p := l.Payload(i)
		if h := page.DecodeBucket(p); h.Root != 0 {
			fn(h.Root)
		} else if h.Level > 0 {
			eachInline(h, p[page.BucketHeaderSize:], fn)
		}
	}
}

// eachInline calls fn for each page that the inline root of a bucket refers to.
func eachInline(h page.Bucket, body []byte, fn func(page.Ref)) {
	if h.Level == 0 {
		eachInLeaf(body, fn)
		return
	}
	for br, i := page.Branch(body), 0; i < br.Count(); i++ {
		fn(br.Child(i))
	}
}

// applyCheckpoint takes the whole state of free space from a record.
func (s *salvager) applyCheckpoint(rec *page.Record) bool {
	list := freelist.New(s.file.first, min(rec.HighWater, max(s.file.first, page.No(len(s.pages)))))
	if _, err := list.LoadBelow(rec.HighWater, rec.Commit, rec.Free, rec.Pending); err != nil {
		return false
	}
	all := freelist.Extent{Page: s.file.first, Len: uint64(len(s.pages))}
	s.unmark(all, inUse)
	s.mark(freelist.Extent{Page: all.Page, Len: uint64(rec.HighWater - all.Page)}, inUse)
	for e := range list.Free() {
		s.unmark(e, inUse)
	}
	for e := range list.PendingExtentsSeq() {
		s.unmark(e.Extent, inUse)
	}
	return true
}

// dropForeign forgets pages that no commit of this history wrote: they are left over from one that was lost.
func (s *salvager) dropForeign() {
	s.unmark(freelist.Extent{Page: s.limit, Len: uint64(len(s.pages))}, inUse)
	known := make(map[page.Commit]bool, len(s.known))
	for _, r := range s.known {
		known[r.link.Commit] = true
	}
	for i := range s.pages {
		p := &s.pages[i]
		if !p.isTree() || p.born <= s.newest && (!known[p.born] || p.is(vouched)) || p.born == firstCommit {
			continue // the first commit's record lists nothing
		}
		if p.born > s.newest && p.born < s.cut && len(s.metas) < page.MetaSlots {
			if sp, ok := s.span(page.No(i)); ok && p.kind == page.KindLeaf {
				s.later.add(p, page.No(i), sp)
			}
		}
		p.kind = 0
		p.flags |= readable
	}
}

// lastWriter returns the newest known commit that wrote page no, or 0.
func (s *salvager) lastWriter(no page.No) page.Commit {
	for _, r := range s.known {
		rec, ok := s.record(r)
		if !ok {
			continue
		}
		written, _ := freelist.DecodeExtents(rec.Written, rec.HighWater)
		for _, e := range written {
			if no >= e.Page && no < e.End() {
				return r.link.Commit
			}
		}
	}
	return 0
}
