package fuzz

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"mmdb"
	"mmdb/tx"
)

// TestCrashCompaction crashes compactions that have something to do, at every event: of a file from which most of everything was deleted.
func TestCrashCompaction(t *testing.T) {
	for i, o := range []mmdb.Options{{}, {TwoPhase: true}, {MaxDirty: 32 << 10}, {PageSize: 16384}} {
		t.Run(fmt.Sprintf("%v %d %d", o.TwoPhase, o.MaxDirty, o.PageSize), func(t *testing.T) {
			cfg := CrashConfig{Seed: uint64(i), Extra: 6, Recrash: 501, Keep: keepDir(t)}
			if cfg.Shards = 16 * runtime.GOMAXPROCS(0); brief() {
				cfg.Shards *= 10
			}
			if *crashFor > 0 {
				cfg.Shards, cfg.Until = 0, time.Now().Add(*crashFor/4)
			}
			tx.Sabotage(&o, tx.EagerCut)
			tr := traceOf(t, o, compaction())
			if shrinks(tr) < 3 {
				t.Error("the file was cut by less than a half, or not often")
			}
			cfg.Options = mmdb.Options{TwoPhase: o.TwoPhase, MaxDirty: o.MaxDirty}
			report, err := crashAll(t, tr, cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", report)
		})
	}
}

// shrinks returns how often the file of a trace gets shorter, or 0 if its last size is more than half of its largest.
func shrinks(t *Trace) (n int) {
	var size, largest int64
	for _, e := range t.Events {
		if e.Kind != EventSize || e.Path != t.DB {
			continue
		}
		if e.Size < size {
			n++
		}
		size = e.Size
		largest = max(largest, size)
	}
	if size > largest/2 {
		return 0
	}
	return n
}

// compaction fills three buckets, one inside another, with everything that there is, deletes most of it in two steps, compacts after each, and goes on.
func compaction() (ops []Op) {
	paths := [][]string{{"A"}, {"A", "B"}, {"C"}}
	key := func(i int) []byte {
		k := fmt.Appendf(nil, "%03d", i)
		if i%9 == 0 {
			k = pad(k, 1500)
		}
		return k
	}
	for i := range 120 {
		ops = append(ops, Op{Kind: OpPut, Path: paths[i%3], Key: key(i), Size: 100 + i%7*i%4*3000, Seed: uint32(i + 1)})
		if i%12 == 11 {
			ops = append(ops, Op{Kind: OpCommit})
		}
	}
	for round := range 2 {
		for i, p := range paths {
			ops = append(ops, Op{Kind: OpDeleteRange, Path: p, Key: key(60 * round), High: key(60*round + 50 - i)})
		}
		ops = append(ops, Op{Kind: OpCommit}, Op{Kind: OpCompact},
			Op{Kind: OpPut, Path: paths[round], Key: []byte("after"), Size: 500, Seed: uint32(500 + round)}, Op{Kind: OpCommit})
	}
	return append(ops, Op{Kind: OpReopen}, Op{Kind: OpPut, Path: paths[2], Key: []byte("after"), Size: 5000, Seed: 600}, Op{Kind: OpCompact})
}
