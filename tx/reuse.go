package tx

import (
	"cmp"
	"slices"

	"mmdb/freelist"
	"mmdb/page"
)

// reuseSpilled gives the places of pages back that the running function has spilled and then changed again or deleted, for
// the pages that it spills next: no snapshot has ever shown them. Only where nobody outside may have slices of
// spilled pages (I2): a program that reads in such a transaction gets slices of the file.
func (t *Tx) reuseSpilled() {
	w := t.w
	w.deadRuns = 0
	if !w.spilled || w.shown {
		return
	}
	var dead []freelist.Extent
	for _, p := range w.freed[w.mark.freed:] {
		if p.Born == t.commit {
			dead = append(dead, p.Extent)
		}
	}
	dead = freelist.Normalize(dead)
	taken := freelist.Normalize(slices.Clone(w.taken[w.mark.taken:]))
	if len(dead) == 0 || !covered(dead, taken) {
		return
	}
	w.freed = append(w.freed[:w.mark.freed], slices.DeleteFunc(w.freed[w.mark.freed:], func(p freelist.Pending) bool { return p.Born == t.commit })...)
	w.taken = append(w.taken[:w.mark.taken], without(taken, dead)...)
	written := w.written[w.mark.written:]
	slices.SortFunc(written, func(a, b writtenRun) int { return cmp.Compare(a.Page, b.Page) })
	at := 0
	w.written = append(w.written[:w.mark.written], slices.DeleteFunc(written, func(r writtenRun) bool {
		for at < len(dead) && dead[at].End() <= r.Page {
			at++
		}
		return at < len(dead) && dead[at].Page <= r.Page
	})...)
	for _, e := range dead {
		w.st.verified.Load().clear(e.Page, e.Len)
		w.space.Return(e)
	}
}

// manyDead reports whether so much of what the running function has written to large runs (writeThrough) was replaced or deleted
// that it is worth a look for such places before the next spill, of which there may be none. The look takes the longer the more was written.
func (t *Tx) manyDead() bool {
	w := t.w
	return int64(w.deadRuns)<<t.shift > t.store.opts.MaxDirty/4 && w.deadRuns > uint64(len(w.written)-w.mark.written)/deadShare
}

// deadShare is how many runs there may be in all that were written, for each page of dead ones.
const deadShare = 16

// covered reports whether every extent of dead, which are in order, is in one of taken, and in no other of dead. It is not where a damaged file
// refers to pages as ones that the running function has written: they stay what they are.
func covered(dead, taken []freelist.Extent) bool {
	end := page.No(0)
	for _, e := range dead {
		for len(taken) > 0 && taken[0].End() <= e.Page {
			taken = taken[1:]
		}
		if e.Page < end || len(taken) == 0 || e.Page < taken[0].Page || e.End() > taken[0].End() {
			return false
		}
		end = e.End()
	}
	return true
}

// without returns what is left of extents when the pages of cut are taken out. Both are in order, and every extent of cut is
// in one of extents.
func without(extents, cut []freelist.Extent) (rest []freelist.Extent) {
	for _, e := range extents {
		for len(cut) > 0 && cut[0].Page < e.End() {
			if n := uint64(cut[0].Page - e.Page); n > 0 {
				rest = append(rest, freelist.Extent{Page: e.Page, Len: n})
			}
			e = freelist.Extent{Page: cut[0].End(), Len: uint64(e.End() - cut[0].End())}
			cut = cut[1:]
		}
		if e.Len > 0 {
			rest = append(rest, e)
		}
	}
	return rest
}
