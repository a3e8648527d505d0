package tx

import (
	"mmdb/freelist"
	"mmdb/page"
)

// writeRun stores data in an overflow run of the given tree. A very large one goes to the file at once, so
// that a transaction's memory stays bounded; others wait in the arena for the commit.
func (t *Tx) writeRun(data []byte, tree page.Tree) (page.Overflow, error) {
	if int64(len(data)) > t.store.opts.MaxDirty/4 {
		return t.writeThrough(data, tree)
	}
	o, buf, err := t.newRun(len(data), tree)
	if err == nil {
		copyLarge(buf, data)
	}
	return o, err
}

// copyPiece is how much of a large value is copied at a time, in bytes. From 1 MiB on the runtime's copy goes past the caches, and the
// checksum and the write would fetch from memory what they could have from there.
const copyPiece = 256 << 10

// copyLarge copies src to dst, which is as long, such that it stays in the caches.
func copyLarge(dst, src []byte) {
	for len(src) > 0 {
		n := copy(dst, src[:min(len(src), copyPiece)])
		dst, src = dst[n:], src[n:]
	}
}

// newRun returns a new dirty run for n bytes, and its undefined payload.
func (t *Tx) newRun(n int, tree page.Tree) (page.Overflow, []byte, error) {
	pages := page.RunPages(n, 1<<t.shift)
	i, err := t.w.dirty.alloc(int(pages) << t.shift)
	if err != nil {
		return page.Overflow{}, nil, err
	}
	buf := t.w.dirty.entries[i].buf
	page.InitRun(buf, t.runHeader(0, tree, pages), n)
	clear(buf[page.RunHeaderSize+n:])
	return page.Overflow{Page: page.DirtyRef(i), Len: uint32(n), Born: t.commit}, buf[page.RunHeaderSize : page.RunHeaderSize+n], nil
}

func (t *Tx) runHeader(no page.No, tree page.Tree, pages uint32) page.Header {
	return page.Header{Number: no, Born: t.commit, Tree: tree, Kind: page.KindOverflow, Run: pages}
}

// writeThrough writes a run straight to the file, ahead of the commit, without a copy in memory.
func (t *Tx) writeThrough(data []byte, tree page.Tree) (page.Overflow, error) {
	size := 1 << t.shift
	pages := page.RunPages(len(data), size)
	no, err := t.w.place([]uint32{pages})
	if err != nil {
		return page.Overflow{}, err
	}
	var head [page.RunHeaderSize]byte
	page.InitRunHead(head[:], t.runHeader(no[0], tree, pages), len(data))
	pad := make([]byte, int(pages)*size-page.RunHeaderSize-len(data))
	sum := page.SealRun(head[:], data, pad, t.store.salt)
	e := freelist.Extent{Page: no[0], Len: uint64(pages)}
	if err := t.w.write(e, [][]byte{head[:], data, pad}); err != nil {
		return page.Overflow{}, err
	}
	t.w.wrote(e, sum)
	t.w.spilled = true
	t.verified.set(no[0])
	t.stats.PagesSpilled += uint64(pages)
	t.view()
	return page.Overflow{Page: page.PageRef(no[0]), Len: uint32(len(data)), Born: t.commit}, nil
}

// view lets t read the pages that it has written so far.
func (t *Tx) view() {
	st := t.store
	t.region = &region{st.mapping.Data(), st.first, t.w.space.HighWater(), st.shift, st.verified.Load()}
}

// freeRun frees an overflow run. Its length and born are in the reference: nothing is read.
func (t *Tx) freeRun(o page.Overflow) error {
	if o.Page.Dirty() {
		t.w.dirty.release(o.Page.Index())
		return nil
	}
	n := page.RunPages(int(o.Len), 1<<t.shift)
	if !t.inside(o.Page.Page(), n) {
		return page.Corruptf(o.Page.Page(), "reference to an overflow run outside the database")
	}
	if t.free(o.Page.Page(), uint64(n), o.Born); o.Born == t.commit {
		t.w.deadRuns += uint64(n)
	}
	return nil
}

// freePage frees a page of a tree that commit born wrote.
func (t *Tx) freePage(ref page.Ref, born page.Commit) {
	if ref.Dirty() {
		t.w.dirty.release(ref.Index())
	} else {
		t.free(ref.Page(), 1, born)
	}
}

// free notes that the commit frees n pages from no on, which commit born wrote.
func (t *Tx) free(no page.No, n uint64, born page.Commit) {
	t.w.freed = append(t.w.freed, freelist.Pending{Extent: freelist.Extent{Page: no, Len: n}, Born: born, Died: t.commit})
}

// freeAll frees every page of b's tree, with its runs and the buckets in it.
func (b *Bucket) freeAll() (err error) {
	switch {
	case b.hdr.Root != 0:
		_, err = b.freeTree(b.hdr.Root, -1, b.born)
	case b.hdr.Level > 0:
		_, err = b.freeChildren(b.inline, int(b.hdr.Level), b.born)
	}
	return err // else plain values only
}

// freeTree frees every page of the tree under ref, with its runs and the buckets in it, and returns how many keys it has. level is
// ref's, -1 for a root; born is its parent's.
func (b *Bucket) freeTree(ref page.Ref, level int, born page.Commit) (keys uint64, err error) {
	t := b.tx
	if t.freeing++; t.freeing > uint64(t.limit)+uint64(len(t.w.dirty.entries)) {
		return 0, page.Corruptf(fileNo(ref), "reached more than once: there are more pages to free than the database has")
	}
	pg, err := t.node(ref, b.hdr.Tree, level, born)
	if err != nil {
		return 0, err
	}
	born, level = page.Born(pg), int(page.Level(pg))
	if level > 0 {
		keys, err = b.freeChildren(page.Branch(page.Body(pg)), level, born)
	} else {
		l := page.Leaf(page.Body(pg))
		keys, err = uint64(l.Count()), b.freeCells(l, born)
	}
	if err != nil {
		return 0, err
	}
	t.freePage(ref, born)
	return keys, nil
}

// freeChildren frees what a branch of that level, written by commit born, refers to, and returns how many keys it has.
func (b *Bucket) freeChildren(br page.Branch, level int, born page.Commit) (keys uint64, err error) {
	for i := range br.Count() {
		if br.Large(i) {
			if err := b.tx.freeRun(br.KeyRef(i)); err != nil {
				return 0, err
			}
		}
		n, err := b.freeTree(br.Child(i), level-1, born)
		if err != nil {
			return 0, err
		}
		keys += n
	}
	return keys, nil
}

// freeCells frees what the cells of leaf l, written by commit born, refer to.
func (b *Bucket) freeCells(l page.Leaf, born page.Commit) error {
	for i := range l.Count() {
		if err := b.freeCell(l, i); err != nil {
			return err
		}
		if l.Kind(i) != page.CellBucket {
			continue
		}
		p := l.Payload(i)
		nested := &Bucket{tx: b.tx, parent: b, hdr: page.DecodeBucket(p), inline: p[page.BucketHeaderSize:], born: born}
		if err := nested.apart(); err != nil {
			return err
		}
		if err := nested.freeAll(); err != nil {
			return err
		}
	}
	return nil
}
