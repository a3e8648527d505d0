package tx

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"mmdb/mmapfile"
)

// closeWithReader begins to close st while a read transaction is open, and returns when Close waits for it.
func closeWithReader(t *testing.T, st *Store) (r *Tx, end chan error) {
	t.Helper()
	r, err := st.Begin(false)
	noError(t, err)
	end = later(st.Close)
	for st.published.Load() != nil {
		time.Sleep(50 * time.Microsecond)
	}
	return r, end
}

func TestOthersWriteWhileACloseWaitsForItsReaders(t *testing.T) {
	a, b := pair(t, quick())
	noError(t, putKeys(a, 0, 10))
	r, end := closeWithReader(t, a)
	noError(t, putKeys(b, 10, 20))
	stillRuns(t, end)
	noError(t, keysAre(r, 10))
	noError(t, r.Rollback())
	noError(t, <-end)
	wantKeys(t, b, 20)
}

// Close does not wait for a reader that waits for Close: a write transaction is refused as soon as read transactions are. A second Close
// waits for the first.
func TestAWriteUnderAReaderIsRefusedWhileCloseWaits(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		st := openStore(t, newPath(t), &Options{Exclusive: exclusive})
		noError(t, putKeys(st, 0, 10))
		r, end := closeWithReader(t, st)
		refused := later(func() error {
			_, err := st.Begin(true)
			_, reaped := st.ReapReaders()
			return errors.Join(err, putKeys(st, 10, 20), st.UpdateContext(t.Context(), func(*Tx) error { return nil }), reaped, st.Sync())
		})
		select {
		case err := <-refused:
			all := err.(interface{ Unwrap() []error }).Unwrap()
			if len(all) != 5 {
				t.Errorf("%d of 5 calls were refused", len(all))
			}
			for _, err := range all {
				wantError(t, err, ErrDatabaseNotOpen)
			}
		case <-time.After(10 * time.Second):
			_ = r.Rollback()
			t.Fatal("it waits for Close, which waits for the reader")
		}
		again := later(st.Close)
		stillRuns(t, end)
		stillRuns(t, again)
		noError(t, keysAre(r, 10))
		noError(t, r.Rollback())
		noError(t, errors.Join(<-end, <-again))
	}
}

// A Close whose last flush fails gives everything back all the same: else nobody could ever recover the database.
func TestACloseThatFailsGivesItsLocksBack(t *testing.T) {
	needByteLocks(t)
	p, path := new(tape), memoryPath(t)
	a, err := Open(path, 0o600, &Options{Timeout: time.Minute, Durability: Lazy, SyncInterval: -1, Seam: p.seam})
	noError(t, err)
	noError(t, putKeys(a, 0, 10))
	p.set(func(_ int, op mmapfile.Op) error {
		if op.Kind == mmapfile.OpSync {
			return syscall.EIO
		}
		return nil
	})
	r, end := closeWithReader(t, a)
	noError(t, r.Rollback())
	wantError(t, <-end, ErrFailed)
	if err := a.file.Close(); err == nil {
		t.Error("the file was still open")
	}
	checkFile(t, path, 10)
}

// A commit that lands while a flush beside it fails does not hide that from other processes (I7).
func TestAFailureIsNotHiddenByACommit(t *testing.T) {
	a, b := pair(t, quick())
	noError(t, putKeys(a, 0, 10))
	_ = a.fail(syscall.EIO)
	noError(t, a.show(a.published.Load()))
	wantError(t, putKeys(b, 10, 20), ErrFailed)
	wantKeys(t, a, 10)
	wantKeys(t, b, 10)
}

// A Close that comes between the end of an Update and its look at who waits leaves nothing to give back.
func TestNothingIsOfferedAfterClose(t *testing.T) {
	a, _ := pair(t, quick())
	lf := admitted(a)
	noError(t, putKeys(a, 0, 10))
	lf.words[atWant].Store(1)
	a.mu.Lock()
	w := a.w
	a.closed, a.w = true, nil // as after Close, but for the lock file
	a.mu.Unlock()
	a.offerRole()
	a.mu.Lock()
	a.closed, a.w = false, w
	a.mu.Unlock()
}
