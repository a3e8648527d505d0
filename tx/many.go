package tx

import (
	"time"

	"mmdb/page"
)

// groupKeys is how many keys GetMany looks up together: as many as a processor can have misses under way, and more.
const groupKeys = 32

// coldGet is what a lookup takes on average when pages had to be read from the device. A warm one takes a tenth to a third.
const coldGet = 2 * time.Microsecond

// A lookup is one key of a group on its way down the tree.
type lookup struct {
	ref  page.Ref    // the page that it has come to
	born page.Commit // when that was written, or its parent
	body []byte      // its body; nil after a failure
	i    int         // where the search in it begins, if that is known
}

// GetMany looks up several keys and appends their values to values in the same order, nil for what is absent
// or a bucket. It allocates nothing when values has the room. The slices live as Get's do. The keys are led down the tree
// together, so that the processor and the device fetch what they need at the same time.
func (b *Bucket) GetMany(keys, values [][]byte) [][]byte {
	n := len(values) + len(keys)
	values = b.getMany(keys, values)
	for len(values) < n { // after a failure
		values = append(values, nil)
	}
	return values
}

func (b *Bucket) getMany(keys, values [][]byte) (got [][]byte) {
	got = values
	if !b.tx.managed {
		defer b.tx.exit(enter())
	}
	if !b.mayRead() {
		return got
	}
	for len(keys) > 0 {
		n := min(groupKeys, len(keys))
		got = b.getGroup(keys[:n], got)
		keys = keys[n:]
	}
	return got
}

// getGroup is getMany for up to groupKeys keys.
func (b *Bucket) getGroup(keys, values [][]byte) [][]byte {
	var group [groupKeys]lookup
	g := group[:len(keys)]
	begun := time.Now()
	b.tx.waited = 0
	b.lead(g, keys)
	for j := range g {
		value, err := b.valueIn(&g[j], keys[j])
		if err != nil {
			b.tx.fail(err)
		}
		values = append(values, value)
	}
	b.tx.judge(time.Since(begun), len(keys))
	return values
}

// judge decides whether the next group asks the device for all its pages, after one of n keys took so long. One that asked has spent most of the
// time on that, wherever the pages were, and more than coldGet on some machines: what counts is for how long it waited for them afterwards.
func (t *Tx) judge(took time.Duration, n int) {
	most := coldGet * time.Duration(n)
	if t.cold {
		took, most = t.waited, most/4
	}
	t.cold = took > most
}

// valueIn returns the value of key in the leaf that its lookup led to.
func (b *Bucket) valueIn(f *lookup, key []byte) ([]byte, error) {
	if f.body == nil {
		return nil, nil
	}
	if !b.tx.writable {
		if value := page.Leaf(f.body).ValueAt(f.i, key); value != nil {
			return value, nil
		}
	}
	kind, payload, _, found, err := page.Leaf(f.body).FindAt(f.i, key, b.tx)
	if !found || err != nil {
		return nil, err
	}
	return b.value(kind, payload, f.ref)
}

// lead leads the lookups of g down to their leaves. Each step is done for all of them before the next, so that what it loads
// comes while it goes on with the others; the loops that wait for memory are short, because a processor looks ahead a few hundred
// instructions only.
func (b *Bucket) lead(g []lookup, keys [][]byte) {
	g[0] = lookup{ref: b.hdr.Root, born: b.born, body: b.inline}
	level := int(b.hdr.Level)
	if b.hdr.Root != 0 {
		level = b.read(g[:1], -1)
	}
	for j := range g[1:] {
		g[1+j] = g[0]
	}
	for ; level > 0; level = b.read(g, level-1) {
		b.choose(g, keys, level)
		b.tx.fetch(g)
	}
	for j := range g {
		if f := &g[j]; f.body != nil {
			f.i = page.Leaf(f.body).Guess(keys[j])
		}
	}
	var sum byte
	for j := range g {
		if f := &g[j]; f.body != nil {
			sum += page.Leaf(f.body).Touch(f.i, f.i+1)
		}
	}
	b.tx.touched += sum
}

// read reads the page that each lookup has come to. All are at that level; -1 for the root, whose level is not known. It
// returns the level, 0 if no page could be read.
func (b *Bucket) read(g []lookup, level int) (at int) {
	for j := range g {
		f := &g[j]
		if f.body == nil && level >= 0 {
			continue
		}
		body, lv, by := b.tx.seen(f.ref.Page(), b.hdr.Tree, level, f.born)
		if body == nil {
			pg, err := b.tx.node(f.ref, b.hdr.Tree, level, f.born)
			if err != nil {
				b.tx.fail(err)
				f.body = nil
				continue
			}
			body, lv, by = page.Body(pg), int(page.Level(pg)), page.Born(pg)
		}
		f.body, f.born, at = body, by, lv
	}
	return at
}

// choose leads each lookup from a branch, of that level, to its child. Nearly all branches are parents of leaves: of them, the cells are
// loaded first.
func (b *Bucket) choose(g []lookup, keys [][]byte, level int) {
	if level == 1 {
		b.touchCells(g, keys)
	}
	for j := range g {
		f := &g[j]
		if f.body == nil {
			continue
		}
		next, _, ok := page.Branch(f.body).RouteAt(f.i, keys[j])
		if !ok {
			var err error
			if next, err = b.route(page.Branch(f.body), keys[j]); err != nil {
				b.tx.fail(err)
				f.body = nil
				continue
			}
		}
		f.ref = next
	}
}

// touchCells loads the cell where each lookup finds its child.
func (b *Bucket) touchCells(g []lookup, keys [][]byte) {
	for j := range g {
		if f := &g[j]; f.body != nil {
			f.i = page.Branch(f.body).Guess(keys[j])
		}
	}
	var sum byte
	for j := range g {
		if f := &g[j]; f.body != nil {
			sum += page.Branch(f.body).Touch(f.i - 1)
		}
	}
	b.tx.touched += sum
}

// fetch asks for the pages that g has come to, all at once: the memory for those that were verified, and the device first for the others, or
// all while it is slow.
func (t *Tx) fetch(g []lookup) {
	var offs [groupKeys]int64
	var sum byte
	n := 0
	for j := range g {
		f := &g[j]
		no := f.ref.Page()
		switch {
		case f.body == nil || !t.inside(no, 1): // or a dirty page
		case t.cold || !t.verified.has(no):
			offs[n] = int64(no) << t.shift
			n++
		default:
			sum += headSum(t.raw(no, 1))
		}
	}
	if n > 1 {
		_ = t.snap.mapping.WillNeedEach(offs[:n], 1<<t.shift) // a hint: without it they are read one after the other
	}
	if n > 0 {
		begun := time.Now()
		for _, off := range offs[:n] {
			sum += headSum(t.data[off:])
		}
		t.waited += time.Since(begun)
	}
	t.touched += sum
}
