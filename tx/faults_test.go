//go:build unix

package tx

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mmdb/mmapfile"
	"mmdb/page"
)

// A file that somebody else cuts short while it is open makes reads of the mapping fault: inside View, Update and
// every accessor that is an error.

// cutStore opens a database of some hundred pages, of which nothing has been read yet.
func cutStore(t *testing.T, o *Options) *Store {
	t.Helper()
	path, _ := makeFile(t, 6000, nil)
	st, err := Open(path, 0o600, o)
	noError(t, err)
	t.Cleanup(func() { st.Close() }) // of a file that was cut, it may fail
	return st
}

// cut leaves only the first pages of the file.
func cut(t *testing.T, st *Store, pages int64) {
	t.Helper()
	noError(t, os.Truncate(st.Path(), pages*int64(st.pageSize)))
}

func TestFileCutUnderView(t *testing.T) {
	for _, warm := range []bool{false, true} {
		for _, o := range []*Options{nil, {ReadOnly: true}} {
			st := cutStore(t, o)
			if warm { // all pages verified
				wantKeys(t, st, 6000)
			}
			cut(t, st, 12)
			for name, read := range map[string]func(tx *Tx) error{
				"get":    func(tx *Tx) error { return keysAre(tx, 6000) },
				"cursor": func(tx *Tx) error { tx.Bucket([]byte("b")).Cursor().Last(); return nil },
				"range":  func(tx *Tx) error { any2(tx.Bucket([]byte("b")).Range(testKey(70), nil)); return nil },
				"write":  func(tx *Tx) error { _, err := tx.WriteTo(io.Discard); return err },
				"copy":   func(tx *Tx) error { return tx.CopyFile(filepath.Join(t.TempDir(), "copy"), 0o600) },
				"info":   func(tx *Tx) error { tx.Info(); return nil },
			} {
				err := st.View(func(tx *Tx) error {
					if err := read(tx); err != nil {
						return err
					}
					return tx.Err()
				})
				if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "page") || !strings.Contains(err.Error(), "cut short") {
					t.Errorf("%s (warm %v): %v", name, warm, err)
				}
			}
			if n := st.Stats().OpenReaders; n != 0 {
				t.Error(n, "readers stay open")
			}
			noError(t, st.Close())
		}
	}
}

func TestFileCutUnderASliceInView(t *testing.T) {
	st := cutStore(t, nil)
	sum := 0
	err := st.View(func(tx *Tx) error {
		v := tx.Bucket([]byte("b")).Get(testKey(3000))
		cut(t, st, 12)
		for _, c := range v {
			sum += int(c)
		}
		return nil
	})
	wantError(t, err, ErrCorrupt, "page", "cut short")
	if sum != 0 {
		t.Error("read", sum)
	}
}

func TestFileCutUnderUpdate(t *testing.T) {
	st := cutStore(t, nil)
	wantKeys(t, st, 6000)
	cut(t, st, 12)
	for range 3 { // the writer lock is given back each time
		err := st.Update(func(tx *Tx) error { return putInto(tx, 100, 200) })
		wantError(t, err, ErrCorrupt, "page", "cut short")
		if errors.Is(err, ErrFailed) {
			t.Error("reading is not a flush:", err)
		}
	}
	noError(t, st.Close())
}

// While a write transaction is under way, the same: it can't be committed.
func TestFileCutInsideAWriteTransaction(t *testing.T) {
	st := cutStore(t, nil)
	tx, err := st.Begin(true)
	noError(t, err)
	b := tx.Bucket([]byte("b"))
	noError(t, b.Put(testKey(1), []byte("new")))
	cut(t, st, 12)
	wantError(t, b.Put(testKey(5000), []byte("new")), ErrCorrupt)
	if string(b.Get(testKey(1))) != "new" { // this page is in memory
		t.Error("own change")
	}
	wantError(t, tx.Commit(), ErrCorrupt)
	wantError(t, tx.Rollback(), ErrTxClosed)
}

func TestFileCutUnderAccessors(t *testing.T) {
	st := cutStore(t, nil)
	admitted(st) // the root bucket is in the file from now on
	begin := func() (*Tx, *Bucket, *Cursor) {
		tx, err := st.Begin(false)
		noError(t, err)
		b := tx.Bucket([]byte("b"))
		c := b.Cursor()
		c.SeekIndex(3000)
		return tx, b, c
	}
	first, b, c := begin()
	cut(t, st, 12)
	_ = first.Rollback()
	names := make([]string, 0, 64)
	for name := range readCalls(first, b, c) {
		names = append(names, name)
	}
	for name := range readErrors(first, b, "") {
		names = append(names, name)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) { accessorFaults(t, st, name) })
	}
	if n := st.Stats().OpenReaders; n != 0 {
		t.Error(n, "readers stay open")
	}
}

// accessorFaults makes one call in a transaction of its own, on a file that is cut off behind its metas.
func accessorFaults(t *testing.T, st *Store, name string) {
	// A fault that gets through would end the process: so it is a panic, and the test can say which call it was.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("the fault got through: %v", r)
		}
	}()
	tx, err := st.Begin(false)
	noError(t, err)
	defer func() { noError(t, tx.Rollback()) }()
	cell := page.Leaf(tx.snap.meta.Body.Bytes()).Payload(0)
	b := &Bucket{tx: tx, hdr: page.DecodeBucket(cell), inline: cell[page.BucketHeaderSize:], born: tx.snap.meta.Commit}
	c := b.Cursor()
	switch call := readCalls(tx, b, c)[name]; {
	case call == nil:
		err = readErrors(tx, b, filepath.Join(t.TempDir(), "copy"))[name]()
	case name == "Bucket.Cursor.Rank", name == "Cursor.Next", name == "Tx.Info": // not placed: nothing to read; Info has figures of its own
		call()
		return
	case call():
		t.Error("gives something")
		return
	default:
		err = tx.Err()
	}
	wantError(t, err, ErrCorrupt, "page", "cut short")
}

func TestCheckOfACutFileIsAnError(t *testing.T) {
	st := cutStore(t, nil)
	cut(t, st, 40)
	for _, managed := range []bool{true, false} {
		n := 0
		count := func(tx *Tx) {
			for err := range tx.Check() {
				if !errors.Is(err, ErrCorrupt) {
					t.Error(err)
				}
				n++
			}
		}
		if managed {
			noError(t, st.View(func(tx *Tx) error { count(tx); return nil }))
		} else {
			tx, err := st.Begin(false)
			noError(t, err)
			count(tx)
			noError(t, tx.Rollback())
		}
		if n == 0 {
			t.Error("no problem found")
		}
	}
}

func TestFileCutUnderManyReaders(t *testing.T) {
	st := cutStore(t, nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				err := st.View(func(tx *Tx) error { return keysAre(tx, 6000) })
				if errors.Is(err, ErrCorrupt) {
					return
				}
				if err != nil {
					t.Error(err)
				}
			}
			t.Error("no error in a cut file")
		})
	}
	wantKeys(t, st, 6000)
	cut(t, st, 30)
	wg.Wait()
}

// isFault reports whether the recovered value is that of a fault.
func isFault(r any) bool {
	_, ok := mmapfile.FaultAddr(r)
	return ok
}

// A caller that writes to a slice has a bug: that stays a panic, and does no harm.
func TestWriteThroughASliceIsAPanic(t *testing.T) {
	path, img := makeFile(t, 500, nil)
	st := openStore(t, path, nil)
	write := func(tx *Tx) error {
		tx.Bucket([]byte("b")).Get(testKey(7))[0] = 'X'
		return nil
	}
	for name, call := range map[string]func() error{
		"View":   func() error { return st.View(write) },
		"Update": func() error { return st.Update(write) },
	} {
		func() {
			defer func() {
				if r := recover(); !isFault(r) {
					t.Errorf("%s: panic %v", name, r)
				}
			}()
			t.Errorf("%s: %v", name, call())
		}()
	}
	for _, writable := range []bool{false, true} {
		tx, err := st.Begin(writable)
		noError(t, err)
		func() {
			defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
			defer func() {
				if r := recover(); !isFault(r) {
					t.Errorf("Begin(%v): panic %v", writable, r)
				}
			}()
			_ = write(tx)
		}()
		noError(t, tx.Rollback())
	}
	if n := st.Stats().OpenReaders; n != 0 {
		t.Error(n, "readers stay open")
	}
	wantBytes(t, path, img)
	noError(t, putKeys(st, 500, 510))
	wantKeys(t, st, 510)
}

func TestPanicsGoThrough(t *testing.T) {
	path, img := makeFile(t, 100, nil)
	st := openStore(t, path, nil)
	var nilBucket *page.Header
	for name, fn := range map[string]func(*Tx) error{
		"value": func(tx *Tx) error { _ = putIfWritable(tx); panic("mine") },
		"nil":   func(tx *Tx) error { _ = putIfWritable(tx); return errors.New(nilBucket.Kind.String()) },
	} {
		for _, call := range []func(func(*Tx) error) error{st.View, st.Update} {
			func() {
				defer func() {
					if r := recover(); r == nil {
						t.Error(name, ": no panic")
					}
				}()
				t.Error(call(fn))
			}()
		}
	}
	if n := st.Stats().OpenReaders; n != 0 {
		t.Error(n, "readers stay open")
	}
	wantBytes(t, path, img)
	noError(t, putKeys(st, 100, 110))
	wantKeys(t, st, 110)
}

// Goexit is what t.FailNow does.
func TestGoexitGivesTheLockBack(t *testing.T) {
	path, img := makeFile(t, 100, nil)
	st, err := Open(path, 0o600, nil)
	noError(t, err)
	done := make(chan error)
	go func() {
		for _, call := range []func(func(*Tx) error) error{st.View, st.Update} {
			left := make(chan bool)
			go func() {
				defer close(left)
				_ = call(func(tx *Tx) error { _ = putIfWritable(tx); runtime.Goexit(); return nil })
			}()
			<-left
		}
		done <- errors.Join(st.Update(func(*Tx) error { return nil }), st.Close())
	}()
	select {
	case err := <-done:
		noError(t, err)
	case <-time.After(time.Minute):
		t.Fatal("the writer lock or a reader's slot is held")
	}
	wantBytes(t, path, img)
	checkFile(t, path, 100)
}

func putIfWritable(tx *Tx) error {
	if !tx.Writable() {
		return nil
	}
	return putInto(tx, 0, 500)
}

// The caller's own setting of SetPanicOnFault is as it was after every call, whatever happened in it.
func TestFaultSettingIsRestored(t *testing.T) {
	st := cutStore(t, nil)
	cut(t, st, 12)
	for _, mine := range []bool{false, true} {
		old := debug.SetPanicOnFault(mine)
		for range 2 {
			_ = st.View(func(tx *Tx) error { tx.Bucket([]byte("b")); return nil })
			_ = st.Update(func(tx *Tx) error { tx.Bucket([]byte("b")); return nil })
			tx, err := st.Begin(false)
			noError(t, err)
			tx.Bucket([]byte("b"))
			_ = tx.Info()
			_ = tx.root.ForEach(func(_, _ []byte) error { return nil })
			noError(t, tx.Rollback())
		}
		if now := debug.SetPanicOnFault(old); now != mine {
			t.Errorf("was %v, is %v", mine, now)
		}
	}
}

func TestFileCutBeforeItsSecondTransaction(t *testing.T) {
	st := cutStore(t, nil)
	cut(t, st, 12)
	tx, err := st.Begin(true) // reads the free list, which is gone
	wantError(t, err, ErrCorrupt)
	if tx != nil {
		t.Error("a transaction")
	}
	_, err = st.Begin(true) // and again: the lock is free
	wantError(t, err, ErrCorrupt)
}

// A slice that is held over a failure is not what failed.
func TestHeldSliceSurvivesAFailedWrite(t *testing.T) {
	var p tape
	st := openStore(t, newPath(t), &Options{Seam: p.seam})
	noError(t, putKeys(st, 0, 300))
	noError(t, st.View(func(tx *Tx) error {
		v := tx.Bucket([]byte("b")).Get(testKey(8))
		want := bytes.Clone(v)
		p.set(failing(syscall.EIO, func(o taped) bool { return o.flush() }))
		wantError(t, putKeys(st, 0, 200), ErrFailed)
		p.set(nil)
		if !bytes.Equal(v, want) {
			t.Error("the slice changed")
		}
		return nil
	}))
}
