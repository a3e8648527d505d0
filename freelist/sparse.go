package freelist

import (
	"math/bits"
	"slices"

	"mmdb/page"
)

// ChunkPages is the number of pages in a chunk: a stretch that begins at a multiple of it.
const ChunkPages = wordPages

// A Chunk is a stretch of the file of which few pages are in use. The first and the last may be shorter than others.
type Chunk struct {
	// Page is the first page.
	Page page.No
	// Used has a bit for each page in use, the lowest for the first.
	Used uint64
}

// Pages returns the number of pages in use.
func (c Chunk) Pages() int { return bits.OnesCount64(c.Used) }

// FreeChunks returns the number of chunks whose pages are all free.
func (l *List) FreeChunks() int { return l.free.whole }

// sparseWindow is how many chunks Sparsest looks at.
const sparseWindow = 1 << 12

// Sparsest appends to dst chunks with at least one and at most so many pages in use, those with the fewest first. In a
// large file it looks at a part, at another each time.
func (l *List) Sparsest(dst []Chunk, most int) []Chunk {
	from := len(dst)
	first := l.first / wordPages
	chunks := (l.highWater+wordPages-1)/wordPages - first
	for range min(chunks, sparseWindow) {
		p := (first + l.hand%chunks) * wordPages
		l.hand++
		c := Chunk{p, ^(l.free.word(p) | l.pending.word(p))}
		if p < l.first {
			c.Used &= ^uint64(0) << (l.first - p)
		}
		if p+wordPages > l.highWater {
			c.Used &^= ^uint64(0) << (l.highWater - p)
		}
		if n := c.Pages(); n > 0 && n <= most {
			dst = append(dst, c)
		}
	}
	slices.SortFunc(dst[from:], func(a, b Chunk) int { return a.Pages() - b.Pages() })
	return dst
}
