package tx

import (
	"fmt"

	"mmdb/mmapfile"
	"mmdb/page"
)

// A dirtySet holds the changed pages of a write transaction in an arena of anonymous memory, outside the
// garbage collector. A dirty branch refers to a dirty child by its index here (page.DirtyRef), so finding it
// costs neither a hash nor a search. Page numbers are given when the pages are written.
type dirtySet struct {
	arena    *mmapfile.Arena
	pageSize int
	entries  []dirtyEntry
	unused   []uint32 // indices without a page
	retired  [][]byte // pages out of the tree that still back a caller's slices
	limbo    [][]byte // pages that left the tree in the running change: its arguments may be slices of them
	live     int64    // bytes of entries in use
	copies   [][]byte // blocks that hold copies of cells for the caller
	spare    []byte   // what is left of the last one
}

// A dirtyEntry is one dirty page or overflow run.
type dirtyEntry struct {
	buf    []byte  // the page or run; nil when unused
	pinned bool    // slices of it were handed out: its cells must stay until the transaction ends (I2)
	copied int     // bytes handed out as copies since it changed last
	number page.No // where it was written, once it was
}

func newDirtySet(pageSize int) *dirtySet {
	return &dirtySet{arena: mmapfile.NewArena(arenaChunk), pageSize: pageSize}
}

// arenaChunk is how much anonymous memory is mapped at a time, in bytes.
const arenaChunk = 1 << 20

// alloc returns the index of a new page, or run of n bytes (a multiple of the page size). Its bytes are undefined.
func (d *dirtySet) alloc(n int) (uint32, error) {
	buf, err := d.arena.Alloc(n)
	if err != nil {
		return 0, fmt.Errorf("memory for a changed page: %w", err)
	}
	d.live += int64(n)
	if k := len(d.unused); k > 0 {
		i := d.unused[k-1]
		d.unused = d.unused[:k-1]
		d.entries[i] = dirtyEntry{buf: buf}
		return i, nil
	}
	d.entries = append(d.entries, dirtyEntry{buf: buf})
	return uint32(len(d.entries) - 1), nil
}

// page returns the bytes of the dirty page or run that ref refers to.
func (d *dirtySet) page(ref page.Ref) []byte { return d.entries[ref.Index()].buf }

// pin notes that a slice of ref's page was handed out. A ref that is not dirty needs no pin.
func (d *dirtySet) pin(ref page.Ref) {
	if ref.Dirty() {
		d.entries[ref.Index()].pinned = true
	}
}

// copyBlock is how many bytes of copies are allocated at a time.
const copyBlock = 64 << 10

// pinShare is the part of a page (one in pinShare) that is handed out as copies before the page is pinned instead.
const pinShare = 4

// handOut returns b, a slice of ref's page, for the caller to keep until the transaction ends (I2). A page of the file
// stays as it is anyway. Of a dirty one a copy is given at first: were it pinned, a loop that reads and replaces each item
// would fill it with replaced cells, and keep a page of memory for each item. Many reads of an unchanged page pin it.
func (d *dirtySet) handOut(ref page.Ref, b []byte) ([]byte, error) {
	if !ref.Dirty() || len(b) == 0 {
		return b, nil
	}
	e := &d.entries[ref.Index()]
	if e.copied += len(b); e.pinned || e.copied > len(e.buf)/pinShare {
		e.pinned = true
		return b, nil
	}
	return d.keep(b)
}

// keep returns a copy of b that lives until the transaction ends.
func (d *dirtySet) keep(b []byte) ([]byte, error) {
	if len(b) > len(d.spare) {
		n := max(copyBlock, (len(b)+d.pageSize-1)&^(d.pageSize-1))
		block, err := d.arena.Alloc(n)
		if err != nil {
			return nil, fmt.Errorf("memory for a copy: %w", err)
		}
		d.copies, d.spare = append(d.copies, block), block
	}
	n := copy(d.spare, b)
	c := d.spare[:n:n]
	d.spare = d.spare[n:]
	return c, nil
}

// changes notes that the page that ref refers to is about to change.
func (d *dirtySet) changes(ref page.Ref) { d.entries[ref.Index()].copied = 0 }

// pinned reports whether the cells of ref's page must stay where they are.
func (d *dirtySet) pinned(ref page.Ref) bool { return d.entries[ref.Index()].pinned }

// release takes the page at index i out of the set. Its memory is used again from the next change on, unless it is
// pinned.
func (d *dirtySet) release(i uint32) {
	e := &d.entries[i]
	d.live -= int64(len(e.buf))
	if e.pinned {
		d.retired = append(d.retired, e.buf)
	} else {
		d.limbo = append(d.limbo, e.buf)
	}
	*e = dirtyEntry{}
	d.unused = append(d.unused, i)
}

// drain gives the memory of released pages back: a new change begins.
func (d *dirtySet) drain() {
	for _, b := range d.limbo {
		d.arena.Free(b)
	}
	d.limbo = d.limbo[:0]
}

// reset forgets everything: the transaction has ended.
func (d *dirtySet) reset() {
	for i := range d.entries {
		if b := d.entries[i].buf; b != nil {
			d.arena.Free(b)
		}
	}
	for _, b := range d.retired {
		d.arena.Free(b)
	}
	d.drain()
	for _, b := range d.copies {
		d.arena.Free(b)
	}
	d.copies, d.spare = d.copies[:0], nil
	d.arena.Reset()
	if cap(d.entries) > keepEntries {
		d.entries, d.unused = nil, nil
	}
	clear(d.retired)
	d.entries, d.unused, d.retired, d.live = d.entries[:0], d.unused[:0], d.retired[:0], 0
}

// keepEntries is how many entries' worth of memory is kept between transactions.
const keepEntries = 4096
