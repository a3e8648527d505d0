package tx

// beginWrite takes the writer lock and starts a transaction on the newest commit.
func (st *Store) beginWrite() (*Tx, error) {
	if st.readOnly {
		return nil, ErrDatabaseReadOnly
	}
	st.mu.Lock()
	t, err := st.startWrite()
	if err != nil {
		st.mu.Unlock()
		return nil, err
	}
	return t, nil
}

func (st *Store) startWrite() (t *Tx, err error) {
	defer st.guard(enter(), &err)
	if st.closed {
		return nil, ErrDatabaseNotOpen
	}
	if err := st.failed(); err != nil {
		return nil, err
	}
	s, w := st.published.Load(), st.w
	if err := w.begin(&s.meta); err != nil {
		return nil, err
	}
	t = &Tx{writable: true, w: w}
	t.init(st, s)
	t.commit++
	return t, nil
}

// abort ends the write transaction t without a trace.
func (t *Tx) abort() {
	if t.done {
		return
	}
	t.w.giveBack()
	t.endWrite()
}

// endWrite gives the writer lock back.
func (t *Tx) endWrite() {
	t.done = true
	t.w.dirty.reset()
	t.store.counts.add(&t.stats)
	t.store.mu.Unlock()
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
func (t *Tx) Rollback() error {
	switch {
	case t.done:
		return ErrTxClosed
	case t.managed:
		return ErrTxManaged
	case t.writable:
		t.abort()
	default:
		t.release()
	}
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
	err := t.guardedCommit()
	if err != nil {
		t.abort()
		return err
	}
	t.endWrite()
	for _, fn := range t.onCommit {
		fn()
	}
	return nil
}

func (t *Tx) guardedCommit() (err error) {
	defer t.exitErr(enter(), &err)
	if t.err != nil {
		return t.err
	}
	if t.w.broken != nil {
		return t.w.broken
	}
	return t.commitChanges()
}
