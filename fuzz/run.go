package fuzz

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"mmdb"
)

// errUndo is what a managed function returns to be rolled back.
var errUndo = errors.New("fuzz: roll back")

// An Observer is told where the commits of a run begin and end. States are
// numbered from 0, the empty database.
type Observer interface {
	Started(state int)             // the commit of this state may reach the disk from now on
	Acked(state int)               // the database promised that it is there
	Found(state int)               // an open database holds this one and nothing newer
	Copied(path string, state int) // CopyFile promised that path holds it
}

// A Runner runs operations on a database and on the model, and compares the
// answers. It is used by one goroutine.
type Runner struct {
	Path     string
	Options  mmdb.Options // given to every Open
	Observer Observer     // may be nil
	Full     bool         // compare everything at OpVerify, OpReopen and Close
	States   []*Model     // what each commit holds; States[0] is empty

	db      *mmdb.DB
	acked   int // newest state that the database promised
	readers []reader
	held    []heldSlice
	copies  int
}

// A reader is an open read transaction and what it must see until its end.
type reader struct {
	tx    *mmdb.Tx
	model *Model
}

// A heldSlice is a slice that the database returned and the bytes it had then
// (invariant I2).
type heldSlice struct{ slice, copy []byte }

// DB returns the open database, nil when there is none.
func (r *Runner) DB() *mmdb.DB { return r.db }

// Acked returns the number of the newest state that was promised.
func (r *Runner) Acked() int { return r.acked }

// Open opens the database. A new one holds States[0].
func (r *Runner) Open() error {
	if r.States == nil {
		r.States = []*Model{{}}
	}
	opts := r.Options
	db, err := mmdb.Open(r.Path, 0o600, &opts)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	r.db = db
	if r.Observer != nil {
		r.Observer.Found(r.acked)
	}
	return nil
}

// Recover opens the database after a failure and finds out which of the
// states since the last promised one it holds.
func (r *Runner) Recover() error {
	opts := r.Options
	db, err := mmdb.Open(r.Path, 0o600, &opts)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	r.db = db
	first := r.acked
	v := newVerifier(r.States[first:], opts)
	accept := make([]int, len(v.states))
	for i := range accept {
		accept[i] = i
	}
	return db.View(func(tx *mmdb.Tx) error {
		s, err := v.which(tx, accept)
		if err != nil {
			return err
		}
		r.acked = first + s
		if r.Observer != nil {
			r.Observer.Found(r.acked)
		}
		return checkClean(tx)
	})
}

// Run opens the database if need be and runs all ops, which are cut into
// transactions at the operations that end one.
func (r *Runner) Run(ops []Op) error {
	if r.db == nil {
		if err := r.Open(); err != nil {
			return err
		}
	}
	for len(ops) > 0 {
		body, end, rest := Cut(ops)
		if err := r.Transaction(body, end); err != nil {
			return err
		}
		ops = rest
	}
	return nil
}

// Cut splits the first transaction off ops: its operations and the one that
// ends it, a commit when the list ends without one.
func Cut(ops []Op) (body []Op, end Op, rest []Op) {
	for i, o := range ops {
		if o.Kind >= OpCommit && o.Kind != OpReader {
			return ops[:i], o, ops[i+1:]
		}
	}
	return ops, Op{Kind: OpCommit}, nil
}

// Transaction runs one transaction and what its end asks for. An error that
// does not wrap ErrMismatch came from the database.
func (r *Runner) Transaction(body []Op, end Op) error {
	var err error
	switch {
	case end.Kind == OpRollback:
		err = r.rollback(body, end.N)
	case end.N%32 == 1: // rarely: Batch waits for company
		err = r.managed(body, end.N, r.db.Batch)
	case end.N%4 == 2:
		err = r.manual(body, (*mmdb.Tx).Commit)
	default:
		err = r.managed(body, end.N, r.db.Update)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", end, err)
	}
	if err := r.after(end); err != nil {
		return fmt.Errorf("%s: %w", end, err)
	}
	return nil
}

// after does what an operation asks for once its transaction has ended.
func (r *Runner) after(end Op) error {
	switch end.Kind {
	case OpSync:
		return r.db.Sync()
	case OpCopy:
		return r.copyFile()
	case OpCompact:
		_, err := r.db.Compact(context.Background(), mmdb.CompactOptions{})
		return err
	case OpReopen:
		if err := r.Close(); err != nil {
			return err
		}
		if err := r.Open(); err != nil {
			return err
		}
		return r.Verify(r.Full)
	case OpVerify:
		return r.Verify(r.Full)
	}
	return nil
}

// managed commits body through Update or Batch.
func (r *Runner) managed(body []Op, n int, update func(func(*mmdb.Tx) error) error) error {
	var state int
	err := update(func(tx *mmdb.Tx) error {
		m := r.States[r.acked].Clone()
		if err := r.body(tx, m, body); err != nil {
			return err
		}
		state = r.start(m)
		return nil
	})
	if err != nil {
		return err
	}
	r.ack(state)
	return nil
}

// manual commits body, or rolls it back, through Begin.
func (r *Runner) manual(body []Op, end func(*mmdb.Tx) error) error {
	tx, err := r.db.Begin(true)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	m := r.States[r.acked].Clone()
	if err := r.body(tx, m, body); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	state := r.start(m)
	if err := tx.Commit(); err != nil {
		return err
	}
	r.ack(state)
	if err := tx.Rollback(); !errors.Is(err, mmdb.ErrTxClosed) {
		return mismatch("Rollback after Commit: %v, want ErrTxClosed", err)
	}
	return nil
}

// rollback runs body and undoes it in one of three ways.
func (r *Runner) rollback(body []Op, n int) (err error) {
	undo := func(tx *mmdb.Tx) error {
		if err := r.body(tx, r.States[r.acked].Clone(), body); err != nil {
			return err
		}
		if n%3 == 2 {
			panic(errUndo)
		}
		return errUndo
	}
	if n%3 == 0 {
		tx, err := r.db.Begin(true)
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		err = undo(tx)
		if err == errUndo {
			err = nil
		}
		return errors.Join(err, tx.Rollback())
	}
	defer func() {
		if p := recover(); p != nil {
			if p != errUndo {
				panic(p)
			}
			err = nil
		}
	}()
	if err := r.db.Update(undo); !errors.Is(err, errUndo) {
		return fmt.Errorf("update that fails: %w", err)
	}
	return nil
}

func (r *Runner) start(m *Model) int {
	r.States = append(r.States, m)
	state := len(r.States) - 1
	if r.Observer != nil {
		r.Observer.Started(state)
	}
	return state
}

func (r *Runner) ack(state int) {
	r.acked = state
	if r.Observer != nil {
		r.Observer.Acked(state)
	}
}

// body runs operations in tx and compares.
func (r *Runner) body(tx *mmdb.Tx, m *Model, ops []Op) error {
	r.held = r.held[:0]
	for i, o := range ops {
		if err := r.op(tx, m, o); err != nil {
			return fmt.Errorf("operation %d, %s: %w", i, o, err)
		}
	}
	for _, h := range r.held {
		if !bytes.Equal(h.slice, h.copy) {
			return mismatch("a slice changed before its transaction ended: %s, was %s", shortValue(h.slice), shortValue(h.copy))
		}
	}
	return tx.Err()
}

// hold remembers a slice until the transaction ends.
func (r *Runner) hold(b []byte) {
	if len(b) > 0 && len(r.held) < 1000 {
		r.held = append(r.held, heldSlice{b, bytes.Clone(b)})
	}
}

// Verify compares a new read transaction with the newest promised state, by
// a hash or in full, and checks the whole file.
func (r *Runner) Verify(full bool) error {
	return r.db.View(func(tx *mmdb.Tx) error {
		if err := checkClean(tx); err != nil {
			return err
		}
		if full {
			return Compare(tx, r.States[r.acked])
		}
		return compareSum(tx, r.States[r.acked])
	})
}

// compareSum compares by hash, and in full when it differs, to say where.
func compareSum(tx *mmdb.Tx, m *Model) error {
	sum, err := databaseSum(tx)
	if err != nil {
		return err
	}
	if sum == m.Sum() {
		return nil
	}
	if err := Compare(tx, m); err != nil {
		return err
	}
	return mismatch("the hash differs, but no way to read does")
}

// reader ends the oldest read transaction, or opens one more.
func (r *Runner) reader(n int) error {
	if len(r.readers) > 0 && (n%2 == 0 || len(r.readers) == 3) {
		return r.endReader()
	}
	tx, err := r.db.Begin(false)
	if err != nil {
		return fmt.Errorf("begin reader: %w", err)
	}
	r.readers = append(r.readers, reader{tx, r.States[r.acked]})
	return nil
}

// endReader compares what the oldest reader sees with what it must, and ends it.
func (r *Runner) endReader() error {
	rd := r.readers[0]
	r.readers = r.readers[1:]
	err := compareSum(rd.tx, rd.model)
	if err != nil {
		err = fmt.Errorf("old reader: %w", err)
	}
	return errors.Join(err, rd.tx.Rollback())
}

// copyFile copies the database and compares the copy.
func (r *Runner) copyFile() error {
	name := filepath.Join(filepath.Dir(r.Path), fmt.Sprintf("copy%d", r.copies))
	r.copies++
	err := r.db.View(func(tx *mmdb.Tx) error { return tx.CopyFile(name, 0o600) })
	if err != nil {
		return fmt.Errorf("CopyFile: %w", err)
	}
	if r.Observer != nil {
		r.Observer.Copied(name, r.acked)
	}
	return viewFile(name, mmdb.Options{ReadOnly: true}, func(tx *mmdb.Tx) error {
		return errors.Join(checkClean(tx), compareSum(tx, r.States[r.acked]))
	})
}

// viewFile opens a database, gives a read transaction to f, and closes it.
func viewFile(path string, opts mmdb.Options, f func(*mmdb.Tx) error) error {
	db, err := mmdb.Open(path, 0o600, &opts)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	return errors.Join(db.View(f), db.Close())
}

// Close ends the readers and closes the database.
func (r *Runner) Close() error {
	var err error
	for len(r.readers) > 0 {
		err = errors.Join(err, r.endReader())
	}
	if r.db != nil {
		err = errors.Join(err, r.db.Close())
	}
	r.db = nil
	return err
}
