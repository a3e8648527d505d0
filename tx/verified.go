package tx

import (
	"runtime"
	"sync"
	"sync/atomic"

	"mmdb/mmapfile"
	"mmdb/page"
)

// A bitmap remembers which pages this process has verified (I3): one bit a page, in chunks that are made
// when first needed. It is safe for concurrent use.
type bitmap struct {
	*bitMemory
	chunks []atomic.Pointer[bitChunk]
}

// A bitMemory is what a bitmap and those that go on with it have in common.
type bitMemory struct {
	off atomic.Bool // after a failed flush nothing counts as verified any more

	mu      sync.Mutex
	regions []*mmapfile.Region // the chunks' memory
	ended   bool
}

// chunkPages is how many pages a chunk covers: 8 GiB of 4 KiB pages in 256 KiB of bits, of which the system provides what is
// touched. So the list for a terabyte of reserved address space is short, and an open clears no memory.
const chunkPages = 1 << 21

type bitChunk [chunkPages / 64]atomic.Uint64

// firstChunk is for the first database that the process opens, which most have one of: the system provides what is touched of it without a
// call, and without the first pages of a new area.
var (
	firstChunk bitChunk
	firstTaken atomic.Bool // for good
)

// newBitmap makes a bitmap for pages below n.
func newBitmap(n uint64) *bitmap {
	return &bitmap{bitMemory: new(bitMemory), chunks: make([]atomic.Pointer[bitChunk], n/chunkPages+1)}
}

// release gives the memory back as soon as nobody can reach it any more: a View that races with Close may still look into it.
func (m *bitMemory) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended || len(m.regions) == 0 {
		return
	}
	m.ended = true
	runtime.AddCleanup(m, func(regions []*mmapfile.Region) {
		for _, r := range regions {
			_ = r.Unmap()
		}
	}, m.regions)
}

// make makes the chunk of p, unless another goroutine has.
func (m *bitMemory) make(p *atomic.Pointer[bitChunk]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.Load() == nil {
		p.Store(m.newChunk())
	}
}

// newChunk returns memory that the garbage collector does not see, or where there is none any more, some of its own.
func (m *bitMemory) newChunk() *bitChunk {
	if m.ended {
		return new(bitChunk)
	}
	if firstTaken.CompareAndSwap(false, true) {
		return &firstChunk
	}
	r, err := mmapfile.Anonymous(chunkPages/8, mmapfile.NoReserve)
	if err != nil {
		return new(bitChunk)
	}
	m.regions = append(m.regions, r)
	return (*bitChunk)(r.Words())
}

// grown returns a bitmap for pages below n that goes on with what m knows, and that readers of m share: what is cleared in one is in both.
func (m *bitmap) grown(n uint64) *bitmap {
	g := newBitmap(n)
	g.bitMemory = m.bitMemory
	for k := range min(len(m.chunks), len(g.chunks)) {
		m.make(&m.chunks[k])
		g.chunks[k].Store(m.chunks[k].Load())
	}
	return g
}

// has reports whether page no was verified.
func (m *bitmap) has(no page.No) bool { return m.word(no)>>(uint64(no)%64)&1 != 0 }

// word returns the bits of the 64 pages that page no is one of.
func (m *bitmap) word(no page.No) uint64 {
	if k := uint64(no) / chunkPages; k < uint64(len(m.chunks)) {
		if c := m.chunks[k].Load(); c != nil {
			return c[uint64(no)%chunkPages/64].Load()
		}
	}
	return 0
}

// set notes that page no was verified.
func (m *bitmap) set(no page.No) {
	k := uint64(no) / chunkPages
	if k >= uint64(len(m.chunks)) {
		return
	}
	c := m.chunks[k].Load()
	if c == nil {
		m.make(&m.chunks[k])
		c = m.chunks[k].Load()
	}
	if c == nil { // never; without it the compiler would look whether it is, by reading memory that nobody needs
		return
	}
	w := &c[uint64(no)%chunkPages/64]
	w.Or(1 << (uint64(no) % 64))
	if m.off.Load() {
		w.Store(0)
	}
}

// clear forgets the n pages from no on.
func (m *bitmap) clear(no page.No, n uint64) {
	for end := no + page.No(n); no < end; no++ {
		k := uint64(no) / chunkPages
		if k >= uint64(len(m.chunks)) {
			return
		}
		if c := m.chunks[k].Load(); c != nil {
			c[uint64(no)%chunkPages/64].And(^(uint64(1) << (uint64(no) % 64)))
		}
	}
}

// disable forgets everything, for good.
func (m *bitmap) disable() {
	m.off.Store(true)
	m.reset()
}

// reset forgets everything.
func (m *bitmap) reset() {
	for k := range m.chunks {
		if c := m.chunks[k].Load(); c != nil {
			for i := range c {
				if c[i].Load() != 0 { // memory that was never touched stays so
					c[i].Store(0)
				}
			}
		}
	}
}
