package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mmdb"
)

// names returns what the current folder holds.
func names(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if db, ok := strings.CutSuffix(e.Name(), "-lock"); !ok || !slices.Contains(out, db) { // those of databases stay
			out = append(out, e.Name())
		}
	}
	return strings.Join(out, " ")
}

// A damaged database gives no backup, and a damaged backup is not restored: nothing is replaced.
func TestDamagedBackup(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	mustRun(t, "", "backup", "a.mmdb", "b.mmdb")
	before, err := os.ReadFile("a.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	damage(t, "b.mmdb", "leaf")
	if r := tool("", "verify", "b.mmdb"); r.code != exitCorrupt || !strings.Contains(r.out, "page ") || !strings.Contains(r.err, "found") {
		t.Errorf("verify: status %d, %s%s", r.code, r.out, r.err)
	}
	damaged, err := os.ReadFile("b.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, exitCorrupt, []string{"b.mmdb", "page"}, "", "backup", "b.mmdb", "c.mmdb")
	wantError(t, exitCorrupt, []string{"b.mmdb", "page"}, "", "backup", "b.mmdb", "a.mmdb", "--force", "--compact")
	wantError(t, exitCorrupt, []string{"b.mmdb", "found, the first on page"}, "", "restore", "b.mmdb", "a.mmdb", "--force")
	wantError(t, exitCorrupt, []string{"standard input: ", "found, the first on page"}, string(damaged), "restore", "-", "a.mmdb", "--force")
	wantError(t, exitCorrupt, []string{"standard input: "}, string(before[:len(before)/2]), "restore", "-", "c.mmdb")
	after, err := os.ReadFile("a.mmdb")
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the database changed: %v", err)
	}
	if got := names(t); got != "a.mmdb b.mmdb" {
		t.Errorf("files: %s", got)
	}
}

// A database that a program has open is not replaced.
func TestRestoreDoesNotReplaceAnOpenDatabase(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	mustRun(t, "", "backup", "a.mmdb", "b.mmdb")
	if err := os.Symlink("a.mmdb", "link"); err != nil {
		t.Fatal(err)
	}
	db, err := mmdb.Open("a.mmdb", fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"a.mmdb", "link"} {
		wantError(t, exitInUse, []string{to + " is in use"}, "", "restore", "b.mmdb", to, "--force", "--timeout", "20ms")
		wantError(t, exitInUse, []string{to + " is in use"}, "", "backup", "b.mmdb", to, "--force", "--timeout", "20ms")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "", "put", "a.mmdb", "more", "k", "v", "--create")
	mustRun(t, "", "restore", "b.mmdb", "link", "--force")
	wantError(t, exitError, []string{"no bucket more"}, "", "get", "a.mmdb", "more", "k")
	if info, err := os.Lstat("link"); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced, not what it leads to")
	}
}

// Nor is it replaced by text or a picture.
func TestOutputDoesNotReplaceAnOpenDatabase(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	mustRun(t, "", "backup", "a.mmdb", "b.mmdb")
	mustRun(t, "", "backup", "a.mmdb", "b.svg")
	db, err := mmdb.Open("b.mmdb", fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := mmdb.Open("b.svg", fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, exitInUse, []string{"b.mmdb is in use"}, "", "export", "a.mmdb", "-o", "b.mmdb", "--force", "--timeout", "20ms")
	wantError(t, exitInUse, []string{"b.mmdb is in use"}, "", "dump", "a.mmdb", "-o", "b.mmdb", "--force", "--timeout", "20ms")
	wantError(t, exitInUse, []string{"b.svg is in use"}, "", "map", "a.mmdb", "-o", "b.svg", "--force", "--timeout", "20ms")
	if err := errors.Join(db.Close(), picture.Close()); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "", "check", "b.mmdb")
	mustRun(t, "", "export", "a.mmdb", "-o", "b.mmdb", "--force")
	mustRun(t, "", "import", "c.mmdb", "b.mmdb", "--from", "jsonl", "--create")
	if got, want := everything(t, "c.mmdb"), everything(t, "a.mmdb"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBackupTargets(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	for _, err := range []error{os.Mkdir("dir", 0o700), os.WriteFile("empty", nil, 0o600), os.WriteFile("text", []byte("text"), 0o600),
		os.Symlink("nowhere", "dangling")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"backup", "restore", "salvage", "import"} {
		wantError(t, exitUsage, []string{"the name of the file is empty"}, "", command, "a.mmdb", "")
	}
	wantError(t, exitError, []string{"dir: is a directory"}, "", "backup", "a.mmdb", "dir", "--force")
	wantError(t, exitError, []string{"no/where", "no such directory"}, "", "backup", "a.mmdb", "no/where/b.mmdb")
	wantError(t, exitError, []string{"dangling: exists already"}, "", "backup", "a.mmdb", "dangling")
	wantError(t, exitError, []string{"text: exists already"}, "", "restore", "a.mmdb", "text")
	for _, to := range []string{"empty", "text"} {
		mustRun(t, "", "backup", "a.mmdb", to, "--force")
		mustRun(t, "", "verify", to)
	}
}

// A backup to standard output is the database; a reader that goes away before its end is an error, as are a full disk
// and standard output that is the database.
func TestBackupToStandardOutput(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	out := mustRun(t, "", "backup", "a.mmdb", "-")
	mustRun(t, out, "restore", "-", "b.mmdb")
	if a, b := mustRun(t, "", "dump", "a.mmdb"), mustRun(t, "", "dump", "b.mmdb"); a != b {
		t.Error("the copy holds something else")
	}
	for _, err := range []error{syscall.EPIPE, syscall.ENOSPC} {
		var errs strings.Builder
		if got := run([]string{"backup", "a.mmdb", "-"}, strings.NewReader(""), &brokenWriter{100, err}, &errs); got != exitError ||
			strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%v: status %d, %s", err, got, errs.String())
		}
	}
	f, err := os.OpenFile("a.mmdb", os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var errs strings.Builder
	if code := run([]string{"backup", "a.mmdb", "-"}, strings.NewReader(""), f, &errs); code != exitError || !strings.Contains(errs.String(), "same file") {
		t.Errorf("status %d, %s", code, errs.String())
	}
}

// An interrupt ends a backup and a restore, and nothing stays behind.
func TestInterruptedBackup(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	mustRun(t, "", "put", "a.mmdb", "large", "k", strings.Repeat("v", 5<<20), "--create")
	mustRun(t, "", "backup", "a.mmdb", "b.mmdb")
	whole := mustRun(t, "", "backup", "a.mmdb", "-")
	for _, args := range [][]string{{"backup", "a.mmdb", "c.mmdb"}, {"backup", "a.mmdb", "c.mmdb", "--compact"}, {"restore", "b.mmdb", "c.mmdb"},
		{"backup", "a.mmdb", "-"}, {"restore", "-", "c.mmdb"}} {
		interrupt(t, args, whole, func() {
			if got := names(t); got != "a.mmdb b.mmdb" {
				t.Fatalf("mmdb %q left files: %s", args, got)
			}
		})
		os.Remove("c.mmdb")
		os.Remove("c.mmdb-lock")
	}
}

// A backup that is killed leaves nothing under the final name, or a whole database; what was there before stays until then.
func TestKilledBackup(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "large", "k", strings.Repeat("v", 20<<20), "--create")
	mustRun(t, "", "put", "old.mmdb", "b", "k", "old", "--create")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for i := range 20 {
		to := []string{"new.mmdb", "old.mmdb"}[i%2]
		os.Remove("new.mmdb")
		child := exec.Command(self, "backup", "a.mmdb", to, "--force", "--compact="+fmt.Sprint(i%4 > 1))
		child.Env = append(os.Environ(), asTool+"=1")
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 3 * time.Millisecond)
		_ = child.Process.Kill()
		if child.Wait() != nil {
			killed++
		}
		if _, err := os.Stat(to); err != nil && to == "old.mmdb" {
			t.Fatal("what was there is gone")
		} else if err == nil {
			mustRun(t, "", "verify", to)
		}
	}
	if killed == 0 {
		t.Error("no backup was killed")
	}
	mustRun(t, "", "check", "a.mmdb", "--timeout", "10s")
}

// A database that can't be opened for writing may be in use, so it is not replaced, and that is said.
func TestWhatMayBeInUseIsNotReplaced(t *testing.T) {
	t.Chdir(t.TempDir())
	asNobody(t, func() {
		fill(t, "a.mmdb")
		mustRun(t, "", "put", "old.mmdb", "b", "k", "old", "--create")
		if err := os.Chmod("old.mmdb", 0o444); err != nil {
			t.Fatal(err)
		}
		db, err := mmdb.Open("old.mmdb", fileMode, &mmdb.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, command := range []string{"backup", "restore"} {
			wantError(t, exitError, []string{"old.mmdb: ", "denied", "not replaced"}, "", command, "a.mmdb", "old.mmdb", "--force")
		}
		if got := mustRun(t, "", "get", "old.mmdb", "b", "k"); got != "old\n" {
			t.Errorf("the database holds %q", got)
		}
		if err := os.Chmod("old.mmdb", fileMode); err != nil { // or some systems can't remove it
			t.Fatal(err)
		}
	})
}
