package page

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
	"testing"
)

// leafCell is a cell of a model leaf.
type leafCell struct {
	full    []byte // the whole key
	key     Key
	kind    CellKind
	payload []byte
}

// leafTest runs random edits on a leaf and on a sorted slice.
type leafTest struct {
	*testing.T
	src      *keySource
	mem      *memory
	leaf     Leaf
	pageSize int
	inline   bool
	model    []leafCell
	kept     []kept // slices of the present body
	got      int    // probes that Get answered
}

func TestLeafEditsMatchSortedSlice(t *testing.T) {
	for round, pageSize := range []int{4096, 4096, 4096, 4096, 8192, 16384, 65536} {
		for _, large := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/%d/%v", round, pageSize, large), func(t *testing.T) {
				runLeafTest(t, pageSize, pageSize-HeaderSize, large, uint64(round))
			})
		}
	}
	for round, size := range []int{300, 1024} {
		t.Run(fmt.Sprintf("inline/%d", size), func(t *testing.T) {
			runLeafTest(t, 4096, size, false, uint64(100+round))
		})
	}
}

func runLeafTest(t *testing.T, pageSize, size int, large bool, stream uint64) {
	rnd := random(t, stream)
	for range 8 {
		lt := &leafTest{
			T: t, src: newKeySource(rnd, pageSize, large), mem: newMemory(), pageSize: pageSize,
			leaf: InitLeaf(make([]byte, size)), inline: size < pageSize-HeaderSize,
		}
		steps := 600
		if pageSize > 8192 {
			steps = 250
		}
		for range steps {
			lt.step()
			if t.Failed() {
				return
			}
		}
		lt.check()
		if lt.got == 0 && size >= window {
			lt.Error("Get never knew the value")
		}
	}
}

func (lt *leafTest) find(key []byte) (int, bool) {
	return sort.Find(len(lt.model), func(i int) int { return bytes.Compare(key, lt.model[i].full) })
}

func (lt *leafTest) step() {
	switch op := lt.src.rnd.IntN(100); {
	case op < 55:
		lt.insert()
	case op < 80:
		lt.remove()
	case op < 90:
		lt.probe(lt.src.key())
	case op < 94:
		lt.rebuild()
	case op < 97:
		lt.splitAndMerge()
	default:
		lt.check()
	}
}

// payload returns what a random cell holds.
func (lt *leafTest) payload() (CellKind, []byte) {
	rnd := lt.src.rnd
	kind := CellKind(rnd.IntN(3))
	if lt.inline {
		kind = CellValue
	}
	switch kind {
	case CellOverflow:
		p := make([]byte, OverflowRefSize)
		Overflow{Page: Ref(100 + rnd.IntN(1000)), Len: rnd.Uint32N(MaxValueSize), Born: 3}.Encode(p)
		return kind, p
	case CellBucket:
		p := make([]byte, BucketHeaderSize)
		k := Bucket{Root: Ref(100 + rnd.IntN(1000)), Keys: rnd.Uint64(), Sequence: rnd.Uint64(), Tree: 9}
		if rnd.IntN(2) == 0 {
			p = append(p, InitLeaf(make([]byte, 64))...)
			Leaf(p[BucketHeaderSize:]).Insert(0, Key{Bytes: []byte("k")}, CellValue, 5)
			k.Root, k.Keys = 0, 1
		}
		k.Encode(p)
		return kind, p
	}
	p := make([]byte, rnd.IntN(120))
	for i := range p {
		p[i] = byte(rnd.Uint32())
	}
	return kind, p
}

func (lt *leafTest) insert() {
	key := lt.src.key()
	i, found := lt.find(key)
	lt.probe(key)
	if found {
		lt.removeAt(i)
	}
	kind, payload := lt.payload()
	c := leafCell{full: key, key: lt.mem.key(key, lt.pageSize), kind: kind, payload: payload}
	size := LeafCellSize(c.key, len(payload))
	before, free := bytes.Clone(lt.leaf), lt.leaf.Free()
	p, ok := lt.leaf.Insert(i, c.key, kind, len(payload))
	if ok != (size+slotSize <= free) {
		lt.Fatalf("insert of %d bytes into %d: %v", size, free, ok)
	}
	if !ok {
		if !bytes.Equal(before, lt.leaf) {
			lt.Fatal("a refused insert changed the page")
		}
		if lt.src.rnd.IntN(2) == 0 {
			lt.shrink()
		}
		return
	}
	if len(p) != len(payload) || cap(p) != len(p) {
		lt.Fatalf("payload of %d bytes, cap %d, want %d", len(p), cap(p), len(payload))
	}
	copy(p, payload)
	if lt.leaf.Free() != free-size-slotSize {
		lt.Fatalf("free %d after a cell of %d in %d", lt.leaf.Free(), size, free)
	}
	lt.model = slices.Insert(lt.model, i, c)
	lt.kept = append(lt.kept, keep(lt.leaf.Key(i)), keep(lt.leaf.Payload(i)))
}

func (lt *leafTest) remove() {
	if n := len(lt.model); n > 0 {
		lt.removeAt(lt.src.rnd.IntN(n))
	}
}

func (lt *leafTest) removeAt(i int) {
	size, free, garbage := lt.leaf.CellSize(i), lt.leaf.Free(), lt.leaf.Garbage()
	lt.leaf.Remove(i)
	lt.model = slices.Delete(lt.model, i, i+1)
	if lt.leaf.Free() != free+slotSize || lt.leaf.Garbage() != garbage+size {
		lt.Fatalf("free %d → %d, garbage %d → %d", free, lt.leaf.Free(), garbage, lt.leaf.Garbage())
	}
}

// shrink removes some cells and builds the page anew, so that there is room.
func (lt *leafTest) shrink() {
	for len(lt.model) > 3 && lt.src.rnd.IntN(8) != 0 {
		lt.remove()
	}
	lt.rebuild()
}

// replace continues with another body; slices of the old one must be whole.
func (lt *leafTest) replace(l Leaf) {
	lt.checkKept()
	lt.leaf, lt.kept = l, nil
	lt.check()
}

func (lt *leafTest) rebuild() {
	out := InitLeaf(make([]byte, len(lt.leaf)))
	out.AppendFrom(lt.leaf, 0, lt.leaf.Count())
	if out.Garbage() != 0 || out.Used() != lt.leaf.Used() {
		lt.Fatalf("rebuilt: garbage %d, used %d, before %d", out.Garbage(), out.Used(), lt.leaf.Used())
	}
	lt.replace(out)
}

func (lt *leafTest) splitAndMerge() {
	n := lt.leaf.Count()
	at := lt.src.rnd.IntN(n + 1)
	left, right := InitLeaf(make([]byte, len(lt.leaf))), InitLeaf(make([]byte, len(lt.leaf)))
	left.AppendFrom(lt.leaf, 0, at)
	right.AppendFrom(lt.leaf, at, n)
	lt.validate(left)
	lt.validate(right)
	if at > 0 && at < n {
		sep := Separator(lt.model[at-1].full, lt.model[at].full)
		if bytes.Compare(lt.model[at-1].full, sep) >= 0 || !bytes.HasPrefix(lt.model[at].full, sep) {
			lt.Fatalf("separator %q of %q and %q", sep, lt.model[at-1].full, lt.model[at].full)
		}
	}
	left.AppendFrom(right, 0, right.Count())
	lt.replace(left)
}

func (lt *leafTest) validate(l Leaf) {
	lt.Helper()
	if err := ValidateLeaf(l, lt.pageSize, lt.inline); err != nil {
		lt.Fatal(err)
	}
}

// probe holds Search and Find of key against the model.
func (lt *leafTest) probe(key []byte) {
	lt.Helper()
	want, in := lt.find(key)
	i, found, err := lt.leaf.Search(key, lt.mem)
	if i != want || found != in || err != nil {
		lt.Fatalf("search %q: %d %v %v, want %d %v", key, i, found, err, want, in)
	}
	kind, payload, i, found, err := lt.leaf.Find(key, lt.mem)
	if found != in || err != nil {
		lt.Fatalf("find %q: %v %v, want %v", key, found, err, in)
	}
	if in && (i != want || kind != lt.model[i].kind || !bytes.Equal(payload, lt.model[i].payload)) {
		lt.Fatalf("find %q: slot %d, %s of %d bytes", key, i, kind, len(payload))
	}
	guess := lt.leaf.Guess(key)
	if _, _, at, same, err := lt.leaf.FindAt(guess, key, lt.mem); same != in || in && at != want || err != nil {
		lt.Fatalf("find %q at %d: %v %v, want %v", key, guess, same, err, in)
	}
	if value := lt.leaf.ValueAt(guess, key); value != nil && (!in || kind != CellValue || !bytes.Equal(value, payload)) {
		lt.Fatalf("value of %q at %d: %d bytes, of a %s that is there: %v", key, guess, len(value), kind, in)
	}
	if value, ok := lt.leaf.Get(key); ok {
		if (value != nil) != in || in && (kind != CellValue || !bytes.Equal(value, payload)) {
			lt.Fatalf("get %q: %d bytes, of a %s that is there: %v", key, len(value), kind, in)
		}
		lt.got++
	}
}

func (lt *leafTest) checkKept() {
	lt.Helper()
	for _, k := range lt.kept {
		if !bytes.Equal(k.alias, k.bytes) {
			lt.Fatal("an edit moved or overwrote a cell")
		}
	}
}

// check compares the whole leaf with the model.
func (lt *leafTest) check() {
	lt.Helper()
	lt.checkKept()
	lt.validate(lt.leaf)
	l := lt.leaf
	if l.Count() != len(lt.model) {
		lt.Fatalf("%d slots, want %d", l.Count(), len(lt.model))
	}
	for _, i := range []int{-1, len(lt.model)} {
		if _, _, ok := l.Item(i); ok {
			lt.Fatalf("an item in slot %d of %d", i, len(lt.model))
		}
	}
	l.Touch(-1, len(lt.model)+1)
	slots, cells := l.Parts()
	if len(slots)+len(cells) != len(l)-l.Free() {
		lt.Fatalf("%d bytes of slots and %d of cells, %d of %d are free", len(slots), len(cells), l.Free(), len(l))
	}
	used := 0
	for i, c := range lt.model {
		if !bytes.Equal(l.Key(i), c.key.part()) || l.Large(i) != c.key.Large || l.KeyRef(i) != c.key.Ref {
			lt.Fatalf("slot %d: key %q, want %q", i, l.Key(i), c.full)
		}
		if s := l.StoredKey(i); !bytes.Equal(s.Bytes, c.key.part()) || s.Large != c.key.Large || s.Ref != c.key.Ref {
			lt.Fatalf("slot %d: stored key %v", i, s)
		}
		k, v, ok := l.Item(i)
		if plain := !c.key.Large && c.kind == CellValue; ok != plain || ok && (!bytes.Equal(k, c.full) || !bytes.Equal(v, c.payload)) {
			lt.Fatalf("slot %d: item %q, %d bytes, %v", i, k, len(v), ok)
		}
		if l.Kind(i) != c.kind || !bytes.Equal(l.Payload(i), c.payload) {
			lt.Fatalf("slot %d: %s of %d bytes", i, l.Kind(i), len(l.Payload(i)))
		}
		if cap(l.Key(i)) != len(l.Key(i)) || cap(l.Payload(i)) != len(l.Payload(i)) {
			lt.Fatalf("slot %d: a slice has more room than bytes", i)
		}
		if size := LeafCellSize(c.key, len(c.payload)); l.CellSize(i) != size {
			lt.Fatalf("slot %d: size %d, want %d", i, l.CellSize(i), size)
		}
		used += slotSize + l.CellSize(i)
		lt.probe(c.full)
		lt.probe(append(bytes.Clone(c.full), 0))
		lt.probe(c.full[:len(c.full)-1])
		lt.probe(lt.src.changed(c.full))
	}
	if l.Used() != used || l.Used()+l.Garbage()+l.Free() != l.Capacity() {
		lt.Fatalf("used %d, want %d; garbage %d, free %d of %d", l.Used(), used, l.Garbage(), l.Free(), l.Capacity())
	}
	lt.probe(nil)
	lt.probe(bytes.Repeat([]byte{255}, 600))
}

func TestLeafSearchReturnsLoaderError(t *testing.T) {
	mem := newMemory()
	key := bytes.Repeat([]byte{'k'}, 600)
	l := InitLeaf(make([]byte, DefaultSize-HeaderSize))
	l.Insert(0, mem.key(key, DefaultSize), CellValue, 0)
	if _, found, err := l.Search(key[:LargeKeyPart], nil); found || err != nil {
		t.Fatalf("a key as long as the part was compared by loading: %v %v", found, err)
	}
	mem.fail = errors.New("disk")
	if _, _, err := l.Search(key, mem); err != mem.fail {
		t.Errorf("Search: %v", err)
	}
	if _, _, _, _, err := l.Find(key, mem); err != mem.fail {
		t.Errorf("Find: %v", err)
	}
}

func TestLeafSearchLoadsFewLargeKeys(t *testing.T) {
	mem := newMemory()
	key := bytes.Repeat([]byte{'k'}, 600)
	l := InitLeaf(make([]byte, MaxSize-HeaderSize))
	for i := range 100 {
		key[599] = byte(i)
		if _, ok := l.Insert(i, mem.key(key, DefaultSize), CellValue, 0); !ok {
			t.Fatal("no room")
		}
	}
	if i, found, err := l.Search(key, mem); i != 99 || !found || err != nil || mem.loads > 8 {
		t.Errorf("slot %d %v %v after %d loads", i, found, err, mem.loads)
	}
}

// TestEqualHeadsAtBothEnds has runs of the lowest and of the highest head.
func TestEqualHeadsAtBothEnds(t *testing.T) {
	l := InitLeaf(make([]byte, DefaultSize-HeaderSize))
	var keys [][]byte
	for _, c := range []byte{0, 255} {
		for n := 1; n < 40; n++ {
			keys = append(keys, bytes.Repeat([]byte{c}, n))
		}
	}
	for i, k := range keys {
		if _, ok := l.Insert(i, Key{Bytes: k}, CellValue, 0); !ok {
			t.Fatal("no room")
		}
	}
	for i, k := range keys {
		if at, found, _ := l.Search(k, nil); at != i || !found {
			t.Errorf("search %x: %d %v, want %d", k, at, found, i)
		}
		if _, _, at, found, _ := l.Find(k, nil); at != i || !found {
			t.Errorf("find %x: %d %v, want %d", k, at, found, i)
		}
		// Above all of zeros, and right above its own neighbour of 255s.
		if at, found, _ := l.Search(append(bytes.Clone(k), 7), nil); found || at != max(i+1, 39) {
			t.Errorf("search %x 07: %d %v", k, at, found)
		}
	}
}

func TestRemovedSlotLeavesZeros(t *testing.T) {
	l := sampleLeaf()
	for l.Count() > 0 {
		l.Remove(l.Count() / 2)
		if end := bodyHeader + slotSize*l.Count(); !zero(l[end:start(l)]) {
			t.Fatalf("free space is not zero with %d slots left", l.Count())
		}
	}
}

func TestSetKeyRefChangesNothingElse(t *testing.T) {
	l, r := sampleLeaf(), InitBranch(make([]byte, DefaultSize-HeaderSize))
	fillGoldenBranch(r)
	want := Overflow{Page: 99, Len: 600, Born: 12}
	key, payload := keep(l.Key(6)), keep(l.Payload(6))
	l.SetKeyRef(6, want)
	r.SetKeyRef(2, want)
	if l.KeyRef(6) != want || r.KeyRef(2) != want || r.Child(2) != 32 || r.Keys(2) != MaxChildKeys {
		t.Errorf("%v, %v", l.KeyRef(6), r.KeyRef(2))
	}
	if !bytes.Equal(key.alias, key.bytes) || !bytes.Equal(payload.alias, payload.bytes) || l.Kind(6) != CellValue {
		t.Error("more than the reference changed")
	}
	if err := ValidateLeaf(l, DefaultSize, false); err != nil {
		t.Error(err)
	}
	mustPanic(t, "inline key in a leaf", func() { l.SetKeyRef(0, want) })
	mustPanic(t, "inline key in a branch", func() { r.SetKeyRef(1, want) })
}

func TestLeafPrefixGrowsOnlyWhenRebuilt(t *testing.T) {
	l := InitLeaf(make([]byte, DefaultSize-HeaderSize))
	for i, k := range []string{"a", "user:1", "user:2", "user:30"} {
		if _, ok := l.Insert(i, Key{Bytes: []byte(k)}, CellValue, 1); !ok {
			t.Fatal("no room")
		}
	}
	l.Remove(0)
	if p := prefix(l); p != 0 {
		t.Errorf("prefix %d, want 0", p)
	}
	out := InitLeaf(make([]byte, len(l)))
	out.AppendFrom(l, 0, 3)
	if p := prefix(out); p != len("user:") {
		t.Errorf("prefix %d, want 5", p)
	}
}

func TestLeafMisusePanics(t *testing.T) {
	l := InitLeaf(make([]byte, 256))
	l.Insert(0, Key{Bytes: []byte("a")}, CellValue, 150)
	mustPanic(t, "remove behind the end", func() { l.Remove(1) })
	mustPanic(t, "insert behind the end", func() { l.Insert(2, Key{Bytes: []byte("b")}, CellValue, 1) })
	mustPanic(t, "append without room", func() { l.AppendFrom(l, 0, 1) })
	mustPanic(t, "short large key", func() { l.Insert(1, Key{Bytes: []byte("b"), Large: true}, CellValue, 1) })
	mustPanic(t, "body too small", func() { InitLeaf(make([]byte, 7)) })
	mustPanic(t, "body too large", func() { InitLeaf(make([]byte, maxBody+1)) })
}

func TestPlainLeavesReferToNothing(t *testing.T) {
	body := func(add func(l Leaf)) Leaf {
		l := InitLeaf(make([]byte, 1000))
		for i := range 5 {
			if _, ok := l.Insert(i, Key{Bytes: []byte{'a', byte(i)}}, CellValue, 10); !ok {
				t.Fatal("no room")
			}
		}
		add(l)
		return l
	}
	if !body(func(Leaf) {}).Plain() {
		t.Error("a leaf of values is not plain")
	}
	for name, add := range map[string]func(l Leaf){
		"overflow": func(l Leaf) { l.Insert(5, Key{Bytes: []byte("b")}, CellOverflow, OverflowRefSize) },
		"bucket":   func(l Leaf) { l.Insert(0, Key{Bytes: []byte("a")}, CellBucket, BucketHeaderSize) },
		"large":    func(l Leaf) { l.Insert(5, Key{Bytes: make([]byte, 300), Large: true}, CellValue, 0) },
	} {
		if body(add).Plain() {
			t.Errorf("%s: the leaf is plain", name)
		}
	}
}
