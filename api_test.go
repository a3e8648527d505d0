package mmdb_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"mmdb"
)

// errUndo rolls an Update back.
var errUndo = errors.New("undo")

func TestIDIsTheLastCommitPlusOneInAWriter(t *testing.T) {
	db := open(t, quick)
	id := func(writable bool) int {
		tx, err := db.Begin(writable)
		must(t, err)
		defer tx.Rollback()
		return tx.ID()
	}
	first := id(false)
	if got := id(true); got != first+1 {
		t.Errorf("writer's ID %d, want %d", got, first+1)
	}
	if got := id(true); got != first+1 {
		t.Errorf("writer's ID after a rollback %d, want %d", got, first+1)
	}
	db.put("k", "v")
	if r, w := id(false), id(true); r != first+1 || w != first+2 {
		t.Errorf("after a commit: reader %d, writer %d; want %d and %d", r, w, first+1, first+2)
	}
	db.reopen()
	if r := id(false); r != first+1 {
		t.Errorf("after opening again: %d, want %d", r, first+1)
	}
}

func TestAbsentIsNilAndEmptyIsNot(t *testing.T) {
	db := open(t, quick)
	look := func(b *mmdb.Bucket) error {
		for _, k := range []string{"nil", "empty"} {
			if v := b.Get([]byte(k)); v == nil || len(v) != 0 {
				t.Errorf("%s: %#v, want an empty slice that is not nil", k, v)
			}
			if _, v := b.Cursor().Seek([]byte(k)); v == nil || len(v) != 0 {
				t.Errorf("%s, by cursor: %#v", k, v)
			}
		}
		if v := b.Get([]byte("absent")); v != nil {
			t.Errorf("absent: %#v", v)
		}
		if v := b.Get(nil); v != nil {
			t.Errorf("empty key: %#v", v)
		}
		if v := b.Get(make([]byte, 40_000)); v != nil {
			t.Errorf("a key too large to exist: %#v", v)
		}
		if v := b.Get([]byte("bucket")); v != nil {
			t.Errorf("a bucket read as a value: %#v", v)
		}
		if k, v := b.Cursor().First(); string(k) != "bucket" || v != nil {
			t.Errorf("a bucket by cursor: %q, %#v", k, v)
		}
		if b.Bucket([]byte("nil")) != nil || b.Bucket([]byte("absent")) != nil || b.Bucket(nil) != nil {
			t.Error("Bucket of a value, or of nothing, is not nil")
		}
		return nil
	}
	db.update(func(b *mmdb.Bucket) error {
		must(t, b.Put([]byte("nil"), nil))
		must(t, b.Put([]byte("empty"), []byte{}))
		_, err := b.CreateBucket([]byte("bucket"))
		must(t, err)
		return look(b)
	})
	db.view(look)
}

func TestPanicInUpdateRollsBackAndGoesOn(t *testing.T) {
	db := open(t, quick)
	db.put("k", "old")
	func() {
		defer func() {
			if r := recover(); r != "oops" {
				t.Errorf("recovered %v", r)
			}
		}()
		db.update(func(b *mmdb.Bucket) error {
			must(t, b.Put([]byte("k"), []byte("new")))
			panic("oops")
		})
	}()
	db.view(func(b *mmdb.Bucket) error {
		if v := b.Get([]byte("k")); string(v) != "old" {
			t.Errorf("after the panic: %q", v)
		}
		return nil
	})
	db.put("k", "newer") // the writer lock is free
	func() {
		defer func() { recover() }()
		db.view(func(*mmdb.Bucket) error { panic("in View") })
	}()
	if n := db.Stats().OpenReaders; n != 0 {
		t.Errorf("%d readers are left open after a panic in View", n)
	}
}

// t.FailNow in the function of an Update leaves it without a return and without a panic.
func TestGoexitInUpdateRollsBack(t *testing.T) {
	db := open(t, quick)
	db.put("k", "old")
	left := func(run func()) {
		done := make(chan struct{})
		go func() { defer close(done); run() }()
		<-done
	}
	left(func() {
		db.update(func(b *mmdb.Bucket) error {
			must(t, b.Put([]byte("k"), []byte("lost")))
			runtime.Goexit()
			return nil
		})
	})
	left(func() { db.view(func(*mmdb.Bucket) error { runtime.Goexit(); return nil }) })
	if n := db.Stats().OpenReaders; n != 0 {
		t.Errorf("%d readers are left open", n)
	}
	db.view(func(b *mmdb.Bucket) error {
		if v := b.Get([]byte("k")); string(v) != "old" {
			t.Errorf("after Goexit: %q", v)
		}
		return nil
	})
	db.put("k", "new") // the writer lock is free
}

func TestErrorInUpdateRollsBack(t *testing.T) {
	db := open(t, quick)
	db.put("k", "old")
	err := db.Update(func(tx *mmdb.Tx) error {
		must(t, tx.Bucket([]byte("b")).Put([]byte("k"), []byte("new")))
		_, err := tx.CreateBucket([]byte("other"))
		must(t, err)
		return errUndo
	})
	if err != errUndo {
		t.Fatalf("Update returned %v", err)
	}
	err = db.View(func(tx *mmdb.Tx) error {
		if v := tx.Bucket([]byte("b")).Get([]byte("k")); string(v) != "old" || tx.Bucket([]byte("other")) != nil {
			t.Errorf("the changes are there: %q", v)
		}
		return errUndo
	})
	if err != errUndo {
		t.Fatalf("View returned %v", err)
	}
}

func TestOnCommitRunsAfterTheCommitAndOnlyThen(t *testing.T) {
	db := open(t, quick)
	var ran []string
	note := func(what string) func() {
		return func() {
			db.put("from OnCommit", what) // no lock is held
			ran = append(ran, what)
		}
	}
	must(t, db.Update(func(tx *mmdb.Tx) error {
		tx.OnCommit(note("first"))
		tx.OnCommit(note("second"))
		_, err := tx.CreateBucketIfNotExists([]byte("b"))
		if len(ran) != 0 {
			t.Error("it ran before the commit")
		}
		return err
	}))
	if fmt.Sprint(ran) != "[first second]" {
		t.Errorf("ran: %v", ran)
	}
	_ = db.Update(func(tx *mmdb.Tx) error { tx.OnCommit(note("failed")); return errUndo })
	tx, err := db.Begin(true)
	must(t, err)
	tx.OnCommit(note("rolled back"))
	must(t, tx.Rollback())
	tx, err = db.Begin(true)
	must(t, err)
	tx.OnCommit(note("manual"))
	must(t, tx.Commit())
	if fmt.Sprint(ran) != "[first second manual]" {
		t.Errorf("ran: %v", ran)
	}
}

func TestManagedTransactionsEndThemselves(t *testing.T) {
	db := open(t, quick)
	managed := func(tx *mmdb.Tx) error {
		wantErr(t, "Commit", tx.Commit(), mmdb.ErrTxManaged)
		wantErr(t, "Rollback", tx.Rollback(), mmdb.ErrTxManaged)
		return nil
	}
	must(t, db.View(managed))
	must(t, db.Update(managed))
	must(t, db.Batch(managed))
}

func TestCloseWaitsForTransactions(t *testing.T) {
	for _, writable := range []bool{false, true} {
		t.Run(fmt.Sprintf("writable=%v", writable), func(t *testing.T) {
			db := open(t, quick)
			db.put("k", "v")
			tx, err := db.Begin(writable)
			must(t, err)
			closed := make(chan error, 1)
			go func() { closed <- db.DB.Close() }()
			select {
			case err := <-closed:
				t.Fatalf("Close returned %v under an open transaction", err)
			case <-time.After(50 * time.Millisecond):
			}
			if v := tx.Bucket([]byte("b")).Get([]byte("k")); string(v) != "v" {
				t.Errorf("while Close waits: %q", v)
			}
			must(t, tx.Rollback())
			must(t, <-closed)
		})
	}
}

func TestUseAfterClose(t *testing.T) {
	db := open(t, quick)
	db.put("k", "v")
	must(t, db.Close())
	must(t, db.Close()) // a second one does nothing
	nothing := func(*mmdb.Tx) error { t.Error("the function ran"); return nil }
	wantErr(t, "View", db.View(nothing), mmdb.ErrDatabaseNotOpen)
	wantErr(t, "Update", db.Update(nothing), mmdb.ErrDatabaseNotOpen)
	wantErr(t, "Batch", db.Batch(nothing), mmdb.ErrDatabaseNotOpen)
	wantErr(t, "Sync", db.Sync(), mmdb.ErrDatabaseNotOpen)
	for _, writable := range []bool{false, true} {
		_, err := db.Begin(writable)
		wantErr(t, "Begin", err, mmdb.ErrDatabaseNotOpen)
	}
	if db.Path() == "" || db.IsReadOnly() {
		t.Error("Path and IsReadOnly don't work after Close")
	}
}

// everything calls each method of a transaction's objects that returns an error.
func everything(tx *mmdb.Tx, b *mmdb.Bucket, c *mmdb.Cursor) map[string]error {
	k := []byte("k")
	errs := map[string]error{
		"Tx.DeleteBucket": tx.DeleteBucket(k), "Tx.MoveBucket": tx.MoveBucket(k, b, nil),
		"Put": b.Put(k, k), "Delete": b.Delete(k), "DeleteBucket": b.DeleteBucket(k), "MoveBucket": b.MoveBucket(k, b),
		"SetSequence": b.SetSequence(1), "Cursor.Delete": c.Delete(),
	}
	_, errs["Tx.CreateBucket"] = tx.CreateBucket(k)
	_, errs["Tx.CreateBucketIfNotExists"] = tx.CreateBucketIfNotExists(k)
	_, errs["CreateBucket"] = b.CreateBucket(k)
	_, errs["CreateBucketIfNotExists"] = b.CreateBucketIfNotExists(k)
	_, errs["NextSequence"] = b.NextSequence()
	_, errs["PutReserve"] = b.PutReserve(k, 1)
	_, errs["DeleteRange"] = b.DeleteRange(nil, nil)
	return errs
}

func TestWritesInAReadTransactionAreRefused(t *testing.T) {
	db := open(t, quick)
	db.put("k", "v")
	tx, err := db.Begin(false)
	must(t, err)
	b := tx.Bucket([]byte("b"))
	c := b.Cursor()
	c.First()
	if tx.Writable() || b.Writable() {
		t.Error("a read transaction says that it is writable")
	}
	for what, err := range everything(tx, b, c) {
		wantErr(t, what, err, mmdb.ErrTxNotWritable)
	}
	wantErr(t, "Commit", tx.Commit(), mmdb.ErrTxNotWritable)
	if v := b.Get([]byte("k")); string(v) != "v" {
		t.Errorf("after refused writes: %q", v)
	}
	must(t, tx.Rollback())
}

func TestUseAfterTheTransaction(t *testing.T) {
	for _, writable := range []bool{false, true} {
		t.Run(fmt.Sprintf("writable=%v", writable), func(t *testing.T) {
			db := open(t, quick)
			db.put("k", "v")
			tx, err := db.Begin(writable)
			must(t, err)
			b := tx.Bucket([]byte("b"))
			c := b.Cursor()
			c.First()
			must(t, tx.Rollback())
			wantErr(t, "Commit", tx.Commit(), mmdb.ErrTxClosed)
			wantErr(t, "Rollback", tx.Rollback(), mmdb.ErrTxClosed)
			for what, err := range everything(tx, b, c) {
				wantErr(t, what, err, mmdb.ErrTxClosed)
			}
			wantErr(t, "ForEach", b.ForEach(func(k, v []byte) error { return nil }), mmdb.ErrTxClosed)
			wantErr(t, "ForEachBucket", b.ForEachBucket(func(k []byte) error { return nil }), mmdb.ErrTxClosed)
			wantErr(t, "Tx.ForEach", tx.ForEach(func([]byte, *mmdb.Bucket) error { return nil }), mmdb.ErrTxClosed)
			_, err = tx.WriteTo(&bytes.Buffer{})
			wantErr(t, "WriteTo", err, mmdb.ErrTxClosed)
			wantErr(t, "CopyFile", tx.CopyFile(t.TempDir()+"/copy", 0o600), mmdb.ErrTxClosed)
			_, err = tx.Page(0)
			wantErr(t, "Page", err, mmdb.ErrTxClosed)
			for err := range tx.Check() {
				wantErr(t, "Check", err, mmdb.ErrTxClosed)
			}
			if b.Get([]byte("k")) != nil || tx.Bucket([]byte("b")) != nil {
				t.Error("a read succeeded")
			}
			for name, move := range map[string]func() ([]byte, []byte){"First": c.First, "Last": c.Last, "Next": c.Next, "Prev": c.Prev} {
				if k, v := move(); k != nil || v != nil {
					t.Errorf("Cursor.%s succeeded", name)
				}
			}
			for range b.All() {
				t.Error("an iterator yielded")
			}
			wantErr(t, "Err", tx.Err(), mmdb.ErrTxClosed)
		})
	}
}

// A late Rollback, deferred for the case of an error, must not end somebody else's transaction.
func TestLateRollbackHitsNobody(t *testing.T) {
	db := open(t, quick)
	tx, err := db.Begin(true)
	must(t, err)
	must(t, tx.Commit())
	second, err := db.Begin(true)
	must(t, err)
	wantErr(t, "late Rollback", tx.Rollback(), mmdb.ErrTxClosed)
	_, err = second.CreateBucket([]byte("b"))
	must(t, err)
	must(t, second.Commit())
	db.view(func(b *mmdb.Bucket) error {
		if b == nil {
			t.Error("the second transaction did not commit")
		}
		return nil
	})
}

func TestKeysAndValuesOutOfRange(t *testing.T) {
	db := open(t, quick)
	db.update(func(b *mmdb.Bucket) error {
		wantErr(t, "empty key", b.Put(nil, nil), mmdb.ErrKeyRequired)
		wantErr(t, "empty key", b.Put([]byte{}, nil), mmdb.ErrKeyRequired)
		wantErr(t, "large key", b.Put(make([]byte, mmdb.MaxKeySize+1), nil), mmdb.ErrKeyTooLarge)
		_, err := b.PutReserve(nil, 1)
		wantErr(t, "empty key", err, mmdb.ErrKeyRequired)
		_, err = b.PutReserve([]byte("k"), -1)
		wantErr(t, "negative length", err, mmdb.ErrValueTooLarge)
		_, err = b.PutReserve([]byte("k"), mmdb.MaxValueSize+1)
		wantErr(t, "large value", err, mmdb.ErrValueTooLarge)
		_, err = b.CreateBucket(nil)
		wantErr(t, "empty name", err, mmdb.ErrBucketNameRequired)
		_, err = b.Tx().CreateBucketIfNotExists([]byte{})
		wantErr(t, "empty name", err, mmdb.ErrBucketNameRequired)
		_, err = b.CreateBucket(make([]byte, mmdb.MaxKeySize+1))
		wantErr(t, "large name", err, mmdb.ErrKeyTooLarge)
		must(t, b.Put(make([]byte, mmdb.MaxKeySize), []byte("largest key")))
		must(t, b.Delete([]byte("absent")))
		must(t, b.Delete(nil))
		return nil
	})
	db.view(func(b *mmdb.Bucket) error {
		if v := b.Get(make([]byte, mmdb.MaxKeySize)); string(v) != "largest key" || b.Len() != 1 {
			t.Errorf("%d keys, the largest's value is %q", b.Len(), v)
		}
		return nil
	})
}

func TestReadOnlyDatabaseRefusesWriters(t *testing.T) {
	db := open(t, quick)
	db.put("k", "v")
	db.close()
	ro, err := mmdb.Open(db.Path(), 0o600, &mmdb.Options{ReadOnly: true})
	must(t, err)
	second, err := mmdb.Open(db.Path(), 0o600, &mmdb.Options{ReadOnly: true, Timeout: time.Millisecond})
	must(t, err) // they share
	wantErr(t, "Update", ro.Update(func(*mmdb.Tx) error { return nil }), mmdb.ErrDatabaseReadOnly)
	_, err = ro.Begin(true)
	wantErr(t, "Begin", err, mmdb.ErrDatabaseReadOnly)
	if !ro.IsReadOnly() {
		t.Error("IsReadOnly is false")
	}
	must(t, ro.View(func(tx *mmdb.Tx) error {
		if v := tx.Bucket([]byte("b")).Get([]byte("k")); string(v) != "v" {
			t.Errorf("%q", v)
		}
		return nil
	}))
	_, err = mmdb.Open(db.Path(), 0o600, &mmdb.Options{Timeout: time.Millisecond, Exclusive: true})
	wantErr(t, "an exclusive open beside readers", err, mmdb.ErrTimeout)
	must(t, second.Close())
	must(t, ro.Close())
}

// The zero DB is a closed one, as in bbolt.
func TestTheZeroDBIsClosed(t *testing.T) {
	var db mmdb.DB
	never := func(*mmdb.Tx) error { t.Error("the function ran"); return nil }
	_, read := db.Begin(false)
	_, write := db.Begin(true)
	_, readers := db.Readers()
	_, processes := db.Processes()
	_, reaped := db.ReapReaders()
	_, backup := db.Backup(filepath.Join(t.TempDir(), "copy"), mmdb.BackupOptions{})
	for what, err := range map[string]error{"View": db.View(never), "Update": db.Update(never), "UpdateContext": db.UpdateContext(t.Context(), never),
		"Batch": db.Batch(never), "Begin(false)": read, "Begin(true)": write, "Sync": db.Sync(), "Readers": readers, "Processes": processes,
		"ReapReaders": reaped, "Backup": backup} {
		wantErr(t, what, err, mmdb.ErrDatabaseNotOpen)
	}
	must(t, db.Close())
	must(t, db.Close())
	if s := db.Stats(); db.Path() != "" || db.IsReadOnly() || s != (mmdb.Stats{}) || db.String() != `mmdb.DB<"">` || db.GoString() != db.String() {
		t.Errorf("path %q, %v, %+v", db.Path(), &db, s)
	}
}

// What the package documentation says of a new cursor, of copies in write transactions, and of Sync where nothing can be written.
func TestListedDifferencesFromBbolt(t *testing.T) {
	db := open(t, quick)
	db.fill(10, 10, 10)
	tx, err := db.Begin(true)
	must(t, err)
	b := tx.Bucket([]byte("b"))
	if k, _ := b.Cursor().Next(); !bytes.Equal(k, key(0)) {
		t.Errorf("Next of a new cursor is %q", k)
	}
	if k, _ := b.Cursor().Prev(); !bytes.Equal(k, key(9)) {
		t.Errorf("Prev of a new cursor is %q", k)
	}
	path := filepath.Join(t.TempDir(), "copy")
	must(t, tx.CopyFile(path, 0o600)) // nothing has changed yet
	must(t, b.Put([]byte("k"), nil))
	if _, err := tx.WriteTo(new(bytes.Buffer)); err == nil {
		t.Error("WriteTo copied a transaction with changes")
	}
	if err := tx.CopyFile(path, 0o600); err == nil {
		t.Error("CopyFile copied a transaction with changes")
	}
	must(t, tx.Rollback())
	readOnly, err := mmdb.Open(path, 0, &mmdb.Options{ReadOnly: true})
	must(t, err)
	wantErr(t, "Sync", readOnly.Sync(), mmdb.ErrDatabaseReadOnly)
	must(t, readOnly.Close())
}
