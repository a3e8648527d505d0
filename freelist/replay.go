package freelist

import "mmdb/page"

// Replay repeats what a commit record says: the commit wrote these extents and freed
// those. Whatever the record holds, the result is an error (page.ErrCorrupt) or a whole
// list; after an error the list may hold a part of the record and is good for nothing.
//
// A replay does not know which commits were needed when the record was made. Pages that
// had been reclaimed and used again may still be pending here; Take finds them. At the
// end, Reclaim and then SetHighWater bring the list to the state of the writer's.
func (l *List) Replay(written []Extent, freed []Pending) error {
	for _, e := range written {
		if err := l.Take(e); err != nil {
			return err
		}
	}
	for _, p := range freed {
		if err := l.checkFreed(p); err != nil {
			return err
		}
		l.addPending(p)
	}
	if l.cut && len(l.fresh.extents) > 2*l.kept+manyCut {
		l.putRight()
	}
	return nil
}

// firstUsed returns the first page from p on that is neither free nor pending, or end, if there is none before.
func (l *List) firstUsed(p, end page.No) page.No {
	for p < end {
		n := l.free.lead(p, uint64(end-p), true)
		n += l.pending.lead(p+page.No(n), uint64(end-p)-n, true)
		if n == 0 {
			return p
		}
		p += page.No(n)
	}
	return end
}

// Take puts every page of e in use, wherever it was: free, pending, or above the high
// water, which is raised (pages between it and e become free). It returns
// page.ErrCorrupt and changes nothing when a page is in use already or e is no extent
// of data pages.
func (l *List) Take(e Extent) error {
	if e.Page < l.first || !e.valid(maxPages) {
		return page.Corruptf(e.Page, "extent of %d pages is outside the data", e.Len)
	}
	end := min(e.End(), l.highWater) // of the part below the high water
	if p := l.firstUsed(e.Page, end); p < end {
		return page.Corruptf(p, "written while in use")
	}
	for p := e.Page; p < end; {
		if n := l.free.lead(p, uint64(end-p), true); n > 0 {
			l.free.remove(Extent{p, n})
			p += page.No(n)
		}
		if n := l.pending.lead(p, uint64(end-p), true); n > 0 {
			l.pending.remove(Extent{p, n})
			p += page.No(n)
			l.cut = true
		}
	}
	if e.Page > l.highWater {
		l.free.add(Extent{l.highWater, uint64(e.Page - l.highWater)})
	}
	l.highWater = max(l.highWater, e.End())
	return nil
}
