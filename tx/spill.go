package tx

import "bytes"

// room keeps a transaction's memory bounded: when its dirty pages take more than Options.MaxDirty, they are
// written ahead of the commit and read back from the file from then on. It is called before a change, when no
// path is in use. The commit then takes two flushes (I4).
func (t *Tx) room() error {
	t.w.dirty.drain()
	if t.w.deadRuns > 0 && t.manyDead() {
		t.reuseSpilled()
	}
	if t.w.dirty.used() <= t.store.opts.MaxDirty {
		return nil
	}
	return t.spill()
}

// spill writes all dirty pages. Buckets that are small enough move inline first, which may be all that it takes. Pages of
// earlier functions of the group are written too, and kept until this one has succeeded.
func (t *Tx) spill() error {
	w := t.w
	if err := t.root.fold(false); err != nil {
		return err
	}
	if w.dirty.used() <= t.store.opts.MaxDirty/2 {
		return nil
	}
	t.reuseSpilled()
	w.commit = t.commit
	w.gather(t.root.hdr, t.root.inline)
	nos, err := w.place(w.lens)
	if err != nil {
		return err
	}
	w.number(nos)
	if err := w.writeUnits(); err != nil {
		return err
	}
	if err := w.batch.flush(); err != nil {
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

// settleRoots makes b and the opened buckets in it refer to the pages that were just written.
func (b *Bucket) settleRoots() {
	for _, c := range b.open.list {
		c.settleRoots()
	}
	b.mods++
	switch {
	case b.hdr.Root.Dirty():
		b.hdr.Root = b.tx.w.resolve(b.hdr.Root)
		b.born = b.tx.commit
	case b.hdr.Root == 0 && (b.parent == nil || b.hdr.Level > 0):
		b.inline = b.tx.w.resolveInline(b.hdr, bytes.Clone(b.inline))
		b.born = b.tx.commit
	}
}
