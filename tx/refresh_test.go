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
