package fuzz

import (
	"fmt"
	"path/filepath"
	"testing"

	"mmdb"
)

// TestFaults lets every call of a workload fail in every way.
func TestFaults(t *testing.T) {
	runs := 0
	for _, kind := range []FaultKind{FaultEIO, FaultENOSPC, FaultEINTR, FaultShort} {
		for _, persistent := range []bool{false, true} {
			if persistent && kind == FaultEINTR {
				continue // the system would never work again
			}
			t.Run(fmt.Sprintf("%s persistent %v", kind, persistent), func(t *testing.T) {
				dir := imageDir(t)
				step := 1
				if brief() {
					step = 10
				}
				for n := 1; ; n += step {
					in := &Injector{Kind: kind, N: n, Persistent: persistent}
					o := crashOptions(uint64(n))
					o.Seam = in.Seam
					r := &Runner{Path: filepath.Join(dir, fmt.Sprint(n)), Options: o}
					ops := Generate(FromSeed(uint64(n%3), 1<<20), CrashProfile, 60)
					if err := RunFault(r, in, ops); err != nil {
						t.Fatalf("call %d (%v): %v", n, in.Hits(), err)
					}
					runs++
					if len(in.Hits()) == 0 {
						break
					}
				}
			})
		}
	}
	t.Logf("%d runs", runs)
}

// TestFaultsHalf shows that a short write is cut where it should be.
func TestFaultsHalf(t *testing.T) {
	in := &Injector{Kind: FaultShort, N: 1, Persistent: true}
	r := &Runner{Path: filepath.Join(imageDir(t), "db"), Options: mmdb.Options{Seam: in.Seam}}
	ops := []Op{{Kind: OpFill, Path: []string{"A"}, Key: []byte("key"), N: 300, Size: 300, Seed: 1}, {Kind: OpVerify}}
	if err := RunFault(r, in, ops); err != nil {
		t.Fatal(err)
	}
	if len(in.Hits()) < 10 {
		t.Fatalf("only %d writes were cut", len(in.Hits()))
	}
}
