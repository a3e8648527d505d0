package tx

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"mmdb/mmapfile"
	"mmdb/page"
)

// closedStore makes a database with n keys, in memory where that is possible, and returns its path.
func closedStore(t *testing.T, n int) string {
	t.Helper()
	st := openStore(t, memoryPath(t), quick())
	noError(t, putKeys(st, 0, n))
	noError(t, st.Close())
	return st.Path()
}

// openEarly opens the database at path and returns with the writer lock held, before anybody else has been let in.
func openEarly(t *testing.T, path string) *Store {
	t.Helper()
	for range 1000 {
		st := openStore(t, path, quick())
		st.mu.Lock()
		if st.pending != nil {
			return st
		}
		st.mu.Unlock()
		noError(t, st.Close())
	}
	t.Fatal("others are let in at once")
	return nil
}

// letIn lets others in, and gives the writer lock back.
func letIn(st *Store) {
	st.admit()
	st.mu.Unlock()
}

// overwrite changes all n keys again and again, so that every page that nobody needs is used again.
func overwrite(t *testing.T, st *Store, n int) {
	t.Helper()
	for r := range 8 {
		noError(t, st.Update(func(tx *Tx) error {
			b := tx.Bucket([]byte("b"))
			for i := range n {
				if err := b.Put(testKey(i), testValue(i+r+1)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

// openNow returns how many read transactions st lists.
func openNow(t *testing.T, st *Store) int {
	t.Helper()
	list, err := st.Readers()
	noError(t, err)
	return len(list)
}

// Read transactions that began before other processes were let in keep what they read, however many there are, and are listed until they end.
func TestReadersFromBeforeOthersWereLetIn(t *testing.T) {
	needByteLocks(t)
	for _, n := range []int{0, 1, 3, 200} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			path := closedStore(t, 500)
			a := openEarly(t, path)
			var early []*Tx
			for range n {
				r, err := a.Begin(false)
				noError(t, err)
				early = append(early, r)
			}
			letIn(a)
			b := openStore(t, path, quick())
			if got := openNow(t, b); got != n {
				t.Errorf("%d readers are listed, %d are open", got, n)
			}
			overwrite(t, b, 500)
			for i, r := range early {
				noError(t, keysAre(r, 500))
				noError(t, r.Rollback())
				if s := a.Stats(); s.OpenReaders != n-i-1 {
					t.Fatalf("%d readers are open, %d by the figures", n-i-1, s.OpenReaders)
				}
			}
			if got := openNow(t, a); got != 0 {
				t.Errorf("%d readers are listed after the last one has ended", got)
			}
		})
	}
}

// Nobody has to ask for readers before the pages of those that have ended are free.
func TestEarlyReadersAreForgotten(t *testing.T) {
	needByteLocks(t)
	path := memoryPath(t)
	noError(t, openStore(t, path, quick()).Close())
	a := openEarly(t, path)
	r, err := a.Begin(false)
	noError(t, err)
	letIn(a)
	b := openStore(t, path, quick())
	if got := openNow(t, b); got != 1 {
		t.Fatalf("%d readers are listed, one is open", got)
	}
	noError(t, r.Rollback())
	for openNow(t, b) != 0 { // the test's own time limit ends this
		time.Sleep(time.Millisecond)
	}
}

// A View after others were let in uses no slot that it had before.
func TestPooledReadersLeaveTheOldTable(t *testing.T) {
	needByteLocks(t)
	path := closedStore(t, 500)
	a := openEarly(t, path)
	var pooled []*Tx
	for range 4 * runtime.GOMAXPROCS(0) { // the pool gives each processor its own
		r := &Tx{managed: true}
		noError(t, a.beginRead(r))
		pooled = append(pooled, r)
	}
	for _, r := range pooled {
		r.release()
		r.detach()
		a.pool.Put(r)
	}
	letIn(a)
	b := openStore(t, path, quick())
	noError(t, a.View(func(tx *Tx) error {
		if got := openNow(t, b); got != 1 {
			t.Errorf("%d readers are listed, one is open", got)
		}
		overwrite(t, b, 500)
		return keysAre(tx, 500)
	}))
}

// Read transactions that begin just while others are let in see one commit too.
func TestReadersBeginWhileOthersAreLetIn(t *testing.T) {
	needByteLocks(t)
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	path := closedStore(t, 100)
	for round := range rounds {
		a := openEarly(t, path)
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for range 3 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					err := a.View(func(tx *Tx) error {
						k, v := tx.Bucket([]byte("b")).Cursor().First()
						first := string(v)
						runtime.Gosched()
						k2, v2 := tx.Bucket([]byte("b")).Cursor().First()
						if string(k) != string(k2) || string(v2) != first {
							return fmt.Errorf("a value has changed: %q, then %q", first, v2)
						}
						return tx.Err()
					})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		letIn(a)
		b := openStore(t, path, quick())
		overwrite(t, b, 100)
		close(stop)
		wg.Wait()
		if n := a.Stats().OpenReaders; n != 0 {
			t.Fatalf("round %d: %d readers are open for ever", round, n)
		}
		noError(t, b.Close())
		noError(t, a.Close())
	}
}

// Who asks for figures just while others are let in does not make that forget a reader that begins at that moment.
func TestFiguresWhileOthersAreLetIn(t *testing.T) {
	needByteLocks(t)
	path := closedStore(t, 500)
	a := openEarly(t, path)
	lf := a.pending
	a.pending = nil
	a.admission.Stop()
	table, err := a.makeSession(lf) // as admit does, step by step
	noError(t, err)
	a.elders.settle() // as Stats does
	r, err := a.Begin(false)
	noError(t, err)
	a.share(lf, table)
	a.elders.settle()
	a.elders.count(table)
	noError(t, firstError(a.locks.LockPresence(false, -1), a.locks.UnlockWriter()))
	a.mu.Unlock()
	b := openStore(t, path, quick())
	overwrite(t, b, 500)
	noError(t, keysAre(r, 500))
	for _, want := range []int{1, 0} {
		if n := a.Stats().OpenReaders; n != want {
			t.Errorf("%d readers are open, %d by the figures", want, n)
		}
		_ = r.Rollback()
	}
}

// What a reader of before others were let in has held back is free for the next commit after its end, not only when somebody looks.
func TestTheFirstReaderHoldsNothingBackAfterItsEnd(t *testing.T) {
	needByteLocks(t)
	a := openEarly(t, closedStore(t, 500))
	r, err := a.Begin(false)
	noError(t, err)
	first := page.Commit(r.ID())
	letIn(a)
	time.Sleep(30 * time.Millisecond) // the watch makes longer pauses by then
	noError(t, keysAre(r, 500))
	needed := func() bool {
		overwrite(t, a, 500)
		overwrite(t, a, 500)
		overwrite(t, a, 500)
		a.mu.Lock()
		defer a.mu.Unlock()
		return slices.Contains(a.w.neededCommits(), first)
	}
	if !needed() {
		t.Error("an open reader's commit is not needed")
	}
	noError(t, r.Rollback())
	if needed() {
		t.Error("the commit is needed after the reader's end")
	}
}

// A program that ends before anybody was let in leaves the database and the lock file as any other does.
func TestCloseBeforeOthersAreLetIn(t *testing.T) {
	needByteLocks(t)
	path := closedStore(t, 50)
	before := readAll(t, path)
	for _, readOnly := range []bool{false, true} {
		for range 20 {
			st, err := Open(path, 0o600, &Options{Timeout: time.Minute, ReadOnly: readOnly})
			noError(t, err)
			r, err := st.Begin(false)
			noError(t, err)
			go func() { _ = r.Rollback() }() // Close waits for it
			noError(t, st.Close())
		}
	}
	wantBytes(t, path, before)
	checkFile(t, path, 50)
}

// A Close that waits for its readers, before anybody else was let in, does not make others wait for them.
func TestCloseLetsOthersInWhileItWaitsForReaders(t *testing.T) {
	needByteLocks(t)
	path := closedStore(t, 500)
	a := openEarly(t, path)
	r, err := a.Begin(false)
	noError(t, err)
	t.Cleanup(func() { _ = r.Rollback() })
	a.mu.Unlock()
	closed := make(chan error)
	go func() { closed <- a.Close() }()
	for a.published.Load() != nil {
		runtime.Gosched()
	}
	b, err := Open(path, 0o600, &Options{Timeout: 10 * time.Second})
	noError(t, err)
	overwrite(t, b, 500)
	noError(t, keysAre(r, 500))
	noError(t, r.Rollback())
	noError(t, <-closed)
	checkStore(t, b)
	noError(t, b.Close())
}

// Who waits as short as can be waits for others to be let in all the same.
func TestAnOpenWaitsUntilItIsLetIn(t *testing.T) {
	needByteLocks(t)
	path := closedStore(t, 50)
	for _, o := range []Options{{}, {ReadOnly: true}, {ReadOnly: true, Exclusive: true}} {
		for _, timeout := range []time.Duration{1, -1} {
			o.Timeout = timeout
			var err error
			for range 20 { // the machine may be slow for a moment
				a := openEarly(t, path)
				time.AfterFunc(time.Millisecond, func() { letIn(a) })
				var b *Store
				if b, err = Open(path, 0o600, &o); err == nil {
					noError(t, b.Close())
				}
				noError(t, a.Close())
				if err == nil {
					break
				}
			}
			noError(t, err)
		}
	}
}

// A negative timeout is not for ever.
func TestANegativeTimeoutEnds(t *testing.T) {
	needByteLocks(t)
	path := closedStore(t, 50)
	openStore(t, path, &Options{Exclusive: true})
	for _, o := range []Options{{}, {ReadOnly: true}, {Exclusive: true}, {ReadOnly: true, Exclusive: true}} {
		o.Timeout = -1
		_, err := Open(path, 0o600, &o)
		wantError(t, err, ErrTimeout, path)
	}
}

// If the lock file can't be filled after the database was opened, the database stays open for this process alone.
func TestNobodyIsLetInWithoutALockFile(t *testing.T) {
	needByteLocks(t)
	for _, readOnly := range []bool{false, true} {
		path := closedStore(t, 50)
		a := openEarly(t, path)
		a.readOnly = readOnly
		noError(t, os.Remove(a.pending.path)) // so that nothing can be done with it
		noError(t, os.Mkdir(a.pending.path, 0o700))
		letIn(a)
		if a.lockFile() != nil {
			t.Fatal("there is a lock file")
		}
		wantKeys(t, a, 50)
		_, err := Open(path, 0o600, &Options{Timeout: 20 * time.Millisecond})
		wantError(t, err, ErrTimeout, path)
		if !readOnly {
			noError(t, putKeys(a, 50, 60))
			wantKeys(t, a, 60)
		}
		noError(t, a.Close())
		noError(t, os.Remove(path+lockSuffix))
		b := openStore(t, path, quick())
		wantKeys(t, b, map[bool]int{false: 60, true: 50}[readOnly])
	}
}

// A lock file that does not fit, as when those whose it was close the database just now, is an error if that lasts. It has not when all have left
// meanwhile and others have come.
func TestALockFileThatDoesNotFitIsForgottenWithItsSession(t *testing.T) {
	needByteLocks(t)
	path := closedStore(t, 10)
	file, err := mmapfile.Open(path, mmapfile.Options{})
	noError(t, err)
	st := &Store{path: path, file: file, locks: file, memory: new(firstMemory)}
	st.setPageSize(page.DefaultSize)
	t.Cleanup(func() { noError(t, st.release()) })
	join := func() error {
		ok, err := st.tryJoin()
		if ok {
			t.Fatal("joined")
		}
		return err
	}
	session := func(inside func()) {
		others := openEarly(t, path)
		letIn(others)
		noError(t, os.Remove(path+lockSuffix))
		inside()
		noError(t, others.Close())
	}
	late := func() { st.joinSince = st.joinSince.Add(-2 * joinTime) }
	session(func() { noError(t, join()) })
	late()
	noError(t, join()) // nobody is there
	session(func() { noError(t, join()) })
	late()
	alone, err := Open(path, 0o600, &Options{Exclusive: true})
	noError(t, err)
	noError(t, join())
	noError(t, alone.Close())
	session(func() {
		noError(t, join())
		late()
		wantError(t, join(), ErrLockFile, path)
	})
}
