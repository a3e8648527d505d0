package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }

// lastPage returns the last page of a kind in the file.
func lastPage(t *testing.T, file, kind string) uint64 {
	t.Helper()
	var last uint64
	for line := range strings.Lines(mustRun(t, "", "pages", file, "--list", "--json")) {
		var p pageRun
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		if p.Kind == kind {
			last = p.Page
		}
	}
	if last == 0 {
		t.Fatalf("%s has no page of kind %s", file, kind)
	}
	return last
}

// makeTree writes n files in nested directories.
func makeTree(t *testing.T, dir string, n int) {
	t.Helper()
	for i := range n {
		path := filepath.Join(dir, fmt.Sprintf("d%d", i%7), fmt.Sprintf("e%d", i%3), fmt.Sprintf("file %d.txt", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Repeat(fmt.Sprintf("line of file %d\n", i), i*3)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDemo(t *testing.T) {
	t.Chdir(t.TempDir())
	makeTree(t, "src", 250)
	if err := os.Symlink("nowhere", "src/link"); err != nil {
		t.Fatal(err)
	}
	out := mustRun(t, "", "demo", "src")
	for _, want := range []string{"250 files from src", "directories", "4 durable", "no difference", "no problems", "time to load", "depth",
		"fill", "file size", "map of demo.mmdb", "M meta", "1 that are not regular"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report does not say %q:\n%s", want, out)
		}
	}
	// The file stays for the other commands.
	if got := mustRun(t, "", "get", "demo.mmdb", "content", "d1/e1/file 1.txt", "--format", "raw"); got != strings.Repeat("line of file 1\n", 3) {
		t.Errorf("content of file 1: %q", got)
	}
	if got := mustRun(t, "", "get", "demo.mmdb", "dirs/d1/e1", "file 1.txt"); got != "45\n" {
		t.Errorf("size of file 1: %q", got)
	}
	// An earlier output is replaced.
	var r demoResult
	if err := json.Unmarshal([]byte(mustRun(t, "", "demo", "src/d1", "--json")), &r); err != nil {
		t.Fatal(err)
	}
	if r.Files != 36 || r.Dirs != 4 || r.Commits != 2 || r.FileSize == 0 || r.Stats.Depth == 0 || len(r.Seconds) != 4 {
		t.Errorf("figures: %+v", r)
	}
	if info, err := os.Stat("demo.mmdb"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("demo.mmdb: %v, %v", info, err)
	}
}

// Files that the demo did not write itself stay as they are.
func TestDemoLeavesOtherFilesAlone(t *testing.T) {
	t.Chdir(t.TempDir())
	makeTree(t, "src", 3)
	mustRun(t, "", "put", "other.mmdb", "b", "k", "v", "--create")
	if err := os.WriteFile("text", []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", "dangling"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"other.mmdb", "text", "src", "dangling"} {
		wantError(t, exitError, []string{name + " exists and is not an earlier output of the demo"}, "", "demo", "src", "--db", name)
	}
	if got := mustRun(t, "", "get", "other.mmdb", "b", "k"); got != "v\n" {
		t.Errorf("other.mmdb changed: %q", got)
	}
	wantError(t, exitError, []string{"missing: no such file"}, "", "demo", "missing")
	wantError(t, exitError, []string{"text: is not a directory"}, "", "demo", "text")
}

// The database itself, when it stands in the directory, is left out.
func TestDemoInItsOwnDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	makeTree(t, ".", 5)
	for range 2 {
		var r demoResult
		if err := json.Unmarshal([]byte(mustRun(t, "", "demo", ".", "--json")), &r); err != nil {
			t.Fatal(err)
		}
		if r.Files != 5 {
			t.Errorf("%d files, want 5", r.Files)
		}
	}
}

// Without a Go toolchain and without a directory the error says what to do.
func TestDemoWithoutGo(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PATH", t.TempDir())
	wantError(t, exitError, []string{"no Go toolchain", "mmdb demo DIR"}, "", "demo")
}

// A file that can't be read is named and counted; the rest is loaded.
func TestDemoNamesUnreadableFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	makeTree(t, "src", 5)
	d := &demo{a: &app{out: newOutput(nil), err: &strings.Builder{}, ctx: t.Context()}, dir: "src", file: "demo.mmdb"}
	if err := d.list(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove("src/d2/e2/file 2.txt"); err != nil { // gone between listing and reading
		t.Fatal(err)
	}
	for _, phase := range []func() error{d.load, d.compare, d.check} {
		if err := phase(); err != nil {
			t.Fatal(err)
		}
	}
	named := d.a.err.(*strings.Builder).String()
	if d.result.Files != 4 || len(d.result.Unreadable) != 1 || !strings.Contains(named, "file 2.txt") {
		t.Errorf("%d files, unreadable %v, said %q", d.result.Files, d.result.Unreadable, named)
	}
}

// A value that differs from its file is an error.
func TestDemoFindsDifferences(t *testing.T) {
	for _, change := range []struct {
		want string
		do   func() error
	}{
		{"differs", func() error { return os.WriteFile("src/d1/e1/file 1.txt", []byte("other"), 0o600) }},
		{"no such file", func() error { return os.Remove("src/d1/e1/file 1.txt") }},
		{"missing in the database", func() error {
			return codeError(tool("", "del", "demo.mmdb", "content", "d1/e1/file 1.txt"), tool("", "put", "demo.mmdb", "content", "other", "x"))
		}},
		{"directories have", func() error { return codeError(tool("", "put", "demo.mmdb", "dirs/d0", "more", "1")) }},
		{"its directory in the database says", func() error { return codeError(tool("", "put", "demo.mmdb", "dirs/d1/e1", "file 1.txt", "1")) }},
	} {
		t.Run(change.want, func(t *testing.T) {
			t.Chdir(t.TempDir())
			makeTree(t, "src", 5)
			d := &demo{a: &app{out: newOutput(nil), err: &strings.Builder{}, ctx: t.Context()}, dir: "src", file: "demo.mmdb"}
			for _, phase := range []func() error{d.list, d.load, change.do} {
				if err := phase(); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.compare(); err == nil || !strings.Contains(err.Error(), change.want) {
				t.Errorf("compare: %v, want %q", err, change.want)
			}
		})
	}
}

func codeError(results ...result) error {
	for _, r := range results {
		if r.code != 0 {
			return fmt.Errorf("status %d: %s", r.code, r.err)
		}
	}
	return nil
}
