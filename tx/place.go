package tx

import (
	"slices"

	"mmdb/page"
)

// What bounds random writes is how many separate runs reach the device. So a commit's pages are ordered such that
// those which die together stand together: runs of large values first, then leaves, both in key order, then branches level by level.
// Branches change in nearly every commit; where they stand there is soon a free run again. And the file may be larger than what is in
// use, so that there are free runs: in a full one every page would go into a hole of its own.

// defaultSlack is Options.Slack when it is zero, for commits of less than one in largeShare of the pages in use. Larger ones
// replace so much at once that slack would win little: largeSlack is for them.
const (
	defaultSlack = 1.5
	largeSlack   = 1.15
	largeShare   = 64
)

// slackMin is the number of pages in use from which a database has slack. A smaller one takes little space anyway, and its
// commits few runs.
const slackMin = 1024

// gather makes w.units the dirty pages under the root, a page or an inline body, in the order in which they are placed.
func (w *writer) gather(root page.Bucket, body []byte) {
	w.units, w.lens, w.ranks, w.dirtySlots = w.units[:0], w.lens[:0], w.ranks[:0], w.dirtySlots[:0]
	w.leaves = 0
	switch {
	case root.Root.Dirty():
		w.collect(root.Root)
	case root.Root == 0:
		w.collectInline(root, body)
	}
	w.leaves = len(w.units)
	last := len(w.units)
	if last == 0 {
		return
	}
	if root.Root != 0 {
		last-- // the root of all, which changes in every commit: it is last here too
	}
	top := slices.Max(w.ranks)
	w.ordered = w.ordered[:0]
	for i, u := range w.units[:last] {
		w.ordered = append(w.ordered, placed{u, w.lens[i], w.ranks[i]})
	}
	at := 0
	for rank := range top + 1 {
		for _, p := range w.ordered {
			if p.rank == rank {
				w.units[at], w.lens[at] = p.unit, p.len
				at++
			}
		}
		if rank == leafRank && top > leafRank {
			w.leaves = at
		}
	}
}

// leafRank is the rank of a leaf; a run has a lower one, and a branch a higher.
const leafRank = 1

// placed is a unit on its way to its place in the order.
type placed struct {
	unit, len uint32
	rank      uint8
}

// slackPause is how many allocations make do with free pages after the file could not grow.
const slackPause = 256

// aim returns up to where the file may grow so that units find long runs; zero when it shall not. The slack is room for commit records
// too, and for what the newest commits have replaced, an eighth of it: what readers hold back comes on top.
func (w *writer) aim(units []uint32) page.No {
	used, n := w.space.UsedPages(), uint64(0)
	for _, u := range units {
		n += uint64(u)
	}
	slack, pending := w.st.opts.Slack, w.space.PendingPages()
	if used < slackMin || slack <= 1 || w.st.tight() {
		return 0
	}
	if w.noSlack > 0 {
		w.noSlack--
		return 0
	}
	if n > used/largeShare {
		return w.st.first + page.No(float64(used)*min(slack, largeSlack)) + page.No(pending)
	}
	data := float64(used - min(used, w.recordPages()+uint64(w.st.first))) // the metas are part of the file too
	own := uint64(data * (slack - 1) / 8)
	return page.No(data*slack) + page.No(pending-min(pending, own))
}

// recordPages returns the number of pages of the commit records since the last checkpoint, that one included.
func (w *writer) recordPages() uint64 { return w.chainPages - 1 + w.st.extentOf(w.chain[0]).Len }
