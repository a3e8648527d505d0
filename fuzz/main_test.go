package fuzz

import (
	"flag"
	"os"
	"testing"
	"time"
)

var (
	crashFor   = flag.Duration("crash.for", 0, "build crash images of new workloads for this long")
	crashSeed  = flag.Uint64("crash.seed", 1, "seed of the first crash workload")
	crashImage = flag.Int("crash.image", 0, "verify only this image of the workload -crash.seed")
	crashKeep  = flag.String("crash.keep", "", "folder for images that fail; default: a new one in the system's folder for temporary files")
	modelFor   = flag.Duration("model.for", 0, "compare new operations with the model for this long")
	modelSeed  = flag.Uint64("model.seed", 1, "seed of the first operations that are compared with the model")
	rewrite    = flag.Bool("rewrite", false, "write the golden files anew")
)

// brief reports whether tests must be brief.
func brief() bool { return raceEnabled || testing.Short() }

// scaled returns n, or a tenth of it where tests must be brief.
func scaled(n int) int {
	if brief() {
		return n / 10
	}
	return n
}

// imageDir returns a folder in memory that goes with the test.
func imageDir(t testing.TB) string {
	t.Helper()
	dir, err := ImageDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// keepDir returns the folder for failing images.
func keepDir(t testing.TB) string {
	t.Helper()
	if *crashKeep != "" {
		if err := os.MkdirAll(*crashKeep, 0o700); err != nil {
			t.Fatal(err)
		}
		return *crashKeep
	}
	dir, err := os.MkdirTemp("", "mmdb-crash-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) }) // only an empty one goes
	return dir
}

// watchdog ends the process with all stacks when f takes too long: a hang in
// the library would otherwise hang the fuzzer.
func watchdog(d time.Duration, f func() error) error {
	timer := time.AfterFunc(d, func() { panic("fuzz: the library hangs") })
	defer timer.Stop()
	return f()
}
