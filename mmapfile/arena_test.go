//go:build unix

package mmapfile

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
)

func alloc(t *testing.T, a *Arena, n int) []byte {
	t.Helper()
	b, err := a.Alloc(n)
	must(t, err)
	if len(b) != n || cap(b) != n || memAddr(b)%4096 != 0 {
		t.Fatalf("len %d, cap %d, address %x", len(b), cap(b), memAddr(b))
	}
	return b
}

func TestArenaRecyclesBlocks(t *testing.T) {
	a := NewArena(0)
	defer a.Close()
	first := alloc(t, a, 4096)
	if !bytes.Equal(first, make([]byte, 4096)) {
		t.Error("new memory is not zero")
	}
	for range 10_000 {
		b := alloc(t, a, 4096)
		b[0] = 1
		a.Free(b)
	}
	if a.Mapped() != arenaChunk || a.Bytes() != 4096 {
		t.Fatalf("%d bytes mapped, %d in use", a.Mapped(), a.Bytes())
	}
	a.Free(nil)
	a.Free(first)
	if a.Bytes() != 0 || a.Mapped() != arenaChunk {
		t.Fatalf("%d bytes mapped, %d in use", a.Mapped(), a.Bytes())
	}
}

func TestArenaReturnsMemory(t *testing.T) {
	a := NewArena(256 << 10)
	defer a.Close()
	a.Keep = 512 << 10
	var blocks [][]byte
	for range 4096 {
		blocks = append(blocks, alloc(t, a, 4096))
	}
	if a.Bytes() != 16<<20 || a.Mapped() != 16<<20 {
		t.Fatalf("%d bytes mapped, %d in use", a.Mapped(), a.Bytes())
	}
	for _, i := range rand.Perm(len(blocks)) {
		a.Free(blocks[i])
	}
	if a.Bytes() != 0 || a.Mapped() != a.Keep {
		t.Fatalf("%d bytes mapped, %d in use", a.Mapped(), a.Bytes())
	}
	big := alloc(t, a, 8<<20)
	if a.Mapped() != a.Keep+8<<20 {
		t.Fatalf("%d bytes mapped", a.Mapped())
	}
	big[8<<20-1] = 1
	a.Free(big)
	if a.Mapped() != a.Keep {
		t.Fatalf("%d bytes mapped after a large block was freed", a.Mapped())
	}
	for range 1000 {
		alloc(t, a, 8192)
	}
	alloc(t, a, 1<<20)
	a.Reset()
	if a.Bytes() != 0 || a.Mapped() != a.Keep {
		t.Fatalf("after Reset %d bytes mapped, %d in use", a.Mapped(), a.Bytes())
	}
	alloc(t, a, 4096)
}

// Blocks of all sizes come and go in random order: none overlaps another, none changes.
func TestArenaBlocksAreApart(t *testing.T) {
	a := NewArena(1)
	defer a.Close()
	rnd := rand.New(rand.NewPCG(1, 2))
	type block struct {
		b    []byte
		mark byte
	}
	var live []block
	var used, most int64
	for i := range 20_000 {
		if len(live) > 0 && (rnd.IntN(2) == 0 || len(live) > 300) {
			k := rnd.IntN(len(live))
			x := live[k]
			for j := 0; j < len(x.b); j += 512 {
				if x.b[j] != x.mark {
					t.Fatalf("step %d: a block changed", i)
				}
			}
			used -= int64(len(x.b))
			a.Free(x.b)
			live[k] = live[len(live)-1]
			live = live[:len(live)-1]
			continue
		}
		n := 4096 * (1 + rnd.IntN(4)*rnd.IntN(8))
		x := block{alloc(t, a, n), byte(i)}
		for j := 0; j < n; j += 512 {
			x.b[j] = x.mark
		}
		used += int64(n)
		most = max(most, used)
		live = append(live, x)
		if a.Bytes() != used {
			t.Fatalf("step %d: %d bytes in use, should be %d", i, a.Bytes(), used)
		}
		if a.Mapped() > 2*most+2<<20 {
			t.Fatalf("step %d: %d bytes mapped for at most %d in use", i, a.Mapped(), most)
		}
	}
}

func TestArenaMisuse(t *testing.T) {
	a := NewArena(0)
	for _, n := range []int{0, -4096, 1, 4097} {
		if _, err := a.Alloc(n); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%d: %v", n, err)
		}
	}
	big, b := alloc(t, a, 1<<20), alloc(t, a, 8192)
	a.Free(b[:4096])
	for name, fn := range map[string]func(){
		"twice":       func() { a.Free(b) },
		"foreign":     func() { a.Free(make([]byte, 4096)) },
		"part of big": func() { a.Free(big[:4096]) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error(name, "is no panic")
				}
			}()
			fn()
		}()
	}
	a = NewArena(0)
	alloc(t, a, 4096)
	must(t, a.Close())
	if a.Mapped() != 0 {
		t.Error("memory left after Close")
	}
	if err := a.Close(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if _, err := a.Alloc(4096); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestArenaAllocatesNothingOnceWarm(t *testing.T) {
	a := NewArena(0)
	defer a.Close()
	blocks := make([][]byte, 100)
	n := testing.AllocsPerRun(100, func() {
		for i := range blocks {
			blocks[i], _ = a.Alloc(4096)
		}
		for _, b := range blocks {
			a.Free(b)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkArenaPage(b *testing.B) {
	a := NewArena(0)
	defer a.Close()
	hold := make([][]byte, 0, 64<<10)
	for b.Loop() {
		p, err := a.Alloc(4096)
		if err != nil {
			b.Fatal(err)
		}
		hold = append(hold, p)
		if len(hold) == cap(hold) {
			for _, p := range hold {
				a.Free(p)
			}
			hold = hold[:0]
		}
	}
}

// A large block that is given back is used again, by one that is not much shorter, within what the arena may keep.
func TestArenaKeepsLargeBlocks(t *testing.T) {
	const large = 1 << 20
	a := NewArena(0)
	a.Keep = 2 * large
	defer a.Close()
	alloc := func(n int) []byte {
		t.Helper()
		b, err := a.Alloc(n)
		if err != nil || len(b) != n || cap(b) != n {
			t.Fatalf("%d bytes, capacity %d, want %d: %v", len(b), cap(b), n, err)
		}
		b[0], b[n-1] = 1, 2
		return b
	}
	first := alloc(large)
	a.Free(first)
	if b := alloc(large - 8192); &b[0] != &first[0] || a.Mapped() != large {
		t.Errorf("a kept block was not used again: %d bytes are mapped", a.Mapped())
	}
	if b := alloc(large / 2); &b[0] == &first[0] {
		t.Error("a block is used twice")
	}
	a.Reset()
	if n := a.Mapped(); n != large+large/2 {
		t.Errorf("after a reset %d bytes are mapped", n)
	}
	if b := alloc(large); &b[0] != &first[0] {
		t.Error("a shorter block did not give its whole mapping back")
	}
	for range 3 {
		alloc(large)
	}
	a.Reset()
	if n := a.Mapped(); n > 2*large || a.Bytes() != 0 {
		t.Errorf("%d bytes are kept, %d in use", n, a.Bytes())
	}
	if n := testing.AllocsPerRun(100, func() { a.Free(alloc(large)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
