package tx

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"mmdb/mmapfile"
	"mmdb/page"
)

// Store is an open database: what all its transactions share. It is safe for concurrent use.
type Store struct {
	path     string
	opts     Options
	log      *slog.Logger
	file     *mmapfile.File
	readOnly bool

	// Fixed once the file's meta is known.
	pageSize  int
	shift     uint8
	salt      uint64
	first     page.No // first page after the meta slots
	maxKey    int     // longest key stored in a page
	maxCell   int
	maxInline int // largest inline root, if it is a leaf

	maxInlineBranch int

	published  atomic.Pointer[snapshot] // what new readers see; nil once closed
	showing    atomic.Int32             // published may be ahead of the number that goes with it
	readers    atomic.Pointer[readerTable]
	refreshing sync.Mutex             // held while another process's commit becomes the snapshot
	verified   atomic.Pointer[bitmap] // a failure looks at it without the writer lock
	pool       *sync.Pool             // of *Tx, for View; apart, because the runtime holds on to pools for a while

	metas      []candidate              // the metas, while Open looks at a file that was closed cleanly
	locks      *mmapfile.File           // the database file again, to lock bytes of
	shared     atomic.Pointer[lockFile] // shared with other processes; nil: there are none, or they have not been let in yet
	joinErr    error                    // why the lock file of those who have the database open could not be used; nil: they have left
	joinSince  time.Time                // since when
	queued     atomic.Int32             // goroutines that wait for the writer lock
	compacting atomic.Int32             // calls of Compact at work

	ending  sync.Mutex // held by Close; taken before mu
	closing atomic.Bool
	gone    chan struct{} // tells Close that a reader ended
	failure atomic.Pointer[error]
	counts  counters

	// The flush in progress. Lock order: mu, then flushMu; nothing is held across a flush.
	flushMu     sync.Mutex
	flushing    bool      // somebody leads: the flight is theirs
	waiting     *group    // the open group, if somebody has joined it since the flush began
	waitingSize int       // functions in it
	flushed     sync.Cond // on flushMu: flushing has ended
	reunion     reunion
	window      window
	syncer      syncer
	flight      flight
	seen        bool // a written meta was read back through the mapping

	mu      sync.Mutex // the writer lock: protects all below
	closed  bool       // Close waits for the last readers, or has ended: nothing is begun any more
	mapping *mmapfile.Mapping
	maps    atomic.Pointer[[]retiredMap] // every mapping that is still mapped, the current one last
	w       *writer
	role    role

	pending   *lockFile // of this process alone: others have yet to be let in
	admission *time.Timer
	elders    elders

	memory *firstMemory // that this is part of
}

// Closed returns a database that is closed, and never was open.
func Closed() *Store {
	st := &Store{closed: true, pool: new(sync.Pool)}
	st.closing.Store(true)
	st.readers.Store(newReaderTable())
	return st
}

// lockFile returns the lock file, if it is shared with other processes.
func (st *Store) lockFile() *lockFile { return st.shared.Load() }

// table returns the table of readers.
func (st *Store) table() *readerTable { return st.readers.Load() }

// A retiredMap is a mapping, and the last commit that was published on it (0 while it is the current one).
type retiredMap struct {
	m    *mmapfile.Mapping
	last page.Commit
}

// mappings returns every mapping that a transaction may still read. It is safe at any time.
func (st *Store) mappings() []*mmapfile.Mapping {
	var r []*mmapfile.Mapping
	if p := st.maps.Load(); p != nil {
		for _, m := range *p {
			r = append(r, m.m)
		}
	}
	return r
}

// setPageSize derives what depends on the page size.
func (st *Store) setPageSize(n int) {
	st.pageSize = n
	for st.shift = 0; 1<<st.shift < n; st.shift++ {
	}
	st.first = page.FirstPage(n)
	st.maxKey, st.maxCell, st.maxInline = page.MaxInlineKey(n), page.MaxCell(n), page.MaxInlineBucket(n)
	st.maxInlineBranch = page.MaxInlineBranch(n)
}

// Path returns the path that the database was opened with.
func (st *Store) Path() string { return st.path }

// IsReadOnly reports whether the database can't be changed through st.
func (st *Store) IsReadOnly() bool { return st.readOnly }

// String names the database for messages.
func (st *Store) String() string { return fmt.Sprintf("mmdb.DB<%q>", st.path) }

// fail refuses every later write, with the cause (I7).
func (st *Store) fail(cause error) error {
	err := fmt.Errorf("%w: %w", ErrFailed, cause)
	st.failure.CompareAndSwap(nil, &err)
	st.verified.Load().disable()
	st.shareFailure()
	st.log.Error("mmdb: a flush or meta write failed; writes are refused until the database is reopened", "path", st.path, "cause", cause)
	return *st.failure.Load()
}

// failed returns the error that fail set, or nil.
func (st *Store) failed() error {
	if p := st.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// View calls fn with a read transaction and ends it. Faults of the mapping inside fn become errors. An error of fn,
// or else Tx.Err, is returned. The Tx and what comes from it must not be used after fn returned.
func (st *Store) View(fn func(*Tx) error) (err error) {
	t, _ := st.pool.Get().(*Tx)
	if t == nil {
		t = &Tx{managed: true}
	}
	end := viewEnd{tx: t, old: enter()}
	defer func() {
		if !end.usual {
			st.breakOff(end.tx, end.old, recover(), &err)
		}
	}()
	if err = st.beginRead(t); err == nil {
		if err = fn(t); err == nil {
			err = t.err
		}
		t.release()
	}
	t.detach()
	end.usual = true
	setFault(end.old)
	st.pool.Put(t) // and nobody here uses it any more
	return err
}

// A viewEnd is what the deferred function of a View needs: in one place, because each variable that it caught would be stored twice.
type viewEnd struct {
	tx    *Tx
	old   bool // what enter returned
	usual bool // the View ended by itself
}

// breakOff ends the View whose function panicked with r or, if that is nil, left its goroutine, or which could not begin or end because
// its slot in a lock file that was cut short faults.
func (st *Store) breakOff(t *Tx, old bool, r any, err *error) {
	if r != nil {
		if *err = t.faultOf(st, r); *err != nil {
			r = nil
		}
	}
	if *err == nil {
		*err = t.err
	}
	if t.store != nil && !t.done {
		if cut := st.inReaders(t.release); cut != nil {
			*err, r = cut, nil
		}
	}
	t.detach()
	setFault(old)
	if r != nil { // a bug of the caller's, whatever was read before
		panic(r)
	}
}

// detach drops what t, which goes to a pool, refers to: a pool must not keep a closed store alive.
func (t *Tx) detach() {
	t.store, t.snap, t.region = nil, nil, &nowhere
	if narrow {
		t.forget()
	}
}

// inReaders calls fn, which touches the table of readers, and returns an error if that is in a lock file that was cut short.
func (st *Store) inReaders(fn func()) error {
	if st.lockFile() == nil {
		fn()
		return nil
	}
	return st.inLock(fn)
}

// beginRead starts t as a read transaction on the newest published commit: it takes a slot, names the commit in it,
// and makes sure that this commit was still the newest then. No lock, no allocation.
func (st *Store) beginRead(t *Tx) error {
	for {
		s := st.published.Load()
		if s == nil {
			return ErrDatabaseNotOpen
		}
		slot, n := t.slot, uint64(s.meta.Commit)
		if t.readers != s.readers || !slot.CompareAndSwap(0, n) { // the slot that it had last is as good as any
			var err error
			if slot, err = s.readers.find(n); err != nil {
				return err
			}
			t.slot, t.readers = slot, s.readers
		}
		if s.readers.published.Load() == s.word && st.published.Load() == s {
			t.init(st, s)
			if st.opts.Guard {
				return t.takeGuard()
			}
			return nil
		}
		slot.Store(0)
		if st.closing.Load() {
			st.readerGone()
		}
		if st.lockFile() == nil {
			runtime.Gosched()
		} else if err := st.refresh(); err != nil {
			return err
		}
	}
}

// Begin starts a transaction that the caller ends with Commit or Rollback. A write transaction waits for the one before it.
func (st *Store) Begin(writable bool) (t *Tx, err error) {
	if writable {
		return st.beginWrite(context.Background(), true)
	}
	defer st.guard(enter(), &err)
	t = new(Tx)
	if err := st.beginRead(t); err != nil {
		return nil, err
	}
	return t, nil
}

// Update calls fn with a write transaction and commits it. When fn returns an error or panics, nothing is changed.
// When Update returns nil the changes are durable, unless the commit is Lazy.
func (st *Store) Update(fn func(*Tx) error) error { return st.UpdateContext(context.Background(), fn) }

// UpdateContext is Update, which gives up with ctx's error if ctx ends before fn could begin.
func (st *Store) UpdateContext(ctx context.Context, fn func(*Tx) error) error {
	t, err := st.beginWrite(ctx, false)
	if err != nil {
		return err
	}
	t.managed = true
	if err := t.call(fn); err != nil {
		return bothErrors(err, t.abort())
	}
	return t.finish()
}

// call runs fn, and rolls back if it panics or leaves its goroutine.
func (t *Tx) call(fn func(*Tx) error) (err error) {
	ended := false // fn returned, or a fault became an error
	defer func() {
		if !ended {
			t.abort()
		}
	}()
	defer t.endCall(enter(), &err, &ended)
	err = fn(t)
	ended = true
	return firstError(err, t.err)
}

// endCall ends the function of an Update.
func (t *Tx) endCall(old bool, err *error, ended *bool) {
	setFault(old)
	if r := recover(); r != nil {
		if *err = t.faultError(r); *err == nil {
			panic(r)
		}
		*ended = true
	}
}

// Close waits for all transactions to end and closes the database. Those that would begin meanwhile get ErrDatabaseNotOpen, write
// transactions too. A second Close waits for the first, and does nothing.
func (st *Store) Close() error {
	st.ending.Lock()
	defer st.ending.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return nil
	}
	st.syncer.end()
	st.drain()
	failed := st.endChain()
	st.closed = true
	st.closing.Store(true)
	st.published.Store(nil)
	handed, err := st.awaitReaders()
	if err != nil {
		return firstError(handed, err) // readers may still use the mapping
	}
	st.awaitRefresh()
	st.waitIdle() // for a Sync
	err = st.closeState()
	return firstError(failed, handed, err, st.release())
}

// awaitReaders waits until no read transaction is open. handed is the error of giving the writer's byte back. The caller, who has set closed,
// holds the writer lock, which is free during the wait: a goroutine that asks for a write transaction may have a read transaction to end.
func (st *Store) awaitReaders() (handed, err error) {
	for {
		n, err := st.openReaders()
		if n == 0 || err != nil {
			return handed, err
		}
		st.admit() // other processes do not wait for readers here
		handed = firstError(handed, st.giveRole())
		st.mu.Unlock()
		select {
		case <-st.gone:
		case <-time.After(closeEvery):
		}
		st.mu.Lock()
	}
}

// closeEvery is how often Close looks for readers: the last one may have ended without a word, just when Close began.
const closeEvery = 10 * time.Millisecond

// readerGone wakes Close.
func (st *Store) readerGone() {
	select {
	case st.gone <- struct{}{}:
	default:
	}
}

// release gives back everything that the process holds of the file.
func (st *Store) release() (err error) {
	for _, m := range st.mappings() {
		err = firstError(err, m.Unmap())
	}
	st.maps.Store(nil)
	if v := st.verified.Load(); v != nil {
		v.release()
	}
	if st.w != nil {
		st.w.close()
		st.w = nil
	}
	return firstError(err, st.leave(), st.file.Close())
}

// firstError returns the first that is not nil.
func firstError(errs ...error) error {
	for _, e := range errs {
		if e != nil {
			return e
		}
	}
	return nil
}
