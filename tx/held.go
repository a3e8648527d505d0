package tx

import (
	"time"

	"mmdb/page"
)

// A reader is worth a line in the log when it holds back at least heldMin bytes and one in heldShare of the file's pages. The
// next look is after a minute, or when twice as much is held.
const (
	heldMin   = 16 << 20
	heldShare = 4
	heldEvery = time.Minute
)

// heldWarning is when a writer last looked for a reader that holds much, and how many pages were held then.
type heldWarning struct {
	at    time.Time
	pages uint64
}

// warnHeld logs the oldest reader if it holds back much of the file, so that somebody may find out why the file grows. The free
// list has just been told of all readers.
func (w *writer) warnHeld() {
	pages, last := w.space.PendingPages(), &w.warning
	if pages<<w.st.shift < heldMin || pages < uint64(w.space.HighWater())/heldShare {
		return
	}
	now := time.Now()
	if now.Sub(last.at) < heldEvery && pages < 2*last.pages {
		return
	}
	last.at, last.pages = now, pages
	r, ok := w.st.table().oldest()
	if !ok {
		return
	}
	held := w.heldBy(page.Commit(r.Commit))
	if held<<w.st.shift < heldMin {
		return // it is Lazy commits that are not durable yet
	}
	age := time.Duration(0)
	if !r.Since.IsZero() {
		age = max(0, now.Sub(r.Since))
	}
	w.st.log.Warn("mmdb: an old read transaction holds back much of the file", "path", w.st.path, "process", r.Process,
		"commit", r.Commit, "behind", uint64(w.tip.meta.Commit)-r.Commit, "for", age.Round(time.Millisecond),
		"held_bytes", held<<w.st.shift, "file_bytes", w.fileSize)
}

// heldBy returns how many pages a reader of commit c sees that newer commits don't.
func (w *writer) heldBy(c page.Commit) (pages uint64) {
	for p := range w.space.PendingExtentsSeq() {
		if p.Born <= c && c < p.Died {
			pages += p.Len
		}
	}
	return pages
}
