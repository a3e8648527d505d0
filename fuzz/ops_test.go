package fuzz

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"mmdb"
)

// runOps runs ops on a new database in dir and reports the last ones before a
// failure.
func runOps(t testing.TB, dir string, o mmdb.Options, ops []Op) {
	t.Helper()
	r := Runner{Path: filepath.Join(dir, "db"), Options: o, Full: true}
	err := watchdog(hangs, func() error {
		if err := r.Run(append(ops, Op{Kind: OpVerify})); err != nil {
			return err
		}
		return r.Close()
	})
	if err == nil {
		return
	}
	for i, op := range ops {
		t.Logf("%d %s", i, op)
	}
	t.Fatal(err)
}

// modelOptions returns the options for the operations with this seed.
func modelOptions(seed uint64) mmdb.Options {
	switch seed % 5 {
	case 1:
		return mmdb.Options{MaxDirty: 64 << 10}
	case 2:
		return mmdb.Options{PageSize: 16384}
	case 3:
		return mmdb.Options{TwoPhase: true, InitialSize: 1 << 20}
	}
	return mmdb.Options{}
}

// TestModelOperations compares generated operations with the model.
func TestModelOperations(t *testing.T) {
	started := time.Now()
	count := 0
	for seed := *modelSeed; ; seed++ {
		profile := ModelProfile
		if seed%5 == 1 { // those with little memory
			profile = LongProfile
		}
		ops := Generate(FromSeed(seed, 1<<30), profile, 600)
		if !t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { runOps(t, imageDir(t), carrying(seed, modelOptions(seed)), ops) }) {
			t.Fatalf("to see it again: go test ./fuzz -run '^TestModelOperations$' -model.seed=%d", seed)
		}
		count += len(ops)
		if *modelFor == 0 && seed >= *modelSeed+uint64(max(2, scaled(20))) || *modelFor > 0 && time.Since(started) > *modelFor {
			break
		}
	}
	t.Logf("%d operations in %v", count, time.Since(started).Round(time.Millisecond))
}

// FuzzOps compares any operations with the model.
func FuzzOps(f *testing.F) {
	f.Add([]byte("a few operations, whatever they are"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		profile := ModelProfile
		if data[0]&0x80 != 0 {
			profile = LongProfile
		}
		ops := Generate(FromBytes(data[1:]), profile, 300)
		runOps(t, imageDir(t), modelOptions(uint64(data[0])), ops)
	})
}
