package freelist

import (
	"slices"
	"testing"

	"mmdb/page"
)

func TestSparsestChunksComeFirst(t *testing.T) {
	l := New(12, 300)
	l.Return(Extent{12, 10})  // 42 of the first 52 in use
	l.Return(Extent{64, 64})  // a free chunk
	l.Return(Extent{128, 60}) // four in use
	l.Return(Extent{200, 30}) // 34 in use
	l.Return(Extent{260, 35}) // the last: 9 of 44 in use
	l.AddPending([]Pending{{Extent{231, 4}, 1, 2}})
	if l.FreeChunks() != 1 {
		t.Errorf("%d free chunks", l.FreeChunks())
	}
	got := l.Sparsest(nil, 40)
	var at, used []int
	for _, c := range got {
		at, used = append(at, int(c.Page)), append(used, c.Pages())
		for i := range page.No(ChunkPages) {
			p := c.Page + i
			in := p >= 12 && p < 300 && l.state(Extent{p, 1}) == inUse
			if in != (c.Used>>i&1 != 0) {
				t.Errorf("page %d: in use %v", p, in)
			}
		}
	}
	if !slices.Equal(at, []int{128, 256, 192}) || !slices.Equal(used, []int{4, 9, 30}) {
		t.Errorf("chunks at %v with %v pages in use", at, used)
	}
	if got := New(12, 12).Sparsest(nil, ChunkPages); len(got) != 0 {
		t.Errorf("an empty file has %v", got)
	}
}

// TestSparsestGoesAround: in a large file every call looks at another part, and all are looked at.
func TestSparsestGoesAround(t *testing.T) {
	const chunks = 2*sparseWindow + 100
	l := New(ChunkPages, (chunks+1)*ChunkPages)
	for i := range page.No(chunks) {
		l.Return(Extent{(i+1)*ChunkPages + 3, ChunkPages - 5})
	}
	seen := map[page.No]bool{}
	for range 3 {
		for _, c := range l.Sparsest(nil, 10) {
			seen[c.Page] = true
		}
	}
	if len(seen) != chunks {
		t.Errorf("%d of %d chunks were looked at", len(seen), chunks)
	}
}
