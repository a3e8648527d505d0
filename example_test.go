package mmdb_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mmdb"
)

// market is a new database with the bucket "fruit": what there is, and how many. The function it returns checks, closes
// and removes it.
func market() (*mmdb.DB, func()) {
	dir, err := os.MkdirTemp("", "mmdb-example-")
	if err != nil {
		log.Fatal(err)
	}
	db, err := mmdb.Open(filepath.Join(dir, "market.mmdb"), 0o600, nil)
	if err != nil {
		log.Fatal(err)
	}
	update(db, func(tx *mmdb.Tx) error {
		fruit, err := tx.CreateBucket([]byte("fruit"))
		for k, v := range map[string]string{"apple": "3", "banana": "5", "cherry": "8", "damson": "2", "elderberry": "9"} {
			err = errors.Join(err, fruit.Put([]byte(k), []byte(v)))
		}
		return err
	})
	return db, func() {
		err := db.View(func(tx *mmdb.Tx) error {
			for problem := range tx.Check() {
				fmt.Println("check:", problem)
			}
			return nil
		})
		if err != nil && !errors.Is(err, mmdb.ErrDatabaseNotOpen) {
			fmt.Println("check:", err)
		}
		if err := errors.Join(db.Close(), os.RemoveAll(dir)); err != nil {
			fmt.Println(err)
		}
	}
}

// view and update are View and Update for examples that show something else.
func view(db *mmdb.DB, fn func(tx *mmdb.Tx) error) {
	if err := db.View(fn); err != nil {
		fmt.Println(err)
	}
}

func update(db *mmdb.DB, fn func(tx *mmdb.Tx) error) {
	if err := db.Update(fn); err != nil {
		fmt.Println(err)
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "mmdb-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	db, err := mmdb.Open(filepath.Join(dir, "my.mmdb"), 0o600, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	err = db.Update(func(tx *mmdb.Tx) error { // all or nothing, and durable when Update returns
		fruit, err := tx.CreateBucketIfNotExists([]byte("fruit"))
		if err != nil {
			return err
		}
		return fruit.Put([]byte("apple"), []byte("3"))
	})
	if err != nil {
		log.Fatal(err)
	}
	err = db.View(func(tx *mmdb.Tx) error { // one commit, whole, whatever happens meanwhile
		fmt.Printf("apples: %s\n", tx.Bucket([]byte("fruit")).Get([]byte("apple")))
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: apples: 3
}

func ExampleOpen() {
	db, done := market()
	defer done()

	// Somebody has the file: wait for a while to have it alone, but not for ever.
	_, err := mmdb.Open(db.Path(), 0o600, &mmdb.Options{Exclusive: true, Timeout: 10 * time.Millisecond})
	fmt.Println(errors.Is(err, mmdb.ErrTimeout))
	// Output: true
}

func ExampleOptions() {
	_, done := market()
	defer done()
	dir, err := os.MkdirTemp("", "mmdb-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	db, err := mmdb.Open(filepath.Join(dir, "big.mmdb"), 0o600, &mmdb.Options{
		PageSize: 16384,    // of a new file
		MaxSize:  1 << 30,  // bytes; a change that needs more is refused
		MaxDirty: 16 << 20, // bytes that a transaction keeps in memory
	})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	view(db, func(tx *mmdb.Tx) error {
		fmt.Println(tx.Info().PageSize)
		return nil
	})
	// Output: 16384
}

func ExampleDB_View() {
	db, done := market()
	defer done()

	err := db.View(func(tx *mmdb.Tx) error {
		v := tx.Bucket([]byte("fruit")).Get([]byte("cherry"))
		fmt.Printf("%s\n", v) // v is valid in here only
		return nil
	})
	fmt.Println(err)
	// Output:
	// 8
	// <nil>
}

func ExampleDB_Update() {
	db, done := market()
	defer done()

	err := db.Update(func(tx *mmdb.Tx) error {
		fruit := tx.Bucket([]byte("fruit"))
		if err := fruit.Put([]byte("apple"), []byte("0")); err != nil {
			return err
		}
		return errors.New("out of apples") // nothing is changed
	})
	fmt.Println(err)
	view(db, func(tx *mmdb.Tx) error {
		fmt.Printf("%s\n", tx.Bucket([]byte("fruit")).Get([]byte("apple")))
		return nil
	})
	// Output:
	// out of apples
	// 3
}

func ExampleDB_Batch() {
	db, done := market()
	defer done()

	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { // those that come while the device is busy share a commit
			err := db.Batch(func(tx *mmdb.Tx) error {
				return tx.Bucket([]byte("fruit")).Put(fmt.Appendf(nil, "melon %d", i), []byte("1"))
			})
			if err != nil {
				log.Fatal(err)
			}
		})
	}
	wg.Wait()
	view(db, func(tx *mmdb.Tx) error {
		lo, hi := []byte("melon "), []byte("melon!")
		fmt.Println(tx.Bucket([]byte("fruit")).CountRange(lo, hi))
		return nil
	})
	// Output: 8
}

func ExampleDB_Begin() {
	db, done := market()
	defer done()

	tx, err := db.Begin(true)
	if err != nil {
		log.Fatal(err)
	}
	defer tx.Rollback() // does nothing after Commit
	if err := tx.Bucket([]byte("fruit")).Delete([]byte("damson")); err != nil {
		log.Fatal(err)
	}
	fmt.Println(tx.Commit())
	// Output: <nil>
}

func ExampleDB_Close() {
	db, done := market()
	defer done()

	fmt.Println(db.Close()) // waits for open transactions
	fmt.Println(db.View(func(*mmdb.Tx) error { return nil }))
	// Output:
	// <nil>
	// database not open
}

func ExampleDB_Sync() {
	db, done := market()
	defer done()

	update(db, func(tx *mmdb.Tx) error {
		tx.SetDurability(mmdb.Lazy) // it is seen at once, and flushed later
		return tx.Bucket([]byte("fruit")).Put([]byte("fig"), []byte("1"))
	})
	if err := db.Sync(); err != nil { // now
		log.Fatal(err)
	}
	s := db.Stats()
	fmt.Println("on the device:", s.Commit == s.DurableCommit, s.LazyBytes)
	// Output: on the device: true 0
}

func ExampleDB_Path() {
	db, done := market()
	defer done()

	fmt.Println(filepath.Base(db.Path()))
	// Output: market.mmdb
}

func ExampleDB_IsReadOnly() {
	db, done := market()
	defer done()

	path := db.Path()
	db.Close()
	ro, err := mmdb.Open(path, 0, &mmdb.Options{ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer ro.Close()
	fmt.Println(ro.IsReadOnly())
	fmt.Println(ro.Update(func(*mmdb.Tx) error { return nil }))
	// Output:
	// true
	// database is in read-only mode
}

func ExampleDB_Stats() {
	db, done := market()
	defer done()

	before := db.Stats()
	update(db, func(tx *mmdb.Tx) error {
		return tx.Bucket([]byte("fruit")).Put([]byte("fig"), []byte("1"))
	})
	s := db.Stats()
	fmt.Println("flushes of a commit:", s.Flushes-before.Flushes)
	fmt.Println("open readers:", s.OpenReaders)
	// Output:
	// flushes of a commit: 1
	// open readers: 0
}

// Stats can be encoded as JSON, so they can be published among a program's expvar variables.
func ExampleDB_Stats_expvar() {
	db, done := market()
	defer done()

	figures := expvar.Func(func() any { return db.Stats() })
	// A program publishes them once: expvar.Publish("market", figures) shows them at /debug/vars.

	var got mmdb.Stats
	if err := json.Unmarshal([]byte(figures.String()), &got); err != nil {
		log.Fatal(err)
	}
	fmt.Println("all is on the device:", got.Commit == got.DurableCommit)
	fmt.Println("page size:", got.PageSize)
	// Output:
	// all is on the device: true
	// page size: 4096
}

func ExampleDB_String() {
	db, done := market()
	defer done()

	fmt.Println(bytes.HasSuffix([]byte(db.String()), []byte("market.mmdb\">")))
	fmt.Println(fmt.Sprintf("%#v", db) == db.GoString())
	// Output:
	// true
	// true
}

func ExampleDB_Backup() {
	db, done := market()
	defer done()

	path := db.Path() + ".backup"
	report, err := db.Backup(path, mmdb.BackupOptions{Compact: true})
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(path)
	info, err := os.Stat(path)
	fmt.Println(info.Size() == report.Bytes, err)
	// Output: true <nil>
}

func ExampleDB_Compact() {
	db, done := market()
	defer done()

	fill := func(tx *mmdb.Tx) error { return tx.Bucket([]byte("fruit")).Put([]byte("durian"), make([]byte, 1<<20)) }
	empty := func(tx *mmdb.Tx) error { return tx.Bucket([]byte("fruit")).Delete([]byte("durian")) }
	update(db, fill)
	update(db, empty)
	report, err := db.Compact(context.Background(), mmdb.CompactOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Before > 1<<20, report.After < 200<<10)
	// Output: true true
}

func ExampleDB_Readers() {
	db, done := market()
	defer done()

	old, err := db.Begin(false)
	if err != nil {
		log.Fatal(err)
	}
	defer old.Rollback()
	update(db, func(tx *mmdb.Tx) error { return tx.Bucket([]byte("fruit")).Put([]byte("kiwi"), []byte("green")) })
	readers, err := db.Readers()
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range readers {
		fmt.Println(r.Process == os.Getpid(), r.Behind, r.Held) // so small a database has no pages that could be held back
	}
	// Output: true 1 0
}

func ExampleTx_History() {
	db, done := market()
	defer done()

	view(db, func(tx *mmdb.Tx) error {
		for c, err := range tx.History() {
			fmt.Println(c.Commit == uint64(tx.ID()), c.Written > 0, err)
			break // the newest is the first
		}
		return nil
	})
	// Output: true true <nil>
}

func ExampleDB_Processes() {
	db, done := market()
	defer done()

	list, err := db.Processes()
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range list {
		fmt.Println(p.Process == os.Getpid(), p.Own, p.Commits > 0)
	}
	// Output: true true true
}

func ExampleDB_ReapReaders() {
	db, done := market()
	defer done()

	dead, err := db.ReapReaders()
	fmt.Println(dead, err)
	// Output: 0 <nil>
}
