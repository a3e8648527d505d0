package tx

import (
	"cmp"

	"mmdb/page"
)

// The file has three meta slots. Which of them the next meta goes to decides what recovery can fall back to.

// A metaSlot is what stands in one meta slot of the file.
type metaSlot struct {
	valid bool
	meta  page.Meta
}

// targetSlot returns the slot for the next meta: an invalid one, or else the oldest that holds neither the newest durable
// commit nor the newest one.
func (w *writer) targetSlot() int {
	newest := w.newestSlot()
	if w.st.sabotaged(BugWrongSlot) {
		return newest
	}
	best, durable := -1, w.slotOf(w.st.window.base())
	if w.st.sabotaged(BugTakeDurableSlot) {
		durable = -1
	}
	for i := range w.slots {
		s := &w.slots[i]
		if !s.valid {
			return i
		}
		if i == newest || i == durable {
			continue
		}
		if best < 0 || compareMetas(&s.meta, &w.slots[best].meta) < 0 {
			best = i
		}
	}
	return best
}

// compareMetas orders metas by what recovery tries last: older commits, then those that are not settled, then those that have to be
// verified since an older base.
func compareMetas(a, b *page.Meta) int {
	if c := cmp.Compare(a.Commit, b.Commit); c != 0 {
		return c
	}
	if a.Settled != b.Settled {
		return boolInt(a.Settled) - boolInt(b.Settled)
	}
	return cmp.Compare(a.Base, b.Base)
}

// newestSlot returns the slot that holds the newest commit, the one that recovery would try first.
func (w *writer) newestSlot() int {
	newest := -1
	for i := range w.slots {
		if s := &w.slots[i]; s.valid && (newest < 0 || compareMetas(&s.meta, &w.slots[newest].meta) > 0) {
			newest = i
		}
	}
	return newest
}

// slotOf returns the slot that holds commit c, the one that recovery would try first, or -1.
func (w *writer) slotOf(c page.Commit) int {
	slot := -1
	for i := range w.slots {
		s := &w.slots[i]
		if s.valid && s.meta.Commit == c && (slot < 0 || compareMetas(&s.meta, &w.slots[slot].meta) > 0) {
			slot = i
		}
	}
	return slot
}
