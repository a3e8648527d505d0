package mmdb_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"mmdb"
)

func ExampleTx_Bucket() {
	db, done := market()
	defer done()

	view(db, func(tx *mmdb.Tx) error {
		fmt.Println(tx.Bucket([]byte("fruit")) != nil)
		fmt.Println(tx.Bucket([]byte("fish")) != nil)
		return nil
	})
	// Output:
	// true
	// false
}

func ExampleTx_CreateBucket() {
	db, done := market()
	defer done()

	update(db, func(tx *mmdb.Tx) error {
		_, err := tx.CreateBucket([]byte("fruit"))
		fmt.Println(err)
		_, err = tx.CreateBucketIfNotExists([]byte("fruit"))
		fmt.Println(err)
		return nil
	})
	// Output:
	// bucket already exists
	// <nil>
}

func ExampleTx_CreateBucketIfNotExists() {
	db, done := market()
	defer done()

	for range 2 {
		update(db, func(tx *mmdb.Tx) error {
			fish, err := tx.CreateBucketIfNotExists([]byte("fish"))
			if err != nil {
				return err
			}
			n, err := fish.NextSequence()
			fmt.Println(n)
			return err
		})
	}
	// Output:
	// 1
	// 2
}

func ExampleTx_DeleteBucket() {
	db, done := market()
	defer done()

	update(db, func(tx *mmdb.Tx) error {
		fmt.Println(tx.DeleteBucket([]byte("fruit")))
		fmt.Println(tx.DeleteBucket([]byte("fruit")))
		return nil
	})
	// Output:
	// <nil>
	// bucket not found
}

func ExampleTx_MoveBucket() {
	db, done := market()
	defer done()

	update(db, func(tx *mmdb.Tx) error {
		archive, err := tx.CreateBucket([]byte("archive"))
		if err != nil {
			return err
		}
		if err := tx.MoveBucket([]byte("fruit"), nil, archive); err != nil { // nil is the top level
			return err
		}
		fmt.Println(archive.Bucket([]byte("fruit")).Len())
		return nil
	})
	// Output: 5
}

func ExampleTx_ForEach() {
	db, done := market()
	defer done()

	view(db, func(tx *mmdb.Tx) error {
		return tx.ForEach(func(name []byte, b *mmdb.Bucket) error {
			fmt.Printf("%s: %d keys\n", name, b.Len())
			return nil
		})
	})
	// Output: fruit: 5 keys
}

func ExampleTx_Cursor() {
	db, done := market()
	defer done()

	view(db, func(tx *mmdb.Tx) error {
		name, _ := tx.Cursor().First()
		fmt.Printf("%s\n", name)
		return nil
	})
	// Output: fruit
}

func ExampleTx_Commit() {
	db, done := market()
	defer done()

	tx, err := db.Begin(true)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tx.Commit())
	fmt.Println(tx.Commit())
	// Output:
	// <nil>
	// transaction closed
}

func ExampleTx_Rollback() {
	db, done := market()
	defer done()

	tx, err := db.Begin(true)
	if err != nil {
		log.Fatal(err)
	}
	if err := tx.DeleteBucket([]byte("fruit")); err != nil {
		log.Fatal(err)
	}
	fmt.Println(tx.Rollback())
	view(db, func(tx *mmdb.Tx) error {
		fmt.Println(tx.Bucket([]byte("fruit")).Len())
		return nil
	})
	// Output:
	// <nil>
	// 5
}

func ExampleTx_OnCommit() {
	db, done := market()
	defer done()

	update(db, func(tx *mmdb.Tx) error {
		tx.OnCommit(func() { fmt.Println("durable") })
		fmt.Println("in the transaction")
		return tx.Bucket([]byte("fruit")).Put([]byte("fig"), []byte("1"))
	})
	// Output:
	// in the transaction
	// durable
}

func ExampleTx_ID() {
	db, done := market()
	defer done()

	var seen int
	view(db, func(tx *mmdb.Tx) error { seen = tx.ID(); return nil })
	update(db, func(tx *mmdb.Tx) error {
		fmt.Println(tx.ID() - seen) // the number that the commit will have
		return nil
	})
	// Output: 1
}

func ExampleTx_Size() {
	db, done := market()
	defer done()

	view(db, func(tx *mmdb.Tx) error {
		fmt.Println(tx.Size() == int64(tx.Info().HighWater)*int64(tx.Info().PageSize))
		return nil
	})
	// Output: true
}

func ExampleTx_Writable() {
	db, done := market()
	defer done()

	view(db, func(tx *mmdb.Tx) error {
		fmt.Println(tx.Writable(), tx.Bucket([]byte("fruit")).Put([]byte("fig"), nil))
		return nil
	})
	// Output: false transaction not writable
}

func ExampleTx_Err() {
	db, done := market()
	defer done()

	view(db, func(tx *mmdb.Tx) error {
		v := tx.Bucket([]byte("fruit")).Get([]byte("grape"))
		fmt.Println(v == nil, tx.Err()) // absent, and not unreadable
		return nil
	})
	// Output: true <nil>
}

func ExampleTx_Stats() {
	db, done := market()
	defer done()

	update(db, func(tx *mmdb.Tx) error {
		if err := tx.Bucket([]byte("fruit")).Put([]byte("fig"), make([]byte, 1<<20)); err != nil {
			return err
		}
		fmt.Println(tx.Stats().DirtyBytes > 1<<20, tx.Stats().PagesSpilled)
		return nil
	})
	// Output: true 0
}

func ExampleTx_Check() {
	db, done := market()
	defer done()

	view(db, func(tx *mmdb.Tx) error {
		problems := 0
		for err := range tx.Check() {
			fmt.Println(err)
			problems++
		}
		fmt.Println(problems, "problems")
		return nil
	})
	// Output: 0 problems
}

func ExampleTx_CheckProgress() {
	db, done := market()
	defer done()

	view(db, func(tx *mmdb.Tx) error {
		var last, of uint64
		for err := range tx.CheckProgress(func(pages, total uint64) bool { last, of = pages, total; return true }) {
			return err
		}
		fmt.Println(last <= of)
		return nil
	})
	// Output: true
}

func ExampleTx_WriteTo() {
	db, done := market()
	defer done()

	var backup bytes.Buffer // or a file, or a connection
	view(db, func(tx *mmdb.Tx) error {
		n, err := tx.WriteTo(&backup)
		fmt.Println(n == tx.Size())
		return err
	})
	// Output: true
}

func ExampleTx_CopyFile() {
	db, done := market()
	defer done()

	path := db.Path() + ".copy"
	view(db, func(tx *mmdb.Tx) error { return tx.CopyFile(path, 0o600) })
	copied, err := mmdb.Open(path, 0o600, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer copied.Close()
	view(copied, func(tx *mmdb.Tx) error {
		fmt.Println(tx.Bucket([]byte("fruit")).Len())
		return nil
	})
	// Output: 5
}

func ExampleTx_Info() {
	db, done := market()
	defer done()

	view(db, func(tx *mmdb.Tx) error {
		info := tx.Info()
		fi, err := os.Stat(db.Path())
		fmt.Println(info.PageSize, info.Version, len(info.Metas), info.FileSize == fi.Size())
		return err
	})
	// Output: 4096 1 3 true
}

func ExampleTx_Pages() {
	db, done := market()
	defer done()

	view(db, func(tx *mmdb.Tx) error {
		next := uint64(0)
		for p, err := range tx.Pages() {
			if err != nil {
				return err
			}
			if p.Number != next {
				fmt.Println("a gap before page", p.Number)
			}
			next = p.Number + uint64(p.Run)
			if p.Kind == "meta" {
				fmt.Println("meta pages:", p.Run)
			}
		}
		fmt.Println(int64(next)*4096 == tx.Size())
		return nil
	})
	// Output:
	// meta pages: 12
	// true
}

func ExampleTx_Page() {
	db, done := market()
	defer done()

	update(db, func(tx *mmdb.Tx) error { // large enough for a page of its own
		return tx.Bucket([]byte("fruit")).Put([]byte("fig"), make([]byte, 1900))
	})
	view(db, func(tx *mmdb.Tx) error {
		root := tx.Bucket([]byte("fruit")).Root()
		p, err := tx.Page(root)
		fmt.Println(p.Kind, p.Keys)
		return err
	})
	// Output: leaf 6
}

func ExampleTx_PageBytes() {
	db, done := market()
	defer done()

	view(db, func(tx *mmdb.Tx) error {
		b, err := tx.PageBytes(0)
		fmt.Printf("%d bytes, %q\n", len(b), b[8:12])
		return err
	})
	// Output: 4096 bytes, "mmdb"
}

func ExampleDB_UpdateContext() {
	db, done := market()
	defer done()
	busy, err := db.Begin(true) // somebody else is writing, and takes long
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err = db.UpdateContext(ctx, func(tx *mmdb.Tx) error {
		return tx.Bucket([]byte("fruit")).Put([]byte("apple"), []byte("4"))
	})
	fmt.Println(err)
	if err := busy.Rollback(); err != nil {
		fmt.Println(err)
	}
	// Output: context deadline exceeded
}

func ExampleTx_SetDurability() {
	db, done := market()
	defer done()

	// What can be made again need not wait for the device. A power loss may take it back, whole.
	update(db, func(tx *mmdb.Tx) error {
		tx.SetDurability(mmdb.Lazy)
		visits, err := tx.CreateBucket([]byte("visits"))
		if err != nil {
			return err
		}
		return visits.Put([]byte("2026-11-21"), []byte("17"))
	})
	fmt.Println(db.Sync()) // now it is durable too
	// Output: <nil>
}
