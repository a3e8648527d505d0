package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"mmdb"
	"mmdb/page"
)

// salvageTool runs "mmdb salvage" with the arguments.
func salvageTool(ctx context.Context, args ...string) result {
	var out, errs bytes.Buffer
	a := &app{in: strings.NewReader(""), out: newOutput(&out), err: &errs, ctx: ctx, format: formatText}
	root := newRoot(a)
	if cmd, _, err := root.Find([]string{"salvage"}); err != nil || cmd == root {
		root.AddCommand(newSalvage(a))
	}
	root.SetArgs(append([]string{"salvage"}, args...))
	err := root.ExecuteContext(ctx)
	if err != nil && !a.started {
		err = usageError{err}
	}
	code := a.report(err)
	a.out.Flush()
	return result{code, out.String(), errs.String()}
}

// salvageSample makes a database with two large buckets and a nested one, and returns the numbers of pages by what they are.
func salvageSample(t *testing.T, path string, pageSize int) map[string]int64 {
	t.Helper()
	db, err := mmdb.Open(path, fileMode, &mmdb.Options{PageSize: pageSize})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	pages := map[string]int64{}
	for commit := range 3 { // old versions of everything
		err = db.Update(func(tx *mmdb.Tx) error {
			fill := func(b *mmdb.Bucket, err error) *mmdb.Bucket {
				for i := range 300 {
					if err == nil {
						err = b.Put(fmt.Appendf(nil, "key %03d", i), fmt.Appendf(nil, "value %d of commit %d", i, commit))
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			fill(tx.CreateBucketIfNotExists([]byte("one")))
			two := fill(tx.CreateBucketIfNotExists([]byte("two")))
			fill(two.CreateBucketIfNotExists([]byte("inner")))
			return two.Put([]byte("large"), bytes.Repeat([]byte{'v'}, 20000))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err = db.View(func(tx *mmdb.Tx) error {
		two := tx.Bucket([]byte("two"))
		pages["one's root"] = int64(tx.Bucket([]byte("one")).Root())
		pages["two's root"] = int64(two.Root())
		for info, err := range tx.Pages() {
			switch {
			case err != nil:
				return err
			case info.Kind == "overflow":
				pages["large"] = int64(info.Number)
			case info.Kind == "leaf" && info.Tree == 2:
				pages["one's leaf"] = int64(info.Number)
			case info.Kind == "leaf" && info.Tree == 3:
				b, err := tx.PageBytes(info.Number)
				if err != nil {
					return err
				}
				if page.Leaf(page.Body(b)).Kind(0) == page.CellBucket { // inner comes before all keys
					pages["two's first leaf"] = int64(info.Number)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

var (
	mapSizes    = regexp.MustCompile(`(?m)^(mapsize)?=\d+$`)
	pageNumbers = regexp.MustCompile(`(page |"pages?":)\d+`)
)

// ruin overwrites n bytes of the file at off.
func ruin(t *testing.T, path string, off int64, n int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, n), off); err != nil {
		t.Fatal(err)
	}
}

// TestSalvageTranscript compares what the command prints, file after file, with testdata/salvage.txt.
func TestSalvageTranscript(t *testing.T) {
	const golden = "testdata/salvage.txt"
	want, err := os.ReadFile(golden)
	if err != nil && !*rewrite {
		t.Fatal(err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	var got strings.Builder
	say := func(what, file string, args ...string) {
		r := salvageTool(t.Context(), append([]string{file + ".mmdb", file + ".new"}, args...)...)
		fmt.Fprintf(&got, "# %s\n%s%s", what, pageNumbers.ReplaceAllString(steady(r.out), "${1}N"), r.err)
		fmt.Fprintf(&got, "? %d\n", r.code)
	}
	for _, c := range []struct{ file, what, page string }{
		{"whole", "nothing is damaged", ""},
		{"branch", "a branch page is gone, all leaves are there", "two's root"},
		{"leaf", "a leaf is gone", "one's leaf"},
		{"value", "a value is gone", "large"},
		{"names", "the leaf with the name of a bucket is gone", "two's first leaf"},
	} {
		pages := salvageSample(t, c.file+".mmdb", 4096)
		if no := pages[c.page]; no != 0 {
			ruin(t, c.file+".mmdb", no*4096+100, 50)
		}
		say(c.what, c.file)
	}
	salvageSample(t, "metas.mmdb", 8192)
	ruin(t, "metas.mmdb", 0, page.MetaSlots*page.MetaStride)
	say("all metas are gone", "metas")
	pages := salvageSample(t, "json.mmdb", 4096)
	ruin(t, "json.mmdb", pages["one's leaf"]*4096, 4096)
	say("for programs", "json", "--json")
	if *rewrite {
		if err := os.WriteFile(dir+"/"+golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(want) {
		t.Errorf("%s differs (-rewrite writes it anew), got:\n%s", golden, got.String())
	}
}

// TestSalvageRefuses: wrong arguments and files, each with one line of error; nothing is left behind.
func TestSalvageRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	salvageSample(t, "a.mmdb", 4096)
	if err := os.WriteFile("noise", bytes.Repeat([]byte("noise"), 30000), 0o600); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	db, err := mmdb.Open("held.mmdb", fileMode, &mmdb.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	before, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ctx  context.Context
		code int
		word string
		args []string
	}{
		{t.Context(), exitUsage, "2 arguments", []string{"a.mmdb"}},
		{t.Context(), exitError, "exists already", []string{"a.mmdb", "noise"}},
		{t.Context(), exitError, "exists already", []string{"a.mmdb", "a.mmdb"}},
		{t.Context(), exitError, "no such file", []string{"missing", "new"}},
		{t.Context(), exitError, "not an mmdb database", []string{"noise", "new"}},
		{t.Context(), exitError, "directory", []string{".", "new"}},
		{t.Context(), exitInUse, "in use", []string{"held.mmdb", "new", "--timeout", "10ms"}},
		{cancelled, exitInterrupted, "interrupted", []string{"a.mmdb", "new"}},
	} {
		r := salvageTool(c.ctx, c.args...)
		if r.code != c.code || !strings.Contains(r.err, c.word) || strings.Count(r.err, "\n") != 1 || strings.Contains(r.err, ".tmp") {
			t.Errorf("salvage %q: status %d, %q", c.args, r.code, r.err)
		}
	}
	after, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(before) {
		t.Errorf("files %v, before %v", after, before)
	}
}

// TestSalvageOfAFileThatIsOnlyRead: a file that may only be read, and that others read too, is enough.
func TestSalvageOfAFileThatIsOnlyRead(t *testing.T) {
	t.Chdir(t.TempDir())
	salvageSample(t, "a.mmdb", 4096)
	if err := os.Chmod("a.mmdb", 0o400); err != nil {
		t.Fatal(err)
	}
	db, err := mmdb.Open("a.mmdb", fileMode, &mmdb.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if r := salvageTool(t.Context(), "a.mmdb", "new.mmdb"); r.code != exitOK {
		t.Fatalf("status %d, %s", r.code, r.err)
	}
	_, a, _ := strings.Cut(mustRun(t, "", "dump", "a.mmdb"), "mapsize")
	_, b, _ := strings.Cut(mustRun(t, "", "dump", "new.mmdb"), "mapsize")
	if a, b := mapSizes.ReplaceAllString(a, ""), mapSizes.ReplaceAllString(b, ""); a != b || a == "" {
		t.Error("the new database differs")
	}
	mustRun(t, "", "check", "new.mmdb")
}
