package tx

import "testing"

// cutView lets st see only n blocks of the lock file, as a process with 32-bit addresses sees only the first ones.
func cutView(st *Store, n int) error {
	lf := admitted(st)
	lf.words = lf.words[:blocksAt+n*blockWords]
	return lf.bound()
}

// While a process has the database open that can't see the whole table of readers, no reader begins where it can't see it.
func TestReadersBeginWhereEachWriterSeesThem(t *testing.T) {
	a, b := pair(t, quick())
	noError(t, putKeys(a, 0, 100))
	noError(t, cutView(b, 4))
	var all []*Tx
	for range 4 * blockSlots {
		tx, err := a.Begin(false)
		if err != nil {
			wantError(t, err, errTooManyReaders)
			break
		}
		all = append(all, tx)
	}
	seen := 0
	for _, n := range admitted(b).openReaders() {
		seen += n
	}
	if n := len(all); seen != n || n < 2*blockSlots || n == 4*blockSlots { // one block is b's
		t.Errorf("%d readers, of which a writer sees %d", n, seen)
	}
	for i := range 5 {
		noError(t, putKeys(b, 100+i, 101+i))
	}
	for _, tx := range all {
		noError(t, keysAre(tx, 100))
		noError(t, tx.Rollback())
	}
}

// A process that can't see readers that are open already does not come in.
func TestAProcessThatCannotSeeAllReadersIsRefused(t *testing.T) {
	a, b := pair(t, quick())
	noError(t, putKeys(a, 0, 100))
	for range 4 * blockSlots {
		tx, err := a.Begin(false)
		noError(t, err)
		defer func() { noError(t, tx.Rollback()) }()
	}
	wantError(t, cutView(b, 4), errTooManyReaders)
}
