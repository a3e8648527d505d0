package tx

import (
	"os"
	"testing"
)

// Readers tells what each open read transaction sees and holds back; one that has ended holds nothing.
func TestReadersTellsWhatIsHeldBack(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	noError(t, putKeys(st, 0, 300))
	list, err := st.Readers()
	noError(t, err)
	if len(list) != 0 {
		t.Fatalf("nobody reads, but: %+v", list)
	}
	old, err := st.Begin(false)
	noError(t, err)
	first := uint64(old.ID())
	for range 5 {
		noError(t, putKeys(st, 0, 300)) // every leaf anew
	}
	young, err := st.Begin(false)
	noError(t, err)
	list, err = st.Readers()
	noError(t, err)
	if len(list) != 2 || list[0].Commit != first || list[1].Commit != first+5 {
		t.Fatalf("%+v", list)
	}
	leaves := 0
	noError(t, old.Err())
	leaves += old.Bucket([]byte("b")).Stats().LeafPages
	o, y := list[0], list[1]
	if o.Process != os.Getpid() || o.Behind != 5 || o.Since.IsZero() || o.Held < uint64(leaves) {
		t.Errorf("the old one, with %d leaves: %+v", leaves, o)
	}
	if y.Behind != 0 || !y.Since.IsZero() || y.Held != 0 {
		t.Errorf("the young one: %+v", y)
	}
	free := young.Info()
	noError(t, old.Rollback())
	after := young.Info()
	if got, want := after.FreePages-free.FreePages, o.Held; got < uint64(leaves) || got > want || free.PendingPages-after.PendingPages != got {
		t.Errorf("its end gave back %d pages of %d that it held", got, want)
	}
	noError(t, young.Rollback())
	list, err = st.Readers()
	noError(t, err)
	if len(list) != 0 {
		t.Errorf("all have ended, but: %+v", list)
	}
}

// History tells of each commit back to the last checkpoint: what it wrote and freed.
func TestHistoryTellsOfEachCommit(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	noError(t, putKeys(st, 0, 300))
	before := st.Stats()
	noError(t, putKeys(st, 0, 1))
	noError(t, putKeys(st, 5, 6))
	after := st.Stats()
	noError(t, st.View(func(tx *Tx) error {
		written, seen, last := uint64(0), 0, CommitInfo{}
		for c, err := range tx.History() {
			noError(t, err)
			switch {
			case seen == 0 && c.Commit != uint64(tx.ID()):
				t.Errorf("the newest is %d, the transaction sees %d", c.Commit, tx.ID())
			case seen > 0 && (c.Commit != last.Commit-last.Updates || last.Base < c.Commit-1):
				t.Errorf("%+v before %+v", c, last)
			case c.HighWater == 0 || c.Commit > 1 && c.Written < 2 || c.Commit > 2 && c.Freed == 0:
				t.Errorf("%+v", c)
			}
			if seen < 2 {
				written += c.Written - 1 // the record
			}
			last, seen = c, seen+1
		}
		if !last.Checkpoint || seen == 0 {
			t.Errorf("%d commits, the last %+v", seen, last)
		}
		if got := after.PagesWritten - before.PagesWritten; seen >= 2 && written != got {
			t.Errorf("two commits wrote %d pages, by Stats %d", written, got)
		}
		return nil
	}))
}
