package tx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"mmdb/mmapfile"
	"mmdb/page"
)

// dbFile makes a file that stands for a database, and opens it.
func dbFile(t testing.TB) *mmapfile.File {
	t.Helper()
	f, err := mmapfile.Open(filepath.Join(t.TempDir(), "db"), mmapfile.Options{Create: true, Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// makeLockFile makes the lock file at path for db, with that salt, as the first process does.
func makeLockFile(path string, db *mmapfile.File, salt, session uint64) (*lockFile, error) {
	lf, err := ownedLockFile(path, db)
	if err != nil {
		return nil, err
	}
	if err = lf.fill(); err == nil {
		err = lf.begin(bind(db, lf.file, salt), session)
	}
	if err != nil {
		return nil, lf.discard(err)
	}
	return lf, nil
}

// acquire takes a free slot for commit n and returns it; hint, the slot that the caller had last, is tried first, as a read transaction does.
func (rt *readerTable) acquire(hint *readerSlot, n page.Commit) (*readerSlot, error) {
	if hint != nil && hint.CompareAndSwap(0, uint64(n)) {
		return hint, nil
	}
	return rt.find(uint64(n))
}

// newLockFile makes a lock file for f.
func newLockFile(t testing.TB, f *mmapfile.File) *lockFile {
	t.Helper()
	lf, err := makeLockFile(f.RealPath()+lockSuffix, f, 17, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lf.close() })
	return lf
}

// joined opens the lock file of f as another process would.
func joined(t testing.TB, f *mmapfile.File) *lockFile {
	t.Helper()
	lf, err := joinLockFile(f.RealPath()+lockSuffix, f, 17)
	if err == nil {
		err = lf.register()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lf.close() })
	return lf
}

func sharedTable(lf *lockFile) *readerTable {
	rt, err := newSharedTable(lf)
	if err != nil {
		panic(err)
	}
	return rt
}

// eachTable runs a test on a reader table of each kind.
func eachTable(t *testing.T, test func(t *testing.T, rt *readerTable)) {
	t.Run("alone", func(t *testing.T) { test(t, newReaderTable()) })
	if mmapfile.ByteLocks {
		t.Run("shared", func(t *testing.T) { test(t, sharedTable(newLockFile(t, dbFile(t)))) })
	}
}

func acquired(t testing.TB, rt *readerTable, n page.Commit) *readerSlot {
	t.Helper()
	s, err := rt.acquire(nil, n)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// commits returns what a writer sees, in order.
func commits(rt *readerTable) []page.Commit {
	c := rt.appendCommits(nil)
	slices.Sort(c)
	return c
}

func TestReaderTableHoldsAll(t *testing.T) {
	eachTable(t, func(t *testing.T, rt *readerTable) {
		const n = 3000
		var slots []*readerSlot
		for i := range n {
			slots = append(slots, acquired(t, rt, page.Commit(i+1)))
		}
		got := commits(rt)
		if len(got) != n || got[0] != 1 || got[n-1] != n || len(slices.Compact(got)) != n || rt.open() != n {
			t.Fatalf("%d readers, %d in the table, %d open", n, len(got), rt.open())
		}
		if again, _ := rt.acquire(slots[7], 9999); again == slots[7] {
			t.Fatal("a slot that is taken was given away")
		}
		slots[8].Store(0)
		if again, _ := rt.acquire(slots[8], 9999); again != slots[8] {
			t.Fatal("one's last slot is free, and was not taken")
		}
	})
}

// I10: with 1000 readers open, one more looks at a few slots, and the table stays in proportion.
func TestReaderTableStaysHalfEmpty(t *testing.T) {
	eachTable(t, func(t *testing.T, rt *readerTable) {
		for i := range 1000 {
			acquired(t, rt, page.Commit(i+1))
		}
		for range 200_000 {
			acquired(t, rt, 5).Store(0)
		}
		if total := len(*rt.own.Load()) * blockSlots; total < 2*1000 || total > 5*1000 {
			t.Errorf("1000 readers have a table of %d slots", total)
		}
	})
}

func TestReaderTableUnderContention(t *testing.T) {
	eachTable(t, func(t *testing.T, rt *readerTable) {
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				var last *readerSlot
				for i := range 3000 {
					n := uint64(g*10_000 + i + 1)
					s, err := rt.acquire(last, page.Commit(n))
					more, err2 := rt.acquire(nil, page.Commit(n))
					if errors.Join(err, err2) != nil || s.Load() != n || more.Load() != n || s == more {
						t.Errorf("goroutine %d lost its slot: %v", g, errors.Join(err, err2))
						return
					}
					s.Store(0)
					more.Store(0)
					last = s
				}
			})
		}
		wg.Wait()
		if rt.open() != 0 || len(commits(rt)) != 0 {
			t.Error("slots are taken after all have ended")
		}
	})
}

// A writer notes once since when a reader's commit is not the newest.
func TestOldReadersAreNoted(t *testing.T) {
	eachTable(t, func(t *testing.T, rt *readerTable) {
		rt.published.Store(7)
		s := acquired(t, rt, 7)
		commits(rt)
		since := func() (at []uint64) {
			for k := range rt.blocks() {
				b := rt.block(k)
				for i := range (len(b) - 1) / lineWords {
					if b.slot(i) == s {
						at = append(at, b[(i+1)*lineWords+1].Load(), b[(i+1)*lineWords+2].Load())
					}
				}
			}
			return at
		}
		if at := since(); at[1] != 0 {
			t.Fatal("the newest commit counts as old:", at)
		}
		rt.published.Store(8)
		commits(rt)
		first := since()
		commits(rt)
		if at := since(); first[0] == 0 || first[1] != 7 || !slices.Equal(at, first) {
			t.Fatal("noted", first, "then", at)
		}
	})
}

func TestLockFileIsSharedAndReclaimed(t *testing.T) {
	needByteLocks(t)
	db := dbFile(t)
	a := newLockFile(t, db)
	b, c := joined(t, db), joined(t, db)
	ta, tb, tc := sharedTable(a), sharedTable(b), sharedTable(c)
	ta.published.Store(12)
	if tb.published.Load() != 12 {
		t.Fatal("what one process publishes another does not see")
	}
	const many = firstBlock * blockSlots // the file grows under all of them
	for i := range many {
		acquired(t, ta, 3)
		acquired(t, tb, page.Commit(4+i))
		if i < 5 {
			acquired(t, tc, 2)
		}
	}
	for _, rt := range []*readerTable{ta, tb, tc} {
		if got := commits(rt); len(got) != 2*many+5 || got[0] != 2 || got[5] != 3 || got[len(got)-1] != many+3 {
			t.Fatalf("%d readers are seen", len(got))
		}
	}
	if ta.open() != many || tc.open() != 5 {
		t.Error("a process counts readers of others")
	}
	if n := a.reap(); n != 0 {
		t.Fatal("living processes are taken for dead:", n)
	}
	noError(t, b.close()) // as a death does
	if n := c.reap(); n != 1 {
		t.Fatal("dead processes:", n)
	}
	if got := commits(ta); len(got) != many+5 {
		t.Fatalf("%d readers are left", len(got))
	}
	// The one that comes next takes the place of the dead one, and its blocks.
	before := a.blocks()
	d := joined(t, db)
	td := sharedTable(d)
	for range many {
		acquired(t, td, 77)
	}
	// Slots are found by chance, so that one may take more blocks for as many readers; then there is more than the dead one had.
	if d.self != b.self || a.blocks() > before && len(*td.own.Load()) <= len(*tb.own.Load()) {
		t.Errorf("line %d and %d blocks, in place of %d and %d", d.self, a.blocks(), b.self, before)
	}
	a.leave()
	if got := commits(td); len(got) != many+5 {
		t.Fatalf("%d readers after a process has left", len(got))
	}
}

// A process that dies while it takes the place of a dead one leaves it to the next.
func TestLockFileLineOfADeadProcess(t *testing.T) {
	needByteLocks(t)
	db := dbFile(t)
	a := newLockFile(t, db)
	var dead []*lockFile
	for range 3 {
		b := joined(t, db)
		acquired(t, sharedTable(b), 9)
		dead = append(dead, b)
	}
	for _, b := range dead {
		noError(t, b.close())
	}
	// All lines are taken by the living or the dead.
	for i := range procMax {
		if a.proc(i)[atPid].Load() == 0 {
			a.proc(i)[atPid].Store(1)
		}
	}
	b := joined(t, db)
	if b.self != dead[0].self || len(commits(sharedTable(b))) != 2 {
		t.Errorf("line %d, readers %v", b.self, commits(sharedTable(b)))
	}
	if n := a.reap(); n != procMax-2 {
		t.Errorf("%d dead processes", n)
	}
	if got := commits(sharedTable(b)); len(got) != 0 {
		t.Error("readers of dead processes:", got)
	}
}

func TestLockFileThatIsNone(t *testing.T) {
	needByteLocks(t)
	db := dbFile(t)
	path := db.RealPath() + lockSuffix
	_, err := joinLockFile(path, db, 17)
	wantError(t, err, ErrLockFile, path)
	foreign := []byte("a file of somebody's")
	noError(t, os.WriteFile(path, foreign, 0o600))
	_, err = makeLockFile(path, db, 17, 1)
	wantError(t, err, errForeignFile, path)
	_, err = joinLockFile(path, db, 17)
	wantError(t, err, ErrLockFile, path)
	wantBytes(t, path, foreign)
	noError(t, os.Remove(path))
	noError(t, os.WriteFile(path+"2", nil, 0o600))
	noError(t, os.Symlink(path+"2", path))
	_, err = makeLockFile(path, db, 17, 1)
	wantError(t, err, mmapfile.ErrNotRegular, path, "link")
	noError(t, os.Remove(path))
	noError(t, os.Mkdir(path, 0o700))
	_, err = makeLockFile(path, db, 17, 1)
	wantError(t, err, mmapfile.ErrNotRegular, path)
}

func TestLockFileIsBoundToItsDatabase(t *testing.T) {
	needByteLocks(t)
	db := dbFile(t)
	a := newLockFile(t, db)
	for i := range len(binding{}) { // device, inode, salt, and the lock file's own inode
		a.words[atBinding+i].Add(1)
		_, err := joinLockFile(a.path, db, 17)
		wantError(t, err, ErrLockFile, a.path)
		a.words[atBinding+i].Add(^uint64(0))
	}
	if _, err := joinLockFile(a.path, db, 17); err != nil {
		t.Error(err)
	}
	noError(t, os.Truncate(a.path, lockSize(firstBlock)-1))
	_, err := joinLockFile(a.path, db, 17)
	wantError(t, err, ErrLockFile, a.path)
	noError(t, os.Truncate(a.path, lockSize(firstBlock)))
	_, err = joinLockFile(a.path, db, 17) // what was cut off is gone, though the size is right
	if err != nil {
		t.Error(err)
	}
}

// While a lock file is used for another database, which had the name before, the new one gets a file of its own.
func TestLockFileOfARenamedDatabase(t *testing.T) {
	needByteLocks(t)
	old := dbFile(t)
	a := newLockFile(t, old)
	acquired(t, sharedTable(a), 5)
	noError(t, os.Rename(old.Path(), old.Path()+".old"))
	db, err := mmapfile.Open(old.Path(), mmapfile.Options{Create: true, Mode: 0o600})
	noError(t, err)
	defer db.Close()
	fresh, err := makeLockFile(a.path, db, 18, 2)
	noError(t, err)
	if got := commits(sharedTable(fresh)); len(got) != 0 {
		t.Error("readers of another database:", got)
	}
	if got := commits(sharedTable(a)); len(got) != 1 {
		t.Error("the old database's readers are gone")
	}
	// Whoever still has the old file, and comes late, must not take the new one's.
	_, err = makeLockFile(a.path, old, 17, 3)
	wantError(t, err, errMoved, a.path)
}

func needByteLocks(t *testing.T) {
	t.Helper()
	if !mmapfile.ByteLocks {
		t.Skip("this system can't lock single bytes of a file")
	}
}

// BenchmarkReaderSlot is what a read transaction takes of the reader table, with so many others open: with the slot that it had last, and
// with any.
func BenchmarkReaderSlot(b *testing.B) {
	for _, kind := range []string{"alone", "shared"} {
		for _, others := range []int{0, 1, 1000, 10_000} {
			rt := newReaderTable()
			if kind == "shared" {
				rt = sharedTable(newLockFile(b, dbFile(b)))
			}
			for range others {
				acquired(b, rt, 3)
			}
			for _, last := range []bool{true, false} {
				b.Run(fmt.Sprintf("%s/others=%d/last=%v", kind, others, last), func(b *testing.B) {
					s := acquired(b, rt, 4)
					for b.Loop() {
						s.Store(0)
						if !last {
							s = nil
						}
						s, _ = rt.acquire(s, 4)
					}
					s.Store(0)
				})
			}
		}
	}
}
