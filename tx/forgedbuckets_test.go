package tx

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"testing"

	"mmdb/page"
)

// forgeRoot makes a database of what fill puts into it, lets edit change the page of the root of bucket name with its checksum, and opens it again.
func forgeRoot(t *testing.T, name string, fill func(*Tx) error, edit func(b []byte)) *Store {
	t.Helper()
	return forgeRoots(t, []string{name}, fill, func(roots [][]byte) { edit(roots[0]) })
}

// forgeRoots is forgeRoot for the roots of several buckets.
func forgeRoots(t *testing.T, names []string, fill func(*Tx) error, edit func(roots [][]byte)) *Store {
	t.Helper()
	path := newPath(t)
	st := openStore(t, path, unflushed(Options{}))
	noError(t, st.Update(fill))
	var at []uint64
	noError(t, st.View(func(tx *Tx) error {
		for _, name := range names {
			at = append(at, tx.Bucket([]byte(name)).Root())
		}
		return nil
	}))
	noError(t, st.Close())
	img, err := os.ReadFile(path)
	noError(t, err)
	var roots [][]byte
	for _, no := range at {
		roots = append(roots, img[no<<st.shift:][:st.pageSize])
	}
	edit(roots)
	for _, b := range roots {
		page.Seal(b, st.salt)
	}
	noError(t, os.WriteFile(path, img, 0o600))
	return forgedStore(t, path)
}

// pointBuckets makes all buckets in leaf b be the one whose root is the leaf to.
func pointBuckets(b, to []byte) {
	l := page.Leaf(page.Body(b))
	for i := range l.Count() {
		if l.Kind(i) == page.CellBucket {
			page.Bucket{Root: page.PageRef(page.Number(to)), Keys: uint64(page.Leaf(page.Body(to)).Count()), Tree: page.TreeNo(to)}.Encode(l.Payload(i))
		}
	}
}

// forgedStore opens a database that Check finds damaged.
func forgedStore(t *testing.T, path string) *Store {
	t.Helper()
	st, err := Open(path, 0o600, unflushed(Options{}))
	noError(t, err)
	t.Cleanup(func() { noError(t, st.Close()) })
	return st
}

// reopened closes st and opens it again.
func reopened(t *testing.T, st *Store) *Store {
	t.Helper()
	noError(t, st.Close())
	return forgedStore(t, st.path)
}

const forgedKeys = 500

// fillCounted makes buckets a and other with forgedKeys items, of which a has a branch of its own.
func fillCounted(tx *Tx) error {
	for _, name := range []string{"a", "other"} {
		b, err := tx.CreateBucket([]byte(name))
		for i := 0; i < forgedKeys && err == nil; i++ {
			err = b.Put(testKey(i), make([]byte, 200))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// countVerbs are changes of bucket a that go by its counts.
var countVerbs = map[string]func(b *Bucket) error{
	"Put": func(b *Bucket) error { return b.Put(append(testKey(3), 'x'), nil) },
	"Put many": func(b *Bucket) (err error) {
		for i := 0; i < forgedKeys && err == nil; i++ {
			err = b.Put(append(testKey(i), 'x'), make([]byte, 200))
		}
		return err
	},
	"Delete": func(b *Bucket) (err error) {
		for i := 0; i < 40 && err == nil; i++ {
			err = b.Delete(testKey(i))
		}
		return err
	},
	"Delete all": func(b *Bucket) (err error) {
		for i := 0; i < forgedKeys && err == nil; i++ {
			err = b.Delete(testKey(i))
		}
		return err
	},
	"Cursor.Delete": func(b *Bucket) error {
		c := b.Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return b.tx.Err()
	},
	"DeleteRange at the front": func(b *Bucket) error { _, err := b.DeleteRange(nil, testKey(10)); return err },
	"DeleteRange at the end":   func(b *Bucket) error { _, err := b.DeleteRange(testKey(25), nil); return err },
	"DeleteRange of all":       func(b *Bucket) error { _, err := b.DeleteRange(nil, nil); return err },
	"DeleteRange of all but one": func(b *Bucket) error {
		_, err := b.DeleteRange(testKey(1), nil)
		return err
	},
}

// A wrong number of keys in a branch is damage: never a panic, and what it leads to is no worse.
func TestWrongCountInABranchSpoilsNothingElse(t *testing.T) {
	for name, verb := range countVerbs {
		for what, wrong := range map[string]func(n uint64) uint64{
			"none": func(uint64) uint64 { return 0 }, "one": func(uint64) uint64 { return 1 },
			"one less": func(n uint64) uint64 { return n - 1 }, "one more": func(n uint64) uint64 { return n + 1 },
			"most": func(uint64) uint64 { return page.MaxChildKeys },
		} {
			st := forgeRoot(t, "a", fillCounted, func(b []byte) {
				br := page.Branch(page.Body(b))
				br.SetKeys(0, wrong(br.Keys(0)))
			})
			err := st.Update(func(tx *Tx) error { return verb(tx.Bucket([]byte("a"))) })
			if err != nil && !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s with %s: %v", name, what, err)
			}
			if name == "DeleteRange of all" && err == nil {
				t.Errorf("%s with %s: no error", name, what)
			}
			// Two more commits, lest the one before the change is there to be taken.
			for i := range 2 {
				noError(t, st.Update(func(tx *Tx) error { return tx.Bucket([]byte("other")).Put(testKey(i), make([]byte, 200)) }))
			}
			st = reopened(t, st)
			noError(t, st.View(func(tx *Tx) error {
				for _, name := range []string{"a", "other"} {
					n := 0
					for k, v := range tx.Bucket([]byte(name)).All() {
						if len(k) == 0 || len(v) > 200 {
							t.Errorf("item %q of %d bytes", k, len(v))
						}
						n++
					}
					if name == "other" && n != forgedKeys {
						t.Errorf("%d items in the other bucket", n)
					}
				}
				return tx.Err()
			}))
		}
	}
}

// The same of the number in a bucket's header, which is in the leaf of its parent with the bucket's siblings.
func TestWrongCountInABucketSpoilsNothingElse(t *testing.T) {
	sibling := bytes.Repeat([]byte("sibling"), 200)
	fill := func(tx *Tx) error {
		p, err := tx.CreateBucket([]byte("p"))
		noError(t, err)
		noError(t, p.Put([]byte("sibling"), sibling))
		b, err := p.CreateBucket([]byte("a"))
		for i := 0; i < forgedKeys && err == nil; i++ {
			err = b.Put(testKey(i), make([]byte, 200))
		}
		return err
	}
	for name, verb := range countVerbs {
		for _, add := range []int64{-forgedKeys, -forgedKeys + 1, -1, 1, -forgedKeys - 1} {
			st := forgeRoot(t, "p", fill, func(b []byte) {
				cell := page.Leaf(page.Body(b)).Payload(0)
				hdr := page.DecodeBucket(cell)
				hdr.Keys += uint64(add)
				hdr.Encode(cell)
			})
			err := st.Update(func(tx *Tx) error { return verb(tx.Bucket([]byte("p")).Bucket([]byte("a"))) })
			if err != nil && !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s with %d: %v", name, add, err)
			}
			st = reopened(t, st)
			noError(t, st.View(func(tx *Tx) error {
				p := tx.Bucket([]byte("p"))
				if v := p.Get([]byte("sibling")); !bytes.Equal(v, sibling) {
					t.Errorf("%s with %d: the sibling has %d bytes", name, add, len(v))
				}
				for range p.Bucket([]byte("a")).All() {
				}
				return tx.Err()
			}))
		}
	}
}

// Whatever made it so: a root bucket that would be refused when the file is opened again is not committed.
func TestARootThatCanNotBeReadIsNotCommitted(t *testing.T) {
	st, g, first := gated(t, Options{})
	end := joinGroup(t, st, func(tx *Tx) error { return putInto(tx, 10, 20) })
	st.mu.Lock()
	st.w.group.root.Keys++
	st.mu.Unlock()
	g.let(nil)
	noError(t, <-first)
	wantError(t, <-end, ErrCorrupt, "root bucket")
	wantKeys(t, st, 10)
	noError(t, putKeys(st, 10, 30))
	wantKeys(t, st, 30)
}

// fillNested makes buckets b0, b1 and so on in tx, each with so many buckets in its leaf that have a page of their own.
func fillNested(names []string, nested int) func(tx *Tx) error {
	return func(tx *Tx) (err error) {
		put := func(b *Bucket) {
			for k := range 3 {
				err = errors.Join(err, b.Put(testKey(k), make([]byte, 800)))
			}
		}
		for _, name := range names {
			b, failed := tx.CreateBucket([]byte(name))
			if failed != nil {
				return failed
			}
			err = errors.Join(err, b.Put([]byte("k"), make([]byte, 1500)))
			for i := range nested {
				c, failed := b.CreateBucket(fmt.Appendf(nil, "n%d", i))
				if failed != nil {
					return failed
				}
				put(c)
			}
		}
		return err
	}
}

// A bucket that is inside itself is damage for whoever opens it, and for whoever deletes what it is in.
func TestABucketInsideItself(t *testing.T) {
	st := forgeRoot(t, "a", fillNested([]string{"a", "other"}, 2), func(b []byte) { pointBuckets(b, b) })
	defer debug.SetMaxStack(debug.SetMaxStack(64 << 20))
	for what, fn := range map[string]func(a *Bucket) error{
		"Bucket": func(a *Bucket) error {
			if b := a.Bucket([]byte("n0")); b != nil {
				t.Error("it can be opened")
			}
			return nil // Tx.Err tells
		},
		"DeleteBucket of it":         func(a *Bucket) error { return a.DeleteBucket([]byte("n0")) },
		"DeleteBucket of its parent": func(a *Bucket) error { return a.tx.DeleteBucket([]byte("a")) },
		"MoveBucket":                 func(a *Bucket) error { return a.tx.MoveBucket([]byte("n0"), a, nil) },
	} {
		if err := st.Update(func(tx *Tx) error { return fn(tx.Bucket([]byte("a"))) }); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	wantError(t, st.View(func(tx *Tx) error { tx.Bucket([]byte("a")).Bucket([]byte("n0")); return nil }), ErrCorrupt, "inside itself")
	noError(t, st.Update(func(tx *Tx) error { return tx.DeleteBucket([]byte("other")) }))
}

// A bucket that is reached in many ways is freed in one of them at most, in bounded time.
func TestABucketThatIsReachedInManyWays(t *testing.T) {
	var names []string
	for i := range 6 {
		names = append(names, fmt.Sprint("b", i))
	}
	st := forgeRoots(t, names, fillNested(names, 20), func(roots [][]byte) {
		for i := range len(roots) - 1 {
			pointBuckets(roots[i], roots[i+1])
		}
	})
	wantError(t, st.Update(func(tx *Tx) error {
		err := tx.DeleteBucket([]byte("b0"))
		if n := len(tx.w.freed); n > int(tx.limit) {
			t.Errorf("%d pages are freed of a database of %d", n, tx.limit)
		}
		return err
	}), ErrCorrupt, "more than once")
}

// A reference may name the very commit that deletes it: what it refers to is not taken for something that this transaction has written.
func TestAReferenceToTheFuture(t *testing.T) {
	fill := func(tx *Tx) error {
		b, err := tx.CreateBucket([]byte("a"))
		for i := 0; i < 20 && err == nil; i++ {
			err = b.Put(testKey(i), make([]byte, 5000))
		}
		return err
	}
	for _, twice := range []bool{false, true} {
		st := forgeRoot(t, "a", fill, func(b []byte) {
			l := page.Leaf(page.Body(b))
			for i := range l.Count() {
				o := page.DecodeOverflow(l.Payload(i))
				o.Born++
				if twice {
					o.Page = page.DecodeOverflow(l.Payload(0)).Page
				}
				o.Encode(l.Payload(i))
			}
		})
		err := st.Update(func(tx *Tx) error {
			b := tx.Bucket([]byte("a"))
			noError(t, largeInto(tx, "x", 17<<20)) // written at once
			for i := range 20 {
				noError(t, b.Delete(testKey(i)))
			}
			noError(t, largeInto(tx, "x", 18<<20))
			return largeInto(tx, "x", 19<<20)
		})
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
		noError(t, putKeys(st, 0, 10))
		wantKeys(t, st, 10)
	}
}
