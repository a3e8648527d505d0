package freelist

import (
	"cmp"
	"math/bits"
	"slices"

	"mmdb/page"
)

// Short runs are taken where most pages are free: so a commit's pages stand close together, though in pieces, and where that is
// done again and again free pages gather, as in the segments of a log-structured file system that fills holes where there are most of
// them (Rosenblum and Ousterhout 1992). In a simulation with a file 1.2 to 1.5 times as large as what is in use it makes up to a
// fifth fewer runs than the same lengths of run in the order of the file, in two thirds of the places.
const (
	areaWords = 16
	areaPages = areaWords * wordPages // 4 MiB of the file
	areaMost  = 256                   // areas that are compared

	denseShare = 4 // where more than one page in so many is free, the end of the file is to become free: it is not filled
)

// eachDense yields free runs of at least n pages, those of an area one after the other, the area with most free pages first, until yield
// returns false. It leaves out what an area has of runs that go beyond it, if that is less than n pages. Pages before from, a multiple of 64, count
// as absent. Runs of shortRun pages or more are yielded in the order of the file, and where much of it is
// free all are, so that its end becomes free.
func (l *List) eachDense(from page.No, n uint64, yield func(Extent) bool) {
	if n >= shortRun || l.freeShare(denseShare) {
		l.free.each(from, n, yield)
		return
	}
	w := runWalk{least: n, yield: yield}
	l.areas = l.free.densest(from, n, l.areas[:0])
	for _, a := range l.areas {
		first := max(a.first, from)
		w.words(l.free.words(first, a.first+areaPages), first)
		if w.flush(); w.done {
			return
		}
	}
}

// freeShare reports whether more than one page in share is free.
func (l *List) freeShare(share uint64) bool { return l.free.pages*share > uint64(l.highWater-l.first) }

// An area is a part of the file, with the number of its free pages.
type area struct {
	first page.No
	free  int
}

// densest appends the first areas with a run of at least n pages, and more of them perhaps, to dst, in the order in which they are used.
func (s *pageSet) densest(from page.No, n uint64, dst []area) []area {
	for i := uint64(from) / blockPages; i < uint64(len(s.blocks)) && len(dst) < areaMost; i++ {
		b := s.blocks[i]
		if b == nil || b.pages == 0 || n > 1 && uint64(b.summary().longest) < n {
			continue
		}
		for k := range b.used {
			g, p := &b.groups[k], page.No(i)*blockPages+page.No(k)*groupPages
			if p+groupPages <= from || uint64(g.known().longest) < n {
				continue
			}
			for at := 0; at < groupWords; at += areaWords {
				free := 0
				for _, x := range g.words[at : at+areaWords] {
					free += bits.OnesCount64(x)
				}
				if first := p + page.No(at)*wordPages; uint64(free) >= n && first+areaPages > from {
					dst = append(dst, area{first, free})
				}
			}
		}
	}
	slices.SortFunc(dst, func(a, b area) int { return cmp.Or(cmp.Compare(b.free, a.free), cmp.Compare(a.first, b.first)) })
	return dst
}

// words returns the pages from p to end, multiples of 64 in one group that is not empty, as bits.
func (s *pageSet) words(p, end page.No) []uint64 {
	g := &s.blocks[uint64(p)/blockPages].groups[uint64(p)/groupPages%blockGroups]
	at := uint64(p) / wordPages % groupWords
	return g.words[at : at+uint64(end-p)/wordPages]
}
