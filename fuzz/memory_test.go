package fuzz

import (
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"
)

// A file, however it is damaged, makes the library use no more memory than
// this: a fixed part, for buffers, and a multiple of the file's size. (A byte
// of a free list can stand for an extent, which takes about a hundred in
// memory.)
const (
	memoryFixed   = 64 << 20
	memoryPerByte = 128
)

// TestDamagedFilesTakeBoundedMemory holds opening, reading, checking and
// changing damaged files to that. What is allocated in all is an upper bound
// of what is in use at a time.
func TestDamagedFilesTakeBoundedMemory(t *testing.T) {
	s := sample(t)
	path := filepath.Join(imageDir(t), "db")
	rng := rand.New(rand.NewPCG(5, 6))
	limit := uint64(memoryFixed + memoryPerByte*len(s.File))
	most := uint64(0)
	records := recordPages(s.File)
	for i := range max(50, scaled(400)) {
		page := rng.IntN(len(s.File)/4096) * 4096
		if i%2 == 0 { // lengths and counts of lists
			page = records[rng.IntN(len(records))]
		}
		var flips []Flip
		for range 1 + rng.IntN(4) {
			flips = append(flips, Flip{page + rng.IntN(400), byte(rng.Uint32())})
		}
		file := append([]byte{}, s.File...)
		Apply(file, flips)
		Reseal(file, flips)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		examine(t, path, file, func(p string) error { return ExamineAny(p, i%4 == 0) })
		runtime.ReadMemStats(&after)
		used := after.TotalAlloc - before.TotalAlloc
		if most = max(most, used); used > limit {
			t.Fatalf("%d bytes were allocated for a file of %d, at most %d should be: %v", used, len(s.File), limit, flips)
		}
	}
	t.Logf("at most %d KiB for a file of %d KiB", most>>10, len(s.File)>>10)
}
