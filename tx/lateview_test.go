package tx

import (
	"errors"
	"testing"
	"time"

	"mmdb/mmapfile"
)

// A View that begins just when Close has seen that none is open, and finds the database closed only after that, leaves nothing behind: no reader
// that nobody ends, for which the next process in its place would wait in Close for ever. Nor does it read what is being given back.
func TestAViewBesideCloseLeavesNoReader(t *testing.T) {
	needByteLocks(t)
	path := newPath(t)
	a := openStore(t, path, quick())
	noError(t, putKeys(a, 0, 10))
	var b *Store
	var s *snapshot
	var slot *readerSlot
	errFollow := errors.New("not called")
	o := quick()
	o.Durability, o.SyncInterval = Lazy, -1 // so that Close flushes
	o.Seam = func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		if s != nil && slot == nil && b.closing.Load() { // Close has looked for readers
			word := b.table().published.Load()
			_, errFollow = b.follow(s, word)
			var err error
			slot, err = b.table().find(word)
			noError(t, err)
		}
		return do(op)
	}
	b, err := Open(path, 0o600, o)
	noError(t, err)
	noError(t, putKeys(b, 0, 5))
	s = b.published.Load()
	noError(t, b.Close())
	if slot == nil {
		t.Fatal("Close did nothing after it looked for readers")
	}
	wantError(t, errFollow, ErrDatabaseNotOpen)
	slot.Store(0) // the View goes on
	if got := a.table().appendCommits(nil); len(got) != 0 {
		t.Error("readers are left:", got)
	}
	c, err := Open(path, 0o600, quick())
	noError(t, err)
	if n := c.table().open(); n != 0 {
		t.Errorf("who comes next has %d readers", n)
	}
	closed := later(c.Close)
	select {
	case err := <-closed:
		noError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("Close waits for a reader that there is not")
	}
}
