package tx

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"mmdb/page"
)

// rootOf returns the header of the bucket that path leads to, as its cell has it.
func rootOf(t *testing.T, st *Store, path ...string) (hdr page.Bucket) {
	t.Helper()
	noError(t, st.View(func(tx *Tx) error {
		b := &tx.root
		for _, name := range path {
			b = b.Bucket([]byte(name))
		}
		hdr = b.hdr
		return nil
	}))
	return hdr
}

// The root of a large tree is a branch with few children: it stands in its bucket's cell, and that in the meta. So a commit of one put
// writes a branch, a leaf and the record.
func TestASmallCommitInALargeTreeWritesThreePages(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	noError(t, putKeys(st, 0, 10_000))
	if h := rootOf(t, st, "b"); h.Root != 0 || h.Level != 2 {
		t.Fatalf("root %s, level %d", h.Root, h.Level)
	}
	noError(t, putKeys(st, 5000, 5001))
	if n := newestWritten(t, st); n != 3 {
		t.Errorf("a commit of one put wrote %d pages", n)
	}
	noError(t, st.View(func(tx *Tx) error {
		s := tx.Bucket([]byte("b")).Stats()
		if s.Depth != 2 || s.Keys != 10_000 || s.BranchPages < 2 || tx.root.Stats().InlineBuckets != 0 {
			t.Errorf("stats: %+v", s)
		}
		return keysAre(tx, 10_000)
	}))
	checkStore(t, st)
}

// With too many children a root branch has a page, and with fewer it has none; so has one whose separators are large.
func TestARootBranchMovesOutAndIn(t *testing.T) {
	path := newPath(t)
	st := openStore(t, path, quick())
	n, inline, paged := 0, 0, 0
	look := func() {
		switch h := rootOf(t, st, "b"); {
		case h.Root != 0:
			paged++
		case h.Level > 0:
			inline++
		}
		wantKeys(t, st, n)
		checkStore(t, st)
	}
	for ; n < 900; n += 30 {
		noError(t, putKeys(st, n, n+30))
		n += 30
		look()
		n -= 30
	}
	if inline == 0 || paged == 0 {
		t.Errorf("%d times inline, %d times in a page", inline, paged)
	}
	noError(t, st.Close())
	st = openStore(t, path, quick())
	inline = 0
	for n > 0 {
		n -= 45
		noError(t, st.Update(func(tx *Tx) error {
			_, err := tx.Bucket([]byte("b")).DeleteRange(testKey(n), nil)
			return err
		}))
		look()
	}
	if inline == 0 {
		t.Error("it did not move in again")
	}
	noError(t, st.Update(func(tx *Tx) error {
		b, err := tx.CreateBucket([]byte("large"))
		for i := range 6 {
			err = firstError(err, b.Put(append(bytes.Repeat([]byte("k"), 2000), byte(i)), make([]byte, 900)))
		}
		return err
	}))
	if h := rootOf(t, st, "large"); h.Root == 0 {
		t.Error("a branch with large keys is inline")
	}
	checkStore(t, st)
}

// The root bucket itself may be a branch in the meta.
func TestTheRootBucketMayBeABranchInTheMeta(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	var names []string
	for i := range 200 {
		names = append(names, fmt.Sprintf("bucket %03d", i))
		noError(t, st.Update(func(tx *Tx) error { return putBucket(tx, names[i]) }))
	}
	if h := rootOf(t, st); h.Root != 0 || h.Level != 1 {
		t.Errorf("root %s, level %d", h.Root, h.Level)
	}
	wantBuckets(t, st, names)
	path := st.Path()
	noError(t, st.Close())
	st = openStore(t, path, quick())
	wantBuckets(t, st, names)
	img, _, _, err := salvageImage(t, readAll(t, path), 4096)
	if err != nil || len(img) != 400 {
		t.Errorf("%d keys salvaged: %v", len(img), err)
	}
}

// What an inline branch says is compared with the pages that it refers to, as with one in a page.
func TestDamageInAnInlineBranch(t *testing.T) {
	path := newPath(t)
	st := openStore(t, path, quick())
	noError(t, putKeys(st, 0, 10_000))
	noError(t, st.Update(func(tx *Tx) error {
		b, err := tx.CreateBucket([]byte("c"))
		for i := range 2000 {
			err = firstError(err, b.Put(testKey(i), testValue(i)))
		}
		return err
	}))
	other := rootOf(t, st, "c").Root
	noError(t, st.Close())
	img := readAll(t, path)
	for _, c := range []struct {
		what   string
		change func(h *page.Bucket, br page.Branch)
	}{
		{"a page of another tree", func(_ *page.Bucket, br page.Branch) { br.SetChild(0, other) }},
		{"a page that is no branch", func(_ *page.Bucket, br page.Branch) { br.SetChild(0, page.PageRef(12)) }},
		{"another child", func(_ *page.Bucket, br page.Branch) { br.SetChild(0, br.Child(1)) }},
		{"beyond the high water", func(_ *page.Bucket, br page.Branch) { br.SetChild(1, 1<<40) }},
		{"a dirty page", func(_ *page.Bucket, br page.Branch) { br.SetChild(1, page.DirtyRef(1)) }},
		{"the metas", func(_ *page.Bucket, br page.Branch) { br.SetChild(1, page.PageRef(2)) }},
		{"higher", func(h *page.Bucket, _ page.Branch) { h.Level++ }},
		{"lower", func(h *page.Bucket, _ page.Branch) { h.Level-- }},
		{"a leaf", func(h *page.Bucket, _ page.Branch) { h.Level = 0 }},
		{"too high", func(h *page.Bucket, _ page.Branch) { h.Level = maxDepth - 1 }},
		{"much too high", func(h *page.Bucket, _ page.Branch) { h.Level = 255 }},
		{"counts", func(_ *page.Bucket, br page.Branch) { br.SetKeys(0, br.Keys(0)+1) }},
		{"all counts", func(h *page.Bucket, br page.Branch) { br.SetKeys(0, br.Keys(0)+1); h.Keys++ }},
	} {
		t.Run(c.what, func(t *testing.T) {
			path := writeFile(t, editMetas(img, func(_ int, m *page.Meta) {
				if m.Root.Keys == 0 {
					return
				}
				body := bytes.Clone(m.Body.Bytes())
				cell := page.Leaf(body).Payload(0)
				h := page.DecodeBucket(cell)
				c.change(&h, page.Branch(cell[page.BucketHeaderSize:]))
				h.Encode(cell)
				m.Body = page.NewInlineRoot(body)
			}))
			st, err := Open(path, 0o600, quick())
			if err == nil {
				err = st.View(func(tx *Tx) error {
					for err := range tx.Check() {
						return err
					}
					return nil
				})
				err = firstError(err, st.Close())
			}
			wantError(t, err, ErrCorrupt)
		})
	}
}

// TestInlineBranchesInAllKindsOfCommits lets trees of every size come, grow, move, shrink and go in nested buckets.
func TestInlineBranchesInAllKindsOfCommits(t *testing.T) {
	for name, o := range map[string]Options{"spill": {MaxDirty: 64 << 10}, "two phases": {TwoPhase: true}, "lazy": {Durability: Lazy, SyncInterval: -1}, "plain": {}} {
		for _, sabotage := range []Bug{0, EagerCheckpoint, EagerCarry} {
			t.Run(fmt.Sprint(name, " ", sabotage), func(t *testing.T) {
				o := o
				if sabotage != 0 {
					Sabotage(&o, sabotage)
				}
				inlineBranchCase(t, o, rand.New(rand.NewPCG(uint64(sabotage), 3)))
			})
		}
	}
}

func inlineBranchCase(t *testing.T, o Options, rng *rand.Rand) {
	path := newPath(t)
	st := openStore(t, path, &o)
	oops := errors.New("oops")
	for i := range 60 {
		want := map[string]string{}
		err := st.Update(func(tx *Tx) error {
			for range 1 + rng.IntN(5) {
				if err := inlineBranchStep(tx, rng, i); err != nil {
					return err
				}
			}
			if i%6 == 5 {
				return oops
			}
			want = contentsOf(tx)
			return nil
		})
		if i%6 == 5 {
			wantError(t, err, oops)
			checkStore(t, st)
			continue
		}
		noError(t, err)
		compareAll(t, contents(t, st), want)
		checkStore(t, st)
		if i%15 == 14 {
			noError(t, st.Close())
			st = openStore(t, path, &o)
			compareAll(t, contents(t, st), want)
		}
	}
}

// inlineBranchStep changes one of a few nested buckets.
func inlineBranchStep(tx *Tx, rng *rand.Rand, i int) error {
	up, err := tx.CreateBucketIfNotExists(fmt.Append(nil, "up", rng.IntN(2)))
	if err != nil {
		return err
	}
	to, err := tx.CreateBucketIfNotExists([]byte("to"))
	if err != nil {
		return err
	}
	name := fmt.Append(nil, "tree", rng.IntN(3))
	b, err := up.CreateBucketIfNotExists(name)
	if err != nil {
		return err
	}
	from := rng.IntN(400)
	switch rng.IntN(9) {
	case 0:
		return up.DeleteBucket(name)
	case 1:
		if to.Bucket(name) != nil {
			err = to.DeleteBucket(name)
		}
		return firstError(err, up.MoveBucket(name, to))
	case 2:
		return tx.DeleteBucket([]byte("to"))
	case 3:
		_, err = b.DeleteRange(testKey(from), testKey(from+rng.IntN(400)))
		return err
	case 4:
		_, err = b.NextSequence()
		return err
	}
	for k := range rng.IntN(120) {
		err = firstError(err, b.Put(testKey(from+k), testValue(i)))
	}
	return err
}

// contentsOf is contents as a transaction sees them.
func contentsOf(tx *Tx) map[string]string {
	all := map[string]string{}
	var walk func(b *Bucket, path string)
	walk = func(b *Bucket, path string) {
		for k, v := range b.All() {
			at := path + "/" + string(k)
			if v != nil {
				all[at] = "=" + string(v)
				continue
			}
			c := b.Bucket(k)
			all[at] = fmt.Sprintf("bucket %d", c.Sequence())
			walk(c, at)
		}
	}
	walk(&tx.root, "")
	return all
}

func compareAll(t *testing.T, got, want map[string]string) {
	t.Helper()
	if missing := compare(t, got, want); len(missing) > 0 {
		t.Fatalf("%d keys are missing: %.60q", len(missing), missing[:min(5, len(missing))])
	}
}
