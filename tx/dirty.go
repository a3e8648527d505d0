package tx

import (
	"fmt"

	"mmdb/mmapfile"
	"mmdb/page"
)

// A dirtySet holds the changed pages of the open group in an arena of anonymous memory, outside the garbage collector. A
// dirty branch refers to a dirty child by its index here (page.DirtyRef), so finding it costs neither a hash nor a
// search. Page numbers are given when the pages are written.
//
// A page belongs to the function that made it, and only that one changes it. A later function of the same group takes it as
// it takes a page of the file: it makes a copy and leaves the page alone until it succeeds (keepChanges) or fails
// (dropChanges). So the group without the running function is whole at any time.
type dirtySet struct {
	arena    *mmapfile.Arena
	pageSize int
	entries  []dirtyEntry
	unused   []uint32 // indices without a page
	owner    uint32   // the running function
	replaced []uint32 // pages of earlier functions that the running one has done away with
	dead     int64    // their bytes
	runs     int      // entries of more than one page
	retired  [][]byte // pages out of the tree that still back a caller's slices
	limbo    [][]byte // pages that left the tree in the running change: its arguments may be slices of them
	live     int64    // bytes of entries in use
	pool     [][]byte // single pages that are not in use, the one to be used next last
	copies   [][]byte // blocks that hold copies of cells for the caller
	spare    []byte   // what is left of the last one
}

// A dirtyEntry is one dirty page or overflow run.
type dirtyEntry struct {
	buf    []byte  // the page or run; nil when unused
	owner  uint32  // the function that made it
	pinned bool    // slices of it were handed out: its cells must stay until the transaction ends (I2)
	copied int     // bytes handed out as copies since it changed last
	number page.No // where it was written, once it was

	// Of a branch, the slots that refer to dirty pages or runs, while it is sealed: from slots to slotsEnd in writer.dirtySlots.
	slots, slotsEnd uint32
}

// newArena returns memory for a dirtySet.
func newArena() *mmapfile.Arena {
	a := mmapfile.NewArena(arenaChunk)
	a.Keep = arenaKeep
	return a
}

// arenaChunk is how much anonymous memory is mapped at a time, in bytes.
const arenaChunk = 1 << 20

// arenaKeep is how much of it stays mapped between commits: fresh memory costs a fault for each page.
const arenaKeep = 8 << 20

// alloc returns the index of a new page, or run of n bytes (a multiple of the page size). Its bytes are undefined.
func (d *dirtySet) alloc(n int) (uint32, error) {
	if n == d.pageSize && len(d.pool) == 0 {
		if err := d.fillPool(); err != nil {
			return 0, fmt.Errorf("memory for a changed page: %w", err)
		}
	}
	var buf []byte
	if n == d.pageSize {
		last := len(d.pool) - 1
		buf, d.pool = d.pool[last], d.pool[:last]
	} else {
		var err error
		if buf, err = d.arena.Alloc(n); err != nil {
			return 0, fmt.Errorf("memory for a changed run: %w", err)
		}
	}
	d.live += int64(n)
	if n > d.pageSize {
		d.runs++
	}
	if k := len(d.unused); k > 0 {
		i := d.unused[k-1]
		d.unused = d.unused[:k-1]
		d.entries[i] = dirtyEntry{buf: buf, owner: d.owner}
		return i, nil
	}
	d.entries = append(d.entries, dirtyEntry{buf: buf, owner: d.owner})
	return uint32(len(d.entries) - 1), nil
}

// poolBlock is how many bytes of pages are allocated at a time. The arena takes a lock, and a processor that takes one waits until all that it
// has stored before is in its cache: the copy of a page, for example.
const poolBlock = 64 << 10

// fillPool puts pages into the empty pool.
func (d *dirtySet) fillPool() error {
	n := max(poolBlock, d.pageSize)
	block, err := d.arena.Alloc(n)
	if err != nil {
		return err
	}
	for n -= d.pageSize; n >= 0; n -= d.pageSize {
		d.pool = append(d.pool, block[n:][:d.pageSize:d.pageSize])
	}
	return nil
}

// free gives back the memory of a page, a run or a block of copies.
func (d *dirtySet) free(b []byte) {
	if len(b) == d.pageSize {
		d.pool = append(d.pool, b)
	} else {
		d.arena.Free(b)
	}
}

// page returns the bytes of the dirty page or run that ref refers to.
func (d *dirtySet) page(ref page.Ref) []byte { return d.entries[ref.Index()].buf }

// mine reports whether ref's page is one that the running function has made: it may change it in place.
func (d *dirtySet) mine(ref page.Ref) bool {
	return ref.Dirty() && d.entries[ref.Index()].owner == d.owner
}

// used returns how many bytes of pages the running function's tree has in memory.
func (d *dirtySet) used() int64 { return d.live - d.dead }

// pin notes that a slice of ref's page was handed out. A page that nobody changes needs no pin.
func (d *dirtySet) pin(ref page.Ref) {
	if d.mine(ref) {
		d.entries[ref.Index()].pinned = true
	}
}

// copyBlock is how many bytes of copies are allocated at a time.
const copyBlock = 64 << 10

// pinShare is the part of a page (one in pinShare) that is handed out as copies before the page is pinned instead.
const pinShare = 4

// handOut returns b, a slice of ref's page, for the caller to keep until the transaction ends (I2). A page of the file or of
// another function stays as it is anyway. Of one that may change a copy is given at first: were it pinned, a loop that reads and replaces each item
// would fill it with replaced cells, and keep a page of memory for each item. Many reads of an unchanged page pin it.
func (d *dirtySet) handOut(ref page.Ref, b []byte) ([]byte, error) {
	if len(b) == 0 || !d.mine(ref) {
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
	c, err := d.lasting(len(b))
	copy(c, b)
	return c, err
}

// lasting returns n bytes that live until the transaction ends.
func (d *dirtySet) lasting(n int) ([]byte, error) {
	if n > len(d.spare) {
		block, err := d.arena.Alloc(max(copyBlock, (n+d.pageSize-1)&^(d.pageSize-1)))
		if err != nil {
			return nil, fmt.Errorf("memory for a copy: %w", err)
		}
		d.copies, d.spare = append(d.copies, block), block
	}
	c := d.spare[:n:n]
	d.spare = d.spare[n:]
	return c, nil
}

// changes notes that the page that ref refers to is about to change.
func (d *dirtySet) changes(ref page.Ref) { d.entries[ref.Index()].copied = 0 }

// pinned reports whether the cells of ref's page must stay where they are.
func (d *dirtySet) pinned(ref page.Ref) bool { return d.entries[ref.Index()].pinned }

// release takes the page at index i out of the set. Its memory is used again from the next change on, unless it is
// pinned, or belongs to an earlier function: then it stays until the running one has succeeded.
func (d *dirtySet) release(i uint32) {
	e := &d.entries[i]
	switch {
	case e.owner != d.owner:
		d.replaced = append(d.replaced, i)
		d.dead += int64(len(e.buf))
		return
	case e.pinned:
		d.retired = append(d.retired, e.buf)
	default:
		d.limbo = append(d.limbo, e.buf)
	}
	d.forget(i)
}

// forget takes index i out of use.
func (d *dirtySet) forget(i uint32) {
	e := &d.entries[i]
	d.live -= int64(len(e.buf))
	if len(e.buf) > d.pageSize {
		d.runs--
	}
	*e = dirtyEntry{}
	d.unused = append(d.unused, i)
}

// drain gives the memory of released pages back: a new change begins.
func (d *dirtySet) drain() {
	for _, b := range d.limbo {
		d.free(b)
	}
	d.limbo = d.limbo[:0]
}

// nextFunction makes what is in the set belong to others than the function that begins.
func (d *dirtySet) nextFunction() { d.owner++ }

// keepChanges ends a function that has succeeded.
func (d *dirtySet) keepChanges() {
	for _, i := range d.replaced {
		d.free(d.entries[i].buf)
		d.forget(i)
	}
	d.endFunction()
}

// dropChanges ends a function that has failed: what earlier ones made is as it was.
func (d *dirtySet) dropChanges() {
	for i := range d.entries {
		if e := &d.entries[i]; e.buf != nil && e.owner == d.owner {
			d.free(e.buf)
			d.forget(uint32(i))
		}
	}
	d.endFunction()
}

// endFunction gives back what only the running function and its caller's slices needed.
func (d *dirtySet) endFunction() {
	d.replaced, d.dead = d.replaced[:0], 0
	for _, b := range d.retired {
		d.free(b)
	}
	clear(d.retired)
	d.retired = d.retired[:0]
	d.drain()
	for _, b := range d.copies {
		d.free(b)
	}
	d.copies, d.spare = d.copies[:0], nil
}

// retire empties the set. Its memory stays until the function ends: the caller may have slices of it.
func (d *dirtySet) retire() {
	for i := range d.entries {
		if b := d.entries[i].buf; b != nil {
			d.retired = append(d.retired, b)
		}
	}
	d.clear()
}

// reset forgets everything: the group is written, or has failed.
func (d *dirtySet) reset() {
	clear(d.retired)
	d.replaced, d.dead, d.retired, d.limbo = d.replaced[:0], 0, d.retired[:0], d.limbo[:0]
	d.copies, d.spare, d.pool = d.copies[:0], nil, d.pool[:0]
	d.arena.Reset()
	d.clear()
}

func (d *dirtySet) clear() {
	if cap(d.entries) > keepEntries {
		d.entries, d.unused = nil, nil
	}
	if len(d.pool) == 0 && cap(d.pool) > keepEntries {
		d.pool = nil
	}
	if narrow { // see Tx.forget
		clear(d.entries)
		clear(d.limbo[:cap(d.limbo)])
		clear(d.pool[len(d.pool):cap(d.pool)])
		clear(d.copies[:cap(d.copies)])
	}
	d.entries, d.unused, d.live, d.runs = d.entries[:0], d.unused[:0], 0, 0
}

// keepEntries is how many entries' worth of memory is kept between transactions.
const keepEntries = 4096
