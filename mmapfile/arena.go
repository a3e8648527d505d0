package mmapfile

import (
	"fmt"
	"math/bits"
	"os"
	"sort"
	"sync"
)

const (
	arenaUnit  = 4096    // blocks are multiples of this
	arenaChunk = 1 << 20 // default bytes of one mapping
	arenaKeep  = 1 << 20 // default of Keep
)

// Arena hands out blocks of anonymous memory that the garbage collector does not see. Small blocks
// are cut from chunks and used again after Free; a block larger than a quarter of a chunk has a
// mapping of its own. Chunks that are empty and mappings without a block go back to the system, except for Keep bytes of them.
//
// The zero Arena is not ready, see NewArena. All methods may be called by several goroutines at
// once, except Reset and Close, which end the life of all blocks.
type Arena struct {
	// Keep is how many bytes without a block stay mapped for the next blocks: fresh memory costs a fault for each
	// page. Set it before the first Alloc.
	Keep int64

	mu     sync.Mutex
	chunk  int          // bytes of a chunk, a multiple of 64 units
	sorted []*arenaPart // all parts by address, so that Free finds its own
	open   []*arenaPart // chunks with free units; the last one is tried first
	spare  []*arenaPart // mappings for large blocks that are not in use, the newest last
	empty  int64        // bytes of chunks without a block in use, and of spare mappings
	used   int64        // bytes in blocks
	mapped int64        // bytes in mappings
	closed bool
}

// arenaPart is one mapping: a chunk, or one large block.
type arenaPart struct {
	mem    []byte // a large block may be shorter than its mapping: cap(mem) bytes
	base   uintptr
	busy   []uint64 // a bit for each unit in use; nil for a large block
	free   int      // units not in use
	listed bool     // in Arena.open
}

// NewArena returns an arena that gets its memory in mappings of chunk bytes (0: 1 MiB), rounded up
// to a multiple of 256 KiB.
func NewArena(chunk int) *Arena {
	if chunk <= 0 {
		chunk = arenaChunk
	}
	return &Arena{Keep: arenaKeep, chunk: int(roundUp(int64(chunk), 64*arenaUnit))}
}

// Alloc returns a block of n bytes, n a positive multiple of 4096, with cap = len. Its bytes are
// not zeroed: a block that was used before keeps what it held.
func (a *Arena) Alloc(n int) ([]byte, error) {
	if n <= 0 || n%arenaUnit != 0 {
		return nil, invalid(opAnonymous, "", "block of %d bytes, not a multiple of %d", n, arenaUnit)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, wrap(opAnonymous, "", os.ErrClosed)
	}
	b, err := a.take(n)
	if err != nil {
		return nil, wrap(opAnonymous, "", err)
	}
	a.used += int64(n)
	return b, nil
}

// take finds or makes n bytes.
func (a *Arena) take(n int) ([]byte, error) {
	if n > a.chunk/4 {
		if b := a.takeSpare(n); b != nil {
			return b, nil
		}
		p, err := a.addPart(n)
		if err != nil {
			return nil, err
		}
		return p.mem[:n:n], nil
	}
	units := n / arenaUnit
	if b := a.takeOpen(units); b != nil {
		return b, nil
	}
	p, err := a.addPart(a.chunk)
	if err != nil {
		return nil, err
	}
	p.busy = make([]uint64, a.chunk/arenaUnit/64)
	p.free = a.chunk / arenaUnit
	a.empty += int64(a.chunk)
	a.list(p)
	return a.takeOpen(units), nil
}

// takeSpare returns a large block in a mapping that was used before and is not much longer. nil: there is none.
func (a *Arena) takeSpare(n int) []byte {
	for i := len(a.spare) - 1; i >= 0; i-- {
		p := a.spare[i]
		if size := cap(p.mem); size < n || size > n+n/4 {
			continue
		}
		a.spare = append(a.spare[:i], a.spare[i+1:]...)
		a.empty -= int64(cap(p.mem))
		p.mem = p.mem[:n]
		a.file(p)
		return p.mem[:n:n]
	}
	return nil
}

// keepSpare keeps the mapping of a large block that is not in use any more, and is in sorted no longer, or reports that there are enough.
func (a *Arena) keepSpare(p *arenaPart, keep int64) bool {
	if a.empty+int64(cap(p.mem)) > keep {
		return false
	}
	a.spare = append(a.spare, p)
	a.empty += int64(cap(p.mem))
	return true
}

// takeOpen looks for a free run of units in the chunks that have some: in few of them, so that the
// search stays short. nil: none found.
func (a *Arena) takeOpen(units int) []byte {
	const look = 8
	for i := len(a.open) - 1; i >= 0 && i >= len(a.open)-look; i-- {
		p := a.open[i]
		at := p.find(units)
		if at < 0 {
			continue
		}
		if p.free == len(p.busy)*64 {
			a.empty -= int64(a.chunk)
		}
		p.mark(at, units)
		if p.free == 0 {
			a.unlist(i)
		}
		from, to := at*arenaUnit, (at+units)*arenaUnit
		return p.mem[from:to:to]
	}
	return nil
}

// find returns the first of units consecutive free units, or -1.
func (p *arenaPart) find(units int) int {
	if p.free < units {
		return -1
	}
	if units == 1 {
		for i, w := range p.busy {
			if w != ^uint64(0) {
				return i*64 + bits.TrailingZeros64(^w)
			}
		}
		return -1
	}
	run := 0
	for i := range len(p.busy) * 64 {
		if p.isBusy(i) {
			run = 0
		} else if run++; run == units {
			return i - units + 1
		}
	}
	return -1
}

func (p *arenaPart) isBusy(i int) bool { return p.busy[i/64]>>(i%64)&1 != 0 }

// mark takes units from at on into use.
func (p *arenaPart) mark(at, units int) {
	for i := at; i < at+units; i++ {
		p.busy[i/64] |= 1 << (i % 64)
	}
	p.free -= units
}

// clear gives units from at on back.
func (p *arenaPart) clear(at, units int) {
	for i := at; i < at+units; i++ {
		if !p.isBusy(i) {
			panic("mmapfile: invariant: arena block freed twice")
		}
		p.busy[i/64] &^= 1 << (i % 64)
	}
	p.free += units
}

// Free gives back a block as Alloc returned it. Nobody may touch it any more.
func (a *Arena) Free(b []byte) {
	if len(b) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.partOf(memAddr(b))
	p := a.sorted[i]
	a.used -= int64(len(b))
	if p.busy == nil {
		if len(b) != len(p.mem) {
			panic("mmapfile: invariant: part of an arena block freed")
		}
		a.sorted = append(a.sorted[:i], a.sorted[i+1:]...)
		if !a.keepSpare(p, a.Keep) {
			a.unmap(p)
		}
		return
	}
	p.clear(int(memAddr(b)-p.base)/arenaUnit, len(b)/arenaUnit)
	if !p.listed {
		a.list(p)
	}
	if p.free < len(p.busy)*64 {
		return
	}
	a.empty += int64(a.chunk)
	if a.empty > a.Keep {
		a.empty -= int64(a.chunk)
		a.unlistPart(p)
		a.sorted = append(a.sorted[:i], a.sorted[i+1:]...)
		a.unmap(p)
	}
}

// partOf returns the index of the part that holds addr.
func (a *Arena) partOf(addr uintptr) int {
	i := sort.Search(len(a.sorted), func(i int) bool { return a.sorted[i].base > addr }) - 1
	if i < 0 || addr-a.sorted[i].base >= uintptr(len(a.sorted[i].mem)) { // not yet, or not any more
		panic("mmapfile: invariant: freed block is not of this arena")
	}
	return i
}

// addPart maps n bytes and files them by address.
func (a *Arena) addPart(n int) (*arenaPart, error) {
	mem, err := memMap(-1, 0, n, ProtRead|ProtWrite, Private|NoReserve)
	if err != nil {
		return nil, fmt.Errorf("%d bytes: %w", n, err)
	}
	p := &arenaPart{mem: mem[:n:n], base: memAddr(mem)}
	a.file(p)
	a.mapped += int64(n)
	return p, nil
}

// file puts p among the parts in use.
func (a *Arena) file(p *arenaPart) {
	i := sort.Search(len(a.sorted), func(i int) bool { return a.sorted[i].base > p.base })
	a.sorted = append(a.sorted, nil)
	copy(a.sorted[i+1:], a.sorted[i:])
	a.sorted[i] = p
}

// unmap gives back the memory of p, which is in no list.
func (a *Arena) unmap(p *arenaPart) {
	a.mapped -= int64(cap(p.mem))
	if err := memUnmap(p.mem[:cap(p.mem)]); err != nil {
		panic(fmt.Sprintf("mmapfile: invariant: unmap a part of an arena: %v", err))
	}
}

func (a *Arena) list(p *arenaPart) {
	p.listed = true
	a.open = append(a.open, p)
}

func (a *Arena) unlist(i int) {
	a.open[i].listed = false
	a.open = append(a.open[:i], a.open[i+1:]...)
}

func (a *Arena) unlistPart(p *arenaPart) {
	for i, q := range a.open {
		if q == p {
			a.unlist(i)
			return
		}
	}
}

// Reset ends the life of all blocks at once. Up to Keep bytes stay mapped for the next ones.
func (a *Arena) Reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reset(a.Keep)
}

func (a *Arena) reset(keep int64) {
	parts, spare := a.sorted, a.spare
	a.sorted, a.spare, a.open, a.empty, a.used = parts[:0], spare[:0], a.open[:0], 0, 0
	for _, p := range spare {
		if !a.keepSpare(p, keep) {
			a.unmap(p)
		}
	}
	for _, p := range parts {
		switch {
		case p.busy == nil && a.keepSpare(p, keep):
		case p.busy == nil || a.empty+int64(a.chunk) > keep:
			a.unmap(p)
		default:
			clear(p.busy)
			p.free = len(p.busy) * 64
			a.empty += int64(a.chunk)
			a.sorted = append(a.sorted, p)
			a.list(p)
		}
	}
}

// Bytes returns how many bytes are in use as blocks.
func (a *Arena) Bytes() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.used
}

// Mapped returns how many bytes of memory the arena has from the system.
func (a *Arena) Mapped() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mapped
}

// Close gives all memory back. No block may be touched any more. A second Close returns os.ErrClosed.
func (a *Arena) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return os.ErrClosed
	}
	a.reset(0)
	a.closed = true
	return nil
}
