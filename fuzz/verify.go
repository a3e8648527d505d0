package fuzz

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"mmdb"
)

// afterBucket is where a verifier puts its own commit; no operation uses it.
const afterBucket = "after the crash"

// lockTimeout bounds the wait for a lock that somebody forgot.
const lockTimeout = 5 * time.Second

// A verifier opens what a crash left and finds out which state it holds.
type verifier struct {
	options mmdb.Options
	states  []*Model
	sums    []uint64
}

func newVerifier(states []*Model, o mmdb.Options) *verifier {
	o.Timeout = lockTimeout
	v := &verifier{options: o, states: states}
	for _, s := range states {
		v.sums = append(v.sums, s.Sum())
	}
	return v
}

// verify opens the file, checks it and compares it, commits once more, and reads that back after another open. The file must hold
// one of the states that must names; until it has, a further crash may leave those of accept. What verify does to the file, and
// what it may leave after such a crash, goes to rec; the states of that trace are those of v and the one returned.
func (v *verifier) verify(path string, accept, must []int, rec *Recorder) (after *Model, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	rec.Accept(accept...)
	opts := v.options
	opts.Seam = rec.Seam
	db, err := mmdb.Open(path, 0o600, &opts)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	state := 0
	err = db.View(func(tx *mmdb.Tx) error {
		if err := checkClean(tx); err != nil {
			return err
		}
		state, err = v.which(tx, must)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	rec.Accept(state)
	after = v.states[state].Clone()
	rec.Accept(state, len(v.states))
	if err := db.Update(func(tx *mmdb.Tx) error { return touch(tx, after) }); err != nil {
		return nil, errors.Join(fmt.Errorf("the next commit: %w", err), db.Close())
	}
	rec.Accept(len(v.states))
	if err := db.Close(); err != nil {
		return nil, fmt.Errorf("close: %w", err)
	}
	err = viewFile(path, opts, func(tx *mmdb.Tx) error {
		return errors.Join(checkClean(tx), compareSum(tx, after))
	})
	if err != nil {
		return nil, fmt.Errorf("after the next commit: %w", err)
	}
	return after, nil
}

// touch makes the verifier's own change: a counter, and a large value that
// takes some of the free pages.
func touch(tx *mmdb.Tx, m *Model) error {
	b, err := tx.CreateBucketIfNotExists([]byte(afterBucket))
	if err != nil {
		return err
	}
	bm := m.Bucket([]byte(afterBucket))
	if bm == nil {
		if bm, err = m.Create([]byte(afterBucket)); err != nil {
			return err
		}
	}
	for i, n := range []int{20, 9000} {
		key := fmt.Appendf(nil, "%d", bm.Len()+i)
		value := Value(uint32(bm.Len()+7), n)
		if err := errors.Join(b.Put(key, value), bm.Put(key, value)); err != nil {
			return err
		}
	}
	return nil
}

// which finds the accepted state that tx sees.
func (v *verifier) which(tx *mmdb.Tx, accept []int) (int, error) {
	sum, err := databaseSum(tx)
	if err != nil {
		return 0, err
	}
	for _, s := range slices.Backward(accept) {
		if v.sums[s] == sum {
			return s, nil
		}
	}
	if s := slices.Index(v.sums, sum); s >= 0 {
		return 0, mismatch("the database holds state %d, accepted are %v", s, accept)
	}
	err = mismatch("the database holds no state at all, accepted are %v", accept)
	for _, s := range accept {
		err = errors.Join(err, fmt.Errorf("against state %d: %w", s, Compare(tx, v.states[s])))
	}
	return 0, err
}

// open opens a file that nobody writes to and says which state it holds.
func (v *verifier) open(path string, accept []int) (state int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = mismatch("panic: %v", p)
		}
	}()
	opts := v.options
	opts.ReadOnly = true
	err = viewFile(path, opts, func(tx *mmdb.Tx) error {
		if err := checkClean(tx); err != nil {
			return err
		}
		state, err = v.which(tx, accept)
		return err
	})
	return state, err
}
