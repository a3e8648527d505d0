package freelist

import (
	"math/bits"

	"mmdb/page"
)

// each yields the maximal runs of at least n pages (n > 0) in the order of their pages, until yield returns false.
// The set must not change meanwhile. Parts without such a run are passed over.
func (s *pageSet) each(n uint64, yield func(Extent) bool) {
	w := runWalk{least: n, yield: yield}
	for i, b := range s.blocks {
		if b != nil && b.pages > 0 {
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
		w.add(p, blockPages)
		return
	}
	if w.least > 1 && w.ends(p, blockPages, b.summary()) {
		return
	}
	for i := range b.used {
		if g := &b.groups[i]; g.pages > 0 {
			w.group(g, p+page.No(i)*groupPages)
		}
		if w.done {
			return
		}
	}
}

func (w *runWalk) group(g *group, p page.No) {
	if g.pages == groupPages {
		w.add(p, groupPages)
		return
	}
	if w.least > 1 && w.ends(p, groupPages, g.summary()) {
		return
	}
	for _, x := range g.words {
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
		switch x {
		case 0:
			f.add(wordPages, summary{})
		case ^uint64(0):
			f.add(wordPages, summary{wordPages, wordPages, wordPages})
		default:
			f.add(wordPages, summary{uint32(bits.TrailingZeros64(^x)), uint32(bits.LeadingZeros64(^x)), longestIn(x, f.sum.longest)})
		}
	}
	g.sum = f.end()
	return g.sum
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
		switch g := &b.groups[i]; g.pages {
		case 0:
			f.add(groupPages, summary{})
		case groupPages:
			f.add(groupPages, fullGroup.sum)
		default:
			f.add(groupPages, g.summary())
		}
	}
	if n := uint32(blockGroups - b.used); n > 0 {
		f.add(n*groupPages, summary{})
	}
	b.sum = f.end()
	return b.sum
}

// longest returns the length of the longest run.
func (s *pageSet) longest() uint64 {
	var longest, open uint64
	for _, b := range s.blocks {
		switch {
		case b == nil || b.pages == 0:
			open = 0
		case b.pages == blockPages:
			open += blockPages
			longest = max(longest, open)
		default:
			sum := b.summary()
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
