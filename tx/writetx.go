package tx

import (
	"context"
	"errors"
)

// beginWrite takes the writer lock and starts a transaction on top of all that ran before. One that is alone in its commit
// waits until that is published.
func (st *Store) beginWrite(ctx context.Context, alone bool) (*Tx, error) {
	if st.readOnly {
		return nil, ErrDatabaseReadOnly
	}
	st.queued.Add(1)
	err := st.lock(ctx)
	st.queued.Add(-1)
	if err != nil {
		return nil, err
	}
	t, held, err := st.startWrite(ctx, alone)
	if err != nil && held {
		st.mu.Unlock()
	}
	return t, err
}

// lock takes the writer lock, or gives up when ctx ends.
func (st *Store) lock(ctx context.Context) error {
	if ctx.Done() == nil {
		st.mu.Lock()
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if st.mu.TryLock() {
		return nil
	}
	got := make(chan struct{})
	go func() {
		st.mu.Lock()
		select {
		case got <- struct{}{}:
		case <-ctx.Done():
			st.mu.Unlock()
		}
	}()
	select {
	case <-got:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// startWrite starts a transaction for a caller that holds the writer lock. After an error held says whether the caller still does.
func (st *Store) startWrite(ctx context.Context, alone bool) (t *Tx, held bool, err error) {
	held = true
	defer st.guard(enter(), &err)
	if st.closed {
		return nil, held, ErrDatabaseNotOpen
	}
	if st.failedAnywhere() {
		return nil, held, st.failed()
	}
	if held, err = st.takeTurn(ctx, alone); err != nil {
		return nil, held, err
	}
	if err := firstError(st.failed(), ctx.Err()); err != nil {
		return nil, held, err
	}
	st.w.unmapRetired()
	if err := st.w.beginFunction(); err != nil {
		return nil, held, err
	}
	return st.newWriteTx(), held, nil
}

// takeTurn waits until a write transaction may begin: until this process is the writer, and the open group has room for it, or
// is published if it is to be alone.
func (st *Store) takeTurn(ctx context.Context, alone bool) (held bool, err error) {
	if st.turnIsOver() {
		if held, err := st.lendLock(ctx, st.handOver); err != nil {
			return held, err
		}
	}
	if err := st.takeRole(ctx); err != nil {
		return true, err
	}
	if !alone && (st.w.group == nil || st.w.dirty.live < min(groupMax, st.opts.MaxDirty/2)) {
		return true, nil
	}
	return st.lendLock(ctx, func() error { st.drain(); return nil })
}

// lendLock calls fn, which waits under the writer lock, for the caller, who holds that. When ctx ends first, lendLock returns its error: fn,
// which may be about to publish what others wait for, goes on, and the lock is given back after it, so the caller does not hold it any more.
func (st *Store) lendLock(ctx context.Context, fn func() error) (held bool, err error) {
	if ctx.Done() == nil {
		return true, fn()
	}
	done := make(chan error)
	go func() {
		err := func() (err error) {
			defer st.guard(enter(), &err)
			return fn()
		}()
		select {
		case done <- err:
		case <-ctx.Done():
			st.mu.Unlock()
		}
	}()
	select {
	case err := <-done:
		return true, err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// newWriteTx returns a transaction on top of all that ran before.
func (st *Store) newWriteTx() *Tx {
	w := st.w
	t := &Tx{writable: true, w: w, base: w.last, durability: st.opts.Durability}
	t.init(st, w.tip)
	t.lendRoot()
	t.commit++
	if g := w.group; g != nil {
		t.base = g
		t.commit = g.last + 1
		t.root.hdr, t.root.born, t.root.inline = g.root, g.last, g.body
	}
	return t
}

// abort ends the write transaction t without a trace, and waits until what it has read is published: nobody acts on what
// may not be. The error is of that.
func (t *Tx) abort() error {
	if t.done {
		return nil
	}
	w := t.w
	if !t.store.sabotaged(BugKeepFailed) {
		w.giveBack(w.mark)
	}
	if w.group == nil {
		w.dirty.reset()
	} else {
		w.dirty.dropChanges()
	}
	err := t.leave()
	t.store.offerRole()
	return err
}

// leave ends t, which has no part in the open group, and waits until what it has read is published.
func (t *Tx) leave() error {
	t.endWrite()
	t.store.mu.Unlock()
	if t.base == nil || t.store.sabotaged(BugLeaveEarly) {
		return nil
	}
	return t.store.await(t.base)
}

// endWrite makes t unusable. The writer lock is still to be given back.
func (t *Tx) endWrite() {
	t.done = true
	t.store.counts.add(&t.stats)
	if narrow { // see Tx.forget
		clear(t.w.finger.path.f[:])
	}
}

// changed passes on the error of a change. One that is no misuse has left the change half done: then the transaction
// can only be rolled back.
func (t *Tx) changed(err error) error {
	switch err {
	case nil, ErrBucketExists, ErrBucketNotFound, ErrIncompatibleValue, ErrSameBuckets:
		return err
	}
	if t.w.broken == nil {
		t.w.broken = err
	}
	t.fail(err)
	return err
}

// Rollback ends t. Changes of a write transaction are dropped. Errors: ErrTxClosed, ErrTxManaged.
func (t *Tx) Rollback() (err error) {
	switch {
	case t.done:
		return ErrTxClosed
	case t.managed:
		return ErrTxManaged
	case t.writable:
		return t.abort()
	}
	defer t.store.guard(enter(), &err)
	t.release()
	return nil
}

// Commit makes the changes of t durable, all or none, and ends t. Errors: ErrTxNotWritable, ErrTxClosed, ErrTxManaged,
// Tx.Err's, ErrMaxSizeReached, ErrFailed and the system's.
func (t *Tx) Commit() error {
	switch {
	case t.done:
		return ErrTxClosed
	case t.managed:
		return ErrTxManaged
	case !t.writable:
		return ErrTxNotWritable
	}
	return t.finish()
}

// finish commits t, or drops it if that fails, and runs the OnCommit functions.
func (t *Tx) finish() error {
	if err := t.commitChanges(); err != nil {
		return err
	}
	t.store.offerRole()
	for _, fn := range t.onCommit {
		fn()
	}
	return nil
}

// commitChanges makes the changes of t durable, with the group that it joins, and ends t.
func (t *Tx) commitChanges() error {
	st := t.store
	changed, err := t.join()
	switch {
	case err != nil:
		return bothErrors(err, t.abort())
	case !changed:
		return t.leave()
	}
	g := st.w.group
	t.endWrite()
	lead := st.tryLead(true)
	for ; !lead && st.w.spilled; lead = st.tryLead(true) {
		st.waitIdle() // its pages carry the number of the commit already: it is the last of its group
	}
	if lead {
		return st.sealAndFlush(nil, true)
	}
	st.mu.Unlock()
	if st.sabotaged(BugAckEarly) {
		go st.await(g)
		return nil
	}
	return st.await(g)
}

// join makes the changes of t part of the open group, and reports whether there were any.
func (t *Tx) join() (changed bool, err error) {
	defer t.exitErr(enter(), &err)
	st, w := t.store, t.w
	if err := firstError(t.err, w.broken, st.failed()); err != nil {
		return false, err
	}
	if t.root.changed() {
		if err := t.carry(); err != nil {
			return false, err
		}
	}
	if err := t.root.fold(true); err != nil {
		return false, err
	}
	t.root.moveIn()
	if !t.root.dirty && !t.tidy && len(w.taken) == w.mark.taken {
		return false, nil
	}
	g := w.group
	durable := t.durability == Durable || g != nil && g.durable || w.overdue()
	checkpoint := t.tidy || w.checkpointDue(!durable)
	if err := t.secureSpace(checkpoint); err != nil {
		return false, err
	}
	if g == nil {
		g = st.newGroup()
	}
	g.size++
	g.last, g.root, g.checkpoint = t.commit, t.root.hdr, checkpoint
	g.body = g.buf[:copy(g.buf[:], t.root.inline)]
	g.durable = durable
	g.reserve = g.reserve || w.limit() > 0 && w.growing() != growsMuch
	w.group = g
	w.dirty.keepChanges()
	return true, nil
}

// secureSpace makes sure that the open group will find its places in the file with t in it, so that a full disk or database
// fails only the function that was too much (I7). Where there is plenty nothing needs to be tried.
func (t *Tx) secureSpace(checkpoint bool) error {
	w := t.w
	pages := uint64(w.dirty.used() >> t.shift)
	space := w.mostRecordSpace(checkpoint, pages)
	need := pages + uint64(space)
	limit, high := w.limit(), w.space.HighWater()
	if limit == 0 || w.room(limit) >= need+w.reserve(limit) {
		tail := uint64(w.fileSize>>t.shift) - uint64(high)
		if tail >= need || w.dirty.runs == 0 && w.space.FreePages()+tail >= need && (tail >= uint64(space) || w.space.HasRun(uint64(space))) {
			return nil // single pages fit anywhere, and there is a place for the record
		}
	}
	w.gather(t.root.hdr, t.root.inline)
	before := len(w.taken)
	w.growth = w.growing()
	_, err := w.place(append(w.lens, space))
	w.growth = growsMuch
	if err != nil {
		return err
	}
	w.untake(before, high)
	w.gathered = true
	return nil
}

// bothErrors joins the error of a function and the one of the state that it has read.
func bothErrors(err, base error) error {
	if base == nil {
		return err
	}
	return errors.Join(err, base)
}
