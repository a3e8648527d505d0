package page

import (
	"bytes"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// zeros is a KeyLoader whose keys are all zero.
type zeros struct{}

func (zeros) LoadKey(o Overflow) ([]byte, error) { return make([]byte, o.Len), nil }

// FuzzPage takes any bytes as a page, and as bodies. Nothing may panic, and
// what validates can be read, searched and edited, and stays valid. Run it with
// -fuzzminimizetime=10x: making such inputs small takes long and wins nothing.
func FuzzPage(f *testing.F) {
	for _, b := range goldenPages() {
		f.Add(b)
	}
	p := make([]byte, DefaultSize)
	copy(Body(p), sampleLeaf())
	f.Add(p)
	f.Add([]byte(InitLeaf(make([]byte, 64))))
	f.Fuzz(func(t *testing.T, data []byte) {
		whole := bytes.Clone(data)
		RunPayload(whole)
		if Verify(whole, DefaultSize, 20, 1) == nil {
			t.Log("a valid checksum")
		}
		if len(whole) >= HeaderSize {
			le.PutUint64(whole[offNumber:], 20)
			Seal(whole, 1)
			if Verify(whole, DefaultSize, 20, 1) == nil {
				readPage(t, whole)
			}
			fuzzBodies(t, whole[HeaderSize:])
		}
		fuzzBodies(t, bytes.Clone(data))
	})
}

// FuzzPatches changes single bytes of good pages: three bytes of patches are an
// offset, counted from both ends in turn, and a value. What is found is then as
// in FuzzPage, but more of it is valid.
func FuzzPatches(f *testing.F) {
	pages := goldenPages()
	sample := make([]byte, DefaultSize)
	copy(sample, pages["leaf"])
	copy(Body(sample), sampleLeaf())
	mixed := make([]byte, DefaultSize)
	copy(mixed, pages["branch"])
	r, _ := benchBranch("ties", DefaultSize)
	copy(Body(mixed), r)
	inline := make([]byte, DefaultSize)
	copy(inline, pages["leaf"])
	copy(Body(inline), branchLeaf())
	bases := [][]byte{pages["leaf"], pages["branch"], sample, mixed, inline}
	f.Add(uint8(0), []byte{40, 0, 3})
	f.Add(uint8(1), []byte{48, 0, 3, 200, 0, 1})
	f.Add(uint8(2), []byte{46, 0, 1, 100, 0, 0})
	f.Add(uint8(3), []byte{44, 0, 0})
	f.Add(uint8(4), []byte{15, 0, 1})
	f.Fuzz(func(t *testing.T, base uint8, patches []byte) {
		b := bytes.Clone(bases[int(base)%len(bases)])
		for i := 0; i+3 <= len(patches); i += 3 {
			o := int(le.Uint16(patches[i:])) % len(b)
			if i%2 == 1 {
				o = len(b) - 1 - o
			}
			b[o] = patches[i+2]
		}
		Seal(b, 1)
		if Verify(b, DefaultSize, Number(b), 1) == nil {
			readPage(t, b)
		}
		fuzzBodies(t, b[HeaderSize:])
	})
}

func readPage(t *testing.T, b []byte) {
	switch KindOf(b) {
	case KindLeaf:
		editLeaf(t, bytes.Clone(Body(b)), false)
	case KindBranch:
		editBranch(t, bytes.Clone(Body(b)))
	default:
		if RunPayload(b) == nil {
			t.Fatal("a verified run without a payload")
		}
	}
}

func fuzzBodies(t *testing.T, body []byte) {
	if ValidateLeaf(body, DefaultSize, false) == nil {
		editLeaf(t, bytes.Clone(body), false)
	}
	if ValidateLeaf(body, DefaultSize, true) == nil {
		editLeaf(t, bytes.Clone(body), true)
	}
	if ValidateBranch(body, DefaultSize) == nil {
		editBranch(t, bytes.Clone(body))
	}
}

// probes returns keys at and around key.
func probes(key []byte) [][]byte {
	more := append(bytes.Clone(key), 0)
	return [][]byte{nil, {0}, key, more, key[:len(key)/2], bytes.Repeat([]byte{255}, 300), append(more, make([]byte, 300)...)}
}

func editLeaf(t *testing.T, l Leaf, inline bool) {
	valid := func(l Leaf) {
		if err := ValidateLeaf(l, DefaultSize, inline); err != nil {
			t.Fatalf("an edit broke a valid leaf: %v", err)
		}
	}
	for i := range l.Count() {
		l.Large(i)
		l.KeyRef(i)
		if l.Kind(i) == CellBucket {
			switch p := l.Payload(i); {
			case DecodeBucket(p).Root != 0:
			case DecodeBucket(p).Level == 0:
				editLeaf(t, bytes.Clone(p[BucketHeaderSize:]), true)
			default:
				searchBranch(t, p[BucketHeaderSize:])
			}
		}
		for _, k := range probes(l.Key(i)) {
			at, found, err := l.Search(k, zeros{})
			_, _, same, hit, err2 := l.Find(k, zeros{})
			if found != hit || err != nil || err2 != nil || found && at != same {
				t.Fatalf("search %d %v %v, find %d %v %v", at, found, err, same, hit, err2)
			}
		}
		if at, found, _ := l.Search(l.Key(i), zeros{}); !l.Large(i) && (!found || at != i) {
			t.Fatalf("the key of slot %d is found at %d %v", i, at, found)
		}
	}
	left, right := InitLeaf(make([]byte, len(l))), InitLeaf(make([]byte, len(l)))
	n := l.Count()
	left.AppendFrom(l, 0, n/2)
	right.AppendFrom(l, n/2, n)
	valid(left)
	valid(right)
	left.AppendFrom(right, 0, right.Count())
	valid(left)
	for _, b := range []Leaf{l, left} {
		for _, k := range []string{"a", "user:", "user:5", "\xff"} {
			if at, found, _ := b.Search([]byte(k), zeros{}); !found {
				if p, ok := b.Insert(at, Key{Bytes: []byte(k)}, CellValue, 9); ok {
					copy(p, "some data")
				}
			}
			valid(b)
		}
		for i := 0; b.Count() > 0; i++ {
			b.Remove(i * 7 % b.Count())
			valid(b)
		}
	}
}

func searchBranch(t *testing.T, r Branch) {
	r.TotalKeys()
	for i := range r.Count() {
		r.Child(i)
		for _, k := range probes(r.Key(i)) {
			if at, err := r.Search(k, zeros{}); err != nil || at < 0 || at >= r.Count() {
				t.Fatalf("search %d %v", at, err)
			}
		}
		if at, _ := r.Search(r.Key(i), zeros{}); !r.Large(i) && at != i {
			t.Fatalf("the key of slot %d is found at %d", i, at)
		}
	}
}

func editBranch(t *testing.T, r Branch) {
	valid := func(r Branch) {
		if err := ValidateBranch(r, DefaultSize); err != nil {
			t.Fatalf("an edit broke a valid branch: %v", err)
		}
	}
	searchBranch(t, r)
	n := r.Count()
	left, right := InitBranch(make([]byte, len(r))), InitBranch(make([]byte, len(r)))
	left.AppendFrom(r, 0, (n+1)/2, Key{})
	valid(left)
	if n > 1 {
		right.AppendFrom(r, (n+1)/2, n, Key{})
		valid(right)
		left.AppendFrom(right, 0, right.Count(), r.StoredKey((n+1)/2))
		valid(left)
	}
	for _, b := range []Branch{r, left} {
		for _, k := range []string{"a", "key:", "key:5", "\xff"} {
			if at, _ := b.Search([]byte(k), zeros{}); at == 0 || !bytes.Equal(b.Key(at), []byte(k)) {
				b.Insert(at+1, Key{Bytes: []byte(k)}, 99, 1)
			}
			valid(b)
		}
		for i := 0; b.Count() > 1; i++ {
			b.SetChild(0, 98)
			b.SetKeys(0, 1)
			b.Remove(i * 7 % b.Count())
			valid(b)
		}
	}
}

// FuzzMeta takes any bytes as a meta. What decodes encodes to the same bytes.
func FuzzMeta(f *testing.F) {
	f.Add(goldenPages()["meta"])
	f.Add(goldenPages()["meta-root"])
	f.Add(make([]byte, MetaSize))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Meta
		if m.Decode(data) == nil {
			t.Log("a valid checksum")
		}
		if len(data) < MetaSize {
			return
		}
		b := bytes.Clone(data[:MetaSize])
		le.PutUint64(b[offMetaMagic:], metaMagic)
		le.PutUint64(b, xxhash.Sum64(b[offMetaMagic:]))
		if m.Decode(b) != nil {
			return
		}
		out := make([]byte, MetaSize)
		if m.Encode(out); !bytes.Equal(out, b) {
			t.Fatalf("decoded and encoded:\n%x\n%x", b, out)
		}
	})
}

// FuzzRecord takes any bytes as a commit record. What decodes encodes to the
// same bytes, but for zeros at the end.
func FuzzRecord(f *testing.F) {
	f.Add(bytes.Clone(RunPayload(goldenPages()["record"])))
	f.Add(bytes.Clone(RunPayload(goldenPages()["record-root"])))
	f.Add(make([]byte, RecordHeaderSize))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Record
		if r.Decode(data) != nil {
			return
		}
		out := make([]byte, r.Size())
		if r.Encode(out); !bytes.HasPrefix(data, out) || !zero(data[len(out):]) {
			t.Fatalf("decoded and encoded:\n%x\n%x", data, out)
		}
	})
}
