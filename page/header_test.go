package page

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

func TestHeaderRoundTrip(t *testing.T) {
	h := Header{
		Checksum: 1 << 63, Number: 2 << 60, Born: 3 << 60, Tree: 4 << 60,
		Kind: KindBranch, Level: 200, Flags: 0xabcd, Run: 0xdeadbeef,
	}
	b := make([]byte, HeaderSize+4)
	h.Encode(b)
	var got Header
	got.Decode(b)
	if got != h {
		t.Errorf("got %+v", got)
	}
	if body := Body(b); len(body) != 4 || cap(body) != 4 {
		t.Errorf("body of %d bytes", len(body))
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		size              int
		first             No
		key, cell, inline int
	}{
		{4096, 12, 504, 2016, 1024},
		{16384, 3, 2040, 8160, 4096},
		{32768, 2, 4088, 16352, 8192},
		{65536, 1, 8184, 32736, 16384},
	} {
		if !ValidSize(c.size) || FirstPage(c.size) != c.first || MaxInlineKey(c.size) != c.key ||
			MaxCell(c.size) != c.cell || MaxInlineBucket(c.size) != c.inline {
			t.Errorf("%d: first %d, key %d, cell %d, inline %d", c.size,
				FirstPage(c.size), MaxInlineKey(c.size), MaxCell(c.size), MaxInlineBucket(c.size))
		}
		if MaxInlineKey(c.size) > slotKeyMask {
			t.Errorf("%d: keys do not fit a slot", c.size)
		}
		// The largest cell that may not go to an overflow run.
		if n := leafHeader + MaxInlineKey(c.size) + BucketHeaderSize + MaxInlineBucket(c.size); n > MaxCell(c.size) {
			t.Errorf("%d: an inline bucket takes %d bytes", c.size, n)
		}
	}
	for _, n := range []int{0, -4096, 2048, 4097, 131072} {
		if ValidSize(n) {
			t.Errorf("%d is a page size", n)
		}
	}
}

func TestTwoLargestCellsFit(t *testing.T) {
	for size := MinSize; size <= MaxSize; size *= 2 {
		l := InitLeaf(make([]byte, size-HeaderSize))
		n := MaxCell(size) - leafHeader - 1
		for i, k := range []string{"a", "b"} {
			if _, ok := l.Insert(i, Key{Bytes: []byte(k)}, CellValue, n); !ok {
				t.Errorf("%d: cell %d does not fit", size, i)
			}
		}
	}
}

func TestRunPages(t *testing.T) {
	for _, c := range []struct {
		payload, size int
		pages         uint32
	}{
		{0, 4096, 1}, {4048, 4096, 1}, {4049, 4096, 2}, {MaxValueSize, 4096, 524289}, {MaxValueSize, 65536, 32769},
	} {
		if got := RunPages(c.payload, c.size); got != c.pages {
			t.Errorf("%d bytes in pages of %d: %d, want %d", c.payload, c.size, got, c.pages)
		}
	}
}

func TestRunPayload(t *testing.T) {
	run := bytes.Repeat([]byte{0xff}, 8192)
	if RunPayload(run) != nil || RunPayload(run[:20]) != nil {
		t.Error("a payload outside its run")
	}
	InitRun(run, Header{Kind: KindOverflow, Run: 2}, 5000)
	p := RunPayload(run)
	if len(p) != 5000 || cap(p) != 5000 || &p[0] != &run[RunHeaderSize] {
		t.Errorf("payload of %d bytes", len(p))
	}
	if !zero(run[RunHeaderSize+5000:]) {
		t.Error("bytes behind the payload are not zero")
	}
	InitRun(run, Header{Kind: KindOverflow, Run: 2}, 0)
	if p := RunPayload(run); p == nil || len(p) != 0 {
		t.Error("an empty payload is nil")
	}
	mustPanic(t, "payload too long", func() { InitRun(run, Header{}, 8192) })
}

func TestRefs(t *testing.T) {
	r := DirtyRef(1<<32 - 1)
	if !r.Dirty() || r.Index() != 1<<32-1 || r.String() != "dirty 4294967295" {
		t.Errorf("dirty reference %s", r)
	}
	if p := PageRef(77); p.Dirty() || p.Page() != 77 || p.String() != "page 77" {
		t.Errorf("page reference %s", p)
	}
}

func TestSumIsSaltedAndLeavesItselfOut(t *testing.T) {
	b := make([]byte, 4096)
	s := Seal(b, 5)
	if s != Stored(b) || s != Sum(b, 5) || s == Sum(b, 6) {
		t.Error("checksum")
	}
	b[4095]++
	if Sum(b, 5) == s {
		t.Error("a changed page has the same checksum")
	}
}

func TestSealRunIsSealInParts(t *testing.T) {
	h := Header{Number: 30, Born: 4, Tree: 2, Kind: KindOverflow, Run: 2}
	value := bytes.Repeat([]byte("value"), 1000)
	whole := make([]byte, 2*DefaultSize)
	InitRun(whole, h, len(value))
	copy(RunPayload(whole), value)
	sum := Seal(whole, 9)

	head, pad := make([]byte, RunHeaderSize), make([]byte, len(whole)-RunHeaderSize-len(value))
	InitRunHead(head, h, len(value))
	if got := SealRun(head, value, pad, 9); got != sum {
		t.Errorf("%x, want %x", got, sum)
	}
	if !bytes.Equal(bytes.Join([][]byte{head, value, pad}, nil), whole) {
		t.Error("the parts are not the whole")
	}
}

func TestListedChecksums(t *testing.T) {
	var list []byte
	want := []uint64{1, 0, 1 << 63, 0x0102030405060708}
	for _, sum := range want {
		list = AppendChecksum(list, sum)
	}
	if len(list) != len(want)*ChecksumSize {
		t.Fatalf("%d bytes", len(list))
	}
	for i, sum := range want {
		if got := ListedChecksum(list, i); got != sum {
			t.Errorf("%d: %x, want %x", i, got, sum)
		}
	}
}

func TestSearchAllocatesNothing(t *testing.T) {
	l := InitLeaf(make([]byte, DefaultSize-HeaderSize))
	key := []byte("some key")
	n := testing.AllocsPerRun(100, func() {
		InitLeaf(l)
		l.Insert(0, Key{Bytes: key}, CellValue, 3)
		l.Find(key, nil)
		l.Search(key, nil)
		if ValidateLeaf(l, DefaultSize, false) != nil {
			t.Error("not valid")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestErrorsTellPageAndReason(t *testing.T) {
	err := fmt.Errorf("get: %w", Corruptf(17, "head of slot %d", 3))
	var c *CorruptError
	if !errors.Is(err, ErrCorrupt) || !errors.As(err, &c) || c.Page != 17 || c.Reason != "head of slot 3" {
		t.Errorf("%v", err)
	}
	if got := c.Error(); got != "database is damaged: page 17: head of slot 3" {
		t.Error(got)
	}
	c.Path = "a/b"
	if got := c.Error(); got != "database is damaged: page 17 (in a/b): head of slot 3" {
		t.Error(got)
	}
	if got := damaged("x").Error(); got != "database is damaged: x" {
		t.Error(got)
	}
}

func TestSeparatorIsShortest(t *testing.T) {
	for _, c := range [][3]string{
		{"a", "b", "b"}, {"abc", "abd", "abd"}, {"a", "ab", "ab"}, {"apple", "banana", "b"},
		{"", "\x00", "\x00"}, {"12345678", "123456789abc", "123456789"}, {"aaaaaaaax", "aaaaaaaaz1", "aaaaaaaaz"},
	} {
		got := Separator([]byte(c[0]), []byte(c[1]))
		if string(got) != c[2] || cap(got) != len(got) {
			t.Errorf("%q, %q: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
