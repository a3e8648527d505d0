package tx

import (
	"slices"

	"mmdb/page"
)

// fold puts the state of every opened nested bucket that changed into its cell, children first. A bucket that
// has become small moves into its parent's leaf. After it the tree under b is whole by itself.
func (b *Bucket) fold() error {
	for _, c := range b.open.list {
		if err := c.fold(); err != nil {
			return err
		}
		if !c.dirty {
			continue
		}
		hdr, body := c.header()
		var p path
		found, err := b.seek(&p, c.name)
		if err != nil || !found {
			return errInvariant("open bucket has no cell", err)
		}
		if err := b.storeHeader(&p, true, c.name, hdr, body); err != nil {
			return err
		}
		c.dirty = false
		if hdr.Root == 0 && c.hdr.Root != 0 {
			// The tree's only page is in the cell now. Its handle goes on with that.
			b.tx.w.dirty.release(c.hdr.Root.Index())
			c.mods++
			if err := c.reload(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// changed reports whether b or an opened bucket in it has changed.
func (b *Bucket) changed() bool {
	return b.dirty || slices.ContainsFunc(b.open.list, (*Bucket).changed)
}

// reload points c, which was just stored inline in b, at its cell.
func (c *Bucket) reload(b *Bucket) error {
	h, err := b.find(c.name)
	if err != nil || !h.found {
		return errInvariant("stored bucket has no cell", err)
	}
	return c.load(&h)
}

// header returns what b's cell must hold: the header, and the body if b is stored inline.
func (b *Bucket) header() (page.Bucket, page.Leaf) {
	hdr := b.hdr
	if hdr.Root == 0 {
		return hdr, b.inline
	}
	body := b.miniature()
	if body != nil {
		hdr.Root = 0
	}
	return hdr, body
}

// miniature returns the contents of b as a miniature page, or nil if it must stay a tree: only one changed leaf
// with few bytes, plain values and inline keys fits.
func (b *Bucket) miniature() page.Leaf {
	if !b.hdr.Root.Dirty() {
		return nil
	}
	pg := b.tx.w.dirty.page(b.hdr.Root)
	if page.Level(pg) > 0 {
		return nil
	}
	l := page.Leaf(page.Body(pg))
	n := bodyHeader + l.Used()
	key := page.Key{Bytes: b.name, Large: b.tx.largeKey(b.name)}
	if n > b.tx.store.maxInline || page.LeafCellSize(key, page.BucketHeaderSize+n) > b.tx.store.maxCell {
		return nil
	}
	for i := range l.Count() {
		if l.Kind(i) != page.CellValue || l.Large(i) {
			return nil
		}
	}
	mini := page.InitLeaf(make([]byte, n))
	mini.AppendFrom(l, 0, l.Count())
	return mini
}

// moveIn makes the root bucket, which the function has changed, one that is stored in the meta, if it is small enough: with few bytes and
// inline names. It is called when the function has done its changes.
func (b *Bucket) moveIn() {
	d := b.tx.w.dirty
	if !d.mine(b.hdr.Root) {
		return
	}
	pg := d.page(b.hdr.Root)
	l := page.Leaf(page.Body(pg))
	n := bodyHeader + l.Used()
	if page.Level(pg) > 0 || n > page.MaxInlineRoot {
		return
	}
	for i := range l.Count() {
		if l.Large(i) {
			return
		}
	}
	mini := page.InitLeaf(b.tx.w.root[:n])
	mini.AppendFrom(l, 0, l.Count())
	d.release(b.hdr.Root.Index())
	b.hdr.Root, b.inline = 0, mini
	b.mods++
}

// bodyHeader is what a slotted body takes besides slots and cells, in bytes.
const bodyHeader = 8
