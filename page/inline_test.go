package page

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// branchLeaf has a value a, and a bucket t of 30 keys whose root, a branch with three children, is inline.
func branchLeaf() Leaf {
	l := InitLeaf(make([]byte, DefaultSize-HeaderSize))
	l.Insert(0, Key{Bytes: []byte("a")}, CellValue, 10)
	p, _ := l.Insert(1, Key{Bytes: []byte("t")}, CellBucket, BucketHeaderSize+120)
	Bucket{Keys: 30, Level: 2, Tree: 5}.Encode(p)
	r := InitBranch(p[BucketHeaderSize:])
	r.Insert(0, Key{}, 40, 9)
	r.Insert(1, Key{Bytes: []byte("key:b")}, 41, 10)
	r.Insert(2, Key{Bytes: []byte("key:c")}, 42, 11)
	return l
}

func TestBucketHeaderKeepsKeysAndLevel(t *testing.T) {
	b := make([]byte, BucketHeaderSize)
	for _, k := range []Bucket{{Root: 1<<63 - 1, Keys: MaxChildKeys, Sequence: 1<<64 - 1, Tree: 1<<64 - 1}, {Level: 255, Keys: 1<<56 - 1, Tree: 2}, {Level: 1}, {Keys: 1}} {
		k.Encode(b)
		if got := DecodeBucket(b); got != k {
			t.Errorf("%+v has become %+v", k, got)
		}
	}
}

func TestInlineBranchRefusesDamage(t *testing.T) {
	if err := ValidateLeaf(branchLeaf(), DefaultSize, false); err != nil {
		t.Fatal(err)
	}
	header := func(l Leaf, change func(k *Bucket)) {
		k := DecodeBucket(l.Payload(1))
		change(&k)
		k.Encode(l.Payload(1))
	}
	for _, c := range []struct {
		text   string
		change func(l Leaf, r Branch)
	}{
		{"bucket of 30 keys says 31", func(l Leaf, _ Branch) { header(l, func(k *Bucket) { k.Keys++ }) }},
		{"bucket of 29 keys says 30", func(_ Leaf, r Branch) { r.SetKeys(1, 9) }},
		{"level 24", func(l Leaf, _ Branch) { header(l, func(k *Bucket) { k.Level = MaxDepth }) }},
		{"level 255", func(l Leaf, _ Branch) { header(l, func(k *Bucket) { k.Level = 255 }) }},
		{"bytes of level 2 inline", func(l Leaf, _ Branch) { header(l, func(k *Bucket) { k.Root = 40 }) }},
		{"slot 0", func(l Leaf, _ Branch) { header(l, func(k *Bucket) { k.Level = 0 }) }},
		{"tree number 1", func(l Leaf, _ Branch) { header(l, func(k *Bucket) { k.Tree = RootTree }) }},
		{"child is dirty 1", func(_ Leaf, r Branch) { r.SetChild(1, DirtyRef(1)) }},
		{"child is page 11", func(_ Leaf, r Branch) { r.SetChild(2, 11) }},
		{"child is page 0", func(_ Leaf, r Branch) { r.SetChild(0, 0) }},
		{"without a child", func(_ Leaf, r Branch) { setCount(r, 0) }},
		{"cells from", func(_ Leaf, r Branch) { setCount(r, 60000) }},
		{"outside", func(_ Leaf, r Branch) { putSlot(r, 1, slotAt(r, 1).moved(len(r)-2)) }},
		{"not above", func(_ Leaf, r Branch) {
			s := slotAt(r, 1)
			putSlot(r, 1, slotAt(r, 2))
			putSlot(r, 2, s)
		}},
		{"slot 0: has a key", func(_ Leaf, r Branch) { putSlot(r, 0, slotAt(r, 1)) }},
		{"unknown flags", func(_ Leaf, r Branch) { r[bodyHeader+slotSize+offSlotKey+1] |= 1 << 6 }},
		{"cell at", func(_ Leaf, r Branch) { r[bodyHeader+slotSize+offSlotKey+1] |= 3 << 6 }},
	} {
		l := branchLeaf()
		c.change(l, Branch(l.Payload(1)[BucketHeaderSize:]))
		err := ValidateLeaf(l, DefaultSize, false)
		mustCorrupt(t, err)
		if err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("want %q: %v", c.text, err)
		}
	}
}

// An inline branch has no large keys, and few bytes.
func TestInlineBranchIsSmall(t *testing.T) {
	k := Bucket{Keys: 2, Level: 1, Tree: 5}
	for _, c := range []struct {
		text       string
		page, body int
		key        Key
	}{
		{"inline bucket of 513 bytes", DefaultSize, 513, Key{Bytes: []byte("b")}},
		{"large key in an inline branch", 16384, 1024, Key{Bytes: make([]byte, 3000), Large: true, Ref: Overflow{Page: 70, Len: 3000, Born: 1}}},
		{"", DefaultSize, 512, Key{Bytes: []byte("b")}},
	} {
		r := InitBranch(make([]byte, c.body))
		r.Insert(0, Key{}, 60, 1)
		if !r.Insert(1, c.key, 61, 1) {
			t.Fatal("no room")
		}
		switch err := ValidateInline(k, r, c.page); {
		case c.text == "" && err != nil:
			t.Error(err)
		case c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text)):
			t.Errorf("want %q: %v", c.text, err)
		}
	}
}

// In a small branch Route finds what Search does, or leaves it to Search.
func TestRouteInASmallBranchIsSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	routed := 0
	for range 2000 {
		keys := map[string]bool{}
		for range rng.IntN(8) {
			keys[fmt.Sprintf("%.*s%c%d", rng.IntN(5), "pre\x00fix", 'a'+rng.IntN(3), rng.IntN(300))] = true
		}
		r := InitBranch(make([]byte, 256))
		r.Insert(0, Key{}, 40, 1)
		for i, k := range slices.Sorted(maps.Keys(keys)) {
			if !r.Insert(i+1, Key{Bytes: []byte(k)}, Ref(41+i), 1) {
				t.Fatal("no room")
			}
		}
		for k := range keys {
			for _, key := range append(probes([]byte(k)), fmt.Append(nil, "pre", rng.IntN(300)), []byte("zzzz"), []byte("aaaa")) {
				i, err := r.Search(key, nil)
				if err != nil {
					t.Fatal(err)
				}
				child, at, ok := r.Route(key)
				if ok && (at != i || child != r.Child(i)) {
					t.Fatalf("%q: Route %d, Search %d in %q", key, at, i, slices.Sorted(maps.Keys(keys)))
				}
				if ok {
					routed++
				}
			}
		}
	}
	if routed == 0 {
		t.Error("Route found nothing")
	}
}
