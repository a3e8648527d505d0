package tx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mmdb/mmapfile"
	"mmdb/page"
)

// What fails in one process while others have the database open (I5, I7).

// taping opens the database at path with a tape. It is not checked at the end: its file may be broken.
func taping(t *testing.T, path string) (*Store, *tape) {
	t.Helper()
	p := &tape{}
	st, err := Open(path, 0o600, &Options{Timeout: time.Minute, Seam: p.seam})
	noError(t, err)
	t.Cleanup(func() { _ = st.Close() })
	return st, p
}

// looksClosed reports whether the file at path looks like one that was closed cleanly.
func looksClosed(t *testing.T, path string) bool {
	t.Helper()
	img := readAll(t, path)
	for _, m := range slotsOf(img) {
		if m.Commit == 0 {
			return false
		}
	}
	_, m := newestSlot(img)
	return m.Settled
}

// afterDeath makes a database of n keys whose writer has died in the flush of more, and returns another process's store of it, with its tape.
func afterDeath(t *testing.T, n int) (*Store, *tape) {
	t.Helper()
	needByteLocks(t)
	path := memoryPath(t)
	f := &freezer{at: -1, frozen: make(chan struct{})}
	a, err := Open(path, 0o600, &Options{Timeout: time.Minute, Seam: f.seam})
	noError(t, err)
	noError(t, putKeys(a, 0, n))
	b, p := taping(t, path)
	wantKeys(t, b, n)
	f.freezeAt(2) // the flush
	later(func() error { return putKeys(a, n, n+10) })
	<-f.frozen
	die(a)
	return b, p
}

func TestTheFailedFlushOfATakeOverIsNotTriedAgain(t *testing.T) {
	b, p := afterDeath(t, 50)
	var failed atomic.Bool
	p.set(func(_ int, op mmapfile.Op) error {
		if op.Kind == mmapfile.OpSync && failed.CompareAndSwap(false, true) {
			return syscall.EIO
		}
		return nil
	})
	for range 2 {
		wantError(t, putKeys(b, 100, 110), ErrFailed)
	}
	if !failed.Load() {
		t.Error("nothing was adopted")
	}
	wantKeys(t, b, 50)
}

// The kernel tells of a lost write once, to one of the flushes in progress: here to a Sync beside the flush of an adoption.
func TestATakeOverDoesNotShowWhatASyncWasToldIsLost(t *testing.T) {
	b, p := afterDeath(t, 100)
	syncing := make(chan struct{})
	p.set(func(i int, op mmapfile.Op) error {
		if op.Kind == mmapfile.OpSync && i == 0 {
			close(syncing)
			time.Sleep(20 * time.Millisecond)
			return syscall.EIO
		}
		return nil
	})
	synced := later(b.Sync)
	<-syncing
	wantError(t, b.Update(func(*Tx) error { return nil }), ErrFailed)
	wantError(t, <-synced, ErrFailed)
	wantKeys(t, b, 100)
}

func TestATakeOverOfAClosedFileMarksItOpen(t *testing.T) {
	for _, how := range []string{"nobody has died", "the writer has died before it wrote", "a reader came first"} {
		t.Run(how, func(t *testing.T) {
			needByteLocks(t)
			path := closedStore(t, 50)
			a, err := Open(path, 0o600, &Options{Timeout: time.Minute, ReadOnly: how == "a reader came first"})
			noError(t, err)
			admitted(a)
			b, p := taping(t, path)
			if how == "the writer has died before it wrote" {
				a.mu.Lock()
				noError(t, a.takeRole(context.Background()))
				a.mu.Unlock()
				die(a)
			} else {
				defer func() { _ = a.Close() }()
			}
			if !looksClosed(t, path) {
				t.Fatal("the file does not look closed")
			}
			p.set(func(_ int, op mmapfile.Op) error {
				if op.Kind == mmapfile.OpWrite && op.Offset >= page.MetaSlots*page.MetaStride && looksClosed(t, path) {
					t.Errorf("%s: pages are written while the file looks closed", how)
				}
				if op.Kind == mmapfile.OpMsync {
					return syscall.EIO
				}
				return nil
			})
			wantError(t, putKeys(b, 50, 60), ErrFailed)
			if looksClosed(t, path) {
				t.Error("the file looks closed after a failed flush: the next open trusts the page cache")
			}
		})
	}
}

func TestAFailureElsewhereStopsTheHolderOfTheByte(t *testing.T) {
	needByteLocks(t)
	path := memoryPath(t)
	a := openStore(t, path, quick())
	noError(t, putKeys(a, 0, 10))
	b, p := taping(t, path)
	p.set(failing(syscall.EIO, taped.flush))
	noError(t, putKeys(a, 0, 10))
	wantError(t, b.Sync(), ErrFailed)
	wantError(t, putKeys(a, 10, 20), ErrFailed)
	wantKeys(t, a, 10)
}

func TestAFailureBeforeOthersAreLetInIsTold(t *testing.T) {
	needByteLocks(t)
	path := closedStore(t, 50)
	for range 1000 {
		a, p := taping(t, path)
		p.set(failing(syscall.EIO, taped.flush))
		a.mu.Lock()
		if a.pending == nil { // too late
			a.mu.Unlock()
			noError(t, a.Close())
			continue
		}
		wantError(t, a.Sync(), ErrFailed)
		letIn(a)
		b := openStore(t, path, quick())
		wantError(t, putKeys(b, 50, 51), ErrFailed)
		return
	}
	t.Fatal("others are let in at once")
}

func TestTheFailedFlushOfACloseIsTold(t *testing.T) {
	needByteLocks(t)
	path := memoryPath(t)
	a, p := taping(t, path)
	b := openStore(t, path, quick())
	noError(t, putKeys(a, 0, 50))
	noError(t, putKeys(b, 50, 60))
	p.set(failing(syscall.EIO, taped.flush))
	wantError(t, a.Close(), ErrFailed)
	if looksClosed(t, path) {
		t.Error("the file looks closed: the next open trusts the page cache")
	}
	wantError(t, putKeys(b, 60, 70), ErrFailed)
	wantKeys(t, b, 60)
}

// A reader of an older snapshot leaves its number in a slot for a moment, until it finds that there is a newer one. A free list that is loaded just then
// keeps pages for it that are cut off.
func TestAReaderThatBeginsAgainIsNoDamage(t *testing.T) {
	a, b := pair(t, quick())
	c := openStore(t, a.Path(), quick())
	noError(t, putKeys(a, 0, 20_000))
	noError(t, c.View(func(*Tx) error { return nil }))
	old := c.published.Load()
	noError(t, a.Update(func(tx *Tx) error { return tx.DeleteBucket([]byte("b")) }))
	for i := 0; a.published.Load().meta.HighWater >= old.meta.HighWater/2; i++ {
		if i == 200 {
			t.Fatalf("the high water was %d and is %d", old.meta.HighWater, a.published.Load().meta.HighWater)
		}
		noError(t, putKeys(a, i%8, i%8+1))
	}
	slot, err := old.readers.find(uint64(old.meta.Commit))
	noError(t, err)
	err = putKeys(b, 8, 9)
	slot.Store(0)
	noError(t, err)
	noError(t, putKeys(a, 9, 10))
	for _, st := range []*Store{a, b, c} {
		wantKeys(t, st, 10)
	}
}

func TestWhatIsKnownToBeDurableNeverGoesBack(t *testing.T) {
	var w window
	const rounds = 200_000
	var stop atomic.Bool
	ended := later(func() error { // Syncs
		for !stop.Load() {
			w.reset(w.base())
		}
		return nil
	})
	for c := page.Commit(1); c < rounds; c++ { // turns
		w.reset(c)
		for range 20 {
			if w.base() != c {
				t.Fatalf("commit %d is durable, and then %d", c, w.base())
			}
		}
	}
	stop.Store(true)
	noError(t, <-ended)
}

var errBug = errors.New("bug")

// A panic in a View goes on, also when a read has failed before.
func TestAPanicAfterAFailureGoesOn(t *testing.T) {
	st := openStore(t, newPath(t), &Options{Exclusive: true})
	for name, run := range map[string]func(func(*Tx) error) error{"View": st.View, "Update": st.Update} {
		func() {
			defer func() {
				if r := recover(); r != errBug {
					t.Errorf("%s: the panic is %v", name, r)
				}
			}()
			err := run(func(tx *Tx) error { tx.fail(ErrCorrupt); panic(errBug) })
			t.Errorf("%s returns %v", name, err)
		}()
	}
	if n := st.Stats().OpenReaders; n != 0 {
		t.Error(n, "readers stay open")
	}
}

// After a failure nothing counts as verified for readers on a mapping that was replaced.
func TestAFailureForgetsWhatWasVerifiedOnOlderMappings(t *testing.T) {
	st, err := Open(closedStore(t, 200), 0o600, &Options{Exclusive: true})
	noError(t, err)
	defer func() { noError(t, st.Close()) }()
	noError(t, st.mapAgain(1<<20))
	st.mu.Lock()
	err = st.remap(2 * st.mapping.Reserved())
	st.mu.Unlock()
	noError(t, err)
	wantKeys(t, st, 200)
	wantError(t, st.fail(syscall.EIO), ErrFailed)
	s := st.published.Load()
	for no := range s.limit {
		if s.verified.has(no) {
			t.Fatalf("page %d counts as verified", no)
		}
	}
	wantKeys(t, st, 200)
}

// What a dead process has left is taken over in a folder that was renamed meanwhile.
func TestATakeOverNeedsNoFolder(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a file system can't be flushed as a whole")
	}
	b, _ := afterDeath(t, 50)
	dir := filepath.Dir(b.Path())
	noError(t, os.Rename(dir, dir+".moved"))
	err := putKeys(b, 60, 70)
	noError(t, errors.Join(err, os.Rename(dir+".moved", dir)))
	noError(t, b.View(func(tx *Tx) error {
		if n := tx.Bucket([]byte("b")).Len(); n < 60 {
			return fmt.Errorf("%d keys", n)
		}
		return nil
	}))
}
