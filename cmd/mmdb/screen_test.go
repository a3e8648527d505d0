package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// asTool in the environment makes the test binary the tool.
const asTool = "MMDB_TEST_AS_TOOL"

// A screen is the tool in a real terminal, which tmux makes.
type screen struct {
	t      *testing.T
	socket string
}

// onScreen starts the tool in a terminal of 100 columns and 30 lines.
func onScreen(t *testing.T, args ...string) *screen {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux, which makes the terminal, is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "mmdb") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t, filepath.Join(dir, "s")}
	t.Cleanup(func() {
		_ = exec.Command("tmux", "-S", s.socket, "kill-server").Run()
		os.RemoveAll(dir)
	})
	script := `"$0" "$@"; echo "ended with status $?"; exec sleep 1000`
	s.tmux(append([]string{"-f", "/dev/null", "-u", "new-session", "-d", "-x", "100", "-y", "30", "-e", asTool + "=1",
		"sh", "-c", script, self}, args...)...)
	return s
}

func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", s.socket}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TERM=xterm-256color")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %q: %v, %s", args, err, out)
	}
	return string(out)
}

// text returns what stands on the screen.
func (s *screen) text() string { return s.tmux("capture-pane", "-p") }

// shows waits until all the words stand on the screen.
func (s *screen) shows(words ...string) {
	s.t.Helper()
	missing := ""
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		text := s.text()
		missing = ""
		for _, w := range words {
			if !strings.Contains(text, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
	}
	s.t.Fatalf("the screen does not show %q:\n%s", missing, s.text())
}

// hides waits until the words don't stand on the screen.
func (s *screen) hides(words string) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !strings.Contains(s.text(), words) {
			return
		}
	}
	s.t.Fatalf("the screen still shows %q:\n%s", words, s.text())
}

// press presses keys, by tmux's names for them.
func (s *screen) press(keys ...string) {
	s.t.Helper()
	s.tmux(append([]string{"send-keys"}, keys...)...)
}

// types types text, and then enter.
func (s *screen) types(text string) {
	s.t.Helper()
	s.tmux("send-keys", "-l", text)
	s.press("Enter")
}

// ends waits for the end of the tool with a status.
func (s *screen) ends(status int) {
	s.t.Helper()
	s.shows(fmt.Sprintf("ended with status %d", status))
}
