package tx

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mmdb/mmapfile"
)

// Two opens of one file, in one process or in two, are the same to the locks and to the lock file: most of these tests have both in one.

// pair opens a new database twice.
func pair(t *testing.T, o *Options) (a, b *Store) {
	t.Helper()
	needByteLocks(t)
	path := memoryPath(t)
	return openStore(t, path, o), openStore(t, path, o)
}

// die ends st as the death of its process does: the kernel gives back its locks, and nothing else happens.
func die(st *Store) {
	_ = admitted(st).file.Close()
	if st.locks != st.file {
		_ = st.locks.Close()
	}
	_ = st.file.Close()
}

// admitted lets others open st's database now, and returns the lock file; nil if it is open exclusively.
func admitted(st *Store) *lockFile {
	if lf := st.lockFile(); lf != nil {
		return lf
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.admit()
	return st.lockFile()
}

// lockPath returns the lock file's path of st.
func lockPath(st *Store) string { return st.file.RealPath() + lockSuffix }

func TestProcessesSeeEachOthersCommits(t *testing.T) {
	for _, d := range []Durability{Durable, Lazy} {
		a, b := pair(t, &Options{Timeout: time.Minute, Durability: d})
		for i := range 20 {
			noError(t, putKeys(a, i*10, i*10+5))
			wantKeys(t, a, i*10+5)
			wantKeys(t, b, i*10+5)
			noError(t, putKeys(b, i*10+5, i*10+10))
			wantKeys(t, b, i*10+10)
			wantKeys(t, a, i*10+10)
		}
		checkStore(t, a)
		checkStore(t, b)
		noError(t, a.Close())
		noError(t, putKeys(b, 200, 230))
		noError(t, b.Close())
		checkFile(t, a.Path(), 230)
		wantNames(t, filepath.Dir(a.Path()), "test.mmdb")
	}
}

// A page that another process has written is verified anew, also if this one had verified what stood there before (I3).
func TestPagesOfOthersAreVerifiedAnew(t *testing.T) {
	a, b := pair(t, quick())
	noError(t, putKeys(a, 0, 2000))
	for i := range 60 { // checkpoints among them: then the records do not lead back
		noError(t, b.View(func(tx *Tx) error { return keysAre(tx, 2000) }))
		noError(t, putKeys(a, i, i+1))
		if i%7 == 0 {
			noError(t, putKeys(a, 1900, 1901))
		}
		noError(t, b.View(func(tx *Tx) error {
			root := tx.Bucket([]byte("b")).hdr.Root.Page()
			if tx.snap.verified.has(root) {
				t.Fatalf("commit %d: the new root counts as verified", tx.commit)
			}
			if err := keysAre(tx, 2000); err != nil || !tx.snap.verified.has(root) {
				t.Fatalf("commit %d: the root was read unverified: %v", tx.commit, err)
			}
			return nil
		}))
	}
}

// A reader of one process pins its pages against writers of another, and gives them back when it ends or its process dies.
func TestReadersOfOthersPinTheirPages(t *testing.T) {
	for _, end := range []string{"ends", "dies"} {
		t.Run(end, func(t *testing.T) {
			needByteLocks(t)
			path := memoryPath(t)
			a := openStore(t, path, quick())
			noError(t, putKeys(a, 0, 500))
			b, err := Open(path, 0o600, &Options{Timeout: time.Minute, ReadOnly: true})
			noError(t, err)
			r, err := b.Begin(false)
			noError(t, err)
			for i := range 50 {
				noError(t, a.Update(func(tx *Tx) error {
					return errors.Join(tx.Bucket([]byte("b")).Delete(testKey(i)), putInto(tx, 500+i, 501+i))
				}))
			}
			noError(t, keysAre(r, 500))
			list, err := a.Readers()
			noError(t, err)
			if len(list) != 1 || list[0].Process != os.Getpid() || list[0].Behind != 50 || list[0].Held == 0 {
				t.Fatalf("readers: %+v", list)
			}
			pinned := a.Stats().PendingPages
			if end == "ends" {
				noError(t, r.Rollback())
				noError(t, b.Close())
			} else {
				die(b)
				a.role.reaped = time.Time{}
			}
			for range 4 {
				noError(t, putKeys(a, 600, 610))
			}
			if now := a.Stats().PendingPages; now+list[0].Held/2 > pinned {
				t.Errorf("%d pages are pending, %d were, of which the reader held %d", now, pinned, list[0].Held)
			}
			list, err = a.Readers()
			if len(list) != 0 || err != nil {
				t.Errorf("readers: %+v %v", list, err)
			}
		})
	}
}

// A writer that has many waiting hands the byte over all the same, and those who wait come in turn.
func TestWritersOfProcessesTakeTurns(t *testing.T) {
	a, b := pair(t, quick())
	c := openStore(t, a.Path(), quick())
	noError(t, putKeys(a, 0, 1))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if err := putKeys(a, 0, 1); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for range 30 {
		noError(t, errors.Join(putKeys(b, 0, 1), putKeys(c, 0, 1)))
	}
	close(stop)
	wg.Wait()
	wantKeys(t, b, 1)
}

// UpdateContext gives up waiting for another process.
func TestUpdateContextGivesUpWaitingForAnotherProcess(t *testing.T) {
	a, b := pair(t, quick())
	tx, err := a.Begin(true)
	noError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	wantError(t, b.UpdateContext(ctx, func(*Tx) error { return nil }), context.DeadlineExceeded)
	noError(t, tx.Rollback())
	noError(t, putKeys(b, 0, 10))
	wantKeys(t, a, 10)
}

// UpdateContext gives up waiting for a flush after which the writer's byte is another process's.
func TestUpdateContextGivesUpWaitingToHandOver(t *testing.T) {
	g := newGate()
	o := quick()
	o.Seam = g.seam
	a, b := pair(t, o)
	noError(t, putKeys(a, 0, 10))
	g.close(true)
	first := later(func() error { return putKeys(a, 10, 20) })
	<-g.held
	other := later(func() error { return putKeys(b, 20, 30) })
	waitFor(t, "another process to ask for the byte", a.roleWanted)
	time.Sleep(roleTime)
	ctx, cancel := context.WithCancel(t.Context())
	end := later(func() error {
		return a.UpdateContext(ctx, func(*Tx) error { t.Error("the function ran"); return nil })
	})
	stillRuns(t, end)
	cancel()
	select {
	case err := <-end:
		wantError(t, err, context.Canceled)
	case <-time.After(10 * time.Second):
		t.Error("it waits for the flush")
	}
	stillRuns(t, first)
	g.let(nil)
	noError(t, errors.Join(<-first, <-other, putKeys(a, 30, 40)))
	wantKeys(t, b, 40)
}

// A process that dies at any point of a commit leaves it whole or not at all. Another one that has the database open goes on, with its
// readers, and loses nothing that was committed.
func TestTakeOverFromAWriterThatDied(t *testing.T) {
	needByteLocks(t)
	for name, o := range map[string]Options{"durable": {}, "two phases": {TwoPhase: true}, "lazy": {Durability: Lazy, SyncInterval: -1}} {
		t.Run(name, func(t *testing.T) {
			whole, absent := 0, 0
			for i := 0; ; i++ {
				reached, got := takeOverAt(t, o, i)
				if !reached {
					break
				}
				if got == 300 {
					whole++
				} else {
					absent++
				}
			}
			if whole == 0 && o.Durability != Lazy || absent == 0 { // a lazy commit is published with its last operation
				t.Errorf("of the commits that were cut off %d were there, and %d were not", whole, absent)
			}
		})
	}
}

// takeOverAt has a process die before the i-th operation of a commit, and reports whether there was one, and how many keys are there.
func takeOverAt(t *testing.T, o Options, i int) (reached bool, keys int) {
	t.Helper()
	f := &freezer{at: -1, frozen: make(chan struct{})}
	path := memoryPath(t)
	o.Timeout, o.Seam = time.Minute, f.seam
	a, err := Open(path, 0o600, &o)
	noError(t, err)
	noError(t, putKeys(a, 0, 150))
	noError(t, putKeys(a, 150, 200))
	b := openStore(t, path, quick())
	r, err := b.Begin(false)
	noError(t, err)
	f.freezeAt(i)
	done := later(func() error { return putKeys(a, 200, 300) })
	select {
	case err := <-done:
		noError(t, err)
		f.freezeAt(-1)
		noError(t, errors.Join(r.Rollback(), a.Close()))
		wantKeys(t, b, 300)
		return false, 300
	case <-f.frozen:
	}
	die(a)
	wantKeys(t, b, 200) // it was not published
	noError(t, b.Update(func(tx *Tx) error {
		keys = int(tx.Bucket([]byte("b")).Len())
		return keysAre(tx, keys)
	}))
	if keys != 200 && keys != 300 {
		t.Fatalf("operation %d: %d keys", i, keys)
	}
	noError(t, putKeys(b, keys, keys+30))
	noError(t, keysAre(r, 200))
	noError(t, r.Rollback())
	checkStore(t, b)
	c := openStore(t, path, quick())
	wantKeys(t, c, keys+30)
	noError(t, putKeys(c, keys+30, keys+40))
	noError(t, b.Close())
	noError(t, c.Close())
	checkFile(t, path, keys+40)
	return true, keys
}

// A freezer is a seam that stops a process for good before an operation.
type freezer struct {
	mu     sync.Mutex
	at     int // operations until then; negative: never
	frozen chan struct{}
}

func (f *freezer) freezeAt(i int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = i
}

func (f *freezer) seam(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	f.mu.Lock()
	stop := f.at == 0
	if f.at >= 0 {
		f.at--
	}
	f.mu.Unlock()
	if stop {
		close(f.frozen)
		select {}
	}
	return do(op)
}

// After a failed flush in one process no other one writes either, until all have closed the database.
func TestAFailedFlushStopsAllWriters(t *testing.T) {
	needByteLocks(t)
	path := memoryPath(t)
	broken := errors.New("broken")
	p := &tape{}
	a, err := Open(path, 0o600, &Options{Seam: p.seam, Timeout: time.Minute})
	noError(t, err)
	b, err := Open(path, 0o600, quick())
	noError(t, err)
	noError(t, putKeys(a, 0, 100))
	noError(t, b.View(func(tx *Tx) error { return keysAre(tx, 100) }))
	p.hook = func(_ int, op mmapfile.Op) error {
		if op.Kind == mmapfile.OpMsync {
			return broken
		}
		return nil
	}
	wantError(t, putKeys(a, 100, 200), ErrFailed)
	wantError(t, putKeys(b, 100, 200), ErrFailed, "another process")
	wantKeys(t, a, 100)
	wantKeys(t, b, 100)
	c, err := Open(path, 0o600, quick())
	noError(t, err)
	wantKeys(t, c, 100)
	wantError(t, putKeys(c, 100, 200), ErrFailed)
	for _, st := range []*Store{a, b, c} {
		noError(t, st.Close())
	}
	st, err := Open(path, 0o600, quick())
	noError(t, err)
	n := 0
	noError(t, st.View(func(tx *Tx) error { n = int(tx.Bucket([]byte("b")).Len()); return nil }))
	noError(t, st.Close())
	if n != 100 && n != 200 {
		t.Fatalf("%d keys", n)
	}
	checkFile(t, path, n)
}

// The file is left as a clean close leaves it, in whatever order the processes close it.
func TestCleanCloseOfSeveral(t *testing.T) {
	for _, first := range []int{0, 1} {
		a, b := pair(t, quick())
		noError(t, putKeys(a, 0, 50))
		noError(t, putKeys(b, 50, 80))
		all := []*Store{a, b}
		noError(t, all[first].Close())
		noError(t, all[1-first].Close())
		img := readAll(t, a.Path())
		for slot, m := range slotsOf(img) {
			if m.Commit == 0 {
				t.Errorf("slot %d is not valid", slot)
			}
		}
		if _, m := newestSlot(img); !m.Settled {
			t.Error("the newest meta is not settled")
		}
		ro := openStore(t, a.Path(), &Options{ReadOnly: true})
		wantKeys(t, ro, 80)
		if !bytes.Equal(readAll(t, a.Path()), img) {
			t.Error("a reader has changed the file")
		}
	}
}
