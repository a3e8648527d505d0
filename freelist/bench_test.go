package freelist

import (
	"math/rand/v2"
	"slices"
	"testing"

	"mmdb/page"
)

// scattered returns a list with n free pages, each by itself, in a file that is mostly
// in use.
func scattered(n int) *List {
	l := used(page.No(8*n + 20))
	x := uint64(1)
	for i := range page.No(n) {
		x = x*6364136223846793005 + 1442695040888963407
		l.Return(Extent{12 + 8*i + page.No(x>>62), 1})
	}
	return l
}

// BenchmarkAlloc allocates single pages on a list of 500,000 scattered ones and gives
// them back.
func BenchmarkAlloc(b *testing.B) {
	for name, n := range map[string]int{"4": 4, "64": 64, "1000": 1000, "100000": 100_000} {
		b.Run(name, func(b *testing.B) {
			l := scattered(500_000)
			units := slices.Repeat([]uint32{1}, n)
			var dst []page.No
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, err = l.Alloc(units, dst[:0], 0); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				for _, p := range dst {
					l.Return(Extent{p, 1})
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkReclaim frees 1000 scattered pending extents next to 500,000 free ones.
func BenchmarkReclaim(b *testing.B) {
	l := scattered(500_000)
	units := slices.Repeat([]uint32{1}, 1000)
	freed := make([]Pending, 1000)
	now := page.Commit(2)
	var dst []page.No
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		dst, _ = l.Alloc(units, dst[:0], 0)
		for i, p := range dst {
			freed[i] = Pending{Extent{p, 1}, now - 1, now + 1}
		}
		l.AddPending(freed)
		l.Reclaim([]page.Commit{now})
		now += 2
		b.StartTimer()
		l.Reclaim([]page.Commit{now})
	}
}

// BenchmarkAddPending adds 1000 scattered extents that one commit freed.
func BenchmarkAddPending(b *testing.B) {
	l := scattered(500_000)
	units := slices.Repeat([]uint32{1}, 1000)
	freed := make([]Pending, 1000)
	var dst []page.No
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		dst, _ = l.Alloc(units, dst[:0], 0)
		for i, p := range dst {
			freed[i] = Pending{Extent{p, 1}, 1, 2}
		}
		b.StartTimer()
		l.AddPending(freed)
		b.StopTimer()
		l.Reclaim(nil)
		b.StartTimer()
	}
}

// BenchmarkSmallCommit makes all calls of a commit of 4 pages.
func BenchmarkSmallCommit(b *testing.B) {
	c := newCommitter(scattered(500_000), 4)
	for range 1000 {
		c.commit(b)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.commit(b)
	}
}

// BenchmarkSteadyCommit replaces 184 random pages of 37,000 in each commit, in a file that is 1.5 times as large.
func BenchmarkSteadyCommit(b *testing.B) {
	const live, change = 37_000, 184
	rng := rand.New(rand.NewPCG(1, 2))
	l := New(12, 12+live)
	at := make([]page.No, live)
	for i := range at {
		at[i] = page.No(12 + i)
	}
	units := slices.Repeat([]uint32{1}, change)
	var dst []page.No
	freed := make([]Pending, change)
	now := page.Commit(2)
	runs := 0
	commit := func() {
		l.Reclaim([]page.Commit{now - 2, now - 1})
		l.SetTarget(12 + live*3/2)
		dst, _ = l.Alloc(units, dst[:0], 0)
		freed = freed[:0]
		for i, p := range dst {
			k := rng.IntN(live)
			freed = append(freed, Pending{Extent{at[k], 1}, now - 1, now})
			at[k] = p
			if i == 0 || dst[i-1]+1 != p {
				runs++
			}
		}
		freed = NormalizePending(freed)
		l.AddPending(freed)
		now++
	}
	for range 1000 {
		commit()
	}
	runs = 0
	b.ReportAllocs()
	for b.Loop() {
		commit()
	}
	b.ReportMetric(float64(runs)/float64(b.N), "runs/commit")
}

func BenchmarkCheckpointEncode(b *testing.B) {
	l := scattered(500_000)
	var free, pending []byte
	b.ReportAllocs()
	for b.Loop() {
		free, pending = l.AppendCheckpoint(1, nil, free[:0], pending[:0])
	}
	b.ReportMetric(float64(len(free)+len(pending)), "bytes")
	b.ReportMetric(float64(l.CheckpointBound(0)), "bound")
}

func BenchmarkCheckpointLoad(b *testing.B) {
	l := scattered(500_000)
	free, pending := l.AppendCheckpoint(1, nil, nil, nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := New(1, l.HighWater()).LoadCheckpoint(1, free, pending); err != nil {
			b.Fatal(err)
		}
	}
}
