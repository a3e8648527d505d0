package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal makes a pseudo-terminal of the given width. What is written to keyboard is typed, screen returns what was
// shown so far.
func terminal(t *testing.T, width uint16) (tty *os.File, keyboard io.Writer, screen func() string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 25, Col: width}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got strings.Builder
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			mu.Lock()
			got.Write(buf[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return tty, master, func() string {
		mu.Lock()
		defer mu.Unlock()
		return got.String()
	}
}

// waitFor waits until the screen shows want.
func waitFor(t *testing.T, screen func() string, want string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(screen(), want) {
			return
		}
	}
	t.Fatalf("the terminal does not show %q: %q", want, screen())
}

// A bar appears on a terminal once the work has taken a while, and is gone at the end.
func TestBarOnTerminal(t *testing.T) {
	tty, _, screen := terminal(t, 100)
	a := &app{err: tty}
	for _, total := range []int64{-1, 1000} {
		early := a.bar("working", total, false)
		early.after = time.Now().Add(time.Hour)
		early.add(10)
		time.Sleep(250 * time.Millisecond) // one that turns by itself does so by then
		if s := screen(); s != "" {
			t.Errorf("of %d: a bar at once: %q", total, s)
		}
	}
	bar := a.bar("working", 1000, false)
	bar.after = time.Now()
	bar.add(310)
	waitFor(t, screen, "working  31%")
	waitFor(t, screen, "(310/1000)")
	bar.done()
	waitFor(t, screen, "\x1b[2K\r") // the line is cleared
	bar.add(100)                    // does nothing any more
	quiet := (&app{err: io.Discard}).bar("working", 1000, false)
	quiet.after = time.Now()
	quiet.add(10)
	quiet.done()
}

// On a terminal a line of scan fits in the width; --full and a pipe give all.
func TestScanFitsTheTerminal(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, p := range [][2]string{{"a", strings.Repeat("long ", 100)}, {"key of some length", "v"}, {"z", strings.Repeat("漢字", 100)},
		{strings.Repeat("key", 100), "w"}} {
		mustRun(t, "", "put", "a.mmdb", "b", p[0], p[1], "--create")
	}
	tty, _, screen := terminal(t, 60)
	if code := run([]string{"scan", "a.mmdb", "b"}, strings.NewReader(""), tty, io.Discard); code != exitOK {
		t.Fatalf("status %d", code)
	}
	waitFor(t, screen, "\nz ")
	waitFor(t, screen, "(600 bytes)\r\n")
	for line := range strings.Lines(screen()) {
		if line = strings.TrimRight(line, "\r\n"); textColumns(line) > 60 || strings.Contains(line, "\t") {
			t.Errorf("%d columns: %q", textColumns(line), line)
		}
	}
	for _, want := range []string{"(500 bytes)", "(300 bytes)", "key of some length      v\r\n"} {
		waitFor(t, screen, want)
	}
	if got := mustRun(t, "", "scan", "a.mmdb", "b", "--prefix", "a"); got != "a\t"+strings.Repeat("long ", 100)+"\n" {
		t.Errorf("into a pipe: %q", got)
	}
	if code := run([]string{"scan", "a.mmdb", "b", "--full"}, strings.NewReader(""), tty, io.Discard); code != exitOK {
		t.Fatalf("status %d", code)
	}
	waitFor(t, screen, strings.Repeat("long ", 100))
}

// A value that is to be typed is asked for, and an interrupt ends the waiting.
func TestTypedValue(t *testing.T) {
	t.Chdir(t.TempDir())
	put := func(ctx context.Context, key string, then func(keyboard io.Writer)) int {
		tty, keyboard, screen := terminal(t, 80)
		done := make(chan int)
		go func() { done <- runContext(ctx, []string{"put", "a.mmdb", "b", key, "--create"}, tty, io.Discard, tty) }()
		waitFor(t, screen, "type the value, end with Ctrl-D")
		then(keyboard)
		return <-done
	}
	code := put(t.Context(), "typed", func(keyboard io.Writer) {
		if _, err := io.WriteString(keyboard, "hello\n\x04"); err != nil {
			t.Error(err)
		}
	})
	if got := mustRun(t, "", "get", "a.mmdb", "b", "typed"); code != exitOK || got != "hello\\n\n" {
		t.Errorf("status %d, value %s", code, got)
	}
	ctx, stop := context.WithCancel(t.Context())
	if code := put(ctx, "stopped", func(io.Writer) { stop() }); code != exitInterrupted {
		t.Errorf("status %d after an interrupt", code)
	}
	wantError(t, exitError, []string{"no key stopped"}, "", "get", "a.mmdb", "b", "stopped")
}

// No command asks the terminal anything before it begins: one that doesn't answer would hold it up, and what was typed ahead would be
// taken for the answer.
func TestStartAsksTheTerminalNothing(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tty, keyboard, screen := terminal(t, 80)
	if _, err := io.WriteString(keyboard, "typed ahead\n"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestTerminalHasItsName$", "-test.v")
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "CI=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // in the foreground of the terminal
	if err := cmd.Run(); err != nil {
		t.Errorf("%v: %q", err, screen())
	}
	waitFor(t, screen, "its name is xterm-256color")
	if s := screen(); strings.Contains(s, "\x1b") {
		t.Errorf("the terminal was asked: %q", s)
	}
	if n, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCINQ); err != nil || n != len("typed ahead\n") {
		t.Errorf("%d bytes typed ahead are left, %v", n, err)
	}
}

// The terminal has its own name when commands run.
func TestTerminalHasItsName(t *testing.T) { t.Log("its name is", os.Getenv("TERM")) }
