package fuzz

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"mmdb"
	"mmdb/tx"
)

// bugs are the deliberate mistakes that the library can be told to make, and
// the hunt that finds each. The package documentation has the table.
// tx.BugKeepRejected is not among them: the next meta goes to an invalid slot
// first, which makes good for it.
var bugs = []struct {
	name string
	bug  tx.Bug
	hunt hunt
	slow bool
}{
	{"no flush", tx.BugNoFlush, huntCreation, false},
	{"publish early", tx.BugPublishEarly, huntFaults, false},
	{"reuse a page one commit too soon", tx.BugReuseEarly, huntCreation, false},
	{"ignore readers", tx.BugIgnoreReaders, huntModel, false},
	{"ignore the checksums of the record", tx.BugIgnoreSums, huntOperations, true},
	{"take the newest meta unseen", tx.BugSkipVerify, huntCreation, false},
	{"ignore base", tx.BugIgnoreBase, huntRot, false},
	{"adopt without rewriting", tx.BugAdoptUnwritten, huntOperations, true},
	{"write the newest meta slot", tx.BugWrongSlot, huntRot, false},
	{"cut below an older high water", tx.BugCutEarly, huntRotShrinking, false},
	{"no checksum of commit records", tx.BugTrustRecord, huntRotRecords, false},
	{"do not put the slot back", tx.BugNoPutBack, huntFaults, false},
	{"one flush for a large commit", tx.BugOneFlushSpill, huntTwoPhase, true},
	{"no flush of the directory", tx.BugNoDirSync, huntCreation, true},
	{"settle at creation", tx.BugSettleEarly, huntCreationClosely, true},
	{"publish a group early", tx.BugPublishEarly, huntCrowd, false},
	{"acknowledge a group early", tx.BugAckEarly, huntCrowd, false},
	{"do not wait for what was read", tx.BugLeaveEarly, huntCrowd, false},
	{"keep what a failed function took", tx.BugKeepFailed, huntCrowd, false},
	{"reuse pages during a flush", tx.BugReuseInFlight, huntCrowd, false},
	{"no flush by Sync", tx.BugNoFlush, huntLazy, false},
	{"use records of the window again", tx.BugForgetWindow | tx.EagerCheckpoint, huntLazy, true},
	{"lazy commits count as durable", tx.BugBaseEarly, huntLazy, false},
	{"write over the durable meta", tx.BugTakeDurableSlot, huntLazy, false},
	{"verify only the newest lazy commit", tx.BugVerifyNewest, huntLazy, false},
}

// A hunt looks for a bug in one way and returns how many images that took and
// what it found, if anything.
type hunt func(t *testing.T, o mmdb.Options) (images int, found error)

func huntCreation(t *testing.T, o mmdb.Options) (int, error) { return huntCrash(t, o, nil, 1, 5) }

func huntCreationClosely(t *testing.T, o mmdb.Options) (int, error) {
	return huntCrash(t, o, nil, 1, 1)
}

func huntRot(t *testing.T, o mmdb.Options) (int, error) {
	return rotCommits(t, o, Generate(FromSeed(12, 1<<20), CrashProfile, 60))
}

func huntRotShrinking(t *testing.T, o mmdb.Options) (int, error) { return rotCommits(t, o, shrinking) }

// huntRotRecords takes several files: what a changed bit of a free list gives away is not always needed, or is found to be impossible.
func huntRotRecords(t *testing.T, o mmdb.Options) (images int, found error) {
	for seed := uint64(20); seed < 40 && found == nil; seed++ {
		n, err := rotRecords(t, o, seed)
		images, found = images+n, err
	}
	return images, found
}

func huntTwoPhase(t *testing.T, o mmdb.Options) (int, error) {
	o.TwoPhase = true
	return huntCrash(t, o, Generate(FromSeed(2, 1<<20), CrashProfile, 40), 2, 29)
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
func huntCrash(t *testing.T, o mmdb.Options, ops []Op, seed uint64, recrash int) (int, error) {
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
	report, err := crashAll(t, tr, CrashConfig{Seed: seed, Extra: 12, Recrash: recrash, Options: o})
	return report.Images + report.Recrashes, err
}

func huntOperations(t *testing.T, o mmdb.Options) (images int, found error) {
	for seed := uint64(1); seed < 20 && found == nil; seed++ {
		run := o
		like := crashOptions(seed)
		run.TwoPhase, run.MaxDirty, run.PageSize = like.TwoPhase, like.MaxDirty, like.PageSize
		n, err := huntCrash(t, run, Generate(FromSeed(seed, 1<<20), CrashProfile, 40), seed, 29)
		images, found = images+n, err
	}
	return images, found
}

// huntFaults lets calls fail.
func huntFaults(t *testing.T, o mmdb.Options) (images int, found error) {
	ops := Generate(FromSeed(99, 1<<20), CrashProfile, 40)
	for n := 1; ; n++ {
		in := &Injector{Kind: FaultEIO, N: n}
		if _, err := faultTrace(t, o, in, ops); err != nil || len(in.Hits()) == 0 {
			return images, err
		}
	}
}

// TestCrashFindsBugs switches each deliberate mistake on, and the suite must
// find it.
func TestCrashFindsBugs(t *testing.T) {
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			if b.slow && brief() {
				t.Skip("takes thousands of images")
			}
			var o mmdb.Options
			tx.Sabotage(&o, b.bug)
			started := time.Now()
			images, err := b.hunt(t, o)
			if err == nil {
				t.Fatalf("not found in %d images", images)
			}
			t.Logf("found after %d images, %v: %.300v", images, time.Since(started).Round(time.Millisecond), err)
		})
	}
}
