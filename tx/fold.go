package tx

import (
	"slices"

	"mmdb/page"
)

// fold puts the state of every opened nested bucket that changed into its cell, children first. A root that
// has become small moves into its parent's leaf. After it the tree under b is whole by itself. last says that the function has ended: handles
// need not be good any more.
func (b *Bucket) fold(last bool) error {
	for _, c := range b.open.list {
		if err := c.fold(last); err != nil {
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
			// The root page is in the cell now. Its handle goes on with that.
			b.tx.w.dirty.release(c.hdr.Root.Index())
			c.mods++
			if last {
				continue
			}
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

// header returns what b's cell must hold: the header, and the root if that is stored inline. It is good until the next call.
func (b *Bucket) header() (hdr page.Bucket, body []byte) {
	if b.hdr.Root == 0 {
		return b.hdr, b.inline
	}
	key := page.Key{Bytes: b.name, Large: b.tx.largeKey(b.name)}
	return b.miniature(b.tx.store.maxCell - page.LeafCellSize(key, page.BucketHeaderSize))
}

// miniature returns b's header, and the root as a miniature page of at most so many bytes if it has changed and fits. Of a leaf all
// cells must be plain values with inline keys, and in the root bucket buckets with such names; of a branch all keys must be inline.
func (b *Bucket) miniature(most int) (hdr page.Bucket, body []byte) {
	hdr = b.hdr
	if !hdr.Root.Dirty() {
		return hdr, nil
	}
	pg := b.tx.w.dirty.page(hdr.Root)
	level := page.Level(pg)
	l, br := page.Leaf(page.Body(pg)), page.Branch(page.Body(pg))
	n := bodyHeader + l.Used()
	limit := b.tx.store.maxInline
	if level > 0 {
		n, limit = bodyHeader+br.Used(), b.tx.store.maxInlineBranch
	}
	if n > min(limit, most) || !b.mayInline(level, l, br) || !rightKeys(hdr, level, l, br) {
		return hdr, nil
	}
	w := b.tx.w
	if cap(w.mini) < n {
		w.mini = make([]byte, b.tx.store.maxInline)
	}
	body = w.mini[:n]
	if level > 0 {
		page.InitBranch(body).AppendFrom(br, 0, br.Count(), page.Key{})
	} else {
		page.InitLeaf(body).AppendFrom(l, 0, l.Count())
	}
	hdr.Root, hdr.Level = 0, level
	return hdr, body
}

// mayInline reports whether the cells of b's root, a leaf or a branch, may stand in an inline root.
func (b *Bucket) mayInline(level uint8, l page.Leaf, br page.Branch) bool {
	kind := page.CellValue
	if b.parent == nil {
		kind = page.CellBucket
	}
	if level == 0 {
		for i := range l.Count() {
			if l.Large(i) || l.Kind(i) != kind {
				return false
			}
		}
		return true
	}
	for i := range br.Count() {
		if br.Large(i) {
			return false
		}
	}
	return true
}

// moveIn makes the root bucket, which the function may have changed, one that is stored in the meta, if it is small enough. It is called when
// the function has done its changes.
func (b *Bucket) moveIn() {
	if !b.tx.w.dirty.mine(b.hdr.Root) {
		return
	}
	hdr, body := b.miniature(page.MaxInlineRoot)
	if hdr.Root == 0 {
		b.tx.w.dirty.release(b.hdr.Root.Index())
		b.hdr, b.inline = hdr, body
		b.mods++
	}
}

// bodyHeader is what a slotted body takes besides slots and cells, in bytes.
const bodyHeader = 8
