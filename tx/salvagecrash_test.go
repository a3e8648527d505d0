package tx

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"strings"
	"testing"

	"mmdb/page"
)

// twoCommits returns the file of a process that died before its last commit, and the same after it, with what is where.
func twoCommits(t *testing.T, rng *rand.Rand) (before, after []byte, old, now []*placedTree) {
	t.Helper()
	path := newPath(t)
	st, err := Open(path, 0o600, &Options{Timeout: quick().Timeout, Seam: noFlush, InitialSize: 8 << 20})
	noError(t, err)
	for i := range 40 {
		noError(t, st.Update(func(tx *Tx) error { return historyStep(tx, rng, 2000, i) }))
	}
	before, old = readAll(t, path), survey(t, st)
	noError(t, st.Update(func(tx *Tx) error {
		b := tx.Bucket([]byte("big"))
		for range 20 {
			if err := b.Put(fmt.Appendf(nil, "key %06d", rng.Intn(2000)), []byte("the last commit")); err != nil {
				return err
			}
		}
		return nil
	}))
	after, now = readAll(t, path), survey(t, st)
	noError(t, st.Close())
	return before, after, old, now
}

// TestSalvageAfterACrash: a commit that a power loss cut short is not there at all, though its meta may be.
func TestSalvageAfterACrash(t *testing.T) {
	cases := 0
	for seed := range int64(10) {
		rng := rand.New(rand.NewSource(seed))
		before, after, old, now := twoCommits(t, rng)
		img := bytes.Clone(after)
		written := writtenPages(t, after)
		torn := false
		for _, no := range written {
			from, to := int(no)*4096, int(no+1)*4096
			var h page.Header
			h.Decode(before[from:to])
			if h.Kind == 0 || rng.Intn(2) == 0 {
				continue // of a page that was empty nobody can tell whether it was written
			}
			copy(img[from:to], before[from:to])
			torn = torn || h.Kind == page.KindLeaf || h.Kind == page.KindBranch
		}
		want := expected(now, nil)
		if torn {
			want = expected(old, nil)
			cases++
		}
		got, report, _, err := salvageImage(t, img, 4096)
		noError(t, err)
		if torn && !maps.Equal(got, want) || len(compare(t, got, want)) > 0 {
			t.Fatalf("seed %d, torn %v: %d keys came back of %d: %+v", seed, torn, len(got), len(want), report)
		}
	}
	if cases == 0 {
		t.Error("no commit was torn")
	}
}

// TestSalvageWithoutTheNewestRoot destroys the metas, the newest commit's record and its root. Nobody can tell then whether
// it was finished: what comes back is what was there before it and after it.
func TestSalvageWithoutTheNewestRoot(t *testing.T) {
	for seed := range int64(10) {
		rng := rand.New(rand.NewSource(seed))
		before, img, old, now := twoCommits(t, rng)
		_, m := newestSlot(img)
		_, was := newestSlot(before)
		lost := map[page.No]bool{m.Record.Page: true}
		for _, r := range []page.Ref{m.Root.Root, was.Root.Root} {
			if r != 0 {
				lost[r.Page()] = true
			}
		}
		clear(img[:page.MetaSlots*page.MetaStride])
		for no := range lost {
			if no != was.Root.Root.Page() {
				clear(img[no*4096:][:4096])
			}
		}
		got, report, _, err := salvageImage(t, img, 4096)
		noError(t, err)
		same, then := expected(now, lost), expected(old, lost)
		if m.Root.Root != 0 {
			got = unnamed(now, got) // an older record may tell names
		}
		maps.DeleteFunc(same, func(k, v string) bool { return then[k] != v })
		compare(t, got, same)
		if report.Complete() || report.Doubtful == 0 || len(got) < 100 {
			t.Errorf("seed %d: %d of %d keys came back: %+v", seed, len(got), len(same), report)
		}
	}
}

// unnamed returns all as it is when the names of the top-level buckets are lost.
func unnamed(trees []*placedTree, all map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range all {
		name, rest, _ := strings.Cut(k[1:], "/")
		for _, p := range trees {
			if p.no != page.RootTree && p.parent.no == page.RootTree && p.name == name {
				if k = fmt.Sprintf("/lost+found/%d/%s", p.no, rest); rest == "" {
					k, v = k[:len(k)-1], "bucket"
				}
				break
			}
		}
		out[k] = v
	}
	return out
}

// TestSalvageOfForgedFiles: pages whose checksums are right and whose contents are not lead to an error or to a report, never to
// a panic or an endless loop.
func TestSalvageOfForgedFiles(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	whole, _ := historyFile(t, rng, Options{}, 40, 600, true)
	_, m := newestSlot(whole)
	n := 150
	if *salvageRuns > 0 {
		n = *salvageRuns
	}
	if testing.Short() {
		n = 15
	}
	for range n {
		img := bytes.Clone(whole)
		if rng.Intn(2) == 0 {
			clear(img[:page.MetaSlots*page.MetaStride])
		}
		for range 1 + rng.Intn(len(img)/4096) {
			no := int(page.FirstPage(4096)) + rng.Intn(len(img)/4096-int(page.FirstPage(4096)))
			b := img[no*4096:][:4096]
			for range 1 + rng.Intn(3) {
				b[8+rng.Intn(page.HeaderSize+200)] = byte(rng.Intn(256) >> rng.Intn(8))
			}
			if rng.Intn(2) == 0 {
				copy(b[8:16], []byte{byte(no), byte(no >> 8), 0, 0, 0, 0, 0, 0})
			}
			page.Seal(b, m.Salt)
		}
		_, _, _, err := salvageImage(t, img, 4096)
		if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	}
}

// TestSalvageSettlesDoubts: the record of the last commit is lost, and the branch above the leaf that it changed. All leaves are
// there, and together have as many keys as the branch had, so they all come back, the new version of that leaf and not the old. But if
// the new leaf is lost too, the old one fits as well, and must not come back.
func TestSalvageSettlesDoubts(t *testing.T) {
	path := newPath(t)
	st, err := Open(path, 0o600, quick())
	noError(t, err)
	noError(t, putKeys(st, 0, 2000))
	noError(t, st.Update(func(tx *Tx) error { return tx.Bucket([]byte("b")).Put(testKey(700), bytes.ToUpper(testValue(700))) }))
	trees := survey(t, st)
	var branch, leaf page.No
	noError(t, st.View(func(tx *Tx) error { branch = page.No(tx.Bucket([]byte("b")).Root()); return nil }))
	noError(t, st.Close())
	leaf = trees[1].keys[string(testKey(700))].pages[0]
	img := readAll(t, path)
	_, m := newestSlot(img)
	lost := map[page.No]bool{m.Record.Page: true, branch: true}
	for _, too := range []page.No{0, leaf} {
		if too != 0 {
			lost[too] = true
		}
		for no := range lost {
			clear(img[no*4096:][:4096])
		}
		got, report, _, err := salvageImage(t, img, 4096)
		noError(t, err)
		missing := compare(t, got, expected(trees, lost))
		if too == 0 && (len(missing) > 0 || !report.Complete()) || too != 0 && report.Doubtful == 0 || report.Exact {
			t.Errorf("page %d lost too: %d keys are missing: %+v", too, len(missing), report)
		}
	}
}
