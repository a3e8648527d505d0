package fuzz

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Environment variables: whether the tiers run, for how long each, and in which one this process is.
const (
	tiersVariable  = "MMDB_TIERS"
	timeVariable   = "MMDB_TIER_FOR"
	insideVariable = "MMDB_TIER_INSIDE"
)

// A Tier is a kind of power loss that is made on real file systems. It needs root, and runs only on request, in
// a process that has mounts and processes of its own: whatever happens, the kernel cleans up after it.
type Tier struct {
	Name  string
	Dir   string    // a folder in memory that goes with the tier
	Until time.Time // when it should end

	t *testing.T
}

// RunTier runs a tier if it was asked for, and makes sure that one line tells that it ran, or why not.
func RunTier(t *testing.T, name string, programs []string, run func(*Tier)) {
	if os.Getenv(tiersVariable) == "" {
		t.Skipf("runs on request only, as root: %s=1 go test -v -run '^%s$'", tiersVariable, t.Name())
	}
	d := 40 * time.Second
	if s := os.Getenv(timeVariable); s != "" {
		var err error
		if d, err = time.ParseDuration(s); err != nil {
			t.Fatal(timeVariable, err)
		}
	}
	tier := &Tier{Name: name, Until: time.Now().Add(d), t: t}
	if os.Getenv(insideVariable) == name {
		tier.Dir = os.Getenv(insideVariable + "_DIR")
		run(tier)
		return
	}
	if os.Geteuid() != 0 {
		tier.Cannot(errors.New("not root"))
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			tier.Cannot(err)
		}
	}
	tier.enter(d)
}

// Ran prints what the tier did.
func (tier *Tier) Ran(format string, args ...any) {
	if !tier.t.Failed() {
		tier.say("ran, " + fmt.Sprintf(format, args...))
	}
}

// Cannot prints why the tier can't run here, and ends it.
func (tier *Tier) Cannot(err error) {
	tier.t.Helper()
	tier.say("not run: " + err.Error())
	tier.t.Skipf("can't run here: %v", err)
}

// say prints the tier's one line.
func (tier *Tier) say(text string) {
	fmt.Printf("\n%s%s\n", tier.prefix(), strings.ReplaceAll(text, "\n", " "))
}

func (tier *Tier) prefix() string { return "tier " + tier.Name + ": " }

// Left reports whether there is time for more.
func (tier *Tier) Left() bool { return time.Now().Before(tier.Until) && !tier.t.Failed() }

// enter runs the test once more in a process with mounts and processes of its own, which end with it.
func (tier *Tier) enter(d time.Duration) {
	t := tier.t
	dir, err := ImageDir()
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	limit := d + time.Minute // a hang is found
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v", fmt.Sprintf("-test.timeout=%v", limit))
	cmd.Env = append(os.Environ(), insideVariable+"="+tier.Name, insideVariable+"_DIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: syscall.CLONE_NEWNS, // also makes all mounts private
		Cloneflags:   syscall.CLONE_NEWPID,
		Pdeathsig:    syscall.SIGKILL, // when the thread that started it ends
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) {
		tier.Cannot(fmt.Errorf("a process with mounts of its own: %w", err))
	} else if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(limit+30*time.Second, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	timer.Stop()
	tier.result(&out, err)
}

// result passes on what the other process printed.
func (tier *Tier) result(out *bytes.Buffer, err error) {
	text := out.String()
	line := ""
	for s := bufio.NewScanner(out); s.Scan(); {
		if strings.HasPrefix(s.Text(), tier.prefix()) {
			line = strings.TrimPrefix(s.Text(), tier.prefix())
		}
	}
	why, cannot := strings.CutPrefix(line, "not run: ")
	switch {
	case err != nil || line == "":
		tier.say("FAILED")
		tier.t.Fatalf("%v\n%s", err, text)
	case cannot:
		tier.Cannot(errors.New(why))
	}
	tier.say(line)
	tier.t.Log(text)
}
