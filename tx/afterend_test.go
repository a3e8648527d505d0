package tx

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// What is used after its end answers with an error or nothing, and harms nobody.

// writeCalls are all calls of a transaction and of a bucket and cursor of it that change something.
func writeCalls(tx *Tx, b *Bucket, c *Cursor) map[string]func() error {
	name := []byte("n")
	return map[string]func() error{
		"Tx.CreateBucket":                    func() error { _, err := tx.CreateBucket(name); return err },
		"Tx.CreateBucketIfNotExists":         func() error { _, err := tx.CreateBucketIfNotExists(name); return err },
		"Tx.DeleteBucket":                    func() error { return tx.DeleteBucket([]byte("b")) },
		"Tx.MoveBucket":                      func() error { return tx.MoveBucket([]byte("sub"), b, nil) },
		"Bucket.CreateBucket":                func() error { _, err := b.CreateBucket(name); return err },
		"Bucket.CreateBucketIfNotExists":     func() error { _, err := b.CreateBucketIfNotExists(name); return err },
		"Bucket.CreateBucketIfNotExists old": func() error { _, err := b.CreateBucketIfNotExists([]byte("sub")); return err },
		"Bucket.DeleteBucket":                func() error { return b.DeleteBucket([]byte("sub")) },
		"Bucket.MoveBucket":                  func() error { return b.MoveBucket([]byte("sub"), &tx.root) },
		"Bucket.Put":                         func() error { return b.Put(name, name) },
		"Bucket.PutReserve":                  func() error { _, err := b.PutReserve(name, 3); return err },
		"Bucket.Delete":                      func() error { return b.Delete(testKey(1)) },
		"Bucket.DeleteRange":                 func() error { _, err := b.DeleteRange(nil, nil); return err },
		"Bucket.SetSequence":                 func() error { return b.SetSequence(7) },
		"Bucket.NextSequence":                func() error { _, err := b.NextSequence(); return err },
		"Cursor.Delete":                      func() error { return c.Delete() },
	}
}

// withParts makes a database with 30 keys and a nested bucket in bucket b.
func withParts(t *testing.T) *Store {
	t.Helper()
	st := openStore(t, newPath(t), quick())
	noError(t, st.Update(func(tx *Tx) error {
		noError(t, putInto(tx, 0, 30))
		_, err := tx.Bucket([]byte("b")).CreateBucket([]byte("sub"))
		return err
	}))
	return st
}

func TestWritesInAReadTransaction(t *testing.T) {
	st := withParts(t)
	before := readAll(t, st.Path())
	try := func(tx *Tx) {
		b := tx.Bucket([]byte("b"))
		c := b.Cursor()
		c.First()
		if tx.Writable() || b.Writable() {
			t.Error("writable")
		}
		for name, call := range writeCalls(tx, b, c) {
			if err := call(); !errors.Is(err, ErrTxNotWritable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		noError(t, tx.Err())
	}
	noError(t, st.View(func(tx *Tx) error {
		try(tx)
		wantError(t, tx.Commit(), ErrTxManaged)
		wantError(t, tx.Rollback(), ErrTxManaged)
		return nil
	}))
	tx, err := st.Begin(false)
	noError(t, err)
	try(tx)
	wantError(t, tx.Commit(), ErrTxNotWritable)
	noError(t, tx.Rollback())
	wantBytes(t, st.Path(), before)
}

func TestUseAfterTheTransaction(t *testing.T) {
	st := withParts(t)
	ends := map[string]func(tx *Tx) error{
		"commit":   func(tx *Tx) error { return tx.Commit() },
		"rollback": func(tx *Tx) error { return tx.Rollback() },
		"read":     func(tx *Tx) error { return tx.Rollback() },
	}
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			tx, err := st.Begin(how != "read")
			noError(t, err)
			b := tx.Bucket([]byte("b"))
			c, sub := b.Cursor(), b.Bucket([]byte("sub"))
			c.First()
			if how != "read" {
				noError(t, b.Put([]byte("more"), nil))
			}
			noError(t, end(tx))
			wantError(t, tx.Commit(), ErrTxClosed)
			wantError(t, tx.Rollback(), ErrTxClosed)
			for name, call := range writeCalls(tx, b, c) {
				if err := call(); !errors.Is(err, ErrTxClosed) {
					t.Errorf("%s: %v", name, err)
				}
			}
			readsGiveNothing(t, tx, b, c)
			if sub.Get([]byte("k")) != nil {
				t.Error("nested bucket")
			}
			wantError(t, tx.Err(), ErrTxClosed)
		})
	}
	noError(t, putKeys(st, 0, 30)) // nothing holds the lock
}

// readsGiveNothing makes every call that reads.
func readsGiveNothing(t *testing.T, tx *Tx, b *Bucket, c *Cursor) {
	t.Helper()
	for name, call := range readCalls(tx, b, c) {
		if call() {
			t.Errorf("%s gives something", name)
		}
	}
	for name, call := range readErrors(tx, b, "/nonexistent/copy") {
		if err := call(); !errors.Is(err, ErrTxClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// readCalls are the calls without an error result. Each reports whether it gave anything.
func readCalls(tx *Tx, b *Bucket, c *Cursor) map[string]func() bool {
	k1 := testKey(1)
	item := func(k, v []byte) bool { return k != nil || v != nil }
	return map[string]func() bool{
		"Tx.Bucket":          func() bool { return tx.Bucket([]byte("b")) != nil },
		"Tx.Cursor":          func() bool { return item(tx.Cursor().First()) },
		"Bucket.Bucket":      func() bool { return b.Bucket([]byte("sub")) != nil },
		"Bucket.Get":         func() bool { return b.Get(k1) != nil },
		"Bucket.GetMany":     func() bool { return b.GetMany([][]byte{k1}, nil)[0] != nil },
		"Bucket.CountRange":  func() bool { return b.CountRange(testKey(1), testKey(20)) != 0 },
		"Bucket.All":         func() bool { return any2(b.All()) },
		"Bucket.Range":       func() bool { return any2(b.Range(k1, nil)) },
		"Bucket.Prefix":      func() bool { return any2(b.Prefix([]byte("key"))) },
		"Bucket.Backward":    func() bool { return any2(b.Backward(nil, nil)) },
		"Bucket.Stats":       func() bool { return b.Stats() != BucketStats{} },
		"Cursor.First":       func() bool { return item(c.First()) },
		"Cursor.Last":        func() bool { return item(c.Last()) },
		"Cursor.Next":        func() bool { return item(c.Next()) },
		"Cursor.Prev":        func() bool { return item(c.Prev()) },
		"Cursor.Seek":        func() bool { return item(c.Seek(k1)) },
		"Cursor.SeekLE":      func() bool { return item(c.SeekLE(k1)) },
		"Cursor.SeekIndex":   func() bool { return item(c.SeekIndex(3)) },
		"new Cursor.First":   func() bool { return item(b.Cursor().First()) },
		"Tx.Info":            func() bool { return tx.Info().FileSize != 0 },
		"Bucket.Cursor.Rank": func() bool { return c.Rank() != 0 },
	}
}

func any2(seq func(func(k, v []byte) bool)) (some bool) {
	seq(func(_, _ []byte) bool { some = true; return false })
	return some
}

// readErrors are the calls with an error result that read. CopyFile writes to copyTo.
func readErrors(tx *Tx, b *Bucket, copyTo string) map[string]func() error {
	first := func(seq func(func(error) bool)) (err error) {
		seq(func(e error) bool { err = e; return false })
		return err
	}
	return map[string]func() error{
		"Tx.ForEach":           func() error { return tx.ForEach(func([]byte, *Bucket) error { return nil }) },
		"Bucket.ForEach":       func() error { return b.ForEach(func(_, _ []byte) error { return nil }) },
		"Bucket.ForEachBucket": func() error { return b.ForEachBucket(func([]byte) error { return nil }) },
		"Tx.Check":             func() error { return first(tx.Check()) },
		"Tx.WriteTo":           func() error { _, err := tx.WriteTo(io.Discard); return err },
		"Tx.CopyFile":          func() error { return tx.CopyFile(copyTo, 0o600) },
		"Tx.PageBytes":         func() error { _, err := tx.PageBytes(12); return err },
		"Tx.Page":              func() error { _, err := tx.Page(12); return err },
		"Tx.Pages": func() error {
			for _, err := range tx.Pages() {
				return err
			}
			return nil
		},
	}
}

func TestUseAfterClose(t *testing.T) {
	path := newPath(t)
	st, err := Open(path, 0o600, nil)
	noError(t, err)
	noError(t, putKeys(st, 0, 30))
	noError(t, st.Close())
	before := readAll(t, path)
	noError(t, st.Close())
	never := func(*Tx) error { t.Error("called"); return nil }
	wantError(t, st.View(never), ErrDatabaseNotOpen)
	wantError(t, st.Update(never), ErrDatabaseNotOpen)
	wantError(t, st.Sync(), ErrDatabaseNotOpen)
	for _, writable := range []bool{true, false} {
		tx, err := st.Begin(writable)
		wantError(t, err, ErrDatabaseNotOpen)
		if tx != nil {
			t.Error("a transaction of a closed database")
		}
	}
	if st.Path() != path || st.Stats().Commits != 1 || st.IsReadOnly() {
		t.Error("Path, Stats or IsReadOnly")
	}
	wantBytes(t, path, before)
	checkFile(t, path, 30)
}

func TestWritesToAReadOnlyDatabase(t *testing.T) {
	path, img := makeFile(t, 100, nil)
	for _, o := range []*Options{{ReadOnly: true}, {Immutable: true}} {
		st := openStore(t, path, o)
		if !st.IsReadOnly() {
			t.Error("not read-only")
		}
		never := func(*Tx) error { t.Error("called"); return nil }
		wantError(t, st.Update(never), ErrDatabaseReadOnly)
		_, err := st.Begin(true)
		wantError(t, err, ErrDatabaseReadOnly)
		wantError(t, st.Sync(), ErrDatabaseReadOnly)
		wantKeys(t, st, 100)
		var copied bytes.Buffer
		noError(t, st.View(func(tx *Tx) error { _, err := tx.WriteTo(&copied); return err }))
		checkFile(t, writeFile(t, copied.Bytes()), 100)
	}
	wantBytes(t, path, img)
}
