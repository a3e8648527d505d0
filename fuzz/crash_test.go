package fuzz

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"mmdb"
	"mmdb/mmapfile"
	"mmdb/tx"
)

// crashOptions returns the options of the workload with this seed: mostly the
// defaults, else two flushes, spilling, or another page size. Some carry pages along, some cut the file whenever they can.
func crashOptions(seed uint64) mmdb.Options {
	o := carrying(seed, plainOptions(seed))
	if seed/2%2 == 0 {
		tx.Sabotage(&o, tx.EagerCut)
	}
	return o
}

// carrying makes every third database carry pages along with each commit.
func carrying(seed uint64, o mmdb.Options) mmdb.Options {
	if seed%3 == 1 || seed%6 == 3 {
		tx.Sabotage(&o, tx.EagerCarry)
	}
	return o
}

func plainOptions(seed uint64) mmdb.Options {
	switch seed % 6 {
	case 2:
		return mmdb.Options{TwoPhase: true}
	case 3:
		return mmdb.Options{MaxDirty: 32 << 10}
	case 5:
		return mmdb.Options{PageSize: 16384}
	}
	return mmdb.Options{}
}

// traceOf records a run of ops on a new database, from creation to Close.
func traceOf(t testing.TB, o mmdb.Options, ops []Op) *Trace {
	t.Helper()
	rec := NewRecorder(nil)
	o.Seam = rec.Seam
	r := Runner{Path: filepath.Join(imageDir(t), "db"), Options: o, Observer: rec}
	if err := r.Run(ops); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return &Trace{DB: r.Path, Events: rec.Events(), States: r.States}
}

// crashAll runs Crash on all processors and adds up the reports. If cfg has more shards than there are processors, the others are left out.
func crashAll(t testing.TB, tr *Trace, cfg CrashConfig) (CrashReport, error) {
	t.Helper()
	cfg.Dir = imageDir(t)
	n := runtime.GOMAXPROCS(0)
	cfg.Shards = max(cfg.Shards, n)
	var wg sync.WaitGroup
	reports := make([]CrashReport, n)
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			c := cfg
			c.Shard = i
			reports[i], errs[i] = Crash(tr, c)
		})
	}
	wg.Wait()
	sum := CrashReport{Points: reports[0].Points}
	for _, r := range reports {
		sum.Images += r.Images
		sum.Recrashes += r.Recrashes
	}
	return sum, errors.Join(errs...)
}

// TestCrashOperations crashes generated workloads at every event.
func TestCrashOperations(t *testing.T) {
	want := scaled(20000)
	started := time.Now()
	var until time.Time
	if *crashFor > 0 {
		until = started.Add(*crashFor)
	}
	length, recrash := 70, 83
	if brief() {
		length, recrash = 15, 401
	}
	keep := keepDir(t)
	total, recrashes, points := 0, 0, 0
	for seed := *crashSeed; ; seed++ {
		tr := traceOf(t, crashOptions(seed), Generate(FromSeed(seed, 1<<20), CrashProfile, length))
		o := carrying(seed, plainOptions(seed)) // images are opened by one that does not cut them all the time
		o.PageSize = 0
		cfg := CrashConfig{Seed: seed, Extra: 12, Recrash: recrash, Only: *crashImage, Until: until, Keep: keep, Options: o}
		if until.IsZero() && *crashImage == 0 {
			cfg.Shards = 4 * runtime.GOMAXPROCS(0) // a quarter of the images, of more runs
		}
		report, err := crashAll(t, tr, cfg)
		total += report.Images
		recrashes += report.Recrashes
		points += report.Points
		if err != nil {
			t.Fatal(reproduce(err, "TestCrashOperations", seed))
		}
		if *crashImage > 0 || until.IsZero() && total+recrashes >= want || !until.IsZero() && time.Now().After(until) {
			break
		}
	}
	took := time.Since(started)
	t.Logf("%d images and %d of crashes during recovery, at %d points, in %v: %.0f a second",
		total, recrashes, points, took.Round(time.Millisecond), float64(total+recrashes)/took.Seconds())
}

// reproduce adds the command that builds the failing image again.
func reproduce(err error, test string, seed uint64) error {
	var failed *CrashError
	if !errors.As(err, &failed) {
		return fmt.Errorf("seed %d: %w", seed, err)
	}
	flags := "" // they change the length of the run
	switch {
	case raceEnabled:
		flags = " -race"
	case testing.Short():
		flags = " -short"
	}
	return fmt.Errorf("%w\nto see it again: go test%s ./fuzz -run '^%s$' -crash.seed=%d -crash.image=%d", err, flags, test, seed, failed.Image)
}

// TestCrashDuringCreation leaves a new file in every state that it goes through.
func TestCrashDuringCreation(t *testing.T) {
	for _, o := range []mmdb.Options{{}, {PageSize: 65536}, {InitialSize: 1 << 20}} {
		tr := traceOf(t, o, nil)
		o.PageSize = 0
		report, err := crashAll(t, tr, CrashConfig{Seed: 1, Extra: 40, Recrash: 47, Keep: keepDir(t), Options: o})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", report)
	}
}

// TestCrashLargeCommit crashes a commit that is too large for one flush: every image of one that is when a sixteenth
// of the size is enough, and a share of the images of one that really is, unless -crash.for asks for all of them.
func TestCrashLargeCommit(t *testing.T) {
	for _, c := range []struct {
		name  string
		unit  int
		extra int
		of    int // every so many images are verified
	}{{"sixteenth", 1, 100, 1}, {"whole", 16, 3, 80}} {
		t.Run(c.name, func(t *testing.T) {
			var o mmdb.Options
			cfg := CrashConfig{Seed: 1, Extra: c.extra, Keep: keepDir(t)}
			if c.unit == 1 {
				tx.Sabotage(&o, tx.EagerLarge)
			}
			if c.of > 1 && *crashFor == 0 {
				cfg.Shards = c.of * runtime.GOMAXPROCS(0)
			}
			if brief() {
				cfg.Extra, cfg.Shards = 0, 10*max(cfg.Shards, runtime.GOMAXPROCS(0))
			}
			cfg.Options = o
			report, err := crashAll(t, traceOf(t, o, largeCommit(c.unit)), cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", report)
		})
	}
}

// largeCommit makes a commit of more than unit MiB, and frees the most of it.
func largeCommit(unit int) []Op {
	return []Op{
		{Kind: OpPut, Path: []string{"A"}, Key: []byte("first"), Size: 100, Seed: 1},
		{Kind: OpCommit},
		{Kind: OpPut, Path: []string{"A"}, Key: []byte("large"), Size: unit * 768 << 10, Seed: 2},
		{Kind: OpFill, Path: []string{"B"}, Key: []byte("many"), N: unit * 500, Size: 1000, Seed: 3},
		{Kind: OpCommit},
		{Kind: OpDelete, Path: []string{"A"}, Key: []byte("large")},
		{Kind: OpCommit},
	}
}

// faultTrace records a run in which calls fail.
func faultTrace(t testing.TB, o mmdb.Options, in *Injector, ops []Op) (*Trace, error) {
	rec := NewRecorder(in.Seam)
	o.Seam = rec.Seam
	r := &Runner{Path: filepath.Join(imageDir(t), "db"), Options: o, Observer: rec}
	if err := RunFault(r, in, ops); err != nil {
		return nil, err
	}
	return &Trace{DB: r.Path, Events: rec.Events(), States: r.States}, putsBack(rec.Events(), r.Path)
}

// putsBack holds a trace to the order that invariant I7 asks for: after a
// failed flush the next thing that happens to the file is that the meta slot
// which was written before it is written again.
func putsBack(events []Event, path string) error {
	slot := int64(-1) // written, not flushed
	failed := false
	for i, e := range events {
		switch {
		case e.Path != path:
		case isMeta(e) && failed:
			if e.Offset != slot {
				return fmt.Errorf("event %d: the slot at %d was not put back, but %s", i, slot, e)
			}
			slot, failed = -1, false
		case isMeta(e):
			slot = e.Offset
		case e.Kind == EventFlushEnd && e.Op == mmapfile.OpMsync && e.Failed:
			failed = slot >= 0
		case e.Kind == EventFlushEnd && !e.Failed:
			slot = -1
		case failed && e.Kind != EventMark:
			return fmt.Errorf("event %d: the slot at %d was not put back, but %s", i, slot, e)
		}
	}
	if failed {
		return fmt.Errorf("the slot at %d was never put back", slot)
	}
	return nil
}

// TestCrashAfterFaults crashes workloads in which a flush or a write failed.
func TestCrashAfterFaults(t *testing.T) {
	ops := Generate(FromSeed(99, 1<<20), CrashProfile, 40)
	images := 0
	for n := 1; ; n += 2 + n/3 {
		in := &Injector{Kind: FaultEIO, N: n}
		tr, err := faultTrace(t, mmdb.Options{}, in, ops)
		if err != nil {
			t.Fatalf("%s at call %d: %v", in.Kind, n, err)
		}
		if len(in.Hits()) == 0 {
			break
		}
		report, err := crashAll(t, tr, CrashConfig{Seed: uint64(n), Extra: 1, Recrash: 201, Keep: keepDir(t)})
		if err != nil {
			t.Fatalf("%s at call %d (%s): %v", in.Kind, n, in.Hits()[0].Kind, err)
		}
		if images += report.Images + report.Recrashes; images > scaled(6000) {
			break
		}
	}
	t.Logf("%d images", images)
}
