package tx

import "testing"

// A read transaction that looks for another process's commit has no slot yet when it begins to, which Close could wait for. Close waits all
// the same, before it gives back what that looks at.
func TestCloseWaitsForAReaderThatLooksForACommit(t *testing.T) {
	_, b := pair(t, quick())
	b.refreshing.Lock()
	done := later(b.Close)
	stillRuns(t, done)
	if b.mapping.Data() == nil {
		t.Error("the mapping is gone")
	}
	b.refreshing.Unlock()
	noError(t, <-done)
	wantError(t, b.View(func(*Tx) error { return nil }), ErrDatabaseNotOpen)
}

// One that has found the snapshot just before Close took it away takes a slot in memory of its own, without a fault, and is told that the
// database is closed.
func TestAReaderThatComesJustTooLateMeetsNoFault(t *testing.T) {
	a, b := pair(t, quick())
	s := b.published.Load()
	noError(t, b.Close())
	noError(t, b.inLock(func() {
		slot, err := s.readers.find(s.word)
		noError(t, err)
		slot.Store(0)
	}))
	wantError(t, b.refresh(), ErrDatabaseNotOpen)
	noError(t, putKeys(a, 0, 10))
}
