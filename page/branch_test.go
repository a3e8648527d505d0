package page

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
	"testing"
)

// branchCell is a cell of a model branch.
type branchCell struct {
	full  []byte // the whole key, nil in slot 0
	key   Key
	child Ref
	keys  uint64
}

// branchTest runs random edits on a branch and on a sorted slice.
type branchTest struct {
	*testing.T
	src      *keySource
	mem      *memory
	branch   Branch
	pageSize int
	model    []branchCell
	kept     []kept
	routed   int // probes that Route answered
}

func TestBranchEditsMatchSortedSlice(t *testing.T) {
	for round, pageSize := range []int{4096, 4096, 4096, 4096, 8192, 65536} {
		for _, large := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/%d/%v", round, pageSize, large), func(t *testing.T) {
				runBranchTest(t, pageSize, large, uint64(200+round))
			})
		}
	}
}

func runBranchTest(t *testing.T, pageSize int, large bool, stream uint64) {
	rnd := random(t, stream)
	for range 6 {
		bt := &branchTest{
			T: t, src: newKeySource(rnd, pageSize, large), mem: newMemory(), pageSize: pageSize,
			branch: InitBranch(make([]byte, pageSize-HeaderSize)),
		}
		bt.branch.Insert(0, Key{Bytes: []byte("ignored")}, 100, 5)
		bt.model = []branchCell{{child: 100, keys: 5}}
		bt.check()
		steps := 800
		if pageSize > 8192 {
			steps = 300
		}
		for range steps {
			bt.step()
		}
		bt.check()
		if bt.routed == 0 {
			bt.Error("Route never knew the way")
		}
	}
}

// find returns the child below which key belongs, and whether it is its key.
func (bt *branchTest) find(key []byte) (int, bool) {
	i, found := sort.Find(len(bt.model)-1, func(i int) int { return bytes.Compare(key, bt.model[i+1].full) })
	if found {
		return i + 1, true
	}
	return i, false
}

func (bt *branchTest) step() {
	rnd := bt.src.rnd
	switch op := rnd.IntN(100); {
	case op < 55:
		bt.insert()
	case op < 70:
		if n := len(bt.model); n > 1 {
			bt.removeAt(rnd.IntN(n))
		}
	case op < 75:
		bt.probe(bt.src.key())
	case op < 88:
		i := rnd.IntN(len(bt.model))
		c := &bt.model[i]
		c.child, c.keys = Ref(100+rnd.IntN(1e6)), rnd.Uint64N(MaxChildKeys+1)
		bt.branch.SetChild(i, c.child)
		bt.branch.SetKeys(i, c.keys)
	case op < 92:
		bt.rebuild()
	case op < 96:
		bt.splitAndMerge()
	default:
		bt.check()
	}
}

func (bt *branchTest) insert() {
	key := bt.src.key()
	i, found := bt.find(key)
	bt.probe(key)
	if found {
		return
	}
	c := branchCell{
		full: key, key: bt.mem.key(key, bt.pageSize),
		child: Ref(100 + bt.src.rnd.IntN(1e6)), keys: bt.src.rnd.Uint64N(MaxChildKeys + 1),
	}
	size := BranchCellSize(c.key)
	before, free := bytes.Clone(bt.branch), bt.branch.Free()
	ok := bt.branch.Insert(i+1, c.key, c.child, c.keys)
	if ok != (size+slotSize <= free) {
		bt.Fatalf("insert of %d bytes into %d: %v", size, free, ok)
	}
	if !ok {
		if !bytes.Equal(before, bt.branch) {
			bt.Fatal("a refused insert changed the page")
		}
		for len(bt.model) > 3 && bt.src.rnd.IntN(8) != 0 {
			bt.removeAt(bt.src.rnd.IntN(len(bt.model)))
		}
		bt.rebuild()
		return
	}
	bt.model = slices.Insert(bt.model, i+1, c)
	bt.kept = append(bt.kept, keep(bt.branch.Key(i+1)))
}

func (bt *branchTest) removeAt(i int) {
	bt.branch.Remove(i)
	bt.model = slices.Delete(bt.model, i, i+1)
	if i == 0 {
		bt.model[0].full, bt.model[0].key = nil, Key{}
	}
}

func (bt *branchTest) replace(r Branch) {
	bt.checkKept()
	bt.branch, bt.kept = r, nil
	bt.check()
}

func (bt *branchTest) rebuild() {
	out := InitBranch(make([]byte, len(bt.branch)))
	out.AppendFrom(bt.branch, 0, bt.branch.Count(), Key{Bytes: []byte("ignored")})
	if out.Garbage() != 0 || out.Used() != bt.branch.Used() {
		bt.Fatalf("rebuilt: garbage %d, used %d, before %d", out.Garbage(), out.Used(), bt.branch.Used())
	}
	bt.replace(out)
}

// splitAndMerge takes the key between the halves out, as a parent would hold
// it, and gives it back.
func (bt *branchTest) splitAndMerge() {
	n := bt.branch.Count()
	if n < 2 {
		return
	}
	at := 1 + bt.src.rnd.IntN(n-1)
	left, right := InitBranch(make([]byte, len(bt.branch))), InitBranch(make([]byte, len(bt.branch)))
	left.AppendFrom(bt.branch, 0, at, Key{})
	right.AppendFrom(bt.branch, at, n, Key{})
	for _, r := range []Branch{left, right} {
		if err := ValidateBranch(r, bt.pageSize); err != nil {
			bt.Fatal(err)
		}
	}
	if right.Key(0) == nil || len(right.Key(0)) != 0 || right.Large(0) {
		bt.Fatal("slot 0 has a key")
	}
	left.AppendFrom(right, 0, right.Count(), bt.model[at].key)
	bt.replace(left)
}

func (bt *branchTest) probe(key []byte) {
	bt.Helper()
	want, _ := bt.find(key)
	if i, err := bt.branch.Search(key, bt.mem); i != want || err != nil {
		bt.Fatalf("search %q: %d %v, want %d", key, i, err, want)
	}
	if i := bt.branch.Guess(key); i < 1 || i > bt.branch.Count() {
		bt.Fatalf("guess of %q: %d of %d", key, i, bt.branch.Count())
	}
	child, i, ok := bt.branch.Route(key)
	for _, at := range []int{bt.branch.Guess(key), -1, 0, 1, want, want + 1, want + 2, bt.branch.Count(), bt.branch.Count() + 1} {
		if c, j, found := bt.branch.RouteAt(at, key); ok && !found || found && (j != want || c != bt.model[want].child) {
			bt.Fatalf("route %q from %d: slot %d, child %d, %v, want %d and %d", key, at, j, c, found, want, bt.model[want].child)
		}
	}
	if ok {
		if i != want || child != bt.model[want].child {
			bt.Fatalf("route %q: slot %d, child %d, want %d and %d", key, i, child, want, bt.model[want].child)
		}
		bt.routed++
	}
}

func (bt *branchTest) checkKept() {
	bt.Helper()
	for _, k := range bt.kept {
		if !bytes.Equal(k.alias, k.bytes) {
			bt.Fatal("an edit moved or overwrote a cell")
		}
	}
}

func (bt *branchTest) check() {
	bt.Helper()
	bt.checkKept()
	r := bt.branch
	if err := ValidateBranch(r, bt.pageSize); err != nil {
		bt.Fatal(err)
	}
	if r.Count() != len(bt.model) {
		bt.Fatalf("%d slots, want %d", r.Count(), len(bt.model))
	}
	used, keys := 0, uint64(0)
	for i, c := range bt.model {
		if !bytes.Equal(r.Key(i), c.key.part()) || r.Large(i) != c.key.Large || r.KeyRef(i) != c.key.Ref {
			bt.Fatalf("slot %d: key %q, want %q", i, r.Key(i), c.full)
		}
		if s := r.StoredKey(i); !bytes.Equal(s.Bytes, c.key.part()) || s.Large != c.key.Large || s.Ref != c.key.Ref {
			bt.Fatalf("slot %d: stored key %v", i, s)
		}
		if r.Child(i) != c.child || r.Keys(i) != c.keys {
			bt.Fatalf("slot %d: %s with %d keys, want %s with %d", i, r.Child(i), r.Keys(i), c.child, c.keys)
		}
		if size := BranchCellSize(c.key); r.CellSize(i) != size {
			bt.Fatalf("slot %d: size %d, want %d", i, r.CellSize(i), size)
		}
		used += slotSize + r.CellSize(i)
		keys += c.keys
		if i > 0 {
			bt.probe(c.full)
			bt.probe(append(bytes.Clone(c.full), 0))
			bt.probe(c.full[:len(c.full)-1])
			bt.probe(bt.src.changed(c.full))
		}
	}
	if r.Used() != used || r.Used()+r.Garbage()+r.Free() != r.Capacity() {
		bt.Fatalf("used %d, want %d; garbage %d, free %d of %d", r.Used(), used, r.Garbage(), r.Free(), r.Capacity())
	}
	if r.TotalKeys() != keys {
		bt.Fatalf("%d keys, want %d", r.TotalKeys(), keys)
	}
	bt.probe(nil)
	bt.probe(bytes.Repeat([]byte{255}, 600))
}

func TestBranchSearchReturnsLoaderError(t *testing.T) {
	mem := newMemory()
	key := bytes.Repeat([]byte{'k'}, 600)
	r := InitBranch(make([]byte, DefaultSize-HeaderSize))
	r.Insert(0, Key{}, 100, 1)
	r.Insert(1, mem.key(key, DefaultSize), 101, 1)
	mem.fail = errors.New("disk")
	if _, err := r.Search(key, mem); err != mem.fail {
		t.Errorf("Search: %v", err)
	}
}

func TestBranchRemoveFirstDropsLargeKey(t *testing.T) {
	mem := newMemory()
	r := InitBranch(make([]byte, DefaultSize-HeaderSize))
	r.Insert(0, Key{}, 100, 1)
	r.Insert(1, mem.key(bytes.Repeat([]byte{'k'}, 600), DefaultSize), 101, 2)
	r.Remove(0)
	if r.Count() != 1 || r.Child(0) != 101 || r.Keys(0) != 2 || len(r.Key(0)) != 0 || r.Large(0) {
		t.Fatalf("slot 0: %s, %d keys, key %q", r.Child(0), r.Keys(0), r.Key(0))
	}
	if err := ValidateBranch(r, DefaultSize); err != nil {
		t.Fatal(err)
	}
}

func TestBranchMisusePanics(t *testing.T) {
	r := InitBranch(make([]byte, DefaultSize-HeaderSize))
	mustPanic(t, "remove from an empty branch", func() { r.Remove(0) })
	r.Insert(0, Key{}, 100, 1)
	mustPanic(t, "insert before the first child", func() { r.Insert(0, Key{}, 101, 1) })
	mustPanic(t, "too many keys", func() { r.SetKeys(0, MaxChildKeys+1) })
	small := InitBranch(make([]byte, 40))
	mustPanic(t, "append without room", func() {
		small.AppendFrom(r, 0, 1, Key{})
		small.AppendFrom(r, 0, 1, Key{Bytes: []byte("a")})
	})
}
