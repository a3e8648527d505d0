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
	return nil
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
	for p := e.Page; p < end; {
		if f, ok := l.freeAt(p); ok && f.End() > p {
			p = f.End()
		} else if x, ok := l.pendingAt(p); ok && x.End() > p {
			p = x.End()
		} else {
			return page.Corruptf(p, "written while in use")
		}
	}
	for p := e.Page; p < end; {
		p = l.takeFrom(p, end)
	}
	if e.Page > l.highWater {
		l.addFree(Extent{l.highWater, uint64(e.Page - l.highWater)})
	}
	l.highWater = max(l.highWater, e.End())
	return nil
}

// takeFrom takes the pages from p to end that stand in one extent, free or pending, and
// returns the page behind them.
func (l *List) takeFrom(p, end page.No) page.No {
	if f, ok := l.freeAt(p); ok && f.End() > p {
		end = min(end, f.End())
		l.cutFree(f, Extent{p, uint64(end - p)})
		return end
	}
	x, _ := l.pendingAt(p)
	end = min(end, x.End())
	l.cutPending(x, Extent{p, uint64(end - p)})
	return end
}
