package tx

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mmdb/mmapfile"
	"mmdb/page"
)

// lazyStore returns a database with a tape that flushes only when it is told to.
func lazyStore(t *testing.T, o Options) (*Store, *tape) {
	t.Helper()
	p := new(tape)
	o.Seam, o.Durability = p.seam, Lazy
	if o.SyncInterval == 0 {
		o.SyncInterval = -1
	}
	return openStore(t, newPath(t), &o), p
}

func flushes(p *tape) (n int) {
	for _, o := range p.recorded() {
		if o.flush() {
			n++
		}
	}
	return n
}

// wantImage opens a copy of the file as it is now, as after a crash of the process, and checks that it holds n keys.
func wantImage(t *testing.T, img []byte, n int) {
	t.Helper()
	checkFile(t, writeFile(t, img), n)
}

func TestLazyCommitsDoNotFlush(t *testing.T) {
	st, p := lazyStore(t, Options{})
	p.set(nil)
	for i := range 50 {
		noError(t, putKeys(st, i, i+1))
		wantKeys(t, st, i+1)
	}
	if n := flushes(p); n != 0 {
		t.Errorf("%d flushes", n)
	}
	noError(t, st.Sync())
	if n := flushes(p); n != 1 {
		t.Errorf("%d flushes with Sync, want 1", n)
	}
}

// Every commit survives the process, however many there were since the last flush, with checkpoints of the free list among
// them, and pages that are replaced again and again.
func TestLazyCommitsSurviveTheProcess(t *testing.T) {
	st, _ := lazyStore(t, Options{})
	rng := rand.New(rand.NewPCG(1, 1))
	n := 0
	for i := range 400 {
		more := rng.IntN(5)
		noError(t, st.Update(func(tx *Tx) error {
			if err := largeInto(tx, fmt.Sprint(rng.IntN(10)), rng.IntN(20000)); err != nil {
				return err
			}
			return putInto(tx, n, n+more)
		}))
		n += more
		if i%20 == 0 {
			wantImage(t, readAll(t, st.Path()), n)
		}
		if rng.IntN(60) == 0 {
			noError(t, st.Sync())
		}
	}
}

// A power loss takes the database back to a commit not older than the last flush.
func TestLazyCommitsThatAreNotWholeAreRejected(t *testing.T) {
	st, _ := lazyStore(t, Options{})
	noError(t, putKeys(st, 0, 100))
	noError(t, st.Sync())
	old := readAll(t, st.Path())
	for i := 100; i < 120; i++ {
		noError(t, putKeys(st, i, i+1))
	}
	img := readAll(t, st.Path())
	whole := st.published.Load().meta
	if whole.Base >= whole.Commit-10 {
		t.Fatalf("commit %d has the base %d", whole.Commit, whole.Base)
	}
	lost := append([]byte(nil), img...)
	copy(lost[page.MetaSlots*page.MetaStride:], old[page.MetaSlots*page.MetaStride:])
	wantImage(t, lost, 100)
	// One page of any commit since the flush is missing.
	rec := recordOf(t, img, &whole)
	for range 15 {
		torn := append([]byte(nil), img...)
		clear(torn[int64(rec.Prev.Page)*int64(whole.PageSize):][:512])
		wantImage(t, torn, 100)
		m := whole
		m.Record = rec.Prev
		rec = recordOf(t, img, &m)
	}
	wantImage(t, img, 120)
}

func TestADurableCommitFlushesTheLazyOnesBefore(t *testing.T) {
	st, p := lazyStore(t, Options{})
	noError(t, putKeys(st, 0, 10))
	p.set(nil)
	noError(t, st.Update(func(tx *Tx) error {
		tx.SetDurability(Durable)
		return putInto(tx, 10, 20)
	}))
	if n := flushes(p); n != 1 {
		t.Errorf("%d flushes, want 1", n)
	}
	if c := st.published.Load().meta.Commit; st.window.base() != c || st.window.bytes.Load() != 0 {
		t.Errorf("commit %d is durable, but %d counts", c, st.window.base())
	}
	wantImage(t, readAll(t, st.Path()), 20)
	durable := openStore(t, newPath(t), &Options{Seam: p.seam, SyncInterval: -1})
	p.set(nil)
	noError(t, durable.Update(func(tx *Tx) error {
		tx.SetDurability(Lazy)
		return putInto(tx, 0, 20)
	}))
	if n := flushes(p); n != 0 {
		t.Errorf("%d flushes of a lazy transaction, want none", n)
	}
	wantKeys(t, durable, 20)
}

func TestLazyCommitsAreFlushedBeforeTheyAreTooMany(t *testing.T) {
	st, p := lazyStore(t, Options{})
	p.set(nil)
	const size = 300_000
	most, limit := page.Commit(0), int64(0)
	for i := range 60 {
		noError(t, putLarge(st, fmt.Sprint(i), size))
		limit = max(limit, st.w.windowLimit()) // it falls again when the file shrinks
		m := &st.published.Load().meta
		most = max(most, m.Commit-m.Base)
	}
	if n := int64(most) * size; n > limit+size || n < windowMin/4 {
		t.Errorf("up to %d bytes were not flushed, the bound is %d", n, limit)
	}
	if flushes(p) == 0 {
		t.Error("no flush")
	}
}

func TestLazyCommitsAreFlushedAfterAWhile(t *testing.T) {
	st, p := lazyStore(t, Options{SyncInterval: time.Millisecond})
	p.set(nil)
	noError(t, putKeys(st, 0, 10))
	for started := time.Now(); st.window.base() != 2; time.Sleep(time.Millisecond) {
		if time.Since(started) > 30*time.Second {
			t.Fatal("no flush for 30 s")
		}
	}
	if flushes(p) == 0 {
		t.Error("no flush was made")
	}
}

// A flush in the background that fails is found out: later writes are refused.
func TestAFailedFlushInTheBackgroundStopsWriting(t *testing.T) {
	st, p := lazyStore(t, Options{SyncInterval: time.Millisecond})
	p.set(func(_ int, op mmapfile.Op) error {
		if op.Kind == mmapfile.OpSync {
			return fmt.Errorf("no device")
		}
		return nil
	})
	for started := time.Now(); ; time.Sleep(time.Millisecond) {
		if err := putKeys(st, 0, 10); err != nil {
			wantError(t, err, ErrFailed, "no device")
			break
		}
		if time.Since(started) > 30*time.Second {
			t.Fatal("nobody noticed for 30 s")
		}
	}
	wantKeys(t, st, 10)
}

// Close flushes, and leaves a file that was closed cleanly.
func TestCloseFlushesLazyCommits(t *testing.T) {
	path := newPath(t)
	p := new(tape)
	st, err := Open(path, 0o600, &Options{Seam: p.seam, Durability: Lazy, SyncInterval: -1})
	noError(t, err)
	noError(t, putKeys(st, 0, 100))
	p.set(nil)
	noError(t, st.Close())
	ops := p.recorded()
	settled := -1
	for i, o := range ops {
		if o.meta() {
			settled = i
		}
		if o.kind == mmapfile.OpSync && settled >= 0 {
			t.Error("the pages were flushed after the settled meta was written")
		}
	}
	if settled < 0 || flushes(p) < 2 {
		t.Errorf("%d flushes, settled meta at %d of %d", flushes(p), settled, len(ops))
	}
	wantImage(t, readAll(t, path), 100)
}

// A full database makes durable what lazy commits have freed, and uses it.
func TestALazyDatabaseThatIsFullUsesWhatItHasFreed(t *testing.T) {
	st, _ := lazyStore(t, Options{MaxSize: 1 << 20})
	for i := range 200 {
		noError(t, putLarge(st, fmt.Sprint(i%3), 100_000))
	}
	checkStore(t, st)
	wantImage(t, readAll(t, st.Path()), 0)
}

// The kernel tells a failed write to one flush only. While the one in the background runs, no other is a proof: a durable
// commit waits for how it ends.
func TestADurableCommitWaitsForTheFlushBesideIt(t *testing.T) {
	held, open := make(chan struct{}), make(chan error)
	var armed atomic.Bool
	seam := func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		if op.Kind == mmapfile.OpSync && armed.CompareAndSwap(true, false) {
			held <- struct{}{}
			return 0, <-open
		}
		return do(op)
	}
	st := openStore(t, newPath(t), &Options{Seam: seam, SyncInterval: time.Millisecond})
	noError(t, putKeys(st, 0, 10))
	armed.Store(true)
	noError(t, st.Update(func(tx *Tx) error {
		tx.SetDurability(Lazy)
		return putInto(tx, 10, 20)
	}))
	<-held
	durable := later(func() error { return putKeys(st, 20, 30) })
	stillRuns(t, durable)
	synced := later(st.Sync)
	open <- syscall.EIO
	wantError(t, <-durable, ErrFailed)
	wantError(t, <-synced, ErrFailed)
	wantKeys(t, st, 20)
}

// When space runs short while a group is sealed, lazy commits are flushed, and what only they needed is used again: the new commit must
// not be based on what was durable before, or recovery misses those pages and rejects it.
func TestACommitThatFlushedForSpaceIsWhole(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		path, full := memoryPath(t), 0
		st := openStore(t, path, &Options{MaxSize: 48 * 4096, Durability: Lazy, SyncInterval: -1, Exclusive: true})
		for i := range 60 {
			err := st.Update(func(tx *Tx) error {
				if rng.IntN(4) == 0 {
					tx.SetDurability(Durable)
				}
				return errors.Join(largeInto(tx, fmt.Sprint(rng.IntN(6)), rng.IntN(24000)), largeInto(tx, "last", i))
			})
			if errors.Is(err, ErrMaxSizeReached) {
				full++
				continue
			}
			noError(t, err)
			dead := openStore(t, writeFile(t, readAll(t, path)), nil) // as if the process had died here
			noError(t, dead.View(func(tx *Tx) error {
				if n := len(tx.Bucket([]byte("z")).Get([]byte("last"))); n != i {
					t.Fatalf("seed %d: commit %d was lost, %d is there", seed, i, n)
				}
				return nil
			}))
			checkStore(t, dead)
			noError(t, dead.Close())
		}
		if full == 0 {
			t.Errorf("seed %d: the database was never full", seed)
		}
	}
}

// What lazy commits write and free again is used by those that follow: the same keys again and again do not make the file grow, and there is
// nothing to flush.
func TestLazyCommitsUseTheirPagesAgain(t *testing.T) {
	st, p := lazyStore(t, Options{})
	noError(t, putKeys(st, 0, 1000))
	noError(t, st.Sync())
	p.set(nil)
	high := page.No(0)
	for i := range 500 {
		noError(t, putLarge(st, fmt.Sprint(i%3), 100_000))
		if i == 20 {
			high = st.published.Load().meta.HighWater
		}
	}
	if m := st.published.Load().meta; m.HighWater > high+600 { // a record for each commit, and the free list's slack
		t.Errorf("%d pages, after 20 commits it was %d", m.HighWater, high)
	}
	if n := flushes(p); n > 4 { // for the records, which the syncer flushes twice, and once more when it is late
		t.Errorf("%d flushes", n)
	}
	checkStore(t, st)
	wantImage(t, readAll(t, st.Path()), 1000)
}

// A checkpoint among lazy commits makes records superfluous that recovery still verifies the commits with.
func TestCheckpointsAmongLazyCommits(t *testing.T) {
	o := Options{}
	Sabotage(&o, EagerCheckpoint)
	st, _ := lazyStore(t, o)
	for i := range 100 {
		noError(t, putKeys(st, 0, i))
		if i%10 == 9 {
			wantImage(t, readAll(t, st.Path()), i)
		}
		if i == 50 {
			noError(t, st.Sync())
		}
	}
	if len(st.w.cuts) < 10 {
		t.Errorf("%d checkpoints among lazy commits", len(st.w.cuts))
	}
	checkStore(t, st)
	img := readAll(t, st.Path())
	again := openStore(t, writeFile(t, img), &Options{Durability: Lazy, SyncInterval: -1})
	again.mu.Lock()
	err := again.w.loadSpace(&again.w.tip.meta)
	again.mu.Unlock()
	noError(t, err)
	if len(again.w.cuts) < 10 {
		t.Errorf("%d checkpoints found in the file", len(again.w.cuts))
	}
	noError(t, putKeys(again, 99, 200))
	wantImage(t, readAll(t, again.Path()), 200)
}

// What is no Durability is refused: by Open before it makes a file, and by the commit of a transaction.
func TestAnUnknownDurabilityIsRefused(t *testing.T) {
	path := newPath(t)
	_, err := Open(path, 0o600, &Options{Durability: 7})
	wantError(t, err, ErrDurability, "7")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
	st := openStore(t, path, nil)
	noError(t, putKeys(st, 0, 10))
	wantError(t, st.Update(func(tx *Tx) error {
		tx.SetDurability(7)
		return putInto(tx, 10, 20)
	}), ErrDurability, "7")
	tx, err := st.Begin(true)
	noError(t, err)
	tx.SetDurability(2)
	noError(t, putInto(tx, 10, 20))
	wantError(t, tx.Commit(), ErrDurability)
	noError(t, st.View(func(tx *Tx) error { tx.SetDurability(7); return nil })) // of no effect there
	wantKeys(t, st, 10)
}
