//go:build linux

package mmapfile

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func again(t *testing.T, path string, o Options) *File {
	t.Helper()
	f, err := Open(path, o)
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func wantTimeout(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrTimeout) {
		t.Fatalf("want ErrTimeout, got %v", err)
	}
}

// LockAlone takes both locks or none.
func TestLockAlone(t *testing.T) {
	f := openTemp(t, Options{})
	g := again(t, f.Path(), Options{})
	must(t, f.LockAlone())
	wantTimeout(t, g.LockAlone())
	wantTimeout(t, g.LockPresence(false, -1))
	wantTimeout(t, g.LockWriter(false, -1))
	must(t, f.LockPresence(false, -1)) // to shared
	must(t, g.LockPresence(false, -1))
	wantTimeout(t, g.LockWriter(true, -1))
	must(t, f.UnlockWriter())
	must(t, g.UnlockPresence())
	wantTimeout(t, g.LockAlone())
	must(t, f.LockWriter(true, -1)) // g has not taken it
	must(t, f.UnlockWriter())
	must(t, f.UnlockPresence())
	must(t, f.LockWriter(false, -1))
	wantTimeout(t, g.LockAlone())
	must(t, f.LockPresence(true, -1)) // nor this
	must(t, f.Close())                // releases
	must(t, g.LockAlone())
}

func TestLocksHoldBetweenTwoOpensInOneProcess(t *testing.T) {
	f := openTemp(t, Options{})
	soft, hard := f.Path()+".soft", f.Path()+".hard"
	must(t, os.Symlink(f.Path(), soft))
	must(t, os.Link(f.Path(), hard))
	for _, p := range []string{f.Path(), soft, hard} {
		g := again(t, p, Options{})
		must(t, f.LockPresence(true, -1))
		wantTimeout(t, g.LockPresence(false, -1))
		wantTimeout(t, g.LockPresence(true, -1))
		must(t, f.LockPresence(false, -1)) // to shared
		must(t, g.LockPresence(false, -1))
		wantTimeout(t, f.LockPresence(true, -1))
		must(t, f.LockWriter(true, -1))
		wantTimeout(t, g.LockWriter(true, -1))
		must(t, f.UnlockWriter())
		must(t, g.LockWriter(true, -1))
		must(t, g.UnlockWriter())
		must(t, g.UnlockPresence())
		must(t, f.LockPresence(true, -1))
		must(t, f.UnlockPresence())
		must(t, g.LockPresence(true, -1))
		must(t, g.Close()) // releases
		must(t, f.LockPresence(true, -1))
	}
	if err := f.LockWriter(true, -1); err != nil {
		t.Fatal("the writer lock is independent of presence:", err)
	}
}

func TestReadOnlyOpensShare(t *testing.T) {
	f := openTemp(t, Options{})
	a, b := again(t, f.Path(), Options{ReadOnly: true}), again(t, f.Path(), Options{ReadOnly: true})
	must(t, a.LockPresence(false, -1))
	must(t, b.LockPresence(false, -1))
	wantTimeout(t, f.LockPresence(true, -1))
	if err := a.LockWriter(true, -1); !errors.Is(err, syscall.EBADF) || !strings.Contains(err.Error(), "open for writing") {
		t.Fatal(err)
	}
}

func TestLockTimeout(t *testing.T) {
	f := openTemp(t, Options{})
	g := again(t, f.Path(), Options{})
	must(t, f.LockPresence(true, 0))
	start := time.Now()
	wantTimeout(t, g.LockPresence(true, 60*time.Millisecond))
	if d := time.Since(start); d < 60*time.Millisecond || d > 30*time.Second {
		t.Errorf("waited %v", d)
	}
	for _, timeout := range []time.Duration{0, 5 * time.Minute} {
		done := make(chan error, 1)
		go func() { done <- g.LockPresence(true, timeout) }()
		time.Sleep(20 * time.Millisecond)
		must(t, f.UnlockPresence())
		must(t, <-done)
		must(t, g.UnlockPresence())
		must(t, f.LockPresence(true, 0))
	}
	// Close ends a wait.
	done := make(chan error, 1)
	go func() { done <- g.LockPresence(true, 0) }()
	time.Sleep(20 * time.Millisecond)
	must(t, g.Close())
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
}

func TestLocksHoldBetweenProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	f, err := Open(path, Options{Create: true, Mode: 0o600})
	must(t, err)
	defer f.Close()
	cmd := childCommand(t, "lock", path)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	say := func(what string) string {
		fmt.Fprintln(in, what)
		if !lines.Scan() {
			t.Fatal("the child is gone")
		}
		return lines.Text()
	}
	if got := say("lock"); got != "<nil>" {
		t.Fatal(got)
	}
	wantTimeout(t, f.LockPresence(false, -1))
	wantTimeout(t, f.LockWriter(true, 30*time.Millisecond))
	if got := say("unlock"); got != "<nil>" {
		t.Fatal(got)
	}
	must(t, f.LockPresence(false, 10*time.Second))
	must(t, f.LockWriter(true, 10*time.Second))
	if got := say("lock"); !strings.Contains(got, "timeout") {
		t.Fatal(got)
	}
	must(t, f.UnlockPresence())
	must(t, f.UnlockWriter())
	if got := say("lock"); got != "<nil>" {
		t.Fatal(got)
	}
	// A process that dies leaves no lock behind.
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	must(t, f.LockPresence(true, 10*time.Second))
	must(t, f.LockWriter(true, 10*time.Second))
}

func init() {
	children["lock"] = func(args []string) error {
		f, err := Open(args[0], Options{})
		if err != nil {
			return err
		}
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			if in.Text() == "lock" {
				err = f.LockPresence(true, -1)
				if err == nil {
					err = f.LockWriter(true, -1)
				}
			} else {
				err = errors.Join(f.UnlockPresence(), f.UnlockWriter())
			}
			fmt.Println(err)
		}
		return nil
	}
}
