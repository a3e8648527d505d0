package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	bolt "go.etcd.io/bbolt"
)

// A boltPages visits the pages that the buckets of a bbolt file are made of, once each, before bbolt reads them. bbolt follows what a
// page refers to wherever that leads, so on a damaged file that leads back it would never end; and so would its own check.
type boltPages struct {
	file     io.ReaderAt
	pageSize int64
	pages    uint64   // in the file
	seen     []bool   // of pages
	left     []uint64 // still to be visited
}

// What a page of bbolt is, the flag of a cell that is a bucket, and sizes in bytes. A page begins with its number (8 bytes), what it is
// (2), the number of cells (2) and of further pages that it goes on in (4); then come entries for the cells, then keys and values.
const (
	boltBranch     = 1
	boltLeaf       = 2
	boltBucketFlag = 1
	boltHead       = 16 // of a page
	boltEntry      = 16
	boltBucketHead = 16 // the root's page number, 0 if the page follows, and the sequence
)

// checkBolt returns an error unless the pages that tx sees of the bbolt file at path make up trees.
func (a *app) checkBolt(path string, tx *bolt.Tx) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	pageSize := int64(tx.DB().Info().PageSize)
	pages := uint64(min(tx.Size(), info.Size()) / pageSize)
	c := &boltPages{file: f, pageSize: pageSize, pages: pages, seen: make([]bool, pages)}
	bar := a.bar("checking", int64(pages), false)
	defer bar.done()
	if err := c.take(uint64(tx.Cursor().Bucket().Root())); err != nil {
		return fmt.Errorf("damaged: the meta: %w", err)
	}
	for n := len(c.left); n > 0; n = len(c.left) {
		if err := a.interrupted(); err != nil {
			return err
		}
		no := c.left[n-1]
		c.left = c.left[:n-1]
		if err := c.page(no); err != nil {
			return fmt.Errorf("damaged: page %d: %w", no, err)
		}
		bar.add(1)
	}
	return nil
}

// take leaves page no to be visited.
func (c *boltPages) take(no uint64) error {
	c.left = append(c.left, no)
	return c.mark(no, 1)
}

// mark notes that n pages from page no on are referred to.
func (c *boltPages) mark(no, n uint64) error {
	if no < 2 || no >= c.pages || n > c.pages-no {
		return fmt.Errorf("it refers to page %d, which is not in the file", no)
	}
	for i := no; i < no+n; i++ {
		if c.seen[i] {
			return fmt.Errorf("it refers to page %d, and so does another or itself", i)
		}
		c.seen[i] = true
	}
	return nil
}

// page visits one page with those that it goes on in.
func (c *boltPages) page(no uint64) error {
	head := make([]byte, boltHead)
	if _, err := c.file.ReadAt(head, int64(no)*c.pageSize); err != nil {
		return err
	}
	if id := binary.NativeEndian.Uint64(head); id != no {
		return fmt.Errorf("it has the number %d", id)
	}
	more := uint64(binary.NativeEndian.Uint32(head[12:]))
	if more > 0 {
		if err := c.mark(no+1, more); err != nil {
			return err
		}
	}
	return c.cells(io.NewSectionReader(c.file, int64(no)*c.pageSize, int64(1+more)*c.pageSize), false)
}

// cells visits the cells of a page, which may be one inside the cell of its bucket.
func (c *boltPages) cells(r *io.SectionReader, inside bool) error {
	head := make([]byte, boltHead)
	if _, err := r.ReadAt(head, 0); err != nil {
		return err
	}
	kind, entries := binary.NativeEndian.Uint16(head[8:]), make([]byte, boltEntry*int(binary.NativeEndian.Uint16(head[10:])))
	if kind != boltLeaf && (kind != boltBranch || inside || len(entries) == 0) {
		return fmt.Errorf("its kind is %d with %d cells", kind, len(entries)/boltEntry)
	}
	if _, err := r.ReadAt(entries, boltHead); err != nil && len(entries) > 0 {
		return err
	}
	end := int64(boltHead + len(entries)) // of what has been visited: cells follow each other
	for i := 0; i < len(entries); i += boltEntry {
		cell := readBoltCell(entries[i:], int64(boltHead+i), kind)
		if cell.start < end || cell.end > r.Size() {
			return fmt.Errorf("cell %d is not inside it, or over another", i/boltEntry)
		}
		end = cell.end
		var err error
		switch {
		case kind == boltBranch:
			err = c.take(cell.child)
		case cell.bucket && inside:
			err = fmt.Errorf("cell %d is a bucket inside one that has no pages", i/boltEntry)
		case cell.bucket:
			err = c.bucket(io.NewSectionReader(r, cell.value, cell.end-cell.value))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket visits what the value of a bucket refers to, or holds.
func (c *boltPages) bucket(value *io.SectionReader) error {
	head := make([]byte, boltBucketHead)
	if _, err := value.ReadAt(head, 0); err != nil {
		return fmt.Errorf("a bucket of %d bytes", value.Size())
	}
	if root := binary.NativeEndian.Uint64(head); root != 0 {
		return c.take(root)
	}
	return c.cells(io.NewSectionReader(value, boltBucketHead, value.Size()-boltBucketHead), true)
}

// A boltCell is what an entry says of its cell.
type boltCell struct {
	start, value, end int64 // of key and value, in the page
	child             uint64
	bucket            bool
}

// readBoltCell reads the entry at an offset of a page of that kind. What it points to counts from there.
func readBoltCell(entry []byte, at int64, kind uint16) boltCell {
	word := func(i int) int64 { return int64(binary.NativeEndian.Uint32(entry[4*i:])) }
	if kind == boltBranch {
		start := at + word(0)
		return boltCell{start: start, value: start + word(1), end: start + word(1), child: binary.NativeEndian.Uint64(entry[8:])}
	}
	start := at + word(1)
	return boltCell{start: start, value: start + word(2), end: start + word(2) + word(3), bucket: word(0)&boltBucketFlag != 0}
}
