package fuzz

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// blockLogBytes builds a log with sectors of 4096 bytes.
func blockLogBytes(entries []BlockEntry) []byte {
	const size = 4096
	b := make([]byte, size)
	binary.LittleEndian.PutUint64(b, blockLogMagic)
	binary.LittleEndian.PutUint64(b[8:], blockLogVersion)
	binary.LittleEndian.PutUint64(b[16:], uint64(len(entries)))
	binary.LittleEndian.PutUint32(b[24:], size)
	for _, e := range entries {
		head := make([]byte, size)
		binary.LittleEndian.PutUint64(head, uint64(e.Offset/deviceSector))
		binary.LittleEndian.PutUint64(head[8:], uint64(len(e.Data)/deviceSector))
		binary.LittleEndian.PutUint64(head[16:], e.Flags)
		if e.Flags&blockMark != 0 {
			binary.LittleEndian.PutUint64(head[24:], uint64(len(e.Data)))
		}
		b = append(b, head...)
		if e.Flags&blockDiscard == 0 {
			b = append(b, e.Data...)
			b = append(b, make([]byte, (size-len(e.Data)%size)%size)...)
		}
	}
	return b
}

// fill returns n bytes of c.
func fill(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }

func TestBlockLogIsReadAsItWasWritten(t *testing.T) {
	want := []BlockEntry{
		{Offset: 4096, Data: fill(1, 8192)},
		{Flags: blockMark, Data: []byte("a mark")},
		{Flags: blockFlush},
		{Flags: blockFUA, Offset: 512, Data: fill(2, 512)},
		{Flags: blockDiscard, Offset: 4096, Data: fill(0, 4096)},
	}
	raw := blockLogBytes(want)
	got, err := ReadBlockLog(bytes.NewReader(raw))
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	for i, w := range want {
		if g := got[i]; g.Flags != w.Flags || g.Offset != w.Offset || !bytes.Equal(g.Data, w.Data) {
			t.Errorf("entry %d: %v", i, g)
		}
	}
	for n := range len(raw) - 4096 { // the discard, which is last, has no data
		if n%511 == 0 {
			if _, err := ReadBlockLog(bytes.NewReader(raw[:n])); err == nil {
				t.Errorf("a log cut off at %d was read", n)
			}
		}
	}
}

// apply runs entries on a device of 16 KiB.
func applyBlocks(t *testing.T, entries ...BlockEntry) *BlockDevice {
	t.Helper()
	d := &BlockDevice{Durable: make([]byte, 16384)}
	for i := range entries {
		if err := d.Apply(&entries[i]); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestBlockDeviceKeepsWhatWasFlushed(t *testing.T) {
	d := applyBlocks(t,
		BlockEntry{Offset: 4096, Data: fill(1, 4096)},
		BlockEntry{Flags: blockFlush},
		BlockEntry{Offset: 8192, Data: fill(2, 4096)},
		BlockEntry{Offset: 8192, Data: fill(3, 4096)},
		BlockEntry{Flags: blockFUA, Offset: 8704, Data: fill(4, 512)},
		BlockEntry{Offset: 0, Data: fill(5, 4096)},
	)
	seen := map[[3]byte]int{}
	for seed := range uint64(2000) {
		b := d.Crash(nil, rand.New(rand.NewPCG(seed, 1)))
		if b[4096] != 1 || b[8704] != 4 || b[9215] != 4 || b[16383] != 0 {
			t.Fatalf("seed %d: what was flushed is gone: %v %v", seed, b[4096], b[8704])
		}
		seen[[3]byte{b[0], b[8192], b[12287]}]++
	}
	for _, first := range []byte{0, 5} {
		for _, second := range []byte{0, 2, 3} {
			if seen[[3]byte{first, second, second}] == 0 {
				t.Errorf("never seen: %d %d", first, second)
			}
		}
	}
	if len(seen) <= 6 {
		t.Error("no block was ever torn")
	}
	if err := d.Apply(&BlockEntry{Offset: 16384, Data: fill(1, 512)}); err == nil {
		t.Error("a write beyond the device was taken")
	}
}
