package tx

import (
	"os"
	"runtime"
	"testing"

	"mmdb/page"
)

// A forge builds a file in which every checksum is right, and the rest is what a test wants it to be.
type forge struct {
	img []byte
	rec page.Record // the last that was written
}

const (
	forgeSize = 4096 // of its pages
	forgeSalt = 0x1122334455667788
)

// newForge returns a file of n pages. The metas take the first 12.
func newForge(n int) *forge { return &forge{img: make([]byte, n*forgeSize)} }

// page returns page no and all behind it.
func (f *forge) page(no page.No) []byte { return f.img[int(no)*forgeSize:] }

// leaf writes a leaf of tree with the values or bucket headers of cells, by key.
func (f *forge) leaf(no page.No, tree page.Tree, keys ...string) {
	b := f.page(no)[:forgeSize]
	h := page.Header{Number: no, Born: 1, Tree: tree, Kind: page.KindLeaf, Run: 1}
	h.Encode(b)
	l := page.InitLeaf(page.Body(b))
	for _, k := range keys {
		forgeCell(l, k, page.CellValue, []byte("value"))
	}
	page.Seal(b, forgeSalt)
}

// forgeCell appends a cell to l.
func forgeCell(l page.Leaf, key string, kind page.CellKind, payload []byte) {
	p, ok := l.Insert(l.Count(), page.Key{Bytes: []byte(key)}, kind, len(payload))
	if !ok {
		panic("no room for a cell")
	}
	copy(p, payload)
}

// A forgedBucket is one of the top level.
type forgedBucket struct {
	name string
	hdr  page.Bucket
}

// forgedLeaf is a bucket of one leaf.
func forgedLeaf(name string, root page.No, tree page.Tree, keys int) forgedBucket {
	return forgedBucket{name, page.Bucket{Root: page.PageRef(root), Keys: uint64(keys), Tree: tree}}
}

// forgeBody returns the body of a root bucket.
func forgeBody(buckets ...forgedBucket) []byte {
	n := page.RunHeaderSize
	for _, b := range buckets {
		n += len(b.name) + page.BucketHeaderSize + 10
	}
	l := page.InitLeaf(make([]byte, n))
	cell := make([]byte, page.BucketHeaderSize)
	for _, b := range buckets {
		b.hdr.Encode(cell)
		forgeCell(l, b.name, page.CellBucket, cell)
	}
	return l
}

// commit writes commit c with the record at page at, settled, into all metas. edit may change it before.
func (f *forge) commit(at page.No, c page.Commit, body []byte, edit func(m *page.Meta, r *page.Record)) page.Meta {
	root := page.Bucket{Keys: uint64(page.Leaf(body).Count()), Tree: page.RootTree}
	m := page.Meta{Version: page.Version, PageSize: forgeSize, Salt: forgeSalt, Commit: c, Base: c, Root: root,
		Body: page.NewInlineRoot(body), NextTree: 1000, HighWater: page.No(len(f.img) / forgeSize), Settled: true}
	r := page.Record{PageSize: forgeSize, Salt: forgeSalt, Commit: c, Base: c, HighWater: m.HighWater, Root: root, Body: body,
		NextTree: m.NextTree, Checkpoint: true}
	if edit != nil {
		edit(&m, &r)
	}
	m.Record = f.record(at, &r)
	f.metas(&m, &m, &m)
	return m
}

// metas writes the three slots; nil makes one that is empty.
func (f *forge) metas(all ...*page.Meta) {
	for i, m := range all {
		slot := f.img[page.MetaOffset(i):][:page.MetaSize]
		if clear(slot); m != nil {
			m.Encode(slot)
		}
	}
}

// record writes a commit record.
func (f *forge) record(no page.No, r *page.Record) page.Link {
	n := page.RunPages(r.Size(), forgeSize)
	b := f.page(no)[:int(n)*forgeSize]
	page.InitRun(b, page.Header{Number: no, Born: r.Commit, Kind: page.KindRecord, Run: n}, r.Size())
	r.Encode(page.RunPayload(b))
	f.rec = *r
	return page.Link{Page: no, Len: uint64(r.Size()), Checksum: page.Seal(b, forgeSalt), Commit: r.Commit}
}

// forged opens what f has made.
func forged(t *testing.T, f *forge) *Store {
	t.Helper()
	st, err := Open(writeFile(t, f.img), 0o600, quick())
	noError(t, err)
	t.Cleanup(func() { noError(t, st.Close()) })
	return st
}

// problems returns what Check finds.
func problems(t *testing.T, st *Store) (all []string) {
	t.Helper()
	noError(t, st.View(func(tx *Tx) error {
		for err := range tx.Check() {
			all = append(all, err.Error())
		}
		return nil
	}))
	return all
}

// allocated returns how many MiB fn allocates.
func allocated(fn func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return int((after.TotalAlloc - before.TotalAlloc) >> 20)
}

// sparseFile writes img to a file on the disk, and makes it longer without taking blocks.
func sparseFile(t *testing.T, img []byte, size int64) string {
	t.Helper()
	path := newPath(t)
	noError(t, os.WriteFile(path, img, 0o600))
	noError(t, os.Truncate(path, size))
	return path
}
