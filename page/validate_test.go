package page

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestVerifyRefusesBadHeaders(t *testing.T) {
	for _, c := range []struct {
		page   string
		no     No
		text   string
		change func(b []byte)
	}{
		{"leaf", 19, "carries the number 20", func(b []byte) {}},
		{"leaf", 20, "2 pages", func(b []byte) { b[offRun] = 2 }},
		{"leaf", 20, "flags", func(b []byte) { b[offFlags+1] = 1 }},
		{"leaf", 20, "leaf at level 1", func(b []byte) { b[offLevel] = 1 }},
		{"branch", 21, "branch at level 0", func(b []byte) { b[offLevel] = 0 }},
		{"leaf", 20, "leaf in tree 0", func(b []byte) { b[offTree] = 0 }},
		{"record", 24, "record in tree 1", func(b []byte) { b[offTree] = 1 }},
		{"leaf", 20, "unknown kind 9", func(b []byte) { b[offKind] = 9 }},
		{"overflow", 22, "payload of 1 bytes", func(b []byte) { le.PutUint32(b[offRunLength:], 1) }},
		{"overflow", 22, "payload of 9000 bytes", func(b []byte) { le.PutUint32(b[offRunLength:], 9000) }},
		{"record", 24, "reserved", func(b []byte) { b[offRunReserved] = 1 }},
		{"leaf", 20, "prefix", func(b []byte) { b[HeaderSize+offCount] = 0 }},
		{"branch", 21, "without a child", func(b []byte) { b[HeaderSize+offCount] = 0 }},
	} {
		b := goldenPages()[c.page]
		c.change(b)
		err := Verify(b, DefaultSize, c.no, goldenSalt)
		if err == nil || !strings.Contains(err.Error(), "checksum") && c.no != 19 {
			t.Errorf("%s: not found by the checksum: %v", c.text, err)
		}
		Seal(b, goldenSalt)
		err = Verify(b, DefaultSize, c.no, goldenSalt)
		mustCorrupt(t, err)
		if want := fmt.Sprintf("page %d: ", c.no); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
	mustCorrupt(t, Verify(make([]byte, 100), DefaultSize, 20, 0))
	mustCorrupt(t, Verify(nil, DefaultSize, 20, 0))
}

func TestVerifyFindsEveryFlippedBit(t *testing.T) {
	for name, no := range map[string]No{"leaf": 20, "branch": 21} {
		b := goldenPages()[name]
		for i := range b {
			bit := byte(1) << (i % 8)
			b[i] ^= bit
			if Verify(b, DefaultSize, no, goldenSalt) == nil {
				t.Fatalf("%s: a flipped bit in byte %d", name, i)
			}
			b[i] ^= bit
		}
		if Verify(b, DefaultSize, no, goldenSalt+1) == nil {
			t.Errorf("%s: another file's salt", name)
		}
	}
}

// sampleLeaf has keys a, b, bb with values of 10 bytes, an overflow value c, a
// bucket d, an inline bucket e, and a large key z.
func sampleLeaf() Leaf {
	l := InitLeaf(make([]byte, DefaultSize-HeaderSize))
	for i, k := range []string{"a", "b", "bb"} {
		l.Insert(i, Key{Bytes: []byte(k)}, CellValue, 10)
	}
	p, _ := l.Insert(3, Key{Bytes: []byte("c")}, CellOverflow, OverflowRefSize)
	Overflow{Page: 50, Len: 5000, Born: 1}.Encode(p)
	p, _ = l.Insert(4, Key{Bytes: []byte("d")}, CellBucket, BucketHeaderSize)
	Bucket{Root: 60, Tree: 5}.Encode(p)
	p, _ = l.Insert(5, Key{Bytes: []byte("e")}, CellBucket, BucketHeaderSize+100)
	Bucket{Keys: 1, Tree: 6}.Encode(p)
	InitLeaf(p[BucketHeaderSize:]).Insert(0, Key{Bytes: []byte("in")}, CellValue, 4)
	l.Insert(6, Key{Bytes: bytes.Repeat([]byte("z"), 600), Large: true, Ref: Overflow{Page: 70, Len: 600, Born: 1}}, CellValue, 3)
	return l
}

func cellOf(b []byte, i int) []byte { return b[slotAt(b, i).cell():] }

func TestValidateLeafRefusesDamage(t *testing.T) {
	if err := ValidateLeaf(sampleLeaf(), DefaultSize, false); err != nil {
		t.Fatal(err)
	}
	slotOf := func(l Leaf, i int) []byte { return l[bodyHeader+slotSize*i:] }
	inner := func(l Leaf) Leaf { return Leaf(l.Payload(5)[BucketHeaderSize:]) }
	for _, c := range []struct {
		text   string
		change func(l Leaf)
	}{
		{"slots, and cells from", func(l Leaf) { setCount(l, 60000) }},
		{"slots, and cells from", func(l Leaf) { setStart(l, len(l)+1) }},
		{"slots, and cells from", func(l Leaf) { setStart(l, 8) }},
		{"prefix of 253", func(l Leaf) { setPrefix(l, 253) }},
		{"shorter than the prefix", func(l Leaf) { setPrefix(l, 2) }},
		{"without the prefix", func(l Leaf) {
			setPrefix(l, 1)
			putSlot(l, 0, slotAt(l, 0).withHead(0))
		}},
		{"garbage", func(l Leaf) { setGarbage(l, 1) }},
		{"garbage", func(l Leaf) { setGarbage(l, 65535) }},
		{"cells and", func(l Leaf) { setStart(l, start(l)-1) }},
		{"cell at 65535 outside", func(l Leaf) { le.PutUint16(slotOf(l, 2), 65535) }},
		{"cell at 9 outside", func(l Leaf) { le.PutUint16(slotOf(l, 2), 9) }},
		{"outside", func(l Leaf) { le.PutUint16(slotOf(l, 0), uint16(len(l)-1)) }},
		{"key of 0 bytes", func(l Leaf) { le.PutUint16(slotOf(l, 2)[offSlotKey:], 0) }},
		{"key of 600 bytes", func(l Leaf) {
			le.PutUint16(slotOf(l, 0)[offSlotKey:], 600)
			setStart(l, 3000)
			putSlot(l, 0, slotAt(l, 0).moved(3000))
		}},
		{"payload of 65535 bytes outside", func(l Leaf) { le.PutUint16(cellOf(l, 1), 65535) }},
		{"head does not match", func(l Leaf) { slotOf(l, 3)[offSlotHead] ^= 1 }},
		{"not above", func(l Leaf) { s := slotAt(l, 1); putSlot(l, 1, slotAt(l, 2)); putSlot(l, 2, s) }},
		{"not above", func(l Leaf) { putSlot(l, 2, slotAt(l, 1)) }},
		{"reference of 10 bytes", func(l Leaf) { l[bodyHeader+offSlotKey+1] |= 1 << 6 }},
		{"at page 3", func(l Leaf) { Overflow{Page: 3, Len: 9}.Encode(l.Payload(3)) }},
		{"at dirty 3", func(l Leaf) { Overflow{Page: DirtyRef(3), Len: 9}.Encode(l.Payload(3)) }},
		{"value of 4294967295 bytes", func(l Leaf) { Overflow{Page: 50, Len: 1<<32 - 1}.Encode(l.Payload(3)) }},
		{"root dirty 1", func(l Leaf) { Bucket{Root: DirtyRef(1), Tree: 5}.Encode(l.Payload(4)) }},
		{"root page 11", func(l Leaf) { Bucket{Root: 11, Tree: 5}.Encode(l.Payload(4)) }},
		{"tree number 1", func(l Leaf) { Bucket{Root: 60, Tree: 1}.Encode(l.Payload(4)) }},
		{"inline bucket: body of 0 bytes", func(l Leaf) { Bucket{Tree: 5}.Encode(l.Payload(4)) }},
		{"100 bytes of level 0 inline", func(l Leaf) { Bucket{Root: 60, Tree: 5}.Encode(l.Payload(5)) }},
		{"inline bucket of 1 keys says 2", func(l Leaf) { Bucket{Keys: 2, Tree: 5}.Encode(l.Payload(5)) }},
		{"bucket header of 10 bytes", func(l Leaf) { l[bodyHeader+offSlotKey+1] |= 2 << 6 }},
		{"inline bucket: slot 0: not a plain", func(l Leaf) { inner(l)[bodyHeader+offSlotKey+1] |= 1 << 6 }},
		{"inline bucket: slot 0: head", func(l Leaf) { inner(l)[bodyHeader+offSlotHead] ^= 1 }},
		{"large key of 504 bytes", func(l Leaf) { Overflow{Page: 70, Len: 504}.Encode(cellOf(l, 6)[offLeafRef:]) }},
		{"large key of 32769 bytes", func(l Leaf) { Overflow{Page: 70, Len: 32769}.Encode(cellOf(l, 6)[offLeafRef:]) }},
		{"at page 0", func(l Leaf) { Overflow{Page: 0, Len: 600}.Encode(cellOf(l, 6)[offLeafRef:]) }},
		{"reserved", func(l Leaf) { cellOf(l, 6)[offLeafReserved] = 1 }},
		{"unknown cell kind 3", func(l Leaf) { cellOf(l, 6)[offLeafKind] = 3 }},
		{"255 bytes in the cell", func(l Leaf) { le.PutUint16(slotOf(l, 6)[offSlotKey:], 255|flagLarge<<14) }},
	} {
		l := sampleLeaf()
		c.change(l)
		err := ValidateLeaf(l, DefaultSize, false)
		mustCorrupt(t, err)
		if !strings.Contains(err.Error(), c.text) {
			t.Errorf("want %q: %v", c.text, err)
		}
	}
}

func TestValidateRefusesSizes(t *testing.T) {
	mustCorrupt(t, ValidateLeaf(nil, DefaultSize, false))
	mustCorrupt(t, ValidateLeaf(InitLeaf(make([]byte, 4000)), DefaultSize, false))
	mustCorrupt(t, ValidateLeaf(make([]byte, 7), DefaultSize, true))
	mustCorrupt(t, ValidateLeaf(InitLeaf(make([]byte, 1025)), DefaultSize, true))
	mustCorrupt(t, ValidateLeaf(make([]byte, 70000), MaxSize, false))
	if err := ValidateLeaf(InitLeaf(make([]byte, 8)), DefaultSize, true); err != nil {
		t.Error(err)
	}
	l := InitLeaf(make([]byte, DefaultSize-HeaderSize))
	l.Insert(0, Key{Bytes: []byte("a")}, CellValue, MaxCell(DefaultSize)-2)
	mustCorrupt(t, ValidateLeaf(l, DefaultSize, false))
	InitLeaf(l)
	l.Insert(0, Key{Bytes: make([]byte, 505)}, CellValue, 0)
	mustCorrupt(t, ValidateLeaf(l, DefaultSize, false))
	setCount(InitLeaf(l), 0)
	setPrefix(l, 1)
	mustCorrupt(t, ValidateLeaf(l, DefaultSize, false))
}

func TestValidateBranchRefusesDamage(t *testing.T) {
	for _, c := range []struct {
		text   string
		change func(r Branch)
	}{
		{"without a child", func(r Branch) { InitBranch(r) }},
		{"slot 0: has a key", func(r Branch) { putSlot(r, 0, slotAt(r, 0).withHead(1)) }},
		{"slot 0: has a key", func(r Branch) { r[bodyHeader+offSlotKey+1] |= 2 << 6 }},
		{"child is dirty 7", func(r Branch) { r.SetChild(1, DirtyRef(7)) }},
		{"child is page 0", func(r Branch) { r.SetChild(1, 0) }},
		{"child is page 11", func(r Branch) { r.SetChild(0, 11) }},
		{"unknown flags", func(r Branch) { r[bodyHeader+slotSize+offSlotKey+1] |= 1 << 6 }},
		{"large key of 5 bytes", func(r Branch) { Overflow{Page: 33, Len: 5}.Encode(cellOf(r, 2)[offBranchRef:]) }},
		{"not above", func(r Branch) { s := slotAt(r, 1); putSlot(r, 1, slotAt(r, 2)); putSlot(r, 2, s) }},
		{"overlap", func(r Branch) {
			// Slot 0's cell moves into slot 2's.
			putSlot(r, 0, slotAt(r, 0).moved(slotAt(r, 2).cell()))
		}},
	} {
		r := InitBranch(make([]byte, DefaultSize-HeaderSize))
		fillGoldenBranch(r)
		c.change(r)
		err := ValidateBranch(r, DefaultSize)
		mustCorrupt(t, err)
		if !strings.Contains(err.Error(), c.text) {
			t.Errorf("want %q: %v", c.text, err)
		}
	}
}

// TestOrderOfLargeKeys holds what a page can tell of the order of keys of which
// some are known only by their first part.
func TestOrderOfLargeKeys(t *testing.T) {
	part := strings.Repeat("m", LargeKeyPart)
	large := func(first string) Key {
		return Key{Bytes: []byte(first), Large: true, Ref: Overflow{Page: 70, Len: 600}}
	}
	inline := func(k string) Key { return Key{Bytes: []byte(k)} }
	for i, c := range []struct {
		a, z Key
		ok   bool
	}{
		{large(part), large(part), true},
		{large(part), large(part[:255] + "n"), true},
		{large(part[:255] + "n"), large(part), false},
		{inline(part), large(part), true},
		{large(part), inline(part), false},
		{large(part), inline(part + "a"), true},
		{inline(part + "a"), large(part), true},
		{inline(part[:100]), large(part), true},
		{large(part), inline(part[:100]), false},
		{inline("n"), large(part), false},
		{large(part), inline("n"), true},
	} {
		l := InitLeaf(make([]byte, DefaultSize-HeaderSize))
		l.Insert(0, c.a, CellValue, 0)
		l.Insert(1, c.z, CellValue, 0)
		if err := ValidateLeaf(l, DefaultSize, false); (err == nil) != c.ok {
			t.Errorf("pair %d: %v", i, err)
		}
	}
}

func TestOverlapIsFoundAtEveryOffset(t *testing.T) {
	for _, size := range []int{MinSize, MaxSize} {
		rnd := rand.New(rand.NewPCG(9, 9))
		for range 200 {
			l := InitLeaf(make([]byte, size-HeaderSize))
			for i, k := range []string{"a", "b", "c", "d"} {
				l.Insert(i, Key{Bytes: []byte(k)}, CellValue, rnd.IntN(200))
			}
			v := validator{b: l, y: leafLayout, leaf: true}
			if v.overlap() {
				t.Fatal("cells that stand apart overlap")
			}
			// Cell 3 stands lowest; raised by less than its size it meets cell 2.
			s := slotAt(l, 3)
			up := 1 + rnd.IntN(l.CellSize(3))
			copy(l[s.cell()+up:], []byte{l[s.cell()], l[s.cell()+1]})
			putSlot(l, 3, s.moved(s.cell()+up))
			if !v.overlap() {
				t.Fatalf("a cell raised by %d bytes overlaps", up)
			}
		}
	}
}
