package tx

import (
	"time"

	"mmdb/mmapfile"
	"mmdb/page"
)

// Tx is a transaction: a view of the whole database at one commit, and, if writable, a set of changes on top
// of it that Commit makes durable as a whole. A Tx and all that comes from it must be used by one goroutine
// at a time. Slices that it returns are valid until it ends, in write transactions too, and must not be written to.
type Tx struct {
	store *Store
	snap  *snapshot
	*region
	writable   bool
	managed    bool // View or Update ends it, and turns faults into errors
	done       bool
	commit     page.Commit // the commit that it reads, or the one that it will be
	err        error       // the first failure of a call without an error result (I13)
	slot       *readerSlot
	readers    *readerTable // that slot is in; a pooled transaction keeps both
	root       Bucket
	buckets    slab[Bucket]
	cursors    slab[Cursor]
	w          *writer // the writer's state; nil in a read transaction
	durability Durability
	base       *group // of a write transaction: the newest group whose changes it sees
	onCommit   []func()
	stats      TxStats
	tidy       bool              // it commits, with a checkpoint, though it changes nothing, see Compact
	freeing    uint64            // pages that the running change has freed with whole trees, see freeTree
	touched    byte              // see touch
	usual      int               // moves that followed the last seek of a cursor; kept when t is used again
	cold       bool              // GetMany waited for the device; kept when t is used again
	waited     time.Duration     // how long its last group did, for what it had asked for
	guard      *mmapfile.Mapping // this transaction's own mapping (Options.Guard)
	asked      []uint64          // a bit for each block of aheadBlock bytes that a scan has asked for; kept when t is used again
}

// A slab hands out objects that are used again when the transaction that owns it is. Beyond a few it
// allocates, so that a pooled transaction stays small.
type slab[T any] struct {
	items []*T
	used  int
}

// slabSize is how many objects a slab keeps.
const slabSize = 16

func (s *slab[T]) next() *T {
	if s.used == len(s.items) {
		if s.used == slabSize {
			return new(T)
		}
		s.items = append(s.items, new(T))
	}
	s.used++
	return s.items[s.used-1]
}

// back takes p back if it was handed out last; else p stays out until s is used again.
func (s *slab[T]) back(p *T) {
	if s.used > 0 && s.items[s.used-1] == p {
		s.used--
	}
}

// init points t at snapshot s. What is as it should be is not stored again: the end of a short transaction waits for all stores.
func (t *Tx) init(st *Store, s *snapshot) {
	t.store, t.snap, t.region, t.root.tx = st, s, &s.region, t
	t.commit, t.done = s.meta.Commit, false
	if t.err != nil {
		t.err = nil
	}
	if t.buckets.used != 0 {
		t.buckets.used = 0
	}
	if t.cursors.used != 0 {
		t.cursors.used = 0
	}
	if t.stats.PagesVerified != 0 { // what a read counts
		t.stats.PagesVerified = 0
	}
	// All else in root is zero: t is new, or was a read transaction, and that changes nothing in it.
	t.root.hdr, t.root.born, t.root.inline = s.meta.Root, s.meta.Commit, s.root
}

// ID returns the number of the commit that a read transaction sees, and for a write transaction the number
// after it.
func (t *Tx) ID() int { return int(t.commit) }

// Writable reports whether t can change the database.
func (t *Tx) Writable() bool { return t.writable }

// Size returns the size of the database in bytes as t sees it: the high water.
func (t *Tx) Size() int64 { return int64(t.limit) << t.shift }

// Err returns the first failure of a call of t that has no error result: Get, cursor moves, iterators. Such a
// call returns nil as it does for what is absent; Err tells the two apart. View, Update and Commit return it too.
func (t *Tx) Err() error { return t.err }

// fail keeps the first error.
func (t *Tx) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// usable returns an error when t has ended.
func (t *Tx) usable() error {
	if t.done {
		return ErrTxClosed
	}
	return nil
}

// mayWrite returns an error when t has ended, failed or is read-only.
func (t *Tx) mayWrite() error {
	switch {
	case t.done:
		return ErrTxClosed
	case !t.writable:
		return ErrTxNotWritable
	case t.w.broken != nil:
		return t.w.broken
	}
	return nil
}

// OnCommit adds a function that runs after t was committed, in the committing goroutine, after all locks are
// released. It does not run when the commit fails, and never in a read transaction.
func (t *Tx) OnCommit(fn func()) {
	if t.writable { // another one may be used again, and would keep fn
		t.onCommit = append(t.onCommit, fn)
	}
}

// Bucket returns the top-level bucket of that name, or nil if there is none. It is valid until t ends.
func (t *Tx) Bucket(name []byte) *Bucket { return t.root.Bucket(name) }

// CreateBucket makes a top-level bucket. See Bucket.CreateBucket.
func (t *Tx) CreateBucket(name []byte) (*Bucket, error) { return t.root.CreateBucket(name) }

// CreateBucketIfNotExists makes a top-level bucket, or returns the one that exists.
func (t *Tx) CreateBucketIfNotExists(name []byte) (*Bucket, error) {
	return t.root.CreateBucketIfNotExists(name)
}

// DeleteBucket deletes a top-level bucket and all in it. See Bucket.DeleteBucket.
func (t *Tx) DeleteBucket(name []byte) error { return t.root.DeleteBucket(name) }

// MoveBucket moves the bucket named child from src to dst, each a bucket of t or nil for the top level.
func (t *Tx) MoveBucket(child []byte, src, dst *Bucket) error {
	if src == nil {
		src = &t.root
	}
	if dst == nil {
		dst = &t.root
	}
	return src.MoveBucket(child, dst)
}

// Cursor returns a cursor over the top-level buckets. Its values are nil.
func (t *Tx) Cursor() *Cursor { return t.root.Cursor() }

// ForEach calls fn for each top-level bucket, in order, until fn returns an error, which it returns.
func (t *Tx) ForEach(fn func(name []byte, b *Bucket) error) error {
	return t.root.ForEach(func(k, _ []byte) error { return fn(k, t.root.Bucket(k)) })
}

// narrow says that addresses have 32 bits.
const narrow = ^uint(0)>>32 == 0

// forget drops what refers to the mapping from t, which goes to a pool. Where addresses are few the Go heap may come to lie where a
// mapping was, and the garbage collector stops the program when it finds a reference to what is no object.
func (t *Tx) forget() {
	t.slot, t.readers, t.root.inline = nil, nil, nil
	for _, c := range t.cursors.items {
		c.key, c.run = nil, nil
		clear(c.p.f[:])
	}
	for _, b := range t.buckets.items {
		b.inline = nil
	}
}

// release ends t: its snapshot may be reclaimed.
func (t *Tx) release() {
	t.done = true
	if t.guard != nil {
		t.dropGuard()
	}
	if t.slot != nil {
		mmapfile.Release(t.slot, 0) // Close looks again, lest this is seen after the next line
		if t.store.closing.Load() {
			t.store.readerGone()
		}
	}
}
