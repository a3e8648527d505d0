package freelist

import (
	"math/bits"

	"mmdb/page"
)

// appendTo appends the encoding of all runs of s to dst, as AppendExtents does. A fragmented file has tens of thousands, so this goes over
// them with less than half of what each does for a run.
func (s *pageSet) appendTo(dst []byte) []byte {
	l := listing{dst: dst}
	for i, b := range s.blocks {
		p := page.No(i) * blockPages
		switch {
		case b == nil || b.pages == 0:
		case b.pages == blockPages:
			l.add(Extent{p, blockPages})
		default:
			for k := range b.used {
				l.group(&b.groups[k], p+page.No(k)*groupPages)
			}
		}
	}
	l.flush()
	return l.dst
}

// A listing encodes runs one after the other.
type listing struct {
	dst  []byte
	at   page.No // where the last one that was encoded ends
	open Extent  // the run that may go on
}

// add tells of the next run, or part of one.
func (l *listing) add(e Extent) {
	if l.open.Len > 0 && l.open.End() == e.Page {
		l.open.Len += e.Len
		return
	}
	l.flush()
	l.open = e
}

// flush encodes the open run.
func (l *listing) flush() {
	if e := l.open; e.Len > 0 {
		l.dst = appendExtent(l.dst, l.at, e)
		l.at, l.open.Len = e.End(), 0
	}
}

// group tells of the runs of g, whose first page is p.
func (l *listing) group(g *group, p page.No) {
	switch g.pages {
	case 0:
		return
	case groupPages:
		l.add(Extent{p, groupPages})
		return
	}
	dst, end, open := l.dst, l.at, l.open
	for _, x := range g.words {
		for at := p; x != 0; {
			skip := bits.TrailingZeros64(x)
			x >>= skip
			n := bits.TrailingZeros64(^x)
			x = x >> (n - 1) >> 1 // n may be 64
			at += page.No(skip)
			switch gap := open.Page - end; {
			case open.Len > 0 && open.End() == at:
				open.Len += uint64(n)
				at += page.No(n)
				continue
			case open.Len == 1 && gap < 64: // the usual case
				dst = append(dst, byte(gap<<1))
			case open.Len > 0:
				dst = appendExtent(dst, end, open)
			}
			if open.Len > 0 {
				end = open.End()
			}
			open = Extent{at, uint64(n)}
			at += page.No(n)
		}
		p += wordPages
	}
	l.dst, l.at, l.open = dst, end, open
}
