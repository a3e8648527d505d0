package freelist

import (
	"math/bits"

	"mmdb/page"
)

// Sizes of the parts of a pageSet, in pages.
const (
	wordPages   = 64
	groupWords  = 64
	groupPages  = groupWords * wordPages // 4096: 16 MiB of the file
	blockGroups = 256
	blockPages  = blockGroups * groupPages // 2^20
)

// A pageSet is a set of page numbers: a bitmap, of which parts that are empty or full take no memory. Adding or
// removing a run costs a few nanoseconds for each 64 pages. Every part knows its longest run, as of when it was last
// asked, so that long runs are found without a look at the rest; that takes no index which each change would have
// to keep up.
type pageSet struct {
	blocks []*block
	pages  uint64
	runs   int // maximal runs
	whole  int // words of which every page is in the set

	// How many maximal runs there are of each length, those of wordPages and more counted together, and bit n-1 for each length n that there is:
	// so small allocations know the longest run without a look at the parts.
	lengths [wordPages + 1]int
	present uint64
}

type block struct {
	groups [blockGroups]group
	used   int // groups from here on have never had a page
	pages  uint32
	stale  bool // sum is not up to date
	sum    summary
}

// A group is not changed while it is empty (no words) or full: then its words are shared.
type group struct {
	words *[groupWords]uint64
	pages uint16
	stale bool
	sum   summary
}

// A summary tells of a part how long the runs at its begin and its end are, and the longest.
type summary struct{ head, tail, longest uint32 }

// fullWords and fullBlock stand for all parts that are full. They are never changed.
var (
	fullWords = func() *[groupWords]uint64 {
		var w [groupWords]uint64
		for i := range w {
			w[i] = ^uint64(0)
		}
		return &w
	}()
	fullBlock = func() *block {
		b := &block{used: blockGroups, pages: blockPages, sum: summary{blockPages, blockPages, blockPages}}
		for i := range b.groups {
			b.groups[i] = fullGroup
		}
		return b
	}()
	fullGroup = group{words: fullWords, pages: groupPages, sum: summary{groupPages, groupPages, groupPages}}
)

// word returns the 64 pages from the multiple of 64 at or below p as bits, the lowest first.
func (s *pageSet) word(p page.No) uint64 {
	i := uint64(p) / blockPages
	if i >= uint64(len(s.blocks)) || s.blocks[i] == nil {
		return 0
	}
	g := &s.blocks[i].groups[uint64(p)/groupPages%blockGroups]
	if g.words == nil {
		return 0
	}
	return g.words[uint64(p)/wordPages%groupWords]
}

// has reports whether p is in the set.
func (s *pageSet) has(p page.No) bool { return s.word(p)>>(p%wordPages)&1 != 0 }

// uniform returns the size of the largest part around p whose pages are all present (in) or all absent; zero if there is none.
func (s *pageSet) uniform(p page.No) (size page.No, in bool) {
	i := uint64(p) / blockPages
	if i >= uint64(len(s.blocks)) || s.blocks[i] == nil || s.blocks[i].pages == 0 {
		return blockPages, false
	}
	b := s.blocks[i]
	if b.pages == blockPages {
		return blockPages, true
	}
	switch b.groups[uint64(p)/groupPages%blockGroups].pages {
	case 0:
		return groupPages, false
	case groupPages:
		return groupPages, true
	}
	return 0, false
}

// lead returns the number of pages from p on, at most n, that are all in the set, or if not in that are all absent.
func (s *pageSet) lead(p page.No, n uint64, in bool) uint64 {
	at, end := p, p+page.No(n)
	for at < end {
		if size, all := s.uniform(at); size > 0 {
			if all != in {
				break
			}
			at += size - at%size
			continue
		}
		w := s.word(at)
		if in {
			w = ^w
		}
		if w >>= at % wordPages; w != 0 {
			at += page.No(bits.TrailingZeros64(w))
			break
		}
		at += wordPages - at%wordPages
	}
	return uint64(min(at, end) - p)
}

// any reports whether a page of e is in the set.
func (s *pageSet) any(e Extent) bool { return s.lead(e.Page, e.Len, false) < e.Len }

// all reports whether every page of e is in the set.
func (s *pageSet) all(e Extent) bool { return s.lead(e.Page, e.Len, true) == e.Len }

// begin returns the first page of the run that holds page p.
func (s *pageSet) begin(p page.No) page.No {
	for {
		size, _ := s.uniform(p)
		if size == 0 {
			size = wordPages
			n := page.No(bits.LeadingZeros64(^(s.word(p) << (wordPages - 1 - p%wordPages))))
			if n <= p%wordPages {
				return p - n + 1
			}
		}
		if p -= p % size; p == 0 || !s.has(p-1) {
			return p
		}
		p--
	}
}

// add puts the pages of e into the set, and returns the run that they are part of. The caller knows that none is there.
func (s *pageSet) add(e Extent) (run Extent) {
	run = s.around(e)
	s.count(uint64(e.Page-run.Page), -1)
	s.count(uint64(run.End()-e.End()), -1)
	s.count(run.Len, 1)
	s.pages += e.Len
	s.change(e, run, true)
	return run
}

// drop takes those pages of e that are there out of the set.
func (s *pageSet) drop(e Extent) {
	for p := e.Page; p < e.End(); {
		p += page.No(s.lead(p, uint64(e.End()-p), false))
		if n := s.lead(p, uint64(e.End()-p), true); n > 0 {
			s.remove(Extent{p, n})
			p += page.No(n)
		}
	}
}

// remove takes the pages of e, which are all there, out of the set.
func (s *pageSet) remove(e Extent) {
	run := s.around(e)
	s.count(run.Len, -1)
	s.count(uint64(e.Page-run.Page), 1)
	s.count(uint64(run.End()-e.End()), 1)
	s.pages -= e.Len
	s.change(e, run, false)
}

// count notes that there is one run of n pages more (by 1) or less (-1). One without pages is none.
func (s *pageSet) count(n uint64, by int) {
	if n == 0 {
		return
	}
	s.runs += by
	n = min(n, wordPages)
	if s.lengths[n] += by; s.lengths[n] == 0 {
		s.present &^= 1 << (n - 1)
	} else {
		s.present |= 1 << (n - 1)
	}
}

// longestRun returns the length of the longest run.
func (s *pageSet) longestRun() uint64 {
	if n := bits.Len64(s.present); n < wordPages {
		return uint64(n)
	}
	return s.longest(0)
}

// hasRun reports whether there is a run of at least n pages.
func (s *pageSet) hasRun(n uint64) bool {
	if n <= wordPages {
		return s.present>>(n-1) != 0
	}
	return s.longest(0) >= n
}

// around returns e with the pages of the set that stand right before and behind it.
func (s *pageSet) around(e Extent) Extent {
	from, to := e.Page, e.End()
	if from > 0 && s.has(from-1) {
		from = s.begin(from - 1)
	}
	if s.has(to) {
		to += page.No(s.lead(to, uint64(len(s.blocks))*blockPages-uint64(to), true))
	}
	return Extent{from, uint64(to - from)}
}

// change makes the pages of e, none of which is so, present or absent. With them present, run is their whole run.
func (s *pageSet) change(e, run Extent, in bool) {
	if e.Len == 0 {
		panic("freelist: invariant: an extent has a page")
	}
	for p, end := e.Page, e.End(); p < end; {
		i := uint64(p) / blockPages
		for uint64(len(s.blocks)) <= i {
			s.blocks = append(s.blocks, nil)
		}
		next := min(page.No(i+1)*blockPages, end)
		if next-p == blockPages {
			s.changeBlock(i, in)
		} else {
			s.changePart(i, p, next, run, in)
		}
		p = next
	}
}

// changeBlock is change for the whole block i.
func (s *pageSet) changeBlock(i uint64, in bool) {
	if b := s.blocks[i]; in && b != nil && b.pages > 0 || !in && (b == nil || b.pages < blockPages) {
		panic("freelist: invariant: a page is freed once, and taken once")
	}
	if in {
		s.blocks[i] = fullBlock
		s.whole += blockPages / wordPages
	} else {
		s.blocks[i] = nil
		s.whole -= blockPages / wordPages
	}
}

// changePart is change for the pages from p to next, a part of block i.
func (s *pageSet) changePart(i uint64, p, next page.No, run Extent, in bool) {
	b := s.blocks[i]
	if b == nil {
		b = new(block)
		s.blocks[i] = b
	} else if b == fullBlock {
		c := *b
		b = &c
		s.blocks[i] = b
	}
	if !b.stale {
		b.stale = !b.sum.follow(p, next, run, blockPages, in)
	}
	if n := uint32(next - p); in {
		b.pages += n
	} else {
		b.pages -= n
	}
	b.used = max(b.used, int(uint64(next-1)/groupPages%blockGroups)+1)
	for p < next {
		stop := min(next, p-p%groupPages+groupPages)
		g := &b.groups[uint64(p)/groupPages%blockGroups]
		if !g.stale {
			g.stale = !g.sum.follow(p, stop, run, groupPages, in)
		}
		s.whole += g.change(int(p%groupPages), int(stop-p), in)
		p = stop
	}
}

// follow brings m, the summary of the part of size pages that holds the pages from p to next, up to date after these became present or
// absent. With them present, run is their whole run. It returns false where that takes a look at all of the part.
func (m *summary) follow(p, next page.No, run Extent, size page.No, in bool) bool {
	base := p - p%size
	from, to := uint32(max(run.Page, base)-base), uint32(min(run.End(), base+size)-base) // the run inside the part
	first, last := from == 0, to == uint32(size)
	if in {
		m.longest = max(m.longest, to-from)
		if first {
			m.head = to
		}
		if last {
			m.tail = uint32(size) - from
		}
		return true
	}
	if first {
		m.head = uint32(p - base)
	}
	if last {
		m.tail = uint32(size - (next - base))
	}
	return to-from < m.longest // else there may be no other that long
}

// change makes n pages from at on present or absent. It returns how many words more are full.
func (g *group) change(at, n int, in bool) (whole int) {
	if n == groupPages {
		if in && g.pages > 0 || !in && g.pages < groupPages {
			panic("freelist: invariant: a page is freed once, and taken once")
		}
		if in {
			*g = fullGroup
			return groupWords
		}
		*g = group{}
		return -groupWords
	}
	if g.words == nil {
		g.words = new([groupWords]uint64)
	} else if g.words == fullWords {
		c := *fullWords
		g.words = &c
	}
	if in {
		g.pages += uint16(n)
	} else {
		g.pages -= uint16(n)
	}
	for n > 0 {
		k := min(n, wordPages-at%wordPages)
		mask := ^uint64(0) >> (wordPages - k) << (at % wordPages)
		w := &g.words[at/wordPages]
		if in {
			if *w&mask != 0 {
				panic("freelist: invariant: a page is freed once, and taken once")
			}
			if *w |= mask; *w == ^uint64(0) {
				whole++
			}
		} else {
			if *w&mask != mask {
				panic("freelist: invariant: a page is freed once, and taken once")
			}
			if *w == ^uint64(0) {
				whole--
			}
			*w &^= mask
		}
		at, n = at+k, n-k
	}
	return whole
}
