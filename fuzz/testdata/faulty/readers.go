package main

import (
	"bufio"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mmdb"
)

// readAlways reads in every way, and writes, while somebody else cuts the file, until a line comes on standard input. Errors are what
// should happen then, as long as they say that the file is damaged: the process must live, and say so.
func readAlways(path string) {
	db := open(path)
	n, state := found(db), model{}
	for i := 1; i <= n; i++ {
		state.change(i)
	}
	var stop atomic.Bool
	var sound, failed atomic.Uint64
	note := func(err error) {
		switch {
		case err == nil:
			sound.Add(1)
		case errors.Is(err, mmdb.ErrCorrupt):
			failed.Add(1)
		default:
			bad("not an error of a damaged file: %v", err)
		}
	}
	var wg sync.WaitGroup
	for _, read := range []func(){
		func() { note(db.View(func(tx *mmdb.Tx) error { return state.compare(tx, n) })) },
		func() { note(manually(db, state)) },
		func() { note(manually(db, state)) },
		func() { note(cursors(db)) },
		func() { _ = db.Update(func(tx *mmdb.Tx) error { return errors.Join(apply(tx, n+1), errGaveUp) }) },
	} {
		wg.Go(func() {
			for last := false; !last; { // the last one begins when all cuts are made
				last = stop.Load()
				read()
			}
		})
	}
	for sound.Load() < 10 { // a slow machine has not read it yet
		time.Sleep(time.Millisecond)
	}
	say("opened %d", n)
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	stop.Store(true)
	wg.Wait()
	_ = db.Close() // it may well fail
	say("%d sound, %d damaged", sound.Load(), failed.Load())
}

var errGaveUp = errors.New("gave up")

// manually reads in a transaction from Begin, through accessors that have no error: none of them may panic or lie. It does not look into the
// values: that would be this program's own fault.
func manually(db *mmdb.DB, state model) error {
	tx, err := db.Begin(false)
	if err != nil {
		return err
	}
	top := tx.Bucket([]byte(bucket))
	for key, e := range state {
		b, k := top, []byte(key)
		if rest, ok := strings.CutPrefix(key, nested); ok && b != nil {
			b, k = b.Bucket([]byte(nested)), []byte(rest)
		}
		if b == nil {
			break
		}
		if v := b.Get(k); tx.Err() == nil && len(v) != len(value(key, e)) {
			bad("key %q has %d bytes, want %d", key, len(v), len(value(key, e)))
		}
	}
	if tx.Err() == nil && top == nil {
		bad("no bucket, and no error")
	}
	return errors.Join(tx.Err(), tx.Rollback())
}

// cursors walks back and forth.
func cursors(db *mmdb.DB) error {
	tx, err := db.Begin(false)
	if err != nil {
		return err
	}
	if b := tx.Bucket([]byte(bucket)); b != nil {
		c := b.Cursor()
		for k, _ := c.Last(); k != nil; k, _ = c.Prev() {
			c.Seek(k)
		}
		b.CountRange(nil, nil)
		b.GetMany([][]byte{[]byte(mark), []byte("huge"), []byte("small 001")}, nil)
	}
	return errors.Join(tx.Err(), tx.Rollback())
}
