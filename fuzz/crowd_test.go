package fuzz

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"mmdb"
	"mmdb/tx"
)

// crowdOptions returns the options of the crowd with this seed: most spill now and then.
func crowdOptions(seed uint64) mmdb.Options {
	o := mmdb.Options{MaxDirty: []int64{0, 32 << 10, 128 << 10}[seed%3]}
	switch seed % 7 {
	case 3:
		o.TwoPhase = true
	case 5:
		o.PageSize = 16384
	}
	return carrying(seed, o)
}

// crowdTrace records clients that commit at once, in two sessions.
func crowdTrace(t testing.TB, seed uint64, o mmdb.Options) (*Trace, *Crowd, error) {
	t.Helper()
	c := &Crowd{Path: filepath.Join(imageDir(t), "db"), Options: o, Seed: seed, Clients: 6, Each: 12}
	if brief() {
		c.Each = 5
	}
	c.Lazy = o.SyncInterval != 0
	switch {
	case c.Lazy && seed%2 == 0:
		c.Fail = 1 + int(seed/2%4)
	case seed%4 == 2:
		c.Fail = 3 + int(seed/4%5)
	}
	tr, err := c.Run(2)
	return tr, c, err
}

// TestCrashConcurrentCommits crashes clients that commit at once at every event: what is left is what some group left, not older than anything
// that was promised to any of them. That includes those that failed, or only read: what they have seen must not go either.
func TestCrashConcurrentCommits(t *testing.T) {
	if crashCrowds(t, crowdOptions) < 2 {
		t.Error("no two functions shared a commit")
	}
}

// TestCrashLazyCommits does the same with transactions most of which are lazy, with Sync, and flushes in the background. What was promised
// to them must survive the process, and what Sync or a durable commit has covered a power loss.
func TestCrashLazyCommits(t *testing.T) { crashCrowds(t, lazyOptions) }

func lazyOptions(seed uint64) mmdb.Options {
	o := crowdOptions(seed)
	o.SyncInterval = []time.Duration{-1, time.Millisecond, 4 * time.Millisecond}[seed/3%3]
	if seed%2 == 0 {
		o.Durability = mmdb.Lazy
	}
	if seed/2%2 == 0 {
		tx.Sabotage(&o, tx.EagerCheckpoint)
	}
	if seed/4%2 == 0 {
		tx.Sabotage(&o, tx.EagerCut)
	}
	return o
}

// crashCrowds returns how many functions shared a commit at most.
func crashCrowds(t *testing.T, options func(seed uint64) mmdb.Options) (largest int) {
	want, started := scaled(8000), time.Now()
	var until time.Time
	if *crashFor > 0 {
		until = started.Add(*crashFor)
	}
	total, kinds := CrashReport{}, map[string]int{}
	for seed := *crashSeed; ; seed++ {
		o := options(seed)
		tr, c, err := crowdTrace(t, seed, o)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		largest = max(largest, c.largest)
		for k, n := range c.kinds {
			kinds[k] += n
		}
		o.PageSize, o.Durability = 0, mmdb.Durable
		cfg := CrashConfig{Seed: seed, Extra: 8, Recrash: 801, Until: until, Keep: keepDir(t), Options: o}
		if until.IsZero() {
			cfg.Shards = 4 * runtime.GOMAXPROCS(0) // a quarter of the images, of more runs
		}
		report, err := crashAll(t, tr, cfg)
		total.Images += report.Images
		total.Recrashes += report.Recrashes
		total.Points += report.Points
		if err != nil {
			t.Fatal(explain(tr, seed, err))
		}
		enough := total.Images+total.Recrashes >= want && (largest > 1 || seed-*crashSeed > 20) // on a busy machine few meet
		if until.IsZero() && enough || !until.IsZero() && time.Now().After(until) {
			break
		}
	}
	t.Logf("%+v in %v, groups of up to %d: %v", total, time.Since(started).Round(time.Millisecond), largest, kinds)
	return largest
}

// explain adds the last events before a crash: clients run as the scheduler lets them, so it does not happen again in the same way.
func explain(tr *Trace, seed uint64, err error) error {
	err = fmt.Errorf("seed %d: %w", seed, err)
	var failed *CrashError
	if !errors.As(err, &failed) {
		return err
	}
	for i := max(0, failed.Event-40); i <= failed.Event; i++ {
		err = fmt.Errorf("%w\n%d %s", err, i, tr.Events[i])
	}
	return err
}

// huntCrowd crashes clients that commit at once.
func huntCrowd(t *testing.T, o mmdb.Options) (images int, found error) {
	return huntCrowds(t, o, crowdOptions)
}

func huntLazy(t *testing.T, o mmdb.Options) (images int, found error) {
	return huntCrowds(t, o, lazyOptions)
}

func huntCrowds(t *testing.T, o mmdb.Options, options func(uint64) mmdb.Options) (images int, found error) {
	for seed := uint64(1); seed < 20 && found == nil; seed++ {
		run, like := o, options(seed)
		run.MaxDirty, run.SyncInterval, run.Durability = like.MaxDirty, like.SyncInterval, like.Durability
		tr, _, err := crowdTrace(t, seed, run)
		if err != nil {
			return images, fmt.Errorf("the run itself: %w", err)
		}
		run.Durability = mmdb.Durable
		report, err := crashAll(t, tr, CrashConfig{Seed: seed, Extra: 4, Options: run})
		images, found = images+report.Images, err
	}
	return images, found
}

// TestConcurrentCommitsAreMarked: the marks of a trace of clients that commit at once name groups, and few.
func TestConcurrentCommitsAreMarked(t *testing.T) {
	tr, c, err := crowdTrace(t, 1, mmdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, e := range tr.Events {
		if e.Kind != EventMark {
			continue
		}
		if len(e.Accept) == 0 || len(e.Accept) > 3 || !slices.IsSorted(e.Accept) {
			t.Fatalf("%s", e)
		}
		for _, s := range e.Accept {
			seen[s] = true
		}
	}
	if len(seen) >= len(tr.States) {
		t.Errorf("all of %d states are accepted somewhere: there were no groups", len(tr.States))
	}
	t.Logf("%d of %d states, the largest group %d", len(seen), len(tr.States), c.largest)
}
