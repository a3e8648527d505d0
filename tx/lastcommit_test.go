package tx

import (
	"syscall"
	"testing"
	"time"
)

// longStore returns a store with a chain of records that is longer than what stays, and its keys.
func longStore(t *testing.T, o Options) (*Store, int) {
	t.Helper()
	o.Durability, o.SyncInterval = Lazy, -1
	st, err := Open(memoryPath(t), 0o600, &o)
	noError(t, err)
	const n = endedChain + 10
	for i := range n {
		noError(t, putKeys(st, i, i+1))
	}
	if got := st.w.chainPages; got < endedChain {
		t.Fatalf("a chain of %d pages", got)
	}
	return st, n
}

// lastCommits returns what the file tells of its newest commits.
func lastCommits(t *testing.T, st *Store) (all []CommitInfo) {
	t.Helper()
	noError(t, st.View(func(tx *Tx) error {
		for c, err := range tx.History() {
			noError(t, err)
			all = append(all, c)
		}
		return nil
	}))
	return all
}

func TestCloseEndsALongChain(t *testing.T) {
	st, n := longStore(t, Options{})
	commit := st.published.Load().meta.Commit
	noError(t, st.Close())
	again := openStore(t, st.Path(), quick())
	if h := lastCommits(t, again); len(h) != 1 || !h[0].Checkpoint || h[0].Commit != uint64(commit)+1 || h[0].Written != 1 {
		t.Fatalf("after commit %d the file has %+v", commit, h)
	}
	wantKeys(t, again, n)
	noError(t, putKeys(again, n, n+100))
	wantKeys(t, again, n+100)
}

func TestCloseLeavesAShortChain(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	for i := range 20 {
		noError(t, putKeys(st, i, i+1))
	}
	commit := st.published.Load().meta.Commit
	noError(t, st.Close())
	if got := openStore(t, st.Path(), quick()).published.Load().meta.Commit; got != commit {
		t.Fatalf("commit %d, before the close it was %d", got, commit)
	}
}

func TestCloseAfterTheWritersByteWasGivenBack(t *testing.T) {
	needByteLocks(t)
	st, n := longStore(t, Options{})
	noError(t, st.Sync())
	for st.mu.Lock(); st.role.held || st.lockFile() == nil; st.mu.Lock() {
		st.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	st.mu.Unlock()
	noError(t, st.Close())
	again := openStore(t, st.Path(), quick())
	if h := lastCommits(t, again); len(h) != 1 {
		t.Fatalf("a chain of %d records", len(h))
	}
	wantKeys(t, again, n)
}

func TestCloseDoesNotWaitForAnotherWriter(t *testing.T) {
	needByteLocks(t)
	st, n := longStore(t, Options{})
	other, err := Open(st.Path(), 0o600, quick())
	noError(t, err)
	w, err := other.Begin(true)
	noError(t, err)
	commit := st.published.Load().meta.Commit
	noError(t, st.Close())
	noError(t, w.Rollback())
	if got := other.published.Load().meta.Commit; got != commit {
		t.Fatalf("commit %d, before the close it was %d", got, commit)
	}
	wantKeys(t, other, n)
	checkStore(t, other)
	noError(t, other.Close())
}

// TestCloseFailsAtEveryCall fails each of the calls of a Close that ends a chain, one in each round: what was committed is there all the
// same, and only what failed for good is told.
func TestCloseFailsAtEveryCall(t *testing.T) {
	for i := 0; ; i++ {
		p := new(tape)
		st, n := longStore(t, Options{Seam: p.seam, Exclusive: true})
		var hit taped
		p.set(failNth(i, syscall.ENOSPC, &hit))
		err := st.Close()
		if len(p.recorded()) <= i {
			noError(t, err)
			return
		}
		p.set(nil)
		t.Logf("call %d, %v: %v", i, hit, err)
		if err == nil && hit.flush() {
			t.Errorf("call %d, %v, failed, and Close did not", i, hit)
		}
		checkFile(t, st.Path(), n)
	}
}
