package tx

import (
	"fmt"
	"math/bits"

	"mmdb/freelist"
	"mmdb/page"
)

// Sealing gives the dirty pages of a tree their places in the file and writes them: children before parents, in
// key order, so that a commit's pages stand together and go out in a few large writes. The pages in the arena are
// not changed, except for the heads of overflow runs; references are resolved in the copies that are written.

// collect appends the indices of the dirty pages under ref to w.units, ref's last. It notes the slots of a branch that refer to
// dirty pages or runs: most do not, and sealing has to visit them again.
func (w *writer) collect(ref page.Ref) {
	e := &w.dirty.entries[ref.Index()]
	if page.Level(e.buf) > 0 {
		br := page.Branch(page.Body(e.buf))
		from := len(w.dirtySlots)
		for i := range br.Count() {
			if br.Child(i).Dirty() || br.Large(i) && br.KeyRef(i).Page.Dirty() {
				w.dirtySlots = append(w.dirtySlots, uint16(i))
			}
		}
		e.slots, e.slotsEnd = uint32(from), uint32(len(w.dirtySlots))
		for k := e.slots; k < e.slotsEnd; k++ {
			i := int(w.dirtySlots[k])
			if br.Large(i) && br.KeyRef(i).Page.Dirty() {
				w.add(br.KeyRef(i).Page)
			}
			if c := br.Child(i); c.Dirty() {
				w.collect(c)
			}
		}
	} else if l := page.Leaf(page.Body(e.buf)); !l.Plain() {
		w.collectLeaf(l)
	}
	w.add(ref)
}

// collectLeaf is collect for what the cells of l refer to.
func (w *writer) collectLeaf(l page.Leaf) {
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
			p := l.Payload(i)
			switch hdr := page.DecodeBucket(p); {
			case hdr.Root.Dirty():
				w.collect(hdr.Root)
			case hdr.Level > 0:
				w.collectInline(hdr, p[page.BucketHeaderSize:])
			}
		}
	}
}

// collectInline is collect for what the inline root of a bucket refers to.
func (w *writer) collectInline(hdr page.Bucket, body []byte) {
	if hdr.Level == 0 {
		w.collectLeaf(body)
		return
	}
	for i, br := 0, page.Branch(body); i < br.Count(); i++ {
		if c := br.Child(i); c.Dirty() {
			w.collect(c)
		}
	}
}

// add adds the page or run of ref to the units.
func (w *writer) add(ref page.Ref) {
	buf := w.dirty.page(ref)
	w.units = append(w.units, ref.Index())
	w.lens = append(w.lens, uint32(len(buf)>>w.st.shift))
	rank := uint8(0)
	if page.KindOf(buf) != page.KindOverflow {
		rank = leafRank + page.Level(buf)
	}
	w.ranks = append(w.ranks, rank)
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

// startEvery is after how many bytes those that were written set out for the device, when the commit is to be flushed: it is busy then
// while the next pages are copied and hashed, and the flush finds little left to do. Smaller commits leave it to their flush. So do groups: sealing
// makes the next functions wait, which go on beside a flush.
const startEvery = 64 << 10

// A batch gathers pages that stand one after the other in the file into one write.
type batch struct {
	w    *writer
	at   page.No // where the first goes
	next page.No // where the next must go to belong to it
	size int     // bytes of them
	long bool    // they are large runs: those are written together, and nothing else with them
	used int     // bytes of w.buf

	waiting int // bytes that were written since the last Start
}

// room writes what was gathered if n bytes at page no can't go with it. long says that they are a large run.
func (b *batch) room(no page.No, n int, long bool) error {
	if no != b.next || b.size+n > batchSize || !long && b.used+n > len(b.w.buf) || long != b.long {
		if err := b.flush(); err != nil {
			return err
		}
		b.at, b.next, b.long = no, no, long
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
	if need := min(batchSize, max(largeRun, len(w.units)<<w.st.shift)); len(w.buf) < need {
		w.buf = make([]byte, 1<<bits.Len(uint(need-1))) // what a program with many databases has for each
	}
	b := &w.batch
	*b = batch{w: w}
	w.bufs = w.bufs[:0]
	for _, u := range w.units {
		e := &w.dirty.entries[u]
		no := e.number
		long := len(e.buf) >= largeRun && page.KindOf(e.buf) == page.KindOverflow
		if err := b.room(no, len(e.buf), long); err != nil {
			return err
		}
		dst := e.buf
		if !long {
			dst = w.buf[b.used : b.used+len(e.buf)]
			b.used += len(e.buf)
		}
		w.finish(dst, e)
		sum := page.Seal(dst, w.st.salt)
		b.add(dst)
		w.wrote(freelist.Extent{Page: no, Len: uint64(len(e.buf) >> w.st.shift)}, sum)
		w.st.verified.Load().set(no)
	}
	return nil
}

// flush writes what was gathered.
func (b *batch) flush() error {
	if len(b.w.bufs) == 0 {
		return nil
	}
	b.w.st.counts.writes.Add(1)
	write := b.w.st.file.WriteAt
	if b.long {
		write = b.w.st.file.WriteLarge
	}
	err := write(b.w.bufs, int64(b.at)<<b.w.st.shift)
	if narrow { // see Tx.forget
		clear(b.w.bufs)
	}
	b.waiting += b.size
	b.w.bufs, b.used, b.size, b.next = b.w.bufs[:0], 0, 0, 0
	if err != nil {
		return fmt.Errorf("write pages: %w", err)
	}
	if g := b.w.group; b.waiting >= startEvery && b.w.sealing && g.durable && g.size == 1 {
		b.waiting = 0
		b.w.st.file.Start(0, int64(b.w.space.HighWater())<<b.w.st.shift)
	}
	return nil
}

// finish makes dst what is written of the dirty page or run e, but for its checksum. All of a commit's pages are
// born in it, whatever function made them.
func (w *writer) finish(dst []byte, e *dirtyEntry) {
	switch {
	case page.KindOf(e.buf) != page.KindOverflow:
		w.copyPage(dst, e)
	case &dst[0] != &e.buf[0]:
		copy(dst, e.buf)
	}
	page.SetPlace(dst, e.number, w.commit)
}

// copyPage copies a tree page with its references resolved. Removed cells are left behind and what is free is
// zeroed, so that the file holds neither what was deleted nor stray memory.
func (w *writer) copyPage(dst []byte, e *dirtyEntry) {
	src, branch := e.buf, page.Level(e.buf) > 0
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
		w.resolveBranch(page.Branch(page.Body(dst)), w.dirtySlots[e.slots:e.slotsEnd])
	} else {
		w.resolveLeaf(page.Leaf(page.Body(dst)))
	}
}

// resolveBranch makes the slots that refer to dirty pages and runs refer to where those are written.
func (w *writer) resolveBranch(br page.Branch, slots []uint16) {
	for _, s := range slots {
		i := int(s)
		if c := br.Child(i); c.Dirty() {
			br.SetChild(i, w.resolve(c))
		}
		if br.Large(i) {
			br.SetKeyRef(i, w.resolveRun(br.KeyRef(i)))
		}
	}
}

// resolveInline makes body, the inline root of a bucket, what is written, and returns it.
func (w *writer) resolveInline(hdr page.Bucket, body []byte) []byte {
	if hdr.Level == 0 {
		w.resolveLeaf(body)
		return body
	}
	for i, br := 0, page.Branch(body); i < br.Count(); i++ {
		if c := br.Child(i); c.Dirty() {
			br.SetChild(i, w.resolve(c))
		}
	}
	return body
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
			p := l.Payload(i)
			switch h := page.DecodeBucket(p); {
			case h.Root.Dirty():
				h.Root = w.resolve(h.Root)
				h.Encode(p)
			case h.Level > 0:
				w.resolveInline(h, p[page.BucketHeaderSize:])
			}
		}
	}
}
