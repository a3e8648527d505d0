package tx

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mmdb/mmapfile"
	"mmdb/page"
)

var (
	salvageSeed = flag.Int64("salvage.seed", 0, "seed of the first case of TestSalvageOfDamagedFiles; alone it is the only one")
	salvageRuns = flag.Int("salvage.runs", 0, "cases of each salvage test, 0 for a few")
)

// A placed key is where a key of the undamaged database stands.
type placedKey struct {
	value []byte
	pages []page.No // without which it can't come back: its leaf, and the runs of key and value
}

// A placedTree is a bucket of the undamaged database.
type placedTree struct {
	no       page.Tree
	parent   *placedTree
	name     string
	cell     []page.No // without which its name can't come back
	sequence uint64
	keys     map[string]placedKey
}

// survey notes where everything of the newest commit stands.
func survey(t *testing.T, st *Store) (trees []*placedTree) {
	t.Helper()
	noError(t, st.View(func(tx *Tx) error {
		var bucket func(b *Bucket, p *placedTree)
		var node func(b *Bucket, p *placedTree, ref page.Ref, level int)
		leaf := func(b *Bucket, p *placedTree, l page.Leaf, no page.No) {
			for i := range l.Count() {
				at := []page.No{no}
				runs := func(o page.Overflow) {
					for k := range page.RunPages(int(o.Len), tx.store.pageSize) {
						at = append(at, o.Page.Page()+page.No(k))
					}
				}
				if l.Large(i) {
					runs(l.KeyRef(i))
				}
				whole, err := b.wholeKey(l, i)
				noError(t, err)
				key := string(whole)
				switch l.Kind(i) {
				case page.CellBucket:
					h := page.DecodeBucket(l.Payload(i))
					c := &placedTree{no: h.Tree, parent: p, name: key, cell: at, sequence: h.Sequence, keys: map[string]placedKey{}}
					trees = append(trees, c)
					if h.HasPages() {
						bucket(b.Bucket(whole), c)
						continue
					}
					for in, i := page.Leaf(l.Payload(i)[page.BucketHeaderSize:]), 0; i < in.Count(); i++ {
						c.keys[string(in.Key(i))] = placedKey{bytes.Clone(in.Payload(i)), []page.No{no}}
					}
				case page.CellOverflow:
					o := page.DecodeOverflow(l.Payload(i))
					runs(o)
					v, err := tx.payload(o, 0)
					noError(t, err)
					p.keys[key] = placedKey{bytes.Clone(v), at}
				default:
					p.keys[key] = placedKey{bytes.Clone(l.Payload(i)), at}
				}
			}
		}
		node = func(b *Bucket, p *placedTree, ref page.Ref, level int) {
			pg, err := tx.node(ref, b.hdr.Tree, level, b.born)
			noError(t, err)
			if page.Level(pg) == 0 {
				leaf(b, p, page.Leaf(page.Body(pg)), ref.Page())
				return
			}
			for br, i := page.Branch(page.Body(pg)), 0; i < br.Count(); i++ {
				node(b, p, br.Child(i), int(page.Level(pg))-1)
			}
		}
		bucket = func(b *Bucket, p *placedTree) {
			switch {
			case b.hdr.Root != 0:
				node(b, p, b.hdr.Root, -1)
			case b.hdr.Level == 0: // the root bucket, in metas and record
				leaf(b, p, b.inline, 0)
			default:
				for br, i := page.Branch(b.inline), 0; i < br.Count(); i++ {
					node(b, p, br.Child(i), int(b.hdr.Level)-1)
				}
			}
		}
		root := &placedTree{no: page.RootTree, keys: map[string]placedKey{}}
		trees = append(trees, root)
		bucket(&tx.root, root)
		return nil
	}))
	return trees
}

// contents returns every key of a database under its path, buckets among them.
func contents(t *testing.T, st *Store) map[string]string {
	t.Helper()
	var all map[string]string
	noError(t, st.View(func(tx *Tx) error { all = contentsOf(tx); return tx.Err() }))
	return all
}

// expected returns what must come back when the pages in lost are destroyed.
func expected(trees []*placedTree, lost map[page.No]bool) map[string]string {
	gone := func(pages []page.No) bool {
		for _, no := range pages {
			if lost[no] {
				return true
			}
		}
		return false
	}
	all := map[string]string{}
	var pathOf func(p *placedTree) string
	pathOf = func(p *placedTree) string {
		switch {
		case p.no == page.RootTree:
			return ""
		case gone(p.cell):
			return fmt.Sprintf("/lost+found/%d", p.no)
		}
		return pathOf(p.parent) + "/" + p.name
	}
	for _, p := range trees {
		path := pathOf(p)
		if p.no != page.RootTree && !gone(p.cell) {
			all[path] = fmt.Sprintf("bucket %d", p.sequence)
		}
		for k, v := range p.keys {
			if !gone(v.pages) {
				all[path+"/"+k] = "=" + string(v.value)
			}
		}
	}
	return all
}

// historyFile makes a database with a past: updates, deletes, buckets of all kinds that come, move and go, large keys and
// values, and reopening. It returns the bytes of the file, closed or as a killed process leaves it.
func historyFile(t *testing.T, rng *rand.Rand, o Options, commits, keys int, closed bool) (img []byte, trees []*placedTree) {
	t.Helper()
	path := newPath(t)
	o.Timeout, o.Seam = quick().Timeout, noFlush
	st, err := Open(path, 0o600, &o)
	noError(t, err)
	for i := range commits {
		noError(t, st.Update(func(tx *Tx) error { return historyStep(tx, rng, keys, i) }))
		if rng.Intn(20) == 0 {
			noError(t, st.Close())
			st, err = Open(path, 0o600, &o)
			noError(t, err)
		}
	}
	checkStore(t, st)
	trees = survey(t, st)
	if closed {
		noError(t, st.Close())
		return readAll(t, path), trees
	}
	img = readAll(t, path)
	noError(t, st.Close())
	return img, trees
}

// noFlush is a seam that saves the time of flushes.
func noFlush(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	if op.Kind == mmapfile.OpSync || op.Kind == mmapfile.OpMsync || op.Kind == mmapfile.OpSyncDir {
		return 0, nil
	}
	return do(op)
}

// historyStep is one commit.
func historyStep(tx *Tx, rng *rand.Rand, keys, i int) error {
	var err error
	bucket := func(names ...string) *Bucket {
		b := &tx.root
		for _, n := range names {
			c, e := b.CreateBucketIfNotExists([]byte(n))
			if err = firstError(err, e); err != nil {
				return b
			}
			b = c
		}
		return b
	}
	change := func(b *Bucket, n, span int) {
		for range n {
			k := fmt.Appendf(nil, "key %06d", rng.Intn(span))
			if rng.Intn(60) == 0 {
				k = append(k, bytes.Repeat([]byte{'k'}, 600+rng.Intn(9000))...)
			}
			size := rng.Intn(120)
			if rng.Intn(50) == 0 {
				size = rng.Intn(20000)
			}
			if rng.Intn(3) == 0 {
				err = firstError(err, b.Delete(k))
			} else {
				err = firstError(err, b.Put(k, bytes.Repeat(fmt.Appendf(nil, "%d,", i), size/2+1)[:size]))
			}
		}
	}
	n := 1 + rng.Intn(40)
	if i < 3 {
		n = keys / 3
	}
	change(bucket("big"), n, keys)
	if rng.Intn(3) == 0 {
		change(bucket("outer", "inner"), rng.Intn(60), keys/4)
		_, e := bucket("outer").NextSequence()
		err = firstError(err, e)
	}
	if rng.Intn(3) == 0 {
		small := fmt.Sprintf("small %d", rng.Intn(30))
		change(bucket("outer", "deep", small), rng.Intn(4), 8)
		_, e := bucket("outer", "deep", small).NextSequence()
		err = firstError(err, e)
	}
	switch rng.Intn(12) {
	case 0:
		lo := rng.Intn(keys)
		_, e := bucket("big").DeleteRange(fmt.Appendf(nil, "key %06d", lo), fmt.Appendf(nil, "key %06d", lo+rng.Intn(keys/10)))
		err = firstError(err, e)
	case 1:
		change(bucket("comes and goes"), 200, keys)
	case 2:
		bucket("comes and goes")
		err = firstError(err, tx.DeleteBucket([]byte("comes and goes")))
	case 3:
		change(bucket("outer", "mover"), 50, keys)
		if bucket("inbox").Bucket([]byte("mover")) == nil {
			err = firstError(err, bucket("outer").MoveBucket([]byte("mover"), bucket("inbox")))
		} else {
			err = firstError(err, bucket("inbox").DeleteBucket([]byte("mover")))
		}
	}
	return err
}

// destroy overwrites pages of img at random: share of all, the metas' too if they are named.
func destroy(img []byte, pageSize int, rng *rand.Rand, share float64, slots ...int) map[page.No]bool {
	lost := map[page.No]bool{}
	ruin := func(b []byte) {
		switch rng.Intn(3) {
		case 0:
			clear(b)
		case 1:
			rng.Read(b)
		default:
			b[rng.Intn(len(b))] ^= 1 << rng.Intn(8)
		}
	}
	for _, s := range slots {
		at := page.MetaOffset(s)
		ruin(img[at : at+page.MetaSize])
	}
	n := len(img)/pageSize - int(page.FirstPage(pageSize))
	ruined := int(float64(n)*share) + 1
	together, from := rng.Intn(4) == 0, rng.Intn(n) // as a bad stretch of the disk
	for i := range ruined {
		no := page.FirstPage(pageSize) + page.No(rng.Intn(n))
		if together {
			no = page.FirstPage(pageSize) + page.No((from+i)%n)
		}
		if b := img[int(no)*pageSize:][:pageSize]; !lost[no] {
			lost[no] = true
			before := page.Stored(b)
			ruin(b)
			if bytes.Count(b, []byte{0}) == len(b) && before == 0 {
				delete(lost, no) // it was empty before
			}
		}
	}
	return lost
}

// traceOf reports whether anything in img tells of its newest commit, that of m: a meta, its record, or its root, or else, if it
// was not spilled, a leaf. A large commit leaves whole trees behind that were current for a moment within it.
func traceOf(img []byte, pageSize int, m *page.Meta, spilled bool) bool {
	if _, left := newestSlot(img); left.Commit == m.Commit {
		return true
	}
	wrote := func(no page.No) bool {
		b := img[int(no)*pageSize:][:pageSize]
		return page.Born(b) == m.Commit && page.Run(b) == 1 && page.Verify(b, pageSize, no, m.Salt) == nil
	}
	if wrote(m.Record.Page) || m.Root.Root != 0 && wrote(m.Root.Root.Page()) {
		return true
	}
	for no := page.FirstPage(pageSize); int(no+1)*pageSize <= len(img); no++ {
		if !spilled && wrote(no) {
			return true
		}
	}
	return false
}

// salvageImage salvages img into a new database and returns what is in it.
func salvageImage(t *testing.T, img []byte, pageSize int) (map[string]string, SalvageReport, []SalvageLoss, error) {
	t.Helper()
	dir := t.TempDir()
	from := filepath.Join(dir, "damaged")
	noError(t, os.WriteFile(from, img, 0o400))
	dst, err := Open(filepath.Join(dir, "new"), 0o600, &Options{PageSize: pageSize, Timeout: quick().Timeout, Seam: noFlush})
	noError(t, err)
	defer func() { noError(t, dst.Close()) }()
	var losses []SalvageLoss
	report, err := Salvage(from, dst, SalvageOptions{Timeout: quick().Timeout, Lost: func(l SalvageLoss) { losses = append(losses, l) }})
	wantBytes(t, from, img)
	checkStore(t, dst)
	return contents(t, dst), report, losses, err
}

// compare ends the test if something in got is not in want, and returns how many keys of want are not in got.
func compare(t *testing.T, got, want map[string]string) (missing []string) {
	t.Helper()
	for k, v := range got {
		if w, ok := want[k]; ok && w == v || strings.HasPrefix(k, "/lost+found") && strings.HasPrefix(v, "bucket") {
			continue
		}
		t.Errorf("%.60q came back as %.60q, should be %.60q", k, v, want[k])
	}
	for k := range want {
		if _, ok := got[k]; !ok {
			missing = append(missing, k)
		}
	}
	return missing
}

func TestSalvageOfAWholeFileIsTheSame(t *testing.T) {
	for _, size := range []int{4096, 16384, 65536} {
		for _, closed := range []bool{true, false} {
			img, trees := historyFile(t, rand.New(rand.NewSource(int64(size))), Options{PageSize: size}, 60, 1500, closed)
			got, report, losses, err := salvageImage(t, img, size)
			noError(t, err)
			if missing := compare(t, got, expected(trees, nil)); len(missing) > 0 || len(losses) > 0 || !report.Complete() || !report.Exact || report.Damaged != 0 {
				t.Errorf("missing %.60q, losses %v, report %+v", missing, losses, report)
			}
		}
	}
}

// TestSalvageWithoutMetas: nothing else is damaged, so nothing is lost.
func TestSalvageWithoutMetas(t *testing.T) {
	for _, size := range []int{4096, 8192, 65536} {
		img, trees := historyFile(t, rand.New(rand.NewSource(int64(size))), Options{PageSize: size}, 60, 1500, true)
		clear(img[:page.MetaSlots*page.MetaStride])
		got, report, losses, err := salvageImage(t, img, 4096)
		noError(t, err)
		if missing := compare(t, got, expected(trees, nil)); len(missing) > 0 || len(losses) > 0 || !report.Complete() || report.Metas != 0 || report.PageSize != size {
			t.Errorf("missing %.60q, losses %v, report %+v", missing, losses, report)
		}
	}
}

// TestSalvageOfDamagedFiles destroys one page in a hundred, wherever it is, and the metas: every key in an undamaged leaf
// comes back, and nothing else. Where a commit record is among the destroyed pages, keys may be left out if they are reported.
func TestSalvageOfDamagedFiles(t *testing.T) {
	runs := 60
	if testing.Short() {
		runs = 10
	}
	if *salvageRuns > 0 {
		runs = *salvageRuns
	} else if *salvageSeed > 0 {
		runs = 1
	}
	var pages, damaged, doubtful uint64
	inexact, doubts := 0, 0
	for i := range runs {
		seed := max(*salvageSeed, 1) + int64(i)
		var r SalvageReport
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { r = salvageCase(t, seed) }) {
			t.Fatalf("again with -run TestSalvageOfDamagedFiles -salvage.seed=%d", seed)
		}
		pages, damaged, doubtful = pages+r.Pages, damaged+r.Damaged, doubtful+r.Doubtful
		if !r.Exact {
			inexact++
		}
		if r.Doubtful > 0 {
			doubts++
		}
	}
	t.Logf("%d files of %d pages, %d damaged ones in use; in %d files a commit record was missing, in %d that left doubts about %d keys",
		runs, pages, damaged, inexact, doubts, doubtful)
}

func salvageCase(t *testing.T, seed int64) SalvageReport {
	rng := rand.New(rand.NewSource(seed))
	size := 4096
	if rng.Intn(4) == 0 {
		size <<= 1 + rng.Intn(4)
	}
	o := Options{PageSize: size}
	if rng.Intn(4) == 0 {
		o.MaxDirty = 64 << 10 // large commits are spilled
	}
	img, trees := historyFile(t, rng, o, 20+rng.Intn(100), 1000+rng.Intn(6000), rng.Intn(3) > 0)
	slots := rng.Perm(page.MetaSlots)[:rng.Intn(page.MetaSlots+1)]
	if rng.Intn(2) == 0 {
		slots = []int{0, 1, 2}
	}
	_, m := newestSlot(img)
	lost := destroy(img, size, rng, []float64{0.01, 0.01, 0.01, 0.05}[rng.Intn(4)], slots...)
	if !traceOf(img, size, &m, o.MaxDirty > 0) {
		return SalvageReport{Exact: true} // nobody can tell that this commit ever was
	}
	got, report, losses, err := salvageImage(t, img, size)
	noError(t, err)
	out := maps.Clone(lost)
	for _, l := range losses {
		if l.Reason == "" {
			t.Errorf("a loss without a reason: %+v", l)
		}
		if strings.Contains(l.Reason, "this leaf") && (!report.Exact || report.Metas < page.MetaSlots) {
			out[page.No(l.Page)] = true // left out, and said so
		}
	}
	if missing := compare(t, got, expected(trees, out)); len(missing) > 0 {
		t.Errorf("%d keys that are whole are missing: %.60q", len(missing), missing[:min(5, len(missing))])
	}
	if all := expected(trees, nil); len(got) < len(all) && report.Complete() {
		t.Errorf("%d of %d keys came back, and the report says that all did: %+v", len(got), len(all), report)
	}
	if t.Failed() {
		t.Logf("lost pages %v, slots %v, report %+v", lost, slots, report)
		for _, l := range losses[:min(len(losses), 20)] {
			t.Logf("page %d, tree %d, bucket %q, key %.40q, %d keys: %s", l.Page, l.Tree, l.Bucket, l.Key, l.Keys, l.Reason)
		}
	}
	return report
}

func TestSalvageOfWhatIsNoDatabase(t *testing.T) {
	noise := make([]byte, 300<<10)
	rand.New(rand.NewSource(1)).Read(noise)
	for name, img := range map[string][]byte{"noise": noise, "empty": nil, "zeros": make([]byte, 100<<10), "short": noise[:100]} {
		got, _, _, err := salvageImage(t, img, 4096)
		if !errors.Is(err, ErrInvalid) || len(got) != 0 {
			t.Errorf("%s: %v, %d keys", name, err, len(got))
		}
	}
}
