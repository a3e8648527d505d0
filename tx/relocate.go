package tx

import (
	"bytes"
	"context"
	"slices"

	"mmdb/page"
)

// A movable is a page of a tree, or the runs of an item or of a branch's keys, that stands behind the limit of a compaction.
type movable struct {
	in    *place // its bucket
	key   []byte // that leads to the page, or of the item
	level int    // of the page
	runs  bool   // not the page moves, but the runs of the item of key, or of all keys of the branch
}

// names returns the names of the buckets that lead to p, from the top, and key.
func (p *place) names(key []byte) (names [][]byte) {
	for names = [][]byte{bytes.Clone(key)}; p != nil; p = p.up {
		names = append(names, p.name)
	}
	slices.Reverse(names)
	return names
}

// A finder looks for what is to move, in the order of the keys, a number of pages at a time.
type finder struct {
	ctx   context.Context
	limit page.No
	found []movable
	pages uint64   // of those
	from  [][]byte // where it goes on: names of buckets, and the last key that it has looked at; empty at the begin
}

// find makes f.found the next that is to move, as t sees it, and reports whether there may be more behind that.
func (f *finder) find(t *Tx) (more bool, err error) {
	f.found, f.pages = nil, 0
	t.lendRoot()
	from := f.from
	f.from = nil
	return f.bucket(&t.root, nil, from)
}

// A visit is where a finder is in a bucket.
type visit struct {
	path path
	seen [maxDepth]page.Ref // the pages of the path to the leaf before
}

// bucket looks at the items of b, which is at in, from those of from on.
func (f *finder) bucket(b *Bucket, in *place, from [][]byte) (more bool, err error) {
	v, found := new(visit), false // not on the stack: a file may have buckets inside each other as deep as it has pages
	if len(from) == 0 {
		err = b.edge(&v.path, false)
	} else {
		found, err = b.seek(&v.path, from[0])
	}
	for ok := true; ok && err == nil; ok, err = b.advance(&v.path, false) {
		if err := f.ctx.Err(); err != nil {
			return false, err
		}
		if err := f.path(b, v, in); err != nil {
			return false, err
		}
		if more, err := f.leaf(b, &v.path, in, from, found); more || err != nil {
			return more, err
		}
		found = false
	}
	return false, err
}

// path notes the lowest page of v's path behind the limit that was not seen yet: those above it move with it. And branches whose keys have runs there.
func (f *finder) path(b *Bucket, v *visit, in *place) error {
	p, leaf := &v.path, v.path.leaf()
	if leaf.i >= leaf.leafBody().Count() {
		return nil // no key leads here, or none that was not looked at
	}
	from, moves := len(f.found), false
	for k := p.n - 1; k >= 0; k-- {
		fr := &p.f[k]
		if fr.ref == 0 || fr.ref == v.seen[k] {
			continue
		}
		if fr.level > 0 && f.behind(b.tx, branchRuns(fr.branchBody())) > 0 {
			f.found = append(f.found, movable{in, nil, fr.level, true})
		}
		if fr.ref.Page() >= f.limit && !moves {
			moves = true
			f.found = append(f.found, movable{in, nil, fr.level, false})
			f.pages++
		}
		v.seen[k] = fr.ref
	}
	if len(f.found) == from {
		return nil
	}
	key, err := b.wholeKey(leaf.leafBody(), leaf.i)
	key = bytes.Clone(key)
	for i := from; i < len(f.found); i++ {
		f.found[i].key = key
	}
	return err
}

// leaf looks at the items of the leaf of p from its slot on. With found the first of them was looked at before, or is the bucket where
// that goes on.
func (f *finder) leaf(b *Bucket, p *path, in *place, from [][]byte, found bool) (more bool, err error) {
	l := p.leaf().leafBody()
	for i := p.leaf().i; i < l.Count(); i++ {
		key, err := b.wholeKey(l, i)
		if err != nil {
			return false, err
		}
		var inner [][]byte
		if found {
			inner = from[1:]
		}
		if !found && f.behind(b.tx, cellRuns(l, i)) > 0 {
			f.found = append(f.found, movable{in, bytes.Clone(key), 0, true})
		}
		if l.Kind(i) == page.CellBucket && (!found || len(inner) > 0) {
			child, err := b.bucket(key)
			if err != nil {
				return false, err
			}
			if more, err := f.bucket(child, &place{up: in, name: bytes.Clone(key)}, inner); more || err != nil {
				return more, err
			}
		}
		found = false
		if f.pages >= compactStep {
			f.from = in.names(key)
			return true, nil
		}
	}
	return false, nil
}

// behind returns how many pages of runs stand behind the limit, and counts them.
func (f *finder) behind(t *Tx, runs []slotRun) (n uint64) {
	for _, r := range runs {
		if r.at.Page.Page() >= f.limit {
			n += uint64(page.RunPages(int(r.at.Len), 1<<t.shift))
		}
	}
	f.pages += n
	return n
}

// A slotRun is a run that slot i of a page refers to, for its key or its value.
type slotRun struct {
	i   int
	key bool
	at  page.Overflow
}

// cellRuns returns the runs of item i of l.
func cellRuns(l page.Leaf, i int) (runs []slotRun) {
	if l.Large(i) {
		runs = append(runs, slotRun{i, true, l.KeyRef(i)})
	}
	if l.Kind(i) == page.CellOverflow {
		runs = append(runs, slotRun{i, false, page.DecodeOverflow(l.Payload(i))})
	}
	return runs
}

// branchRuns returns the runs of the keys of br.
func branchRuns(br page.Branch) (runs []slotRun) {
	for i := range br.Count() {
		if br.Large(i) {
			runs = append(runs, slotRun{i, true, br.KeyRef(i)})
		}
	}
	return runs
}

// A mover moves what a finder has found, in a write transaction.
type mover struct {
	t     *Tx
	limit page.No
	runs  uint64 // pages of the runs that it has moved, which need places in one piece
	moved uint64 // pages
}

// move moves the first of found, and returns how many of them it has looked at: the others are for another transaction. What has changed since it was found
// needs no move, or gets it from another pass.
func (m *mover) move(found []movable) (n int, err error) {
	for i := range found {
		b := m.t.bucketAt(found[i].in)
		if err := m.t.err; err != nil {
			return i, err
		}
		if b == nil {
			continue
		}
		full, err := m.one(b, &found[i])
		if err != nil {
			return i, b.tx.changed(err)
		}
		if full {
			return i, nil
		}
	}
	return len(found), nil
}

// bucketAt returns the bucket at p, or nil if there is none any more.
func (t *Tx) bucketAt(p *place) *Bucket {
	if p == nil {
		return &t.root
	}
	if up := t.bucketAt(p.up); up != nil {
		return up.nested(p.name)
	}
	return nil
}

// one moves f, in bucket b. With full there is no place for its runs beside those that were moved: a transaction of its own finds one.
func (m *mover) one(b *Bucket, f *movable) (full bool, err error) {
	if err := m.t.room(); err != nil {
		return false, err
	}
	var p path
	fr, err := b.seekLevel(&p, f.key, f.level)
	switch {
	case err != nil || fr.level != f.level:
		return false, err
	case !f.runs:
		return false, m.page(b, &p)
	case f.level > 0:
		return m.relocate(b, &p, branchRuns(fr.branchBody()))
	}
	found := false
	if fr.i, found, err = fr.leafBody().Search(f.key, b.tx); err != nil || !found {
		return false, err
	}
	return m.relocate(b, &p, cellRuns(fr.leafBody(), fr.i))
}

// page moves the last page of p, and those that lead to it.
func (m *mover) page(b *Bucket, p *path) error {
	ref := p.leaf().ref
	if ref == 0 || ref.Dirty() || !m.gains(ref.Page(), 1) {
		return nil
	}
	m.moved++
	return b.own(p)
}

// gains reports whether there is a place for a run of n pages in front of page no, where it stands, which is behind the limit.
func (m *mover) gains(no page.No, n uint64) bool {
	p, ok := m.t.w.space.Lowest(n)
	return no >= m.limit && ok && p < no
}

// relocate moves those of runs, of the last page of p, that stand behind the limit.
func (m *mover) relocate(b *Bucket, p *path, runs []slotRun) (full bool, err error) {
	pages := func(o page.Overflow) uint64 { return uint64(page.RunPages(int(o.Len), 1<<m.t.shift)) }
	need := uint64(0)
	runs = slices.DeleteFunc(runs, func(r slotRun) bool { return r.at.Page.Dirty() || r.at.Page.Page() < m.limit })
	for _, r := range runs {
		if need += pages(r.at); !m.gains(r.at.Page.Page(), m.runs+need) {
			return m.runs > 0, nil
		}
	}
	if need == 0 {
		return false, nil
	}
	if err := b.own(p); err != nil {
		return false, err
	}
	for _, r := range runs {
		data, err := m.t.payload(r.at, b.hdr.Tree)
		if err != nil {
			return false, err
		}
		o, err := m.t.writeRun(data, b.hdr.Tree)
		if err != nil {
			return false, err
		}
		switch f := p.leaf(); {
		case f.level > 0:
			f.branchBody().SetKeyRef(r.i, o)
		case r.key:
			f.leafBody().SetKeyRef(r.i, o)
		default:
			o.Encode(f.leafBody().Payload(r.i))
		}
		if err := m.t.freeRun(r.at); err != nil {
			return false, err
		}
	}
	m.runs += need
	m.moved += need
	return false, nil
}
