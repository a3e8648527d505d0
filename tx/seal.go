package tx

import (
	"fmt"

	"mmdb/freelist"
	"mmdb/page"
)

// Sealing gives the dirty pages of a tree their places in the file and writes them: children before parents, in
// key order, so that a commit's pages stand together and go out in a few large writes. The pages in the arena are
// not changed, except for the heads of overflow runs; references are resolved in the copies that are written.

// collect appends the indices of the dirty pages under ref to w.units, ref's last.
func (w *writer) collect(ref page.Ref) {
	pg := w.dirty.page(ref)
	if page.Level(pg) > 0 {
		br := page.Branch(page.Body(pg))
		for i := range br.Count() {
			if br.Large(i) && br.KeyRef(i).Page.Dirty() {
				w.add(br.KeyRef(i).Page)
			}
			if c := br.Child(i); c.Dirty() {
				w.collect(c)
			}
		}
	} else if l := page.Leaf(page.Body(pg)); !l.Plain() {
		for i := range l.Count() {
			if l.Large(i) && l.KeyRef(i).Page.Dirty() {
				w.add(l.KeyRef(i).Page)
			}
			switch l.Kind(i) {
			case page.CellOverflow:
				if o := page.DecodeOverflow(l.Payload(i)); o.Page.Dirty() {
					w.add(o.Page)
				}
			case page.CellBucket:
				if r := page.DecodeBucket(l.Payload(i)).Root; r.Dirty() {
					w.collect(r)
				}
			}
		}
	}
	w.add(ref)
}

func (w *writer) add(ref page.Ref) {
	w.units = append(w.units, ref.Index())
	w.lens = append(w.lens, uint32(len(w.dirty.page(ref))>>w.st.shift))
}

// number gives the collected units their page numbers.
func (w *writer) number(nos []page.No) {
	for i, u := range w.units {
		w.dirty.entries[u].number = nos[i]
	}
}

// resolveRun makes o refer to where its run is written.
func (w *writer) resolveRun(o page.Overflow) page.Overflow {
	if o.Page.Dirty() {
		o.Page, o.Born = w.resolve(o.Page), w.commit
	}
	return o
}

// resolve returns where the page that ref refers to is written.
func (w *writer) resolve(ref page.Ref) page.Ref {
	if !ref.Dirty() {
		return ref
	}
	no := w.dirty.entries[ref.Index()].number
	if no == 0 {
		panic("mmdb: invariant broken: a dirty page was not sealed")
	}
	return page.PageRef(no)
}

// batchSize is how many bytes of pages are copied before they are written, and written at a time at most, large
// runs excepted.
const batchSize = 1 << 20

// largeRun is the size in bytes from which a run is written from the arena, without a copy.
const largeRun = 64 << 10

// A batch gathers pages that stand one after the other in the file into one write.
type batch struct {
	w    *writer
	at   page.No // where the first goes
	next page.No // where the next must go to belong to it
	size int     // bytes of them
	used int     // bytes of w.buf
}

// room writes what was gathered if n bytes at page no can't go with it.
func (b *batch) room(no page.No, n int) error {
	if no != b.next || b.size+n > batchSize {
		if err := b.flush(); err != nil {
			return err
		}
		b.at, b.next = no, no
	}
	return nil
}

// add adds buf, for which there is room.
func (b *batch) add(buf []byte) {
	b.w.bufs = append(b.w.bufs, buf)
	b.size += len(buf)
	b.next += page.No(len(buf) >> b.w.st.shift)
}

// writeUnits writes the collected units to their places, and notes their checksums. The last of them may still wait in the
// batch.
func (w *writer) writeUnits() error {
	if w.buf == nil {
		w.buf = make([]byte, batchSize)
	}
	b := &w.batch
	*b = batch{w: w}
	w.bufs = w.bufs[:0]
	for _, u := range w.units {
		e := &w.dirty.entries[u]
		no := e.number
		if err := b.room(no, len(e.buf)); err != nil {
			return err
		}
		dst := e.buf
		if len(e.buf) < largeRun || page.KindOf(e.buf) != page.KindOverflow {
			dst = w.buf[b.used : b.used+len(e.buf)]
			b.used += len(e.buf)
		}
		w.finish(dst, e.buf, no)
		sum := page.Seal(dst, w.st.salt)
		b.add(dst)
		w.wrote(freelist.Extent{Page: no, Len: uint64(len(e.buf) >> w.st.shift)}, sum)
		w.st.verified.set(no)
	}
	return nil
}

// flush writes what was gathered.
func (b *batch) flush() error {
	if len(b.w.bufs) == 0 {
		return nil
	}
	b.w.st.counts.writes.Add(1)
	err := b.w.st.file.WriteAt(b.w.bufs, int64(b.at)<<b.w.st.shift)
	if narrow { // see Tx.forget
		clear(b.w.bufs)
	}
	b.w.bufs, b.used, b.size, b.next = b.w.bufs[:0], 0, 0, 0
	if err != nil {
		return fmt.Errorf("write pages: %w", err)
	}
	return nil
}

// finish makes dst what is written of the dirty page or run src at page no, but for its checksum. All of a commit's pages are
// born in it, whatever function made them.
func (w *writer) finish(dst, src []byte, no page.No) {
	if kind := page.KindOf(src); kind == page.KindOverflow {
		if &dst[0] != &src[0] {
			copy(dst, src)
		}
	} else {
		w.copyPage(dst, src, page.Level(src) > 0)
	}
	page.SetPlace(dst, no, w.commit)
}

// copyPage copies a tree page with its references resolved. Removed cells are left behind and what is free is
// zeroed, so that the file holds neither what was deleted nor stray memory.
func (w *writer) copyPage(dst, src []byte, branch bool) {
	l := page.Leaf(page.Body(src))
	switch gap := len(src) - len(l) + bodyHeader + l.Count()*slotSize; {
	case l.Garbage() == 0:
		copy(dst[:gap], src)
		clear(dst[gap : gap+l.Free()])
		copy(dst[gap+l.Free():], src[gap+l.Free():])
	case branch:
		copy(dst[:page.HeaderSize], src)
		page.InitBranch(page.Body(dst)).AppendFrom(page.Branch(l), 0, l.Count(), page.Key{})
	default:
		copy(dst[:page.HeaderSize], src)
		page.InitLeaf(page.Body(dst)).AppendFrom(l, 0, l.Count())
	}
	if branch {
		w.resolveBranch(page.Branch(page.Body(dst)))
	} else {
		w.resolveLeaf(page.Leaf(page.Body(dst)))
	}
}

func (w *writer) resolveBranch(br page.Branch) {
	for i := range br.Count() {
		if c := br.Child(i); c.Dirty() {
			br.SetChild(i, w.resolve(c))
		}
		if br.Large(i) {
			br.SetKeyRef(i, w.resolveRun(br.KeyRef(i)))
		}
	}
}

func (w *writer) resolveLeaf(l page.Leaf) {
	if l.Plain() {
		return
	}
	for i := range l.Count() {
		if l.Large(i) {
			l.SetKeyRef(i, w.resolveRun(l.KeyRef(i)))
		}
		switch l.Kind(i) {
		case page.CellOverflow:
			w.resolveRun(page.DecodeOverflow(l.Payload(i))).Encode(l.Payload(i))
		case page.CellBucket:
			h := page.DecodeBucket(l.Payload(i))
			if h.Root != 0 {
				h.Root = w.resolve(h.Root)
				h.Encode(l.Payload(i))
			}
		}
	}
}
