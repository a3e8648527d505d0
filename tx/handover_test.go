package tx

import (
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
