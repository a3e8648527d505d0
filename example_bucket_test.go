package mmdb_test

import (
	"encoding/binary"
	"fmt"

	"mmdb"
	"mmdb/page"
)

// fruit calls fn with the bucket "fruit" of a new database, in a transaction that may change it.
func fruit(fn func(b *mmdb.Bucket) error) {
	db, done := market()
	defer done()
	update(db, func(tx *mmdb.Tx) error { return fn(tx.Bucket([]byte("fruit"))) })
}

func ExampleBucket_Get() {
	fruit(func(b *mmdb.Bucket) error {
		fmt.Printf("%s\n", b.Get([]byte("banana")))
		fmt.Println(b.Get([]byte("grape")) == nil)
		return nil
	})
	// Output:
	// 5
	// true
}

func ExampleBucket_Put() {
	fruit(func(b *mmdb.Bucket) error {
		if err := b.Put([]byte("apple"), []byte("4")); err != nil {
			return err
		}
		fmt.Printf("%s\n", b.Get([]byte("apple")))
		return nil
	})
	// Output: 4
}

func ExampleBucket_PutReserve() {
	fruit(func(b *mmdb.Bucket) error {
		v, err := b.PutReserve([]byte("fig"), 8) // written in place, without a copy
		if err != nil {
			return err
		}
		binary.BigEndian.PutUint64(v, 12)
		fmt.Printf("%x\n", b.Get([]byte("fig")))
		return nil
	})
	// Output: 000000000000000c
}

func ExampleBucket_Delete() {
	fruit(func(b *mmdb.Bucket) error {
		fmt.Println(b.Delete([]byte("apple")), b.Len())
		fmt.Println(b.Delete([]byte("apple")), b.Len()) // absent is no error
		return nil
	})
	// Output:
	// <nil> 4
	// <nil> 4
}

func ExampleBucket_GetMany() {
	fruit(func(b *mmdb.Bucket) error {
		values := b.GetMany([][]byte{[]byte("cherry"), []byte("grape"), []byte("apple")}, nil)
		fmt.Printf("%s\n", values)
		return nil
	})
	// Output: [8  3]
}

func ExampleBucket_All() {
	fruit(func(b *mmdb.Bucket) error {
		for k, v := range b.All() {
			fmt.Printf("%s %s\n", k, v)
		}
		return nil
	})
	// Output:
	// apple 3
	// banana 5
	// cherry 8
	// damson 2
	// elderberry 9
}

func ExampleBucket_Range() {
	fruit(func(b *mmdb.Bucket) error {
		for k := range b.Range([]byte("b"), []byte("damson")) { // not damson itself
			fmt.Printf("%s\n", k)
		}
		return nil
	})
	// Output:
	// banana
	// cherry
}

func ExampleBucket_Prefix() {
	fruit(func(b *mmdb.Bucket) error {
		for k := range b.Prefix([]byte("ch")) {
			fmt.Printf("%s\n", k)
		}
		return nil
	})
	// Output: cherry
}

func ExampleBucket_Backward() {
	fruit(func(b *mmdb.Bucket) error {
		for k := range b.Backward([]byte("c"), nil) {
			fmt.Printf("%s\n", k)
		}
		return nil
	})
	// Output:
	// elderberry
	// damson
	// cherry
}

func ExampleBucket_Len() {
	fruit(func(b *mmdb.Bucket) error {
		fmt.Println(b.Len()) // costs nothing
		return nil
	})
	// Output: 5
}

func ExampleBucket_CountRange() {
	fruit(func(b *mmdb.Bucket) error {
		fmt.Println(b.CountRange([]byte("b"), []byte("e"))) // reads a few pages, however many keys there are
		return nil
	})
	// Output: 3
}

func ExampleBucket_DeleteRange() {
	fruit(func(b *mmdb.Bucket) error {
		n, err := b.DeleteRange([]byte("b"), []byte("e"))
		fmt.Println(n, "deleted,", b.Len(), "left")
		return err
	})
	// Output: 3 deleted, 2 left
}

func ExampleBucket_ForEach() {
	fruit(func(b *mmdb.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			fmt.Printf("%s=%s ", k, v)
			return nil
		})
	})
	// Output: apple=3 banana=5 cherry=8 damson=2 elderberry=9
}

func ExampleBucket_ForEachBucket() {
	fruit(func(b *mmdb.Bucket) error {
		if _, err := b.CreateBucket([]byte("dried")); err != nil {
			return err
		}
		return b.ForEachBucket(func(name []byte) error {
			fmt.Printf("%s\n", name)
			return nil
		})
	})
	// Output: dried
}

func ExampleBucket_CreateBucket() {
	fruit(func(b *mmdb.Bucket) error {
		dried, err := b.CreateBucket([]byte("dried"))
		if err != nil {
			return err
		}
		if err := dried.Put([]byte("plum"), []byte("7")); err != nil {
			return err
		}
		_, err = b.CreateBucket([]byte("apple"))
		fmt.Println(err) // a value has that key
		return nil
	})
	// Output: incompatible value
}

func ExampleBucket_CreateBucketIfNotExists() {
	fruit(func(b *mmdb.Bucket) error {
		for range 2 {
			dried, err := b.CreateBucketIfNotExists([]byte("dried"))
			fmt.Println(dried.Len(), err)
		}
		return nil
	})
	// Output:
	// 0 <nil>
	// 0 <nil>
}

func ExampleBucket_Bucket() {
	fruit(func(b *mmdb.Bucket) error {
		fmt.Println(b.Bucket([]byte("dried")) == nil)
		_, err := b.CreateBucket([]byte("dried"))
		fmt.Println(b.Bucket([]byte("dried")) == nil)
		return err
	})
	// Output:
	// true
	// false
}

func ExampleBucket_DeleteBucket() {
	fruit(func(b *mmdb.Bucket) error {
		if _, err := b.CreateBucket([]byte("dried")); err != nil {
			return err
		}
		fmt.Println(b.DeleteBucket([]byte("dried")))
		fmt.Println(b.DeleteBucket([]byte("apple")))
		return nil
	})
	// Output:
	// <nil>
	// incompatible value
}

func ExampleBucket_MoveBucket() {
	fruit(func(b *mmdb.Bucket) error {
		_, err := b.CreateBucket([]byte("dried"))
		if err != nil {
			return err
		}
		pantry, err := b.Tx().CreateBucket([]byte("pantry"))
		if err != nil {
			return err
		}
		fmt.Println(b.MoveBucket([]byte("dried"), pantry))
		fmt.Println(pantry.Bucket([]byte("dried")) != nil)
		return nil
	})
	// Output:
	// <nil>
	// true
}

func ExampleBucket_NextSequence() {
	fruit(func(b *mmdb.Bucket) error {
		if err := b.SetSequence(41); err != nil {
			return err
		}
		n, err := b.NextSequence() // a number for a new key, for example
		fmt.Println(n, b.Sequence())
		return err
	})
	// Output: 42 42
}

func ExampleBucket_Sequence() {
	fruit(func(b *mmdb.Bucket) error {
		fmt.Println(b.Sequence())
		return nil
	})
	// Output: 0
}

func ExampleBucket_SetSequence() {
	fruit(func(b *mmdb.Bucket) error {
		err := b.SetSequence(1000)
		fmt.Println(b.Sequence())
		return err
	})
	// Output: 1000
}

func ExampleBucket_Stats() {
	fruit(func(b *mmdb.Bucket) error {
		for i := range 1000 {
			if err := b.Put(fmt.Append(nil, i), make([]byte, 100)); err != nil {
				return err
			}
		}
		s := b.Stats()
		fmt.Println(s.Keys, "keys, depth", s.Depth, s.LeafUsed > s.LeafAlloc/2)
		return nil
	})
	// Output: 1005 keys, depth 2 true
}

func ExampleBucket_Root() {
	db, done := market()
	defer done()
	view(db, func(tx *mmdb.Tx) error {
		fmt.Println(tx.Bucket([]byte("fruit")).Root()) // a small bucket is stored in its parent's page
		return nil
	})
	// Output: 0
}

func ExampleBucket_InlineRoot() {
	db, done := market()
	defer done()

	view(db, func(tx *mmdb.Tx) error {
		body, level := tx.Bucket([]byte("fruit")).InlineRoot()
		fmt.Println(page.Leaf(body).Count(), level)
		return nil
	})
	// Output: 5 0
}

func ExampleBucket_Writable() {
	fruit(func(b *mmdb.Bucket) error {
		fmt.Println(b.Writable(), b.Tx().Writable())
		return nil
	})
	// Output: true true
}

func ExampleBucket_Tx() {
	fruit(func(b *mmdb.Bucket) error {
		_, err := b.Tx().CreateBucket([]byte("vegetables"))
		fmt.Println(err)
		return nil
	})
	// Output: <nil>
}

func ExampleBucket_Cursor() {
	fruit(func(b *mmdb.Bucket) error {
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			fmt.Printf("%s=%s ", k, v)
		}
		return nil
	})
	// Output: apple=3 banana=5 cherry=8 damson=2 elderberry=9
}

func ExampleCursor_First() {
	fruit(func(b *mmdb.Bucket) error {
		k, v := b.Cursor().First()
		fmt.Printf("%s %s\n", k, v)
		return nil
	})
	// Output: apple 3
}

func ExampleCursor_Last() {
	fruit(func(b *mmdb.Bucket) error {
		k, v := b.Cursor().Last()
		fmt.Printf("%s %s\n", k, v)
		return nil
	})
	// Output: elderberry 9
}

func ExampleCursor_Next() {
	fruit(func(b *mmdb.Bucket) error {
		c := b.Cursor()
		c.Last()
		k, _ := c.Next()
		fmt.Println(k == nil) // the cursor stays on the last item
		k, _ = c.Prev()
		fmt.Printf("%s\n", k)
		return nil
	})
	// Output:
	// true
	// damson
}

func ExampleCursor_Prev() {
	fruit(func(b *mmdb.Bucket) error {
		c := b.Cursor()
		for k, _ := c.Last(); k != nil; k, _ = c.Prev() {
			fmt.Printf("%s ", k)
		}
		return nil
	})
	// Output: elderberry damson cherry banana apple
}

func ExampleCursor_Seek() {
	fruit(func(b *mmdb.Bucket) error {
		k, _ := b.Cursor().Seek([]byte("blackberry")) // the first key that is not less
		fmt.Printf("%s\n", k)
		return nil
	})
	// Output: cherry
}

func ExampleCursor_SeekLE() {
	fruit(func(b *mmdb.Bucket) error {
		k, _ := b.Cursor().SeekLE([]byte("blackberry")) // the last key that is not greater
		fmt.Printf("%s\n", k)
		return nil
	})
	// Output: banana
}

func ExampleCursor_SeekIndex() {
	fruit(func(b *mmdb.Bucket) error {
		k, _ := b.Cursor().SeekIndex(b.Len() / 2) // the median
		fmt.Printf("%s\n", k)
		return nil
	})
	// Output: cherry
}

func ExampleCursor_Rank() {
	fruit(func(b *mmdb.Bucket) error {
		c := b.Cursor()
		c.Seek([]byte("damson"))
		fmt.Println(c.Rank(), "keys are before damson")
		return nil
	})
	// Output: 3 keys are before damson
}

func ExampleCursor_Delete() {
	fruit(func(b *mmdb.Bucket) error {
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() { // Delete does not make Next skip a key
			if v[0] < '5' {
				if err := c.Delete(); err != nil {
					return err
				}
			}
		}
		fmt.Println(b.Len())
		return nil
	})
	// Output: 3
}

func ExampleCursor_Bucket() {
	fruit(func(b *mmdb.Bucket) error {
		fmt.Println(b.Cursor().Bucket() == b)
		return nil
	})
	// Output: true
}
