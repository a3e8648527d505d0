package page

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const goldenSalt = 0x0123456789abcdef

// goldenPages returns one page or run of each kind, the same at each call.
func goldenPages() map[string][]byte {
	pages := map[string][]byte{}

	leaf := make([]byte, DefaultSize)
	h := Header{Number: 20, Born: 7, Tree: RootTree, Kind: KindLeaf, Run: 1}
	h.Encode(leaf)
	fillGoldenLeaf(InitLeaf(Body(leaf)))
	pages["leaf"] = leaf

	branch := make([]byte, DefaultSize)
	h = Header{Number: 21, Born: 8, Tree: RootTree, Kind: KindBranch, Level: 1, Run: 1}
	h.Encode(branch)
	fillGoldenBranch(InitBranch(Body(branch)))
	pages["branch"] = branch

	overflow := make([]byte, 2*DefaultSize)
	InitRun(overflow, Header{Number: 22, Born: 9, Tree: RootTree, Kind: KindOverflow, Run: 2}, 5000)
	copy(RunPayload(overflow), bytes.Repeat([]byte("overflow payload"), 400))
	pages["overflow"] = overflow

	r := goldenRecord()
	record := make([]byte, DefaultSize)
	InitRun(record, Header{Number: 24, Born: 9, Kind: KindRecord, Run: 1}, r.Size())
	r.Encode(RunPayload(record))
	pages["record"] = record

	r.Root, r.Body = goldenRoot()
	record = make([]byte, DefaultSize)
	InitRun(record, Header{Number: 24, Born: 9, Kind: KindRecord, Run: 1}, r.Size())
	r.Encode(RunPayload(record))
	pages["record-root"] = record

	for _, p := range pages {
		Seal(p, goldenSalt)
	}
	meta := make([]byte, MetaSize)
	m := goldenMeta()
	m.Encode(meta)
	pages["meta"] = meta
	meta, m = make([]byte, MetaSize), goldenRootMeta()
	m.Encode(meta)
	pages["meta-root"] = meta
	return pages
}

// goldenRoot is a root bucket that is stored in the meta: with a bucket that has a page, and one that is inline.
func goldenRoot() (Bucket, Leaf) {
	l := InitLeaf(make([]byte, 200))
	p, _ := l.Insert(0, Key{Bytes: []byte("events")}, CellBucket, BucketHeaderSize)
	Bucket{Root: 25, Keys: 3, Sequence: 4, Tree: 5}.Encode(p)
	p, _ = l.Insert(1, Key{Bytes: []byte("settings")}, CellBucket, BucketHeaderSize+48)
	Bucket{Keys: 1, Sequence: 2, Tree: 6}.Encode(p)
	v, _ := InitLeaf(p[BucketHeaderSize:]).Insert(0, Key{Bytes: []byte("key")}, CellValue, 3)
	copy(v, "abc")
	return Bucket{Keys: 2, Sequence: 2, Tree: RootTree}, l
}

func goldenRootMeta() Meta {
	m := goldenMeta()
	root, body := goldenRoot()
	m.Root, m.Body = root, NewInlineRoot(body)
	return m
}

func fillGoldenLeaf(l Leaf) {
	put := func(key string, kind CellKind, n int) []byte {
		i, _, _ := l.Search([]byte(key), nil)
		p, ok := l.Insert(i, Key{Bytes: []byte(key)}, kind, n)
		if !ok {
			panic("no room")
		}
		return p
	}
	copy(put("user:1", CellValue, 5), "value")
	put("user:0", CellValue, 0)
	Overflow{Page: 22, Len: 5000, Born: 9}.Encode(put("user:10", CellOverflow, OverflowRefSize))
	Bucket{Root: 25, Keys: 3, Sequence: 4, Tree: 5}.Encode(put("user:bucket", CellBucket, BucketHeaderSize))
	p := put("user:inline", CellBucket, BucketHeaderSize+48)
	Bucket{Keys: 1, Sequence: 2, Tree: 6}.Encode(p)
	v, _ := InitLeaf(p[BucketHeaderSize:]).Insert(0, Key{Bytes: []byte("key")}, CellValue, 3)
	copy(v, "abc")
	copy(put("user:gone", CellValue, 7), "removed")
	i, _, _ := l.Search([]byte("user:gone"), nil)
	l.Remove(i)
	large := Key{Bytes: bytes.Repeat([]byte("user:z"), 100), Large: true, Ref: Overflow{Page: 26, Len: 600, Born: 9}}
	v, _ = l.Insert(l.Count(), large, CellValue, 4)
	copy(v, "wide")
}

func fillGoldenBranch(r Branch) {
	r.Insert(0, Key{}, 30, 11)
	r.Insert(1, Key{Bytes: []byte("key:b")}, 31, 12)
	large := Key{Bytes: bytes.Repeat([]byte("key:z"), 100), Large: true, Ref: Overflow{Page: 33, Len: 600, Born: 9}}
	r.Insert(2, large, 32, MaxChildKeys)
}

func goldenMeta() Meta {
	return Meta{
		Version: Version, PageSize: DefaultSize, ReadOnlyCompatible: 1 << 63, Salt: goldenSalt,
		Commit: 9, Base: 8, Root: Bucket{Root: 21, Keys: 100, Sequence: 2, Tree: RootTree}, NextTree: 7, HighWater: 40,
		Record: Link{Page: 24, Len: 200, Checksum: 0x1122334455667788, Commit: 9}, Settled: true,
	}
}

func goldenRecord() Record {
	return Record{
		PageSize: DefaultSize, Salt: goldenSalt, Commit: 9, Base: 8,
		Prev: Link{Page: 19, Len: 150, Checksum: 0x99aabbccddeeff00, Commit: 7}, HighWater: 40,
		Root: Bucket{Root: 21, Keys: 100, Sequence: 2, Tree: RootTree}, NextTree: 7, Checkpoint: true,
		Written: []byte("written"), Freed: []byte("freed"), Free: []byte("free"), Pending: []byte("pending"), Sums: []byte("checksumchecksum"),
	}
}

// dump writes bytes as text; lines that only repeat the one before are left
// out.
func dump(b []byte) string {
	var out strings.Builder
	var last []byte
	skipped := false
	for o := 0; o < len(b); o += 16 {
		line := b[o:min(o+16, len(b))]
		if bytes.Equal(line, last) {
			if !skipped {
				out.WriteString("*\n")
			}
			skipped = true
			continue
		}
		skipped, last = false, line
		fmt.Fprintf(&out, "%06x %x\n", o, line)
	}
	fmt.Fprintf(&out, "%06x\n", len(b))
	return out.String()
}

// undump is the reverse of dump.
func undump(t *testing.T, text string) []byte {
	t.Helper()
	var b, last []byte
	for line := range strings.Lines(text) {
		offset, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if offset == "*" {
			continue
		}
		o, err := strconv.ParseUint(offset, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		for len(b) < int(o) {
			b = append(b, last...)
		}
		if last, err = hex.DecodeString(rest); err != nil {
			t.Fatal(err)
		}
		b = append(b, last...)
	}
	return b
}

func goldenFile(name string) string { return filepath.Join("testdata", "v1-"+name+".hex") }

func readGolden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(goldenFile(name))
	if err != nil {
		t.Fatal(err)
	}
	return undump(t, string(text))
}

func TestGoldenBytes(t *testing.T) {
	for name, b := range goldenPages() {
		if *rewrite {
			if err := os.WriteFile(goldenFile(name), []byte(dump(b)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(goldenFile(name))
		if err != nil {
			t.Fatal(err)
		}
		if got := dump(b); got != string(text) {
			t.Errorf("%s differs from %s:\n%s", name, goldenFile(name), got)
		}
		if !bytes.Equal(undump(t, string(text)), b) {
			t.Errorf("%s: the dump does not read back", name)
		}
	}
}

func TestGoldenPagesVerify(t *testing.T) {
	for name, no := range map[string]No{"leaf": 20, "branch": 21, "overflow": 22, "record": 24, "record-root": 24} {
		if err := Verify(readGolden(t, name), DefaultSize, no, goldenSalt); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGoldenLeafReads(t *testing.T) {
	l := Leaf(Body(readGolden(t, "leaf")))
	kind, v, _, found, err := l.Find([]byte("user:1"), nil)
	if kind != CellValue || string(v) != "value" || !found || err != nil {
		t.Errorf("user:1: %s %q %v %v", kind, v, found, err)
	}
	kind, v, _, _, _ = l.Find([]byte("user:10"), nil)
	if kind != CellOverflow || DecodeOverflow(v) != (Overflow{Page: 22, Len: 5000, Born: 9}) {
		t.Errorf("user:10: %s %v", kind, v)
	}
	kind, v, _, _, _ = l.Find([]byte("user:bucket"), nil)
	if kind != CellBucket || DecodeBucket(v) != (Bucket{Root: 25, Keys: 3, Sequence: 4, Tree: 5}) {
		t.Errorf("user:bucket: %s %v", kind, v)
	}
	_, v, _, _, _ = l.Find([]byte("user:inline"), nil)
	if _, v, _, found, _ = Leaf(v[BucketHeaderSize:]).Find([]byte("key"), nil); !found || string(v) != "abc" {
		t.Errorf("inline key: %q %v", v, found)
	}
	if last := l.Count() - 1; !l.Large(last) || l.KeyRef(last) != (Overflow{Page: 26, Len: 600, Born: 9}) {
		t.Errorf("large key: %v", l.KeyRef(last))
	}
	if _, _, _, found, _ := l.Find([]byte("user:gone"), nil); found {
		t.Error("a removed key is found")
	}
}

func TestGoldenMetaAndRecordRead(t *testing.T) {
	var m Meta
	if err := m.Decode(readGolden(t, "meta")); err != nil || m != goldenMeta() {
		t.Errorf("meta: %v\n%+v", err, m)
	}
	if err := m.Decode(readGolden(t, "meta-root")); err != nil || m != goldenRootMeta() {
		t.Errorf("meta with the root bucket: %v\n%+v", err, m)
	}
	var r Record
	_, body := goldenRoot()
	if err := r.Decode(RunPayload(readGolden(t, "record-root"))); err != nil || !bytes.Equal(r.Body, body) {
		t.Errorf("record with the root bucket: %v\n%+v", err, r)
	}
	if err := r.Decode(RunPayload(readGolden(t, "record"))); err != nil || fmt.Sprint(r) != fmt.Sprint(goldenRecord()) {
		t.Errorf("record: %v\n%+v", err, r)
	}
}
