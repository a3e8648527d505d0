package tx

import "mmdb/page"

// room keeps a transaction's memory bounded: when its dirty pages take more than Options.MaxDirty, they are
// written ahead of the commit and read back from the file from then on. It is called before a change, when no
// path is in use. The commit then takes two flushes (I4).
func (t *Tx) room() error {
	t.w.dirty.drain()
	if t.w.dirty.live <= t.store.opts.MaxDirty {
		return nil
	}
	return t.spill()
}

// spill writes all dirty pages of every open bucket's tree.
func (t *Tx) spill() error {
	w := t.w
	w.units, w.lens = w.units[:0], w.lens[:0]
	t.root.collect()
	nos, err := w.place(w.lens)
	if err != nil {
		return err
	}
	w.number(nos)
	if err := w.writeUnits(); err != nil {
		return err
	}
	w.spilled = true
	t.root.settleRoots()
	for _, u := range w.units {
		t.stats.PagesSpilled += uint64(len(w.dirty.entries[u].buf) >> t.shift)
		w.dirty.release(u)
	}
	t.view()
	return nil
}

// collect gathers the dirty pages of b's tree and of the opened buckets in it.
func (b *Bucket) collect() {
	for _, c := range b.open.list {
		c.collect()
	}
	if b.hdr.Root.Dirty() {
		b.tx.w.collect(b.hdr.Root)
	}
}

// settleRoots makes b and the opened buckets in it refer to the pages that were just written. Inline ones stay
// where they are: their slices are pinned.
func (b *Bucket) settleRoots() {
	for _, c := range b.open.list {
		c.settleRoots()
	}
	b.mods++
	if b.hdr.Root.Dirty() {
		b.hdr.Root = b.tx.w.resolve(b.hdr.Root)
		b.born = b.tx.commit
	} else if b.hdr.Root == 0 && b.home.Dirty() {
		b.home = page.PageRef(0) // its page is retired: nothing to pin any more
	}
}
