package tx

import (
	"slices"

	"mmdb/page"
)

// neededCommits returns the commits whose pages must stay, in order (I9): every reader's, the newest, which is
// published, and every one whose meta stands in a slot but the one that the next meta overwrites, with what it is verified with.
func (w *writer) neededCommits() []page.Commit {
	w.st.reap()
	if w.st.elders.some.Load() {
		w.st.elders.settle()
	}
	n := w.needed[:0]
	if !w.st.sabotaged(BugIgnoreReaders) {
		n = w.st.table().appendCommits(n)
	}
	n = append(n, w.tip.meta.Commit)
	target := w.targetSlot()
	for i := range w.slots {
		if s := &w.slots[i]; i != target && s.valid {
			n = append(n, s.meta.Commit)
			n = w.needRecords(n, &s.meta)
		}
	}
	slices.Sort(n)
	w.needed = n
	return slices.Compact(n)
}

// A meta is verified with the records of all commits since its base and the pages that they wrote. Of the pages only
// those count that the commit still reaches, which are pinned by it; the others may be used again. The records
// are pinned by it too, but for those that a checkpoint among them has made superfluous: they were in use in the commit before
// the checkpoint, which is a cut.

// needRecords appends the cuts that are needed to verify m.
func (w *writer) needRecords(n []page.Commit, m *page.Meta) []page.Commit {
	if w.st.sabotaged(BugForgetWindow) {
		return n
	}
	for _, c := range w.cuts {
		if c > m.Base && c < m.Commit {
			n = append(n, c)
		}
	}
	return n
}

// addCut notes that the commit after c is a checkpoint, and forgets the cuts that no meta needs.
func (w *writer) addCut(c page.Commit) {
	w.cuts = slices.DeleteFunc(w.cuts, func(c page.Commit) bool {
		return !slices.ContainsFunc(w.slots[:], func(s metaSlot) bool { return s.valid && s.meta.Base < c })
	})
	w.cuts = append(w.cuts, c)
}

// cutsMax is how many bytes of records loadCuts reads besides twice the size of the file, which is for the records of large commits: more than three
// metas can be verified with. Records that stand inside each other would take the square of the file's size.
const cutsMax = 4 * windowMax

// loadCuts finds the cuts that metas in slots need, back from the checkpoint of link, which is the newest. What can't be read does not
// need to stay either: the metas that reach back to it can't be verified.
func (w *writer) loadCuts(link page.Link) {
	base := w.tip.meta.Commit
	for i := range w.slots {
		if s := &w.slots[i]; s.valid {
			base = min(base, s.meta.Base)
		}
	}
	w.cuts = w.cuts[:0]
	left := cutsMax + 2*w.fileSize
	for link.Commit > base {
		if left -= int64(w.st.extentOf(link).Len) << w.st.shift; left < 0 {
			return
		}
		var parts []part
		rec, err := w.st.verifyRecord(link, page.No(w.fileSize>>w.st.shift), &parts)
		if err != nil || rec.Prev.Commit >= link.Commit {
			return
		}
		if link = rec.Prev; rec.Checkpoint && link.Commit > base {
			w.cuts = append(w.cuts, link.Commit)
		}
	}
}

// reclaimUnneeded makes free what no needed commit pins. The newest commit is published.
func (w *writer) reclaimUnneeded() { w.space.Reclaim(w.neededCommits()) }
