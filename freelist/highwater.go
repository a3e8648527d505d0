package freelist

import "mmdb/page"

// CutTo lowers the high water to hw and drops the free pages from there on. Pages in
// use there are forgotten: their owner gave them up with the file's end. It panics when
// a pending page is there; a hw above the high water changes nothing.
func (l *List) CutTo(hw page.No) {
	if hw >= l.highWater {
		return
	}
	if hw < l.first {
		panic("freelist: invariant: the high water is above the metas")
	}
	end := Extent{hw, uint64(l.highWater - hw)}
	if l.pending.any(end) {
		panic("freelist: invariant: no pending page is cut off")
	}
	l.free.drop(end)
	l.highWater = hw
}

// Trim lowers the high water when more than keep free pages stand at the end of the
// data, and leaves keep of them. It returns the high water.
func (l *List) Trim(keep uint64) page.No {
	if e, ok := l.tail(); ok && e.Len > keep {
		l.CutTo(e.Page + page.No(keep))
	}
	return l.highWater
}

// SetTarget says up to where Alloc raises the high water before it fills short runs. Zero is never.
func (l *List) SetTarget(hw page.No) { l.target = hw }

// SetHighWater sets the high water that a commit record states, after a replay and the
// Reclaim that follows it. Pages between the old and a higher one become free; a lower
// one must leave no page in use behind, else the error is page.ErrCorrupt and nothing
// has changed. Pending pages behind it are dropped: who lowered it knew that nobody needs
// them, and a commit that seems to was noted for a moment only, by a reader that finds
// that there is a newer one.
func (l *List) SetHighWater(hw page.No) error {
	switch {
	case hw < l.first || hw > maxPages:
		return page.Corruptf(hw, "high water out of range")
	case hw > l.highWater:
		old := l.highWater
		l.highWater = hw
		l.free.add(Extent{old, uint64(hw - old)})
	case hw < l.highWater:
		end := Extent{hw, uint64(l.highWater - hw)}
		if p := l.firstUsed(hw, l.highWater); p < l.highWater {
			return page.Corruptf(p, "a page above the high water is in use")
		}
		if l.pending.any(end) {
			l.pending.drop(end)
			l.cut = true
		}
		l.CutTo(hw)
	}
	return nil
}
