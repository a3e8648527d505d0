package tx

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mmdb/mmapfile"
)

// refused ends the test unless path can't be opened, for reading or writing, because the lock file is not the others'. That takes joinTime.
func refused(t *testing.T, path string) {
	t.Helper()
	done := make(chan error, 2)
	for _, readOnly := range []bool{false, true} {
		go func() {
			st, err := Open(path, 0o600, &Options{Timeout: time.Minute, ReadOnly: readOnly})
			if err == nil {
				err = errors.Join(errors.New("it was opened"), st.Close())
			}
			done <- err
		}()
	}
	for range 2 {
		wantError(t, <-done, ErrLockFile, path+lockSuffix)
	}
}

// users opens a new database, has it used by two processes, and returns a function that makes sure that they still can.
func users(t *testing.T) (a, b *Store, work func()) {
	t.Helper()
	a, b = pair(t, quick())
	n := 0
	work = func() {
		t.Helper()
		noError(t, putKeys(a, n, n+10))
		noError(t, putKeys(b, n+10, n+20))
		n += 20
		wantKeys(t, a, n)
		wantKeys(t, b, n)
	}
	work()
	return a, b, work
}

func TestLockFileRemovedUnderLoad(t *testing.T) {
	a, b, work := users(t)
	noError(t, os.Remove(lockPath(a)))
	work()
	refused(t, a.Path())
	noError(t, os.WriteFile(lockPath(a), nil, 0o600)) // an empty one, a short one, one of another session
	refused(t, a.Path())
	other := openStore(t, memoryPath(t), quick())
	copyFile(t, lockPath(other), lockPath(a))
	refused(t, a.Path())
	work()
	noError(t, a.Close())
	refused(t, b.Path())
	noError(t, b.Close())
	checkFile(t, a.Path(), 60)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	noError(t, os.WriteFile(to, readAll(t, from), 0o600))
}

// A hard link has a lock file of its own, and even one that fits, from an earlier session, is not the others'.
func TestHardLinkToADatabaseInUse(t *testing.T) {
	a, b, work := users(t)
	hard := filepath.Join(filepath.Dir(a.Path()), "hard")
	noError(t, os.Link(a.Path(), hard))
	refused(t, hard)
	noError(t, errors.Join(a.Close(), b.Close()))
	// A process that had opened it by this name has died, and left its lock file.
	c, err := Open(hard, 0o600, quick())
	noError(t, err)
	die(c)
	if _, err := os.Stat(hard + lockSuffix); err != nil {
		t.Fatal(err)
	}
	a = openStore(t, a.Path(), quick())
	refused(t, hard)
	_ = work
	wantKeys(t, a, 20)
	// Linked together they are one.
	noError(t, os.Remove(hard+lockSuffix))
	noError(t, os.Link(lockPath(a), hard+lockSuffix))
	d := openStore(t, hard, quick())
	noError(t, putKeys(d, 20, 30))
	wantKeys(t, a, 30)
}

func TestSymbolicLinksLeadToOneLockFile(t *testing.T) {
	a, _, work := users(t)
	dir := t.TempDir()
	soft := filepath.Join(dir, "soft")
	noError(t, os.Symlink(a.Path(), soft))
	c := openStore(t, soft, quick())
	noError(t, putKeys(c, 0, 20))
	wantKeys(t, c, 20)
	work()
	wantNames(t, dir, "soft")
}

// A database that takes the name of one in use gets a lock file of its own, and the old one's users go on.
func TestRenameOverADatabaseInUse(t *testing.T) {
	a, b, work := users(t)
	path := a.Path()
	fresh, _ := makeFile(t, 77, nil)
	copyFile(t, fresh, path+".new")
	noError(t, os.Rename(path+".new", path))
	c := openStore(t, path, quick())
	d := openStore(t, path, quick())
	wantKeys(t, d, 77)
	noError(t, putKeys(c, 77, 90))
	wantKeys(t, d, 90)
	work()
	noError(t, errors.Join(a.Close(), b.Close())) // they leave the new lock file alone
	e := openStore(t, path, quick())
	wantKeys(t, e, 90)
}

// A copy of the folder of a database in use is another database. Its lock file is made anew.
func TestCopyOfTheFolder(t *testing.T) {
	a, _, work := users(t)
	dir := t.TempDir()
	path := filepath.Join(dir, filepath.Base(a.Path()))
	copyFile(t, a.Path(), path)
	copyFile(t, lockPath(a), path+lockSuffix)
	r, err := a.Begin(false)
	noError(t, err)
	c := openStore(t, path, quick())
	d := openStore(t, path, quick())
	noError(t, putKeys(c, 20, 40))
	wantKeys(t, d, 40)
	if list, err := d.Readers(); len(list) != 0 || err != nil {
		t.Errorf("readers of the original: %+v %v", list, err)
	}
	noError(t, r.Rollback())
	work()
}

func TestExclusiveAgainstShared(t *testing.T) {
	needByteLocks(t)
	path := memoryPath(t)
	for _, readOnly := range []bool{false, true} {
		a := openStore(t, path, quick())
		_, err := Open(path, 0o600, &Options{Exclusive: true, Timeout: 30 * time.Millisecond})
		wantError(t, err, ErrTimeout, path)
		noError(t, putKeys(a, 0, 10))
		noError(t, a.Close())
		x := openStore(t, path, &Options{Exclusive: true})
		wantNames(t, filepath.Dir(path), "test.mmdb")
		_, err = Open(path, 0o600, &Options{ReadOnly: readOnly, Timeout: 30 * time.Millisecond})
		wantError(t, err, ErrTimeout, path)
		noError(t, putKeys(x, 0, 10))
		got := later(func() error {
			st, err := Open(path, 0o600, &Options{ReadOnly: readOnly, Timeout: time.Minute})
			if err != nil {
				return err
			}
			return errors.Join(st.View(func(tx *Tx) error { return keysAre(tx, 10) }), st.Close())
		})
		time.Sleep(20 * time.Millisecond)
		noError(t, x.Close())
		noError(t, <-got)
	}
}

// The lock file stays for the next open, as long as those may use it who may use the database.
func TestTheLockFileStays(t *testing.T) {
	path := memoryPathOf(t)
	inode := func() uint64 {
		st := openStore(t, path, quick())
		defer func() { noError(t, st.Close()) }()
		id, err := admitted(st).file.Identity()
		noError(t, err)
		return id.Inode
	}
	first := inode()
	if again := inode(); again != first {
		t.Errorf("lock file %d, then %d", first, again)
	}
	noError(t, os.Chmod(path, 0o644))
	other := openStore(t, path, quick())
	noError(t, other.Close())
	if info, err := os.Stat(path + lockSuffix); err == nil && info.Mode().Perm() != 0o644 {
		t.Error("a lock file stays that others can't use:", info.Mode())
	}
	st := openStore(t, path, quick())
	if id, err := admitted(st).file.Identity(); err != nil || id.Mode != 0o644 {
		t.Errorf("%+v %v", id, err)
	}
}

// What an earlier start of the system, or a process that was killed, has left is made anew.
func TestStaleLockFile(t *testing.T) {
	for name, edit := range map[string]func(lf *lockFile){
		"killed":          func(*lockFile) {},
		"a copy":          func(lf *lockFile) { lf.words[atBinding+3].Add(1) },
		"another version": func(lf *lockFile) { lf.words[atMagic].Add(1 << 56) },
		"never finished":  func(lf *lockFile) { lf.words[atMagic].Store(0) },
		"garbage": func(lf *lockFile) {
			for i := range lockSize(firstBlock) / 8 {
				lf.words[i].Store(1<<63 | uint64(i))
			}
			lf.words[atMagic].Store(lockMagic)
		},
		"senseless numbers": func(lf *lockFile) { lf.words[atBlocks].Store(1 << 60); lf.words[atWriter].Store(1 << 50) },
	} {
		t.Run(name, func(t *testing.T) {
			needByteLocks(t)
			path := memoryPath(t)
			a, err := Open(path, 0o600, quick())
			noError(t, err)
			noError(t, putKeys(a, 0, 50))
			r, err := a.Begin(false)
			noError(t, err)
			edit(a.lockFile())
			die(a)
			b := openStore(t, path, quick())
			c := openStore(t, path, quick())
			if list, err := c.Readers(); len(list) != 0 || err != nil {
				t.Errorf("readers of the dead: %+v %v", list, err)
			}
			noError(t, putKeys(b, 50, 60))
			wantKeys(t, c, 60)
			_ = r
		})
	}
}

// After a power loss a lock file may have the size that it had grown to, but no contents. Another file that begins with zeros is left alone.
func TestLockFileWithoutContents(t *testing.T) {
	needByteLocks(t)
	for _, c := range []struct {
		size int64
		ours bool
	}{{0, true}, {lockSize(1), true}, {lockSize(2), true}, {lockSize(64), true}, {lockSize(3), false}, {lockSize(1) - 1, false}, {8192, false}} {
		path := closedStore(t, 10)
		noError(t, os.Remove(path+lockSuffix))
		noError(t, os.WriteFile(path+lockSuffix, make([]byte, c.size), 0o600))
		st, err := Open(path, 0o600, quick())
		if !c.ours {
			wantError(t, err, errForeignFile, path+lockSuffix)
			continue
		}
		noError(t, err)
		admitted(st)
		b := openStore(t, path, quick())
		noError(t, putKeys(b, 10, 20))
		wantKeys(t, st, 20)
		noError(t, st.Close())
	}
}

// A View whose slot is gone when it ends says so, whatever its function did.
func TestLockFileCutUnderAView(t *testing.T) {
	for name, end := range map[string]func() error{
		"return": func() error { return nil },
		"error":  func() error { return errors.New("its own") },
		"panic":  func() error { panic("its own") },
	} {
		a, err := Open(memoryPathOf(t), 0o600, quick())
		noError(t, err)
		noError(t, putKeys(a, 0, 100))
		err = a.View(func(*Tx) error {
			noError(t, os.Truncate(lockPath(a), 0))
			return end()
		})
		t.Log(name)
		wantError(t, err, errLockCut)
		die(a)
	}
}

// A lock file that somebody cuts while it is in use gives errors, not crashes, and no second writer.
func TestLockFileCutUnderLoad(t *testing.T) {
	for _, size := range []int64{0, 4096, blocksAt * 8, blocksAt*8 + 8, blocksAt*8 + 4000} {
		a, err := Open(memoryPathOf(t), 0o600, quick())
		noError(t, err)
		noError(t, putKeys(a, 0, 100))
		r, err := a.Begin(false)
		noError(t, err)
		noError(t, os.Truncate(lockPath(a), size))
		if size <= blocksAt*8 { // the slots are gone
			wantError(t, a.View(func(*Tx) error { t.Error("called"); return nil }), errLockCut)
			_, err = a.Begin(false)
			wantError(t, err, errLockCut, lockPath(a))
		}
		noError(t, keysAre(r, 100)) // what has begun goes on
		if err := putKeys(a, 100, 200); err == nil {
			t.Errorf("cut to %d bytes: a commit, without knowledge of readers", size)
		}
		refused(t, a.Path())
		if err := r.Rollback(); size <= blocksAt*8 || err != nil {
			wantError(t, err, errLockCut)
			wantError(t, a.Close(), errLockCut)
		} else {
			_ = a.Close()
		}
		die(a)
		checkFile(t, a.Path(), 100)
	}
}

func memoryPathOf(t *testing.T) string {
	t.Helper()
	needByteLocks(t)
	return memoryPath(t)
}

func TestManyOpenAndCloseAtOnce(t *testing.T) {
	path := memoryPathOf(t)
	const n, rounds = 6, 8
	errs := make(chan error, n)
	for g := range n {
		go func() {
			var err error
			for i := 0; i < rounds && err == nil; i++ {
				var st *Store
				st, err = Open(path, 0o600, &Options{Timeout: time.Minute, ReadOnly: g == 0 && i > 0})
				if err != nil {
					break
				}
				if !st.IsReadOnly() {
					err = putKeys(st, (g*rounds+i)*10, (g*rounds+i)*10+10)
				}
				err = errors.Join(err, st.View(func(*Tx) error { return nil }), st.Close())
			}
			errs <- err
		}()
	}
	for range n {
		noError(t, <-errs)
	}
	wantNames(t, filepath.Dir(path), "test.mmdb")
	st := openStore(t, path, quick())
	noError(t, st.View(func(tx *Tx) error {
		if got := tx.Bucket([]byte("b")).Len(); got != (n-1)*rounds*10+10 {
			t.Errorf("%d keys", got)
		}
		return nil
	}))
}

// The database may have the name of a lock file that another one wants.
func TestADatabaseNamedAsALockFile(t *testing.T) {
	path := memoryPathOf(t)
	odd := openStore(t, path+lockSuffix, quick())
	noError(t, putKeys(odd, 0, 10))
	_, err := Open(path, 0o600, quick())
	wantError(t, err, errForeignFile, path+lockSuffix, "Exclusive")
	noError(t, putKeys(odd, 10, 20))
	checkStore(t, odd)
	st := openStore(t, path, &Options{Exclusive: true})
	noError(t, putKeys(st, 0, 10))
	wantKeys(t, odd, 20)
}

func TestNetworkFileSystem(t *testing.T) {
	path, _ := makeFile(t, 10, nil)
	_, err := Open(path, 0o600, &Options{network: true})
	if mmapfile.ByteLocks {
		wantError(t, err, ErrNetwork, path, "Exclusive")
	}
	st := openStore(t, path, &Options{network: true, Exclusive: true})
	wantKeys(t, st, 10)
}

func init() { childRoles["share"] = childShare }

// childShare opens args[0] and does what the lines of its standard input say: "write N" puts ten keys from N on, "read N" makes sure that
// there are N, "hold" begins a read transaction. It answers each with a line.
func childShare(args []string) error {
	st, err := Open(args[0], 0o600, &Options{Timeout: 10 * time.Second, ReadOnly: len(args) > 1})
	if err != nil {
		fmt.Println(err)
		return nil
	}
	fmt.Println("open")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var n int
		verb, _, _ := strings.Cut(in.Text(), " ")
		_, _ = fmt.Sscanf(in.Text(), verb+" %d", &n)
		switch verb {
		case "write":
			err = putKeys(st, n, n+10)
		case "read":
			err = st.View(func(tx *Tx) error { return keysAre(tx, n) })
		case "hold":
			_, err = st.Begin(false)
		}
		fmt.Println("done", err)
	}
	return st.Close()
}

// A sharer is a process that plays childShare.
type sharer struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

func startSharer(t *testing.T, cmd *exec.Cmd) *sharer {
	t.Helper()
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	noError(t, err)
	out, err := cmd.StdoutPipe()
	noError(t, err)
	noError(t, cmd.Start())
	return &sharer{t, cmd, in, bufio.NewScanner(out)}
}

func (s *sharer) line() string {
	if !s.lines.Scan() {
		s.t.Fatal("the process ended")
	}
	return s.lines.Text()
}

func (s *sharer) do(what string) {
	s.t.Helper()
	fmt.Fprintln(s.in, what)
	if l := s.line(); l != "done <nil>" {
		s.t.Fatalf("%s: %s", what, l)
	}
}

// The same in two real processes: they see each other's commits, and one that is killed leaves nothing behind.
func TestTwoProcesses(t *testing.T) {
	path := memoryPathOf(t)
	st := openStore(t, path, quick())
	noError(t, putKeys(st, 0, 10))
	a, b := startSharer(t, childCommand(t, "share", path)), startSharer(t, childCommand(t, "share", path, "read-only"))
	for _, s := range []*sharer{a, b} {
		if l := s.line(); l != "open" {
			t.Fatal(l)
		}
	}
	a.do("write 10")
	b.do("read 20")
	wantKeys(t, st, 20)
	noError(t, putKeys(st, 20, 30))
	a.do("read 30")
	b.do("hold")
	a.do("hold")
	list, err := st.Readers()
	noError(t, err)
	if len(list) != 2 || list[0].Process == os.Getpid() || list[0].Process == list[1].Process {
		t.Errorf("readers: %+v", list)
	}
	noError(t, a.cmd.Process.Kill())
	_ = a.cmd.Wait()
	noError(t, putKeys(st, 30, 40))
	b.do("read 40")
	waitFor(t, "the killed process's reader is gone", func() bool {
		list, err := st.Readers()
		return err == nil && len(list) == 1 && list[0].Process == b.cmd.Process.Pid
	})
	noError(t, b.cmd.Process.Kill())
	_ = b.cmd.Wait()
}

// waitFor waits until what it is told of is so.
func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("never: ", what)
		}
	}
}

// end ends the process in order.
func (s *sharer) end() {
	s.t.Helper()
	noError(s.t, errors.Join(s.in.Close(), s.cmd.Wait()))
}

// nobodysReader returns a command that plays childShare for path as a user who has no rights of his own.
func nobodysReader(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	self, err := os.Executable()
	noError(t, err)
	dir := t.TempDir()
	copied := filepath.Join(dir, "program")
	noError(t, os.WriteFile(copied, readAll(t, self), 0o755))
	noError(t, errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(filepath.Dir(path), 0o755)))
	cmd := childCommand(t, "share", path, "read-only")
	cmd.Path = copied
	asNobody(cmd)
	return cmd
}

// A reader without a lock file that has found nobody, just before others came, keeps none of them from writing.
func TestAReaderWithoutALockFileThatOthersCameBefore(t *testing.T) {
	needByteLocks(t)
	a := openStore(t, closedStore(t, 10), quick())
	admitted(a)
	f, err := mmapfile.Open(a.Path(), mmapfile.Options{ReadOnly: true})
	noError(t, err)
	st := &Store{path: a.Path(), file: f, locks: f, readOnly: true, opts: a.opts, log: a.log, memory: new(firstMemory)}
	t.Cleanup(func() { noError(t, st.release()) })
	if ok, err := st.tryStatic(); ok || err != nil {
		t.Fatalf("it opened: %v %v", ok, err)
	}
	noError(t, putKeys(a, 10, 20))
}

// A reader that could use a lock file does so though it finds one without: it keeps writers out no longer than that one.
func TestAReaderBesideOneWithoutALockFileLetsOthersWrite(t *testing.T) {
	needByteLocks(t)
	path := closedStore(t, 10)
	static := openStore(t, path, &Options{ReadOnly: true, Exclusive: true, Timeout: time.Minute})
	r := openStore(t, path, &Options{ReadOnly: true, Timeout: time.Minute})
	old, err := r.Begin(false)
	noError(t, err)
	t.Cleanup(func() { _ = old.Rollback() })
	_, err = Open(path, 0o600, &Options{Exclusive: true, Timeout: 1})
	wantError(t, err, ErrTimeout)
	admitted(r)
	w := openStore(t, path, &Options{Timeout: 5 * time.Second}) // it may be opened, and waits to write
	put := later(func() error { return putKeys(w, 10, 20) })
	stillRuns(t, put)
	wantKeys(t, static, 10)
	noError(t, static.Close())
	noError(t, <-put)
	wantKeys(t, r, 20)
	noError(t, errors.Join(keysAre(old, 10), old.Rollback(), r.Close(), w.Close()))
	checkFile(t, path, 20)
}

// A reader that can't write to the lock file is refused while others have the database open. If nobody has, it reads, and nobody writes
// meanwhile. If it may write to the lock file, it is a reader like others.
func TestReaderWithoutTheRightToWrite(t *testing.T) {
	path := memoryPathOf(t)
	st, err := Open(path, 0o644, quick())
	noError(t, err)
	noError(t, putKeys(st, 0, 10))
	s := startSharer(t, nobodysReader(t, path))
	if l := s.line(); !strings.Contains(l, path+lockSuffix) || !strings.Contains(l, "permission") {
		t.Error("it says", l)
	}
	s.end()
	noError(t, st.Close())

	s = startSharer(t, nobodysReader(t, path))
	if l := s.line(); l != "open" {
		t.Fatal(l)
	}
	s.do("read 10")
	_, err = Open(path, 0o600, &Options{Timeout: 20 * time.Millisecond})
	wantError(t, err, ErrTimeout)
	ro := openStore(t, path, &Options{ReadOnly: true, Timeout: time.Minute})
	wantKeys(t, ro, 10)
	noError(t, ro.Close())
	s.end()

	st = openStore(t, path, quick())
	noError(t, os.Chmod(lockPath(st), 0o666))
	s = startSharer(t, nobodysReader(t, path))
	if l := s.line(); l != "open" {
		t.Fatal(l)
	}
	s.do("hold")
	noError(t, putKeys(st, 10, 20))
	s.do("read 20")
	if list, err := st.Readers(); len(list) != 1 || err != nil {
		t.Errorf("readers: %+v %v", list, err)
	}
	noError(t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
}
