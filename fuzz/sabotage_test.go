package fuzz

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"mmdb"
	"mmdb/tx"
)

// bugs are the deliberate mistakes that the library can be told to make. The
// package documentation has the table of what finds them.
var bugs = []struct {
	name string
	bug  tx.Bug
}{
	{"no flush", tx.BugNoFlush},
	{"publish early", tx.BugPublishEarly},
	{"reuse a page one commit too soon", tx.BugReuseEarly},
	{"ignore readers", tx.BugIgnoreReaders},
	{"ignore the digest", tx.BugIgnoreDigest},
	{"take the newest meta unseen", tx.BugSkipVerify},
	{"ignore base", tx.BugIgnoreBase},
	{"adopt without rewriting", tx.BugAdoptUnwritten},
	{"leave the rejected meta", tx.BugKeepRejected},
	{"write the newest meta slot", tx.BugWrongSlot},
	{"cut below an older high water", tx.BugCutEarly},
	{"no checksum of commit records", tx.BugTrustRecord},
	{"do not put the slot back", tx.BugNoPutBack},
	{"one flush for a large commit", tx.BugOneFlushSpill},
	{"no flush of the directory", tx.BugNoDirSync},
	{"settle at creation", tx.BugSettleEarly},
}

// A hunt looks for a bug in one way and returns how many images that took and
// what it found, if anything.
type hunt struct {
	name string
	run  func(t *testing.T, o mmdb.Options) (images int, found error)
}

var hunts = []hunt{
	{"creation", func(t *testing.T, o mmdb.Options) (int, error) { return huntCrash(t, o, nil, 1) }},
	{"faults", func(t *testing.T, o mmdb.Options) (int, error) { return huntFaults(t, o, false) }},
	{"rot in commits", rotCommits},
	{"rot in records", rotRecords},
	{"model", huntModel},
	{"operations", huntOperations},
	{"crashes after faults", func(t *testing.T, o mmdb.Options) (int, error) { return huntFaults(t, o, true) }},
}

// huntModel only compares with the model.
func huntModel(t *testing.T, o mmdb.Options) (images int, found error) {
	for seed := uint64(1); seed < 10; seed++ {
		r := Runner{Path: filepath.Join(imageDir(t), "db"), Options: o}
		if err := r.Run(Generate(FromSeed(seed, 1<<30), ModelProfile, 400)); err != nil {
			return 0, fmt.Errorf("seed %d: %w", seed, err)
		}
		if err := r.Close(); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// huntCrash records a run and crashes it.
func huntCrash(t *testing.T, o mmdb.Options, ops []Op, seed uint64) (int, error) {
	rec := NewRecorder(nil)
	run := o
	run.Seam = rec.Seam
	r := Runner{Path: filepath.Join(imageDir(t), "db"), Options: run, Observer: rec, Full: true}
	if err := r.Run(ops); err != nil {
		return 0, fmt.Errorf("the run itself: %w", err)
	}
	if err := r.Close(); err != nil {
		return 0, fmt.Errorf("the run itself: %w", err)
	}
	tr := &Trace{DB: r.Path, Events: rec.Events(), States: r.States}
	o.PageSize = 0
	report, err := crashAll(t, tr, CrashConfig{Seed: seed, Extra: 12, Recrash: 29, Options: o})
	return report.Images + report.Recrashes, err
}

func huntOperations(t *testing.T, o mmdb.Options) (images int, found error) {
	for seed := uint64(1); seed < 14 && found == nil; seed++ {
		run := o
		like := crashOptions(seed)
		run.TwoPhase, run.MaxDirty, run.PageSize = like.TwoPhase, like.MaxDirty, like.PageSize
		n, err := huntCrash(t, run, Generate(FromSeed(seed, 1<<20), CrashProfile, 70), seed)
		images, found = images+n, err
	}
	return images, found
}

// huntFaults lets calls fail, and crashes the runs if it is asked to.
func huntFaults(t *testing.T, o mmdb.Options, crash bool) (images int, found error) {
	ops := Generate(FromSeed(99, 1<<20), CrashProfile, 40)
	for n := 1; found == nil; n++ {
		in := &Injector{Kind: FaultEIO, N: n}
		tr, err := faultTrace(t, o, in, ops)
		if err != nil || len(in.Hits()) == 0 {
			return images, err
		}
		if !crash {
			continue
		}
		report, err := crashAll(t, tr, CrashConfig{Seed: uint64(n), Extra: 1, Recrash: 97, Options: o})
		images, found = images+report.Images+report.Recrashes, err
		n += n / 3
	}
	return images, found
}

// TestCrashFindsBugs switches each deliberate mistake on and looks until the
// suite finds it.
func TestCrashFindsBugs(t *testing.T) {
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			var o mmdb.Options
			tx.Sabotage(&o, b.bug)
			started := time.Now()
			images := 0
			for _, h := range hunts {
				n, err := h.run(t, o)
				images += n
				if err == nil {
					continue
				}
				t.Logf("found by %s after %d images, %v: %.300v", h.name, images, time.Since(started).Round(time.Millisecond), err)
				return
			}
			t.Errorf("not found in %d images", images)
		})
	}
}
