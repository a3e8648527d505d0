//go:build linux

package fuzz

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var straceFull = flag.Bool("strace.full", false, "let every system call fail in every way, of a longer program, in one-flush and two-phase commits")

// faultyProgram builds the program testdata/faulty and returns its path.
func faultyProgram(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "faulty")
	out, err := exec.Command("go", "build", "-o", path, "./testdata/faulty").CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("there is no go command to build the test program with")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// needStrace returns the start of a strace command, and skips the test where strace does not work.
func needStrace(t testing.TB) []string {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	for _, args := range [][]string{{"strace", "-f", "--seccomp-bpf"}, {"strace", "-f"}} {
		cmd := exec.Command(args[0], append(args[1:], "-o", os.DevNull, "-e", "trace=ftruncate", "-e", "inject=ftruncate:error=EIO:when=9", "true")...)
		if out, err := cmd.CombinedOutput(); err == nil && len(out) == 0 {
			return args
		}
	}
	t.Skip("strace does not work here: tracing may be forbidden, or its version too old for fault injection")
	return nil
}

// A faultyRun is what the program did.
type faultyRun struct {
	out      string
	opened   int // transactions that were there
	acked    int // the last acknowledged transaction
	started  int // the last one asked for
	failures int
	poisoned bool
}

// runFaulty runs a command with the program in it. An error is a broken promise.
func runFaulty(stdin io.Reader, command ...string) (r faultyRun, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &out
	err = cmd.Run()
	r.out = out.String()
	for line := range strings.Lines(r.out) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, _ := strconv.Atoi(rest)
		switch word {
		case "opened":
			r.opened, r.acked, r.started = n, n, n
		case "start":
			r.started = n
		case "ack":
			r.acked = n
		case "fail":
			r.failures++
		case "poisoned":
			r.poisoned = true
		}
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, r.out)
	}
	return r, err
}

// settled holds the file to what the program said: every page is sound, and it has the acknowledged transactions, and perhaps the one that
// was asked for last, and nothing else; and it works.
func (r faultyRun) settled(program, path string) error {
	after, err := runFaulty(nil, program, "-verify", path)
	if err != nil {
		return err
	}
	if after.opened < r.acked || after.opened > r.started {
		return fmt.Errorf("transaction %d is in the file, want %d to %d", after.opened, r.acked, r.started)
	}
	return nil
}

// A callFault is a way in which system calls fail.
type callFault struct {
	calls   string // names with commas between them
	errno   string
	lasting bool // from the n-th on
}

func (c callFault) String() string {
	if c.lasting {
		return c.calls + " from then on " + c.errno
	}
	return c.calls + " " + c.errno
}

// hidden reports whether the library must not let it be noticed.
func (c callFault) hidden() bool {
	return c.errno == "EINTR" && !strings.Contains(c.calls, "sync") && c.calls != "mmap" || c.errno == "EOPNOTSUPP"
}

// callFaults are all of them.
func callFaults() (all []callFault) {
	for calls, errnos := range map[string]string{
		"pwrite64": "EIO ENOSPC EINTR", "pwritev": "EIO ENOSPC EINTR", "fallocate": "EIO ENOSPC EINTR EOPNOTSUPP", "ftruncate": "EIO ENOSPC EINTR",
		"msync": "EIO ENOSPC EINTR", "fdatasync": "EIO ENOSPC EINTR", "fsync": "EIO", "mmap": "ENOMEM EIO",
	} {
		for _, errno := range strings.Fields(errnos) {
			all = append(all, callFault{calls: calls, errno: errno})
		}
	}
	for _, calls := range []string{"pwrite64,pwritev,fallocate", "pwrite64", "msync", "mmap", "ftruncate"} {
		errno := map[string]string{"mmap": "ENOMEM", "pwrite64,pwritev,fallocate": "ENOSPC"}[calls]
		if errno == "" {
			errno = "EIO"
		}
		all = append(all, callFault{calls: calls, errno: errno, lasting: true})
	}
	slices.SortFunc(all, func(a, b callFault) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// A straceScene runs the program with failing calls in one scene.
type straceScene struct {
	name    string
	strace  []string
	program string
	args    []string
	base    []byte // the file that it starts with; nil: none
	floor   int    // the last transaction in it
	dir     string
}

// run lets the n-th call fail. It returns false when there was no such call.
func (s *straceScene) run(f callFault, n int) (hit bool, err error) {
	path := filepath.Join(s.dir, fmt.Sprintf("%s %s %d", strings.ReplaceAll(f.String(), ",", " "), s.name, n), "db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		return false, err
	}
	defer func() {
		if err == nil {
			os.RemoveAll(filepath.Dir(path))
		}
	}()
	if s.base != nil {
		if err := os.WriteFile(path, s.base, 0o600); err != nil {
			return false, err
		}
	}
	when := strconv.Itoa(n)
	if f.lasting {
		when += "+"
	}
	log := path + ".strace"
	cmd := append(slices.Clone(s.strace), "-o", log, "-e", "trace="+f.calls, "-e", "inject="+f.calls+":error="+f.errno+":when="+when)
	if f.calls != "msync" { // which names no file, and nothing else calls it
		cmd = append(cmd, "-P", path, "-P", filepath.Dir(path))
	}
	cmd = append(append(append(cmd, s.program), s.args...), path)
	if f.lasting {
		cmd = slices.Insert(cmd, len(cmd)-1, "-lasting")
	}
	r, err := runFaulty(nil, cmd...)
	if err != nil {
		return true, fmt.Errorf("%q: %w", cmd, err)
	}
	traced, err := os.ReadFile(log)
	if err != nil {
		return true, err
	}
	injected := injectedCalls(string(traced))
	if err := r.judge(f, injected); err != nil {
		return true, fmt.Errorf("%q: %w\n%s%s", cmd, err, strings.Join(injected, "\n"), r.out)
	}
	r.acked, r.started = max(r.acked, s.floor), max(r.started, s.floor) // if it could not even open
	if err := r.settled(s.program, path); err != nil {
		return true, fmt.Errorf("%q: %w\n%s\n%s", cmd, err, strings.Join(injected, "\n"), r.out)
	}
	return len(injected) > 0, nil
}

// injectedCalls returns the lines of the calls that failed. A call that another thread's interrupted in the log is put together again.
func injectedCalls(log string) (lines []string) {
	begun := map[string]string{}
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		thread, _, _ := strings.Cut(line, " ")
		if first, ok := strings.CutSuffix(line, "<unfinished ...>"); ok {
			begun[thread] = strings.TrimSpace(first)
			continue
		}
		if _, rest, ok := strings.Cut(line, " resumed>"); ok && begun[thread] != "" {
			line = begun[thread] + rest
			delete(begun, thread)
		}
		if strings.Contains(line, "(INJECTED)") {
			lines = append(lines, line)
		}
	}
	return lines
}

var pwriteOffset = regexp.MustCompile(`pwrite64\(.*, (\d+)\) += `)

// decides reports whether a failed call leaves it open what is on the device: a flush, or the write of a meta.
func decides(line string) bool {
	if strings.Contains(line, "msync(") || strings.Contains(line, "fdatasync(") {
		return true
	}
	m := pwriteOffset.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	off, err := strconv.ParseInt(m[1], 10, 64)
	return err == nil && off < metaEnd
}

// judge holds what the program did to invariant I7.
func (r faultyRun) judge(f callFault, injected []string) error {
	deciding := slices.ContainsFunc(injected, decides)
	switch {
	case len(injected) == 0 && r.failures > 0:
		return errors.New("it failed without a fault")
	case f.hidden() && r.failures > 0:
		return errors.New("the fault must not be noticed")
	case r.poisoned && !deciding:
		return errors.New("writes are refused without need")
	case deciding && !f.hidden() && r.failures == 0:
		return errors.New("a failed flush or meta write was not noticed")
	case deciding && !f.lasting && r.failures > 0 && !r.poisoned && strings.Contains(r.out, fmt.Sprintf("fail %d:", r.acked)):
		return errors.New("writes go on after a failed flush or meta write")
	}
	return nil
}

// straceScenes returns the scenes: a new database, and one that a dead process left behind.
func straceScenes(t *testing.T) []*straceScene {
	t.Helper()
	strace, program, dir := needStrace(t), faultyProgram(t), imageDir(t)
	path := filepath.Join(dir, "left")
	if _, err := runFaulty(nil, program, "-to", "9", "-leave", path); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	scenes := []*straceScene{
		{name: "new", args: []string{"-to", "12"}},
		{name: "left behind", args: []string{"-to", "10"}, base: left, floor: 9},
	}
	if *straceFull {
		scenes = append(scenes, &straceScene{name: "long", args: []string{"-to", "40"}},
			&straceScene{name: "two-phase", args: []string{"-to", "16", "-two-phase"}},
			&straceScene{name: "left behind, two-phase", args: []string{"-to", "16", "-two-phase"}, base: left, floor: 9})
	}
	for _, s := range scenes {
		s.strace, s.program, s.dir = strace, program, dir
	}
	return scenes
}

// TestSystemCallsFail lets the system calls of a real process fail, the n-th for each n, with strace: acknowledged transactions survive,
// after a failed flush or meta write everything is refused until the next open, and any other failure fails one transaction.
func TestSystemCallsFail(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	total := map[string]int{}
	scenes := straceScenes(t)
	t.Run("all", func(t *testing.T) {
		for _, s := range scenes {
			for i, f := range callFaults() {
				t.Run(s.name+" "+f.String(), func(t *testing.T) {
					t.Parallel()
					step := s.step(f)
					for n := 1 + i%step; ; n += step {
						hit, err := s.run(f, n)
						if err != nil {
							t.Fatal(err)
						}
						if !hit {
							break
						}
						mu.Lock()
						total[f.calls]++
						mu.Unlock()
					}
				})
			}
		}
	})
	t.Logf("calls that failed: %v", total)
}

// step says how far apart the calls that fail are. The plain run lets each call fail with EIO, and fewer with the other errors.
func (s *straceScene) step(f callFault) int {
	switch {
	case *straceFull:
		return 1
	case raceEnabled || testing.Short():
		return 11
	case f.lasting:
		return 5
	case f.errno != "EIO" && strings.HasPrefix(f.calls, "pwrite"):
		return 3
	}
	return 1
}

// TestInjectedCalls: calls that strace tells of in two lines are read as one.
func TestInjectedCalls(t *testing.T) {
	log := "7 pwrite64(5, \"x\"..., 4096, 16384 <unfinished ...>\n8 --- SIGURG ---\n7 <... pwrite64 resumed>) = -1 EIO (Input/output error) (INJECTED)\n" +
		"7 msync(0x7, 4096, MS_SYNC <unfinished ...>\n7 <... msync resumed>)  = -1 EIO (Input/output error) (INJECTED)\n" +
		"7 pwrite64(5, \"x\"..., 4096, 49152) = -1 EIO (Input/output error) (INJECTED)\n7 msync(0x7, 4096, MS_SYNC) = 0\n"
	lines := injectedCalls(log)
	if len(lines) != 3 || !decides(lines[0]) || !decides(lines[1]) || decides(lines[2]) {
		t.Errorf("read as %q", lines)
	}
}
