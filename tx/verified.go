package tx

import (
	"sync/atomic"

	"mmdb/page"
)

// A bitmap remembers which pages this process has verified (I3): one bit a page, in chunks that are made
// when first needed. It is safe for concurrent use.
type bitmap struct {
	off    *atomic.Bool // after a failed flush nothing counts as verified any more
	chunks []atomic.Pointer[bitChunk]
}

// chunkPages is how many pages a chunk covers: 1 GiB of 4 KiB pages in 32 KiB of bits, of which the system provides what is
// touched. With smaller ones the list for a terabyte of reserved address space would be what an open takes longest for.
const chunkPages = 1 << 18

type bitChunk [chunkPages / 64]atomic.Uint64

// newBitmap makes a bitmap for pages below n.
func newBitmap(n uint64) *bitmap {
	return &bitmap{off: new(atomic.Bool), chunks: make([]atomic.Pointer[bitChunk], n/chunkPages+1)}
}

// grown returns a bitmap for pages below n that goes on with what m knows.
func (m *bitmap) grown(n uint64) *bitmap {
	g := newBitmap(n)
	g.off = m.off
	for k := range min(len(m.chunks), len(g.chunks)) {
		g.chunks[k].Store(m.chunks[k].Load())
	}
	return g
}

// has reports whether page no was verified.
func (m *bitmap) has(no page.No) bool {
	k := uint64(no) / chunkPages
	if k >= uint64(len(m.chunks)) {
		return false
	}
	c := m.chunks[k].Load()
	return c != nil && c[uint64(no)%chunkPages/64].Load()>>(uint64(no)%64)&1 != 0
}

// set notes that page no was verified.
func (m *bitmap) set(no page.No) {
	k := uint64(no) / chunkPages
	if k >= uint64(len(m.chunks)) {
		return
	}
	c := m.chunks[k].Load()
	if c == nil {
		m.chunks[k].CompareAndSwap(nil, new(bitChunk))
		c = m.chunks[k].Load()
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
				c[i].Store(0)
			}
		}
	}
}
