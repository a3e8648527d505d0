package tx

import (
	"mmdb/mmapfile"
	"mmdb/page"
)

// Cursor walks the keys of a bucket in order, in both directions. The key and value that its moves return live as
// Get's do; both are nil when there is no such item, and the value of a nested bucket is nil. After a move past
// either end the cursor stays on the last or first item. It stays valid while its transaction changes the
// bucket: it keeps its place between the keys around it. Of a new cursor, which is not on an item yet, Next goes to the first item and Prev to
// the last.
type Cursor struct {
	b      *Bucket
	p      path
	mods   uint64 // b.mods when p was made
	key    []byte // what at refers to
	sought []byte // memory for key where it is no item's
	run    *frame // the leaf of p while moves inside it need no care: c is on an item, and nothing can change; else nil
	from   int    // the slot that run began with
	passed int    // moves since the last seek, but for those of run
	usual  int    // moves that are expected to follow a seek: as many as followed the one before
	ahead  outlook
	at     cursorState
	gap    bool // p leads to the item after the place; else to the one that the cursor is on
	uses   uint // how often Bucket.Cursor has handed it out
}

type cursorState uint8

const (
	unset    cursorState = iota // not placed yet: Next goes to the first item, Prev to the last
	onItem                      // on the item of key, or where it was
	beforeGE                    // before the first item whose key is at least key
	afterLE                     // after the last item whose key is at most key
	atStart                     // before the first item
	atEnd                       // after the last
	failed                      // a move met damage, or a fault cut it short: p is void
)

// Cursor returns a new cursor over b, not placed on an item.
func (b *Bucket) Cursor() *Cursor {
	if b.parent == nil {
		b.tx.lendRoot()
	}
	c := b.tx.cursors.next()
	c.b, c.at, c.p.n, c.run = b, unset, 0, nil
	c.passed = b.tx.usual
	c.uses++
	return c
}

// finish ends the use of c by an iterator, to which it was handed out when there had been so many uses. An iterator that iter.Pull
// made may end after its View, when c is somebody else's.
func (c *Cursor) finish(uses uint) {
	t := c.b.tx
	if t.done || c.uses != uses {
		return
	}
	c.leave()
	t.cursors.back(c)
}

// Bucket returns the bucket that c walks.
func (c *Cursor) Bucket() *Bucket { return c.b }

// First moves to the first item and returns it.
func (c *Cursor) First() (key, value []byte) {
	if !c.b.tx.managed {
		defer c.b.tx.exit(enter())
	}
	if !c.b.mayRead() || !c.ok(c.start(false)) {
		return nil, nil
	}
	return c.next()
}

// Last moves to the last item and returns it.
func (c *Cursor) Last() (key, value []byte) {
	if !c.b.tx.managed {
		defer c.b.tx.exit(enter())
	}
	if !c.b.mayRead() || !c.ok(c.start(true)) {
		return nil, nil
	}
	return c.prev()
}

// Next moves to the next item and returns it.
func (c *Cursor) Next() (key, value []byte) {
	if f := c.run; f != nil && !c.b.tx.done {
		l, i := f.leafBody(), f.i+1
		if k, v := l.Pair(l.Slot(i)); k != nil {
			f.i = i
			return k, v
		}
		if k, v := c.turn(false); k != nil {
			return k, v
		}
	}
	if !c.b.tx.managed {
		return c.nextGuarded()
	}
	return c.moveNext()
}

// nextGuarded is moveNext in a manual transaction. A function that recovers keeps its results in memory, so it stands apart.
func (c *Cursor) nextGuarded() (key, value []byte) {
	defer c.b.tx.exit(enter())
	return c.moveNext()
}

// moveNext is Next in all cases.
func (c *Cursor) moveNext() (key, value []byte) {
	if !c.b.mayRead() || !c.ok(c.sync(false)) {
		return nil, nil
	}
	return c.next()
}

// Prev moves to the item before and returns it.
func (c *Cursor) Prev() (key, value []byte) {
	if f := c.run; f != nil && !c.b.tx.done {
		l, i := f.leafBody(), f.i-1
		if k, v := l.Pair(l.Slot(i)); k != nil {
			f.i = i
			return k, v
		}
		if k, v := c.turn(true); k != nil {
			return k, v
		}
	}
	if !c.b.tx.managed {
		return c.prevGuarded()
	}
	return c.movePrev()
}

// prevGuarded is movePrev in a manual transaction.
func (c *Cursor) prevGuarded() (key, value []byte) {
	defer c.b.tx.exit(enter())
	return c.movePrev()
}

// movePrev is Prev in all cases.
func (c *Cursor) movePrev() (key, value []byte) {
	if !c.b.mayRead() || !c.ok(c.sync(true)) {
		return nil, nil
	}
	return c.prev()
}

// Seek moves to the first item whose key is at least key and returns it.
func (c *Cursor) Seek(key []byte) (k, v []byte) {
	if !c.b.tx.managed {
		return c.seekGuarded(key)
	}
	return c.moveTo(key)
}

// seekGuarded is Seek in a manual transaction.
func (c *Cursor) seekGuarded(key []byte) (k, v []byte) {
	defer c.b.tx.exit(enter())
	return c.moveTo(key)
}

func (c *Cursor) moveTo(key []byte) (k, v []byte) {
	if !c.b.mayRead() || !c.ok(c.seek(key)) {
		return nil, nil
	}
	k, v = c.next()
	switch {
	case k == nil:
		c.hold(beforeGE, key)
	case c.expecting():
		c.run = c.p.leaf()
		c.from = c.run.i
		c.passed-- // no move has led here
	}
	return k, v
}

// SeekLE moves to the last item whose key is at most key and returns it.
func (c *Cursor) SeekLE(key []byte) (k, v []byte) {
	if !c.b.tx.managed {
		defer c.b.tx.exit(enter())
	}
	if !c.b.mayRead() {
		return nil, nil
	}
	c.leave()
	found, err := c.b.seek(&c.p, key)
	c.placed(beforeGE)
	if !c.ok(err) {
		return nil, nil
	}
	if found {
		return c.next()
	}
	if k, v = c.prev(); k == nil {
		c.hold(afterLE, key)
	}
	return k, v
}

// SeekIndex moves to the item that has i items before it and returns it; nil when there are not so many.
func (c *Cursor) SeekIndex(i uint64) (k, v []byte) {
	if !c.b.tx.managed {
		defer c.b.tx.exit(enter())
	}
	if !c.b.mayRead() || i >= c.b.hdr.Keys || !c.ok(c.seekIndex(i)) {
		return nil, nil
	}
	return c.next()
}

// Rank returns how many items are before the cursor.
func (c *Cursor) Rank() (rank uint64) {
	if !c.b.tx.managed {
		defer c.b.tx.exit(enter())
	}
	if !c.b.mayRead() || c.at == unset || !c.ok(c.sync(false)) {
		return 0
	}
	return c.p.rank()
}

// Delete deletes the item that the cursor is on. The next call of Next returns the item after it, that of Prev
// the one before; if the key is put again first, the cursor is on it. Errors: ErrCursorPosition when the cursor is
// not on an item, ErrIncompatibleValue when the item is a nested bucket, ErrTxNotWritable.
func (c *Cursor) Delete() (err error) {
	if !c.b.tx.managed {
		defer c.b.tx.exitErr(enter(), &err)
	}
	if err := c.b.mayWrite(); err != nil {
		return err
	}
	if c.at == unset {
		return ErrCursorPosition // and Prev still goes to the last item
	}
	if err := c.b.tx.room(); err != nil { // before sync: a spill makes paths void
		return c.b.tx.changed(err)
	}
	if err := c.sync(false); err != nil {
		return c.b.tx.changed(err)
	}
	if c.at != onItem || c.gap {
		return ErrCursorPosition
	}
	f := c.p.leaf()
	if f.leafBody().Kind(f.i) == page.CellBucket {
		return ErrIncompatibleValue
	}
	p := c.p // removing changes the path
	return c.b.tx.changed(c.b.remove(&p))
}

// ok keeps a failure in the transaction.
func (c *Cursor) ok(err error) bool {
	if err != nil {
		c.b.tx.fail(err)
		c.void()
	}
	return err == nil
}

// void notes that p can't be used until it is made anew.
func (c *Cursor) void() {
	if f := c.run; f != nil {
		c.passed += 1 + max(f.i-c.from, c.from-f.i)
		c.run = nil
	}
	c.at = failed
}

// leave is void before c is led elsewhere. What followed the last seek is expected to follow the next one, and the first one of a
// new cursor.
func (c *Cursor) leave() {
	c.void()
	c.usual, c.b.tx.usual = c.passed, c.passed
	c.passed = 0
}

// placed notes that p is fresh, and leads to the item after c's place.
func (c *Cursor) placed(at cursorState) { c.at, c.gap, c.mods, c.ahead = at, true, c.b.mods, outlook{} }

// start places c before the first item, or after the last.
func (c *Cursor) start(last bool) error {
	c.void() // until p is whole
	c.passed, c.usual = 0, endless
	err := c.b.edge(&c.p, last)
	c.placed(atStart)
	if last {
		c.at = atEnd
	}
	return err
}

// hold keeps the place of a move that found nothing, also for when the bucket changes. key is copied.
func (c *Cursor) hold(at cursorState, key []byte) {
	if c.at != failed {
		c.sought = append(c.sought[:0], key...)
		c.key, c.at = c.sought, at
	}
}

// seek places c before the first item whose key is at least key.
func (c *Cursor) seek(key []byte) error {
	c.leave()
	f, err := c.b.seekLeaf(&c.p, key)
	if err == nil {
		l := f.leafBody()
		if c.expecting() { // before the search waits for a key
			f.i = l.Guess(key)
			c.load(f, c.usual, false)
		}
		f.i, _, err = l.Search(key, c.b.tx)
	}
	c.placed(beforeGE)
	return err
}

// fewMoves is how many moves have to be expected for a seek to make ready for them.
const fewMoves = 8

// expecting reports whether a seek makes ready for moves that follow it and need no care.
func (c *Cursor) expecting() bool {
	t := c.b.tx
	return c.usual >= fewMoves && t.managed && !t.writable
}

// sync makes p fresh after the bucket changed, and places an unset cursor at the end that a move comes from.
func (c *Cursor) sync(back bool) error {
	switch {
	case c.at == unset:
		return c.start(back)
	case c.at == failed:
		return c.b.tx.err
	case c.mods == c.b.mods:
		return nil
	}
	if c.at == atStart || c.at == atEnd {
		return c.start(c.at == atEnd)
	}
	at := c.at
	c.void()
	found, err := c.b.seek(&c.p, c.key)
	c.placed(at)
	switch {
	case found && at == onItem:
		c.gap = false
	case found && at == afterLE:
		c.p.leaf().i++
	}
	return err
}

// next moves to the item after c's place.
func (c *Cursor) next() (key, value []byte) {
	f := c.p.leaf()
	i := f.i
	if !c.gap {
		i++
	}
	if i >= f.leafBody().Count() {
		more, err := c.advance(false)
		if !c.ok(err) || !more {
			return nil, nil // p is unchanged: c stays
		}
		f = c.p.leaf()
		i = f.i
		if f.leafBody().Count() == 0 {
			c.ok(page.Corruptf(f.ref.Page(), "empty leaf below a branch"))
			return nil, nil
		}
	}
	f.i = i
	c.scanning(f, false)
	return c.item(f)
}

// advance leads c's path to the next leaf, or the one before.
func (c *Cursor) advance(back bool) (bool, error) {
	at := c.at
	c.void()
	more, err := c.b.advance(&c.p, back)
	c.at = at
	if more && err == nil {
		c.look(back)
	}
	return more, err
}

// prev moves to the item before c's place.
func (c *Cursor) prev() (key, value []byte) {
	f := c.p.leaf()
	if f.i == 0 {
		more, err := c.advance(true)
		if !c.ok(err) || !more {
			return nil, nil
		}
		f = c.p.leaf()
		if f.i == 0 {
			c.ok(page.Corruptf(f.ref.Page(), "empty leaf below a branch"))
			return nil, nil
		}
	}
	f.i--
	c.scanning(f, true)
	return c.item(f)
}

// endless is how many moves a scan from the first item or the last expects.
const endless = 1 << 30

// turn is Next, or Prev, from the last item of a leaf in a run to the next leaf, in the usual case: one that the same branch refers to,
// was verified, and begins with a plain item. It returns nil, and has changed nothing, where moveNext has to tell.
func (c *Cursor) turn(back bool) (key, value []byte) {
	f := c.run
	if c.p.n < 2 {
		return nil, nil
	}
	up := &c.p.f[c.p.n-2]
	branch, at, end := up.branchBody(), up.i+1, f.leafBody().Count()-1
	if back {
		at, end = up.i-1, 0
	}
	if f.i != end || uint(at) >= uint(branch.Count()) {
		return nil, nil
	}
	ref := branch.Child(at)
	body, _, born := c.b.tx.seen(ref.Page(), c.b.hdr.Tree, 0, up.born)
	if body == nil {
		return nil, nil
	}
	l, i := page.Leaf(body), 0
	if back {
		i = l.Count() - 1
	}
	if key, value = l.Pair(l.Slot(i)); key == nil {
		return nil, nil
	}
	c.passed += 1 + max(f.i-c.from, c.from-f.i)
	up.i, c.from = at, i
	f.ref, f.body, f.born, f.i = ref, body, born, i
	c.look(back)
	c.load(f, c.more(), back)
	return key, value
}

// scanning begins a run in leaf f, to which a move from one item to the next, or the one before, has led.
func (c *Cursor) scanning(f *frame, back bool) {
	t := c.b.tx
	if c.at != onItem || c.run != nil || t.writable || !t.managed {
		return
	}
	c.run, c.from = f, f.i
	c.load(f, c.more(), back)
}

// more returns how many moves are expected after the one under way: if there were more than expected already, no end of them.
func (c *Cursor) more() int {
	more := c.usual - c.passed - 1
	if more < 0 && c.passed > 0 {
		more = endless
	}
	return more
}

// load loads what so many moves from the slot of leaf f will come to; if that is most of the leaf, all of it. In one of few large
// cells the processor's own prefetching does better.
func (c *Cursor) load(f *frame, more int, back bool) {
	t := c.b.tx
	l := f.leafBody()
	n := l.Count()
	left := n - 1 - f.i
	if back {
		left = f.i
	}
	if more > left {
		c.touchNext(back)
		more = left
	}
	switch {
	case n < len(f.body)/(4*cacheLine):
	case more > n/2:
		t.touchLeaf(l)
	case back:
		t.touched += l.Touch(f.i-more, f.i)
	default:
		t.touched += l.Touch(f.i+1, f.i+1+more)
	}
}

// prefetchMax is how many bytes of a leaf are worth asking for: one of the usual size.
const prefetchMax = 4096

// touchNext asks for the leaf that the scan comes to next, if that was in memory not long ago.
func (c *Cursor) touchNext(back bool) {
	if c.p.n < 2 {
		return
	}
	t, up := c.b.tx, &c.p.f[c.p.n-2]
	i := up.i + 1
	if back {
		i = up.i - 1
	}
	if uint(i) >= uint(up.branchBody().Count()) {
		return
	}
	if no := up.branchBody().Child(i).Page(); t.inside(no, 1) && t.verified.has(no) {
		b := t.raw(no, 1)
		if mmapfile.Prefetches {
			mmapfile.Prefetch(b[:min(len(b), prefetchMax)])
			return
		}
		t.touched += b[0]
		t.touchHead(page.Body(b))
	}
}

// item returns the item at f, which c is now on.
func (c *Cursor) item(f *frame) (key, value []byte) {
	l := f.leafBody()
	if !c.b.tx.writable {
		if k, v, ok := l.Item(f.i); ok { // the usual case
			c.key, c.at, c.gap = k, onItem, false
			return k, v
		}
	}
	key, err := c.b.keyAt(f, f.i)
	if err == nil {
		value, err = c.b.value(l.Kind(f.i), l.Payload(f.i), f.ref)
	}
	if !c.ok(err) {
		return nil, nil
	}
	c.key, c.at, c.gap = key, onItem, false
	return key, value
}
