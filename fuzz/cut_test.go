//go:build linux

package fuzz

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFileCutUnderAProcess cuts the file under a process that reads it in every way: that sees errors of a damaged file, and lives.
func TestFileCutUnderAProcess(t *testing.T) {
	program := faultyProgram(t)
	path := filepath.Join(imageDir(t), "db")
	if _, err := runFaulty(nil, program, "-to", "6", path); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(whole))
	// Between pages: a cut inside one makes zeros of the rest of it, and a page that was verified is not verified again.
	for _, cuts := range [][]int64{{size / 2, 25 * 4096, metaEnd, 0}, {size - 4096, size / 4}, {0}} {
		for i := range cuts {
			cuts[i] &^= 4095
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := cutUnder(program, path, cuts)
		if err != nil {
			t.Fatalf("cut to %v bytes: %v\n%s", cuts, err, out)
		}
		var sound, damaged int
		if _, err := fmt.Sscanf(out, "%d sound, %d damaged", &sound, &damaged); err != nil || sound == 0 || damaged == 0 {
			t.Errorf("cut to %v bytes: the process saw %q", cuts, out)
		}
		t.Logf("cut to %v bytes: %s", cuts, out)
	}
}

// cutUnder starts the program, cuts the file, one size after the other, and returns the last line that the program says.
func cutUnder(program, path string, cuts []int64) (string, error) {
	cmd := exec.Command(program, "-readers", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		return "", err
	}
	lines := bufio.NewReader(out)
	_, err = lines.ReadString('\n')
	for _, size := range cuts {
		time.Sleep(30 * time.Millisecond)
		if err == nil {
			err = os.Truncate(path, size)
		}
	}
	time.Sleep(30 * time.Millisecond)
	_ = in.Close() // the end is as good as a line
	rest, _ := io.ReadAll(lines)
	if e := cmd.Wait(); err == nil {
		err = e
	}
	return strings.TrimSpace(string(rest)) + errs.String(), err
}
