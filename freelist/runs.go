package freelist

import (
	"math/bits"

	"mmdb/page"
)

// each yields the maximal runs of at least n pages (n > 0) in the order of their pages, until yield returns false. Pages before from, a
// multiple of 64, count as absent. The set must not change meanwhile. Parts without such a run are passed over.
func (s *pageSet) each(from page.No, n uint64, yield func(Extent) bool) {
	w := runWalk{from: from, least: n, yield: yield}
	for i := uint64(from) / blockPages; i < uint64(len(s.blocks)); i++ {
		if b := s.blocks[i]; b != nil && b.pages > 0 {
			w.block(b, page.No(i)*blockPages)
		}
		if w.done {
			return
		}
	}
	w.flush()
}

// A runWalk joins the runs of neighbouring parts.
type runWalk struct {
	from  page.No
	least uint64
	open  Extent // the run that may go on
	yield func(Extent) bool
	done  bool
}

// add tells of n pages from p on.
func (w *runWalk) add(p page.No, n uint64) {
	if w.open.Len > 0 && w.open.End() == p {
		w.open.Len += n
		return
	}
	w.flush()
	w.open = Extent{p, n}
}

func (w *runWalk) flush() {
	if w.open.Len >= w.least && !w.done {
		w.done = !w.yield(w.open)
	}
	w.open = Extent{}
}

// ends tells of the runs at the begin and at the end of a part of n pages, if it has no other that is long enough.
func (w *runWalk) ends(p page.No, n uint64, s summary) bool {
	if uint64(s.longest) >= w.least {
		return false
	}
	if s.head > 0 {
		w.add(p, uint64(s.head))
	}
	if s.tail > 0 {
		w.add(p+page.No(n)-page.No(s.tail), uint64(s.tail))
	}
	return true
}

func (w *runWalk) block(b *block, p page.No) {
	if b.pages == blockPages {
		skip := max(p, w.from) - p
		w.add(p+skip, blockPages-uint64(skip))
		return
	}
	if p >= w.from && w.least > 1 && w.ends(p, blockPages, b.summary()) {
		return
	}
	for i := int((max(p, w.from) - p) / groupPages); i < b.used; i++ {
		if g := &b.groups[i]; g.pages > 0 {
			w.group(g, p+page.No(i)*groupPages)
		}
		if w.done {
			return
		}
	}
}

func (w *runWalk) group(g *group, p page.No) {
	skip := max(p, w.from) - p
	if g.pages == groupPages {
		w.add(p+skip, groupPages-uint64(skip))
		return
	}
	if skip == 0 && w.least > 1 && w.ends(p, groupPages, g.summary()) {
		return
	}
	w.words(g.words[skip/wordPages:], p+skip)
}

// words tells of the runs in the bits of words, of which the first page is p.
func (w *runWalk) words(words []uint64, p page.No) {
	for _, x := range words {
		if x == ^uint64(0) {
			w.add(p, wordPages)
			x = 0
		}
		if x != 0 && w.least > 1 && !hasRun(x, w.least) {
			if n := bits.TrailingZeros64(^x); n > 0 {
				w.add(p, uint64(n))
			}
			if n := bits.LeadingZeros64(^x); n > 0 {
				w.add(p+page.No(wordPages-n), uint64(n))
			}
			x = 0
		}
		for at := p; x != 0; {
			skip := bits.TrailingZeros64(x)
			x >>= skip
			n := bits.TrailingZeros64(^x)
			at += page.No(skip)
			w.add(at, uint64(n))
			x = x >> (n - 1) >> 1 // n may be 64
			at += page.No(n)
		}
		if w.done {
			return
		}
		p += wordPages
	}
}

// hasRun reports whether x, which is not full, has a run of n pages, or at least of the greatest power of two below.
func hasRun(x, n uint64) bool {
	for k := uint64(1); 2*k <= n && x != 0; k *= 2 {
		x &= x >> k
	}
	return x != 0
}

// summary returns the group's summary, brought up to date.
func (g *group) summary() summary {
	if !g.stale {
		return g.sum
	}
	g.stale = false
	f := fold{}
	for _, x := range g.words {
		f.add(wordPages, summaryOf(x, f.sum.longest))
	}
	g.sum = f.end()
	return g.sum
}

// summaryOf returns the summary of a word; its longest run is left out if it is not longer than known.
func summaryOf(x uint64, known uint32) summary {
	switch x {
	case 0:
		return summary{}
	case ^uint64(0):
		return summary{wordPages, wordPages, wordPages}
	}
	return summary{uint32(bits.TrailingZeros64(^x)), uint32(bits.LeadingZeros64(^x)), longestIn(x, known)}
}

// known returns the summary of any group.
func (g *group) known() summary {
	switch g.pages {
	case 0:
		return summary{}
	case groupPages:
		return fullGroup.sum
	}
	return g.summary()
}

// longestIn returns the length of the longest run in x if it is longer than known.
func longestIn(x uint64, known uint32) uint32 {
	if uint32(bits.OnesCount64(x)) <= known {
		return 0
	}
	n := uint32(0)
	for ; x != 0; n++ {
		x &= x >> 1
	}
	return n
}

// summary returns the block's summary, brought up to date.
func (b *block) summary() summary {
	if !b.stale {
		return b.sum
	}
	b.stale = false
	f := fold{}
	for i := range b.used {
		f.add(groupPages, b.groups[i].known())
	}
	if n := uint32(blockGroups - b.used); n > 0 {
		f.add(n*groupPages, summary{})
	}
	b.sum = f.end()
	return b.sum
}

// summaryFrom returns the summary of the block as if its pages before from, a multiple of 64, were absent.
func (b *block) summaryFrom(from page.No) summary {
	f := fold{}
	f.add(uint32(from), summary{})
	for p := from; p < blockPages; {
		g := &b.groups[p/groupPages]
		if p%groupPages == 0 {
			f.add(groupPages, g.known())
			p += groupPages
			continue
		}
		x := uint64(0)
		if g.words != nil {
			x = g.words[p/wordPages%groupWords]
		}
		f.add(wordPages, summaryOf(x, f.sum.longest))
		p += wordPages
	}
	return f.end()
}

// longest returns the length of the longest run behind from, a multiple of 64.
func (s *pageSet) longest(from page.No) uint64 {
	var longest, open uint64
	for i := uint64(from) / blockPages; i < uint64(len(s.blocks)); i++ {
		b, skip := s.blocks[i], max(from, page.No(i)*blockPages)-page.No(i)*blockPages
		switch {
		case b == nil || b.pages == 0:
			open = 0
		case b.pages == blockPages:
			open += blockPages - uint64(skip)
			longest = max(longest, open)
		default:
			sum := b.summary()
			if skip > 0 {
				sum = b.summaryFrom(skip)
			}
			longest = max(longest, open+uint64(sum.head), uint64(sum.longest))
			open = uint64(sum.tail)
		}
	}
	return longest
}

// A fold makes the summary of parts that follow each other.
type fold struct {
	sum   summary
	open  uint32 // length of the run that ends here
	ended bool   // there was an absent page: head is known
}

// add tells of the next part, of n pages.
func (f *fold) add(n uint32, s summary) {
	if s.head == n {
		f.open += n
		f.sum.longest = max(f.sum.longest, f.open)
		return
	}
	f.open += s.head
	if !f.ended {
		f.sum.head, f.ended = f.open, true
	}
	f.sum.longest = max(f.sum.longest, f.open, s.longest)
	f.open = s.tail
}

func (f *fold) end() summary {
	if !f.ended {
		f.sum.head = f.open
	}
	f.sum.tail = f.open
	f.sum.longest = max(f.sum.longest, f.open)
	return f.sum
}
