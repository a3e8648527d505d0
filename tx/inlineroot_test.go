package tx

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"mmdb/page"
)

// rootInline reports whether the root bucket of the newest commit is in the meta.
func rootInline(st *Store) bool { return st.published.Load().meta.Root.Root == 0 }

// newestWritten returns how many pages the newest commit wrote, with its record.
func newestWritten(t *testing.T, st *Store) (n uint64) {
	t.Helper()
	noError(t, st.View(func(tx *Tx) error {
		for c, err := range tx.History() {
			n = c.Written
			return err
		}
		return nil
	}))
	return n
}

// wantBuckets ends the test unless the top level has exactly the buckets named in want, each with a key and value that is its name.
func wantBuckets(t *testing.T, st *Store, want []string) {
	t.Helper()
	noError(t, st.View(func(tx *Tx) error {
		n := 0
		err := tx.ForEach(func(name []byte, b *Bucket) error {
			if n == len(want) || string(name) != want[n] || !bytes.Equal(b.Get(name[:1]), name) {
				t.Fatalf("bucket %d is %.40q, want %.40q", n, name, want)
			}
			n++
			return nil
		})
		if n != len(want) {
			t.Fatalf("%d buckets, want %d", n, len(want))
		}
		return err
	}))
	checkStore(t, st)
}

// putBucket makes a bucket with a key and value that is its name.
func putBucket(tx *Tx, name string) error {
	b, err := tx.CreateBucketIfNotExists([]byte(name))
	if err != nil {
		return err
	}
	return b.Put([]byte(name[:1]), []byte(name))
}

func TestANewDatabaseHasNoDataPage(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	if high := st.published.Load().meta.HighWater; high != st.first+1 || !rootInline(st) {
		t.Errorf("high water %d, root inline: %v", high, rootInline(st))
	}
	wantBuckets(t, st, nil)
}

// The root bucket of most databases is in the meta: a commit of one put writes leaf, branch and record.
func TestASmallCommitDoesNotWriteTheRootBucket(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	noError(t, putKeys(st, 0, 3000))
	for _, name := range []string{"other", "third"} {
		noError(t, st.Update(func(tx *Tx) error { return putBucket(tx, name) }))
	}
	noError(t, putKeys(st, 100, 101))
	if n := newestWritten(t, st); n != 3 {
		t.Errorf("a commit of one put wrote %d pages", n)
	}
	noError(t, st.Update(func(tx *Tx) error { return tx.Bucket([]byte("other")).SetSequence(7) }))
	if n := newestWritten(t, st); n != 1 {
		t.Errorf("a commit in a bucket that is inline wrote %d pages", n)
	}
	checkStore(t, st)
}

// TestTheRootBucketMovesOutAndIn: with too many buckets, with a bucket of many bytes inline and with a name that is too long it has a
// page, and without them it has none.
func TestTheRootBucketMovesOutAndIn(t *testing.T) {
	path := newPath(t)
	st := openStore(t, path, quick())
	var names []string
	grow := func(name string) {
		noError(t, st.Update(func(tx *Tx) error { return putBucket(tx, name) }))
		names = append(names, name)
	}
	for i := 0; rootInline(st); i++ {
		if i == 100 {
			t.Fatal("100 buckets in the meta")
		}
		grow(fmt.Sprintf("bucket %03d", i))
		wantBuckets(t, st, names)
	}
	if len(names) < 3 {
		t.Errorf("%d small buckets do not fit the meta", len(names))
	}
	for i := range 30 {
		grow(fmt.Sprintf("many %03d", i))
	}
	noError(t, st.Close())
	st = openStore(t, path, quick())
	wantBuckets(t, st, names)
	for len(names) > 0 {
		noError(t, st.Update(func(tx *Tx) error { return tx.DeleteBucket([]byte(names[0])) }))
		names = names[1:]
		if len(names) == 2 && !rootInline(st) {
			t.Error("a page for two small buckets")
		}
		wantBuckets(t, st, names)
	}
	grow("value")
	for _, c := range []struct {
		what   string
		inline bool
		fn     func(tx *Tx) error
	}{
		{"a long value in an inline bucket", false, func(tx *Tx) error { return tx.Bucket([]byte("value")).Put([]byte("x"), make([]byte, 500)) }},
		{"a short one", true, func(tx *Tx) error { return tx.Bucket([]byte("value")).Put([]byte("x"), make([]byte, 50)) }},
		{"a large name", false, func(tx *Tx) error { return putBucket(tx, string(make([]byte, 3000))) }},
		{"no large name", true, func(tx *Tx) error { return tx.DeleteBucket(make([]byte, 3000)) }},
	} {
		noError(t, st.Update(c.fn))
		if rootInline(st) != c.inline {
			t.Errorf("%s: the root bucket is in the meta: %v", c.what, !c.inline)
		}
		checkStore(t, st)
	}
}

// Names and values in the meta's root bucket are as other slices: they keep their bytes until their transaction ends, and a store to
// them faults.
func TestSlicesOfTheRootBucketStay(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	noError(t, st.Update(func(tx *Tx) error { return errors.Join(putBucket(tx, "first"), putBucket(tx, "second")) }))
	old, err := st.Begin(false)
	noError(t, err)
	var kept [][]byte
	noError(t, old.ForEach(func(name []byte, b *Bucket) error {
		kept = append(kept, name, b.Get(name[:1]))
		return nil
	}))
	writer, err := st.Begin(true)
	noError(t, err)
	c := writer.Cursor()
	name, _ := c.First()
	value := c.Bucket().Bucket(name).Get(name[:1])
	noError(t, putBucket(writer, "earlier"))
	noError(t, writer.DeleteBucket([]byte("first")))
	if string(name) != "first" || string(value) != "first" {
		t.Errorf("%q and %q in the transaction that deleted them", name, value)
	}
	noError(t, writer.Commit())
	for i := range 200 {
		noError(t, putKeys(st, i, i+1))
	}
	for i, want := range []string{"first", "first", "second", "second"} {
		if string(kept[i]) != want {
			t.Errorf("slice %d has become %q", i, kept[i])
		}
		if !storeFaults(kept[i]) {
			t.Errorf("a store to slice %d goes through", i)
		}
	}
	noError(t, old.Rollback())
	checkStore(t, st)
}

// storeFaults reports whether a store to b faults.
func storeFaults(b []byte) (fault bool) {
	defer setFault(enter())
	defer func() { fault = recover() != nil }()
	b[0] = 'X'
	return false
}

// The functions of a group build on each other's root bucket, and a failing one in between leaves no trace.
func TestTheFunctionsOfAGroupShareTheRootBucket(t *testing.T) {
	st, g, first := gated(t, Options{})
	var ends, failed []chan error
	names := []string{}
	oops := errors.New("oops")
	for i := range 30 {
		name := fmt.Sprintf("%c%d", 'c'+i, i)
		failed = append(failed, finished(st, func(tx *Tx) error {
			if err := errors.Join(putBucket(tx, "failing"), putInto(tx, 2, 4)); err != nil {
				return err
			}
			for _, n := range names { // what others made, on its way to a page and back
				if err := tx.DeleteBucket([]byte(n)); err != nil {
					return err
				}
			}
			return oops
		}))
		ends = append(ends, joinGroup(t, st, func(tx *Tx) error {
			if n := tx.root.Len(); n != uint64(len(names))+1 {
				t.Errorf("%d buckets in function %d", n, i)
			}
			return putBucket(tx, name)
		}))
		names = append(names, name)
		if i%10 == 9 { // few enough for the meta again
			for _, gone := range names[:len(names)-2] {
				ends = append(ends, joinGroup(t, st, func(tx *Tx) error { return tx.DeleteBucket([]byte(gone)) }))
			}
			names = names[len(names)-2:]
		}
	}
	g.let(nil)
	noError(t, <-first)
	for _, end := range ends {
		noError(t, <-end)
	}
	for _, end := range failed {
		wantError(t, <-end, oops)
	}
	noError(t, st.Update(func(tx *Tx) error { return tx.DeleteBucket([]byte("b")) }))
	wantBuckets(t, st, names)
}

// TestTheRootBucketOfAllKindsOfCommits: spilled ones, those of Begin, lazy ones, of two phases, with checkpoints and with pages carried along.
func TestTheRootBucketOfAllKindsOfCommits(t *testing.T) {
	for name, o := range map[string]Options{"spill": {MaxDirty: 64 << 10}, "two phases": {TwoPhase: true}, "lazy": {Durability: Lazy, SyncInterval: -1}, "plain": {}} {
		for _, sabotage := range []Bug{EagerCheckpoint, EagerCarry} {
			t.Run(fmt.Sprint(name, " ", sabotage), func(t *testing.T) {
				o := o
				Sabotage(&o, sabotage)
				path := newPath(t)
				st := openStore(t, path, &o)
				rng := rand.New(rand.NewPCG(1, 2))
				names := map[string]bool{}
				for i := range 40 {
					tx, err := st.Begin(true)
					noError(t, err)
					for range 1 + rng.IntN(6) {
						switch name := fmt.Sprintf("%c", 'd'+rng.IntN(16)); {
						case rng.IntN(3) > 0:
							noError(t, putBucket(tx, name))
							names[name] = true
						case names[name]:
							noError(t, tx.DeleteBucket([]byte(name)))
							delete(names, name)
						}
					}
					noError(t, putInto(tx, i*10, i*10+10+rng.IntN(600)*(i%5/4)))
					noError(t, tx.DeleteBucket([]byte("b")))
					if i%7 == 6 {
						noError(t, tx.Rollback())
						names = map[string]bool{}
						noError(t, st.View(func(tx *Tx) error {
							return tx.ForEach(func(name []byte, _ *Bucket) error { names[string(name)] = true; return nil })
						}))
						continue
					}
					noError(t, tx.Commit())
					checkStore(t, st)
					if i%10 == 9 {
						noError(t, st.Close())
						st = openStore(t, path, &o)
					}
				}
				all := []string{}
				for c := 'd'; c < 'd'+16; c++ {
					if names[string(c)] {
						all = append(all, string(c))
					}
				}
				wantBuckets(t, st, all)
			})
		}
	}
}

// TestTheMetaTellsTheRootBucket: a damaged record, which nobody has read yet, does not show in it.
func TestTheMetaTellsTheRootBucket(t *testing.T) {
	path := newPath(t)
	st := openStore(t, path, quick())
	noError(t, st.Update(func(tx *Tx) error { return putBucket(tx, "name") }))
	noError(t, st.Close())
	img := readAll(t, path)
	_, m := newestSlot(img)
	at := int(m.Record.Page)<<12 + page.RunHeaderSize + page.RecordBody
	if !bytes.Contains(img[at:][:100], []byte("name")) {
		t.Fatal("the record does not have the root bucket")
	}
	img[at+40] ^= 1
	noError(t, os.WriteFile(path, img, 0o600))
	st, err := Open(path, 0o600, quick())
	noError(t, err)
	damaged := 0
	noError(t, st.View(func(tx *Tx) error {
		if b := tx.Bucket([]byte("name")); b == nil || string(b.Get([]byte("n"))) != "name" {
			t.Error("the bucket is not there")
		}
		for err := range tx.Check() {
			damaged++
			if !errors.Is(err, ErrCorrupt) {
				t.Error(err)
			}
		}
		return nil
	}))
	if damaged == 0 {
		t.Error("the damage was not found")
	}
	noError(t, st.Close())
}

// TestMetaAndRecordMustAgreeAboutTheRootBucket: a commit that was not closed cleanly is whole only if they do.
func TestMetaAndRecordMustAgreeAboutTheRootBucket(t *testing.T) {
	path := newPath(t)
	st := openStore(t, path, quick())
	noError(t, st.Update(func(tx *Tx) error { return putBucket(tx, "old") }))
	noError(t, st.Update(func(tx *Tx) error { return putBucket(tx, "new") }))
	img := editMetas(readAll(t, path), func(_ int, m *page.Meta) {
		if m.Commit == 3 {
			body := bytes.Clone(m.Body.Bytes())
			copy(body[bytes.Index(body, []byte("new")):], "nex")
			m.Body = page.NewInlineRoot(body)
		}
	})
	st = openStore(t, writeFile(t, img), quick())
	wantBuckets(t, st, []string{"old"})
}
