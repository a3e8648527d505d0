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

// waited opens path with a timeout of 80 ms and ends the test unless that fails with ErrTimeout, after that time.
func waited(t *testing.T, path string, readOnly bool) {
	t.Helper()
	const timeout = 80 * time.Millisecond
	start := time.Now()
	st, err := Open(path, 0o600, &Options{Timeout: timeout, ReadOnly: readOnly})
	if err == nil {
		st.Close()
	}
	wantError(t, err, ErrTimeout, path, "locked")
	if d := time.Since(start); d < timeout || d > time.Minute {
		t.Fatalf("waited %v, should be %v", d, timeout)
	}
}

// aliases are paths that lead to the file at path.
func aliases(t *testing.T, path string) []string {
	t.Helper()
	dir := filepath.Dir(path)
	soft, hard, up := filepath.Join(dir, "soft"), filepath.Join(dir, "hard"), filepath.Join(t.TempDir(), "dir")
	noError(t, os.Symlink(filepath.Base(path), soft))
	noError(t, os.Link(path, hard))
	noError(t, os.Symlink(dir, up))
	return []string{path, soft, hard, filepath.Join(up, filepath.Base(path)), dir + "/../" + filepath.Base(dir) + "/" + filepath.Base(path)}
}

func TestSecondOpenInOneProcess(t *testing.T) {
	path, _ := makeFile(t, 50, nil)
	st := openStore(t, path, &Options{Exclusive: true})
	for _, p := range aliases(t, path) {
		waited(t, p, false)
		waited(t, p, true)
	}
	noError(t, putKeys(st, 50, 60)) // the failed opens, and their closed descriptors, took no lock away
	waited(t, path, false)
	wantKeys(t, st, 60)
}

func TestExclusiveReadOnlyOpensShare(t *testing.T) {
	path, img := makeFile(t, 50, nil)
	var all []*Store
	for _, p := range aliases(t, path) {
		st := openStore(t, p, &Options{ReadOnly: true, Exclusive: true, Timeout: 50 * time.Millisecond})
		all = append(all, st)
	}
	waited(t, path, false)
	other := openStore(t, path, &Options{ReadOnly: true, Timeout: 50 * time.Millisecond}) // only writers are kept out
	wantKeys(t, other, 50)
	noError(t, other.Close())
	for _, st := range all {
		wantKeys(t, st, 50)
		waited(t, path, false)
		noError(t, st.Close())
	}
	wantBytes(t, path, img)
	checkFile(t, path, 50)
}

func TestOpenGoesOnWhenTheFileIsFree(t *testing.T) {
	path, _ := makeFile(t, 50, nil)
	for _, timeout := range []time.Duration{0, 10 * time.Second} { // 0 waits for ever
		for _, readOnly := range []bool{false, true} {
			st, err := Open(path, 0o600, &Options{Exclusive: true})
			noError(t, err)
			got := make(chan error)
			go func() {
				next, err := Open(path, 0o600, &Options{Timeout: timeout, ReadOnly: readOnly})
				if err == nil {
					err = errors.Join(next.View(func(tx *Tx) error { return keysAre(tx, 50) }), next.Close())
				}
				got <- err
			}()
			select {
			case err := <-got:
				t.Fatal("opened a file that is in use:", err)
			case <-time.After(60 * time.Millisecond):
			}
			noError(t, st.Close())
			noError(t, <-got)
		}
	}
	checkFile(t, path, 50)
}

// An exclusive open waits for two locks, one after the other, and for both no longer than Options.Timeout.
func TestAnExclusiveOpenWaitsOnceForItsTimeout(t *testing.T) {
	needByteLocks(t)
	const timeout = 400 * time.Millisecond
	for _, readOnly := range []bool{false, true} {
		path := closedStore(t, 10)
		took := time.Hour
		for try := 0; try < 5 && took > timeout*3/2; try++ { // the machine may be slow for a moment
			first, err := mmapfile.Open(path, mmapfile.Options{})
			noError(t, err)
			second, err := mmapfile.Open(path, mmapfile.Options{})
			noError(t, err)
			noError(t, errors.Join(first.LockPresence(true, -1), second.LockWriter(true, -1)))
			time.AfterFunc(timeout*3/4, func() { _ = first.UnlockPresence() })
			from := time.Now()
			_, err = Open(path, 0o600, &Options{Exclusive: true, ReadOnly: readOnly, Timeout: timeout})
			took = time.Since(from)
			wantError(t, err, ErrTimeout, path)
			noError(t, errors.Join(first.Close(), second.Close()))
		}
		if took < timeout || took > timeout*3/2 {
			t.Errorf("read-only %v: it took %v, want %v", readOnly, took, timeout)
		}
	}
}

func TestImmutableTakesNoLock(t *testing.T) {
	path, _ := makeFile(t, 50, nil)
	st := openStore(t, path, &Options{Exclusive: true})
	im := openStore(t, path, &Options{Immutable: true})
	wantKeys(t, im, 50)
	noError(t, im.Close())
	waited(t, path, false) // the lock is the first one's still
	wantKeys(t, st, 50)
}

func TestFailedOpenLeavesNoLock(t *testing.T) {
	path := writeFile(t, []byte("no database"))
	for range 2 {
		_, err := Open(path, 0o600, &Options{Timeout: 50 * time.Millisecond})
		wantError(t, err, ErrInvalid)
	}
}

// Two that want to make the same database at once: one makes it, the other finds it.
func TestManyCreateAtOnce(t *testing.T) {
	path := newPath(t)
	const n = 6
	errs := make(chan error, n)
	for i := range n {
		go func() {
			st, err := Open(path, 0o600, quick())
			if err == nil {
				err = errors.Join(putKeys(st, i*10, i*10+10), st.Close())
			}
			errs <- err
		}()
	}
	for range n {
		noError(t, <-errs)
	}
	checkFile(t, path, n*10)
}

func init() {
	childRoles["hold"] = childHold
	childRoles["open"] = childOpen
	childRoles["commit"] = childCommit
}

// childHold opens args[0], says so, waits for its standard input to end, and closes. args[1] is "read" or "write".
func childHold(args []string) error {
	st, err := Open(args[0], 0o600, &Options{Timeout: quick().Timeout, ReadOnly: args[1] == "read", Exclusive: true})
	if err != nil {
		return err
	}
	if args[1] == "write" {
		if err := putKeys(st, 0, 80); err != nil {
			return err
		}
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return st.Close()
}

// childOpen tries to open args[0] for a short time and prints the error.
func childOpen(args []string) error {
	st, err := Open(args[0], 0o600, &Options{Timeout: 60 * time.Millisecond, ReadOnly: args[1] == "read", Exclusive: true})
	if err != nil {
		if !errors.Is(err, ErrTimeout) {
			return err
		}
		fmt.Println(err)
		return nil
	}
	if err := st.View(func(tx *Tx) error { return keysAre(tx, 50) }); err != nil {
		return err
	}
	fmt.Println("ok")
	return st.Close()
}

func TestOpenFromAnotherProcess(t *testing.T) {
	path, _ := makeFile(t, 50, nil)
	for _, c := range []struct {
		mine, theirs string
		shared       bool
	}{{"write", "write", false}, {"write", "read", false}, {"read", "write", false}, {"read", "read", true}} {
		st := openStore(t, path, &Options{ReadOnly: c.mine == "read", Exclusive: true})
		out := runChild(t, "open", path, c.theirs)
		if c.shared != (out == "ok") || !c.shared && (!strings.Contains(out, path) || !strings.Contains(out, "timeout")) {
			t.Errorf("%s here, %s there: %s", c.mine, c.theirs, out)
		}
		noError(t, st.Close())
	}
}

// startHolder starts a process that holds path, and returns when it does.
func startHolder(t *testing.T, path, how string) (*exec.Cmd, io.Closer) {
	t.Helper()
	cmd := childCommand(t, "hold", path, how)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	noError(t, err)
	out, err := cmd.StdoutPipe()
	noError(t, err)
	noError(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("holder says %q: %v", line, err)
	}
	return cmd, in
}

func TestLockOfAnotherProcess(t *testing.T) {
	path, _ := makeFile(t, 50, nil)
	cmd, in := startHolder(t, path, "read")
	waited(t, path, false)
	openStore(t, path, &Options{ReadOnly: true, Exclusive: true, Timeout: 50 * time.Millisecond})
	noError(t, in.Close())
	noError(t, cmd.Wait())
}

func TestLockEndsWithTheProcess(t *testing.T) {
	path, _ := makeFile(t, 50, nil)
	cmd, _ := startHolder(t, path, "write")
	waited(t, path, false)
	waited(t, path, true)
	noError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	checkFile(t, path, 80) // what it committed is there
}

// childCommit puts ten keys after the other into args[0], one transaction each ten, and says how many are there.
func childCommit(args []string) error {
	st, err := Open(args[0], 0o600, &Options{Timeout: quick().Timeout})
	if err != nil {
		return err
	}
	n := 0
	err = st.View(func(tx *Tx) error {
		if b := tx.Bucket([]byte("b")); b != nil {
			n = int(b.Len())
		}
		return tx.Err()
	})
	for ; err == nil; n += 10 {
		fmt.Println(n)
		err = putKeys(st, n, n+10)
	}
	return err
}

// A writer that is killed at any moment loses nothing that it had committed.
func TestKilledWriter(t *testing.T) {
	path := newPath(t)
	n := 0
	for i := range 6 {
		cmd := childCommand(t, "commit", path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		noError(t, err)
		noError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for said := 0; lines.Scan(); said++ {
			if _, err := fmt.Sscan(lines.Text(), &n); err != nil {
				t.Fatal(err)
			}
			if said == 3+i*7 {
				noError(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait()
		st, err := Open(path, 0o600, quick())
		noError(t, err)
		noError(t, st.View(func(tx *Tx) error {
			if got := int(tx.Bucket([]byte("b")).Len()); got == n+10 { // it was committed, and could not be said any more
				n = got
			}
			return keysAre(tx, n)
		}))
		checkStore(t, st)
		noError(t, st.Close())
	}
}
