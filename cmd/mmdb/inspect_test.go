package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// jsonLines reads one value from each line.
func jsonLines[T any](t *testing.T, text string) (out []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, v)
	}
	return out
}

// pageFile makes a database with pages of most kinds, and returns its runs as "mmdb pages" lists them.
func pageFile(t *testing.T, file string) []pageRun {
	t.Helper()
	fill(t, file)
	for _, n := range []int{90_000, 20_000, 5_000_000, 40_000} { // runs that are freed, and one of many pages
		mustRun(t, "", "put", file, "b", "big", strings.Repeat("0123456789", n/10))
	}
	return jsonLines[pageRun](t, mustRun(t, "", "pages", file, "--list", "--json"))
}

// The list of pages covers the file without gaps, and the totals, the map and the free list say the same.
func TestPagesCoverTheFile(t *testing.T) {
	t.Chdir(t.TempDir())
	runs := pageFile(t, "a.mmdb")
	info := jsonLines[fileInfo](t, mustRun(t, "", "info", "a.mmdb", "--json"))[0]
	next := uint64(0)
	pages := map[string]uint64{}
	for _, r := range runs {
		if r.Page != next {
			t.Errorf("the run at %d is listed after the end of another at %d", r.Page, next)
		}
		next = r.Page + uint64(r.Pages)
		pages[r.Kind] += uint64(r.Pages)
	}
	if next != info.HighWater || pages[freeKind] != info.FreePages || pages[pendingKind] != info.PendingPages || pages[unknownKind] != 0 {
		t.Errorf("pages up to %d, %v; info says %+v", next, pages, info)
	}
	var totals struct{ Kinds []kindTotal }
	if err := json.Unmarshal([]byte(mustRun(t, "", "pages", "a.mmdb", "--json")), &totals); err != nil {
		t.Fatal(err)
	}
	for _, k := range totals.Kinds {
		if k.Pages != pages[k.Kind] || k.Bytes != 4096*k.Pages {
			t.Errorf("%+v, the list has %d pages of this kind", k, pages[k.Kind])
		}
	}
	picture, legend, _ := strings.Cut(mustRun(t, "", "pages", "a.mmdb", "--map"), "\n\n")
	if want := "M meta 12"; !strings.Contains(legend, want) || !strings.HasPrefix(picture, "  M") {
		t.Errorf("map:\n%s\n\n%s", picture, legend)
	}
}

// Every page of a file can be looked at by its number, those inside a run and free ones too.
func TestEveryPageCanBeShown(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, r := range pageFile(t, "a.mmdb") {
		for no := r.Page; no < r.Page+uint64(min(r.Pages, 4)); no++ {
			d := jsonLines[pageDetail](t, mustRun(t, "", "page", "a.mmdb", itoa(no), "--json"))[0]
			first := no
			if d.First != nil {
				first = *d.First
			}
			if d.Page != no || d.Kind != r.Kind || d.Kind != metaKind && (first != r.Page || d.Pages != r.Pages) || len(d.Hex) != 2*4096 || d.Problem != "" {
				d.Hex = ""
				t.Errorf("page %d of the run %+v: %+v", no, r, d)
			}
			text := mustRun(t, "", "page", "a.mmdb", itoa(no), "--no-hex")
			if d.First != nil && !strings.Contains(text, "part of") || !strings.Contains(text, r.Kind) {
				t.Errorf("page %d: %s", no, text)
			}
		}
	}
}

// What "page" shows of a whole run is the run.
func TestPageShowsAllOfARun(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, r := range pageFile(t, "a.mmdb") {
		d := jsonLines[pageDetail](t, mustRun(t, "", "page", "a.mmdb", itoa(r.Page), "--all", "--json"))[0]
		if r.Kind == "overflow" && (len(d.Hex) != 2*4096*r.Pages || d.Payload == 0) {
			t.Errorf("%+v: %d bytes, payload %d", r, len(d.Hex)/2, d.Payload)
		}
	}
}

// When the free list can't be read, a page is still shown, and what is wrong is said, with status 4.
func TestPageWithoutFreeList(t *testing.T) {
	t.Chdir(t.TempDir())
	runs := pageFile(t, "a.mmdb")
	info := jsonLines[fileInfo](t, mustRun(t, "", "info", "a.mmdb", "--json"))[0]
	damagePage(t, "a.mmdb", info.RecordPage)
	for _, r := range runs {
		res := tool("", "page", "a.mmdb", itoa(r.Page), "--no-hex")
		if res.code != exitCorrupt || !strings.Contains(res.out, "page ") || strings.Count(res.err, "\n") != 1 {
			t.Errorf("%+v: status %d, %s%s", r, res.code, res.out, res.err)
		}
		if r.Kind == "leaf" && !strings.Contains(res.out, "slots") {
			t.Errorf("leaf %d is not decoded: %s", r.Page, res.out)
		}
	}
	wantError(t, exitCorrupt, []string{"page " + itoa(info.RecordPage)}, "", "pages", "a.mmdb")
}

// A damaged page is listed with the reason.
func TestPagesSayWhyAPageIsUnknown(t *testing.T) {
	t.Chdir(t.TempDir())
	pageFile(t, "a.mmdb")
	damagePage(t, "a.mmdb", lastPage(t, "a.mmdb", "leaf"))
	if r := tool("", "pages", "a.mmdb", "--list"); r.code != exitCorrupt || !strings.Contains(r.out, "unknown: checksum") {
		t.Errorf("status %d, %s%s", r.code, r.out, r.err)
	}
	for _, r := range jsonLines[pageRun](t, tool("", "pages", "a.mmdb", "--list", "--json").out) {
		if (r.Kind == unknownKind) != (r.Problem != "") {
			t.Errorf("%+v", r)
		}
	}
}

// damagePage flips bytes of a page.
func damagePage(t *testing.T, file string, no uint64) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("damage"), int64(no)*4096+4000); err != nil {
		t.Fatal(err)
	}
}

// A file whose metas are all damaged is damaged, not one of another kind.
func TestAllMetasDamaged(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	f, err := os.OpenFile("a.mmdb", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for slot := range int64(3) {
		if _, err := f.WriteAt([]byte("damage"), slot*16384+100); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range readers {
		wantError(t, exitCorrupt, []string{"a.mmdb", "damaged"}, "", withFile(r, "a.mmdb")...)
	}
	wantError(t, exitCorrupt, []string{"a.mmdb", "damaged"}, "", "put", "a.mmdb", "b", "k", "v", "--create")
	wantError(t, exitCorrupt, []string{"a.mmdb", "damaged"}, "", "del", "a.mmdb", "b", "k")
}

// An interrupt ends a check and whatever else goes through the file.
func TestInterrupt(t *testing.T) {
	t.Chdir(t.TempDir())
	pageFile(t, "a.mmdb")
	mustRun(t, "", "put", "a.mmdb", "b", "huge", strings.Repeat("x", 9<<20)) // pages enough for a report of progress
	for _, args := range [][]string{{"check", "a.mmdb"}, {"pages", "a.mmdb"}, {"scan", "a.mmdb", "b"}, {"dump", "a.mmdb"}, {"stats", "a.mmdb"},
		{"tree", "a.mmdb"}, {"tree", "a.mmdb", "b"}, {"map", "a.mmdb"}, {"verify", "a.mmdb"}, {"export", "a.mmdb"}, {"demo", "."}} {
		interrupt(t, args, "", func() {})
	}
}

// A lateInterrupt is a context that ends when it is asked for the nth time whether it has.
type lateInterrupt struct {
	context.Context
	left atomic.Int64
	stop func()
}

func (c *lateInterrupt) Err() error {
	if c.left.Add(-1) < 0 {
		c.stop()
	}
	return c.Context.Err()
}

// interrupt runs the tool again and again, interrupted the first time that it looks, the second time and so on, until it comes to its end. It
// calls after after each run that was interrupted. One of them at least must have been beyond the opening of a file.
func interrupt(t *testing.T, args []string, stdin string, after func()) {
	t.Helper()
	for n := int64(0); ; n += 1 + n/2 {
		inner, stop := context.WithCancel(t.Context())
		ctx := &lateInterrupt{Context: inner, stop: stop}
		ctx.left.Store(n)
		var errs strings.Builder
		code := runContext(ctx, args, strings.NewReader(stdin), io.Discard, &errs)
		stop()
		if code == exitOK && n > 1 {
			return
		}
		if code != exitInterrupted || strings.Count(errs.String(), "\n") != 1 || !strings.HasSuffix(errs.String(), "interrupted\n") {
			t.Fatalf("mmdb %q at look %d: status %d, %s", args, n, code, errs.String())
		}
		after()
	}
}

// The tables of pages, with figures that stay.
func TestPageTables(t *testing.T) {
	var out strings.Builder
	a := &app{out: newOutput(&out)}
	err := a.printTotals([]kindTotal{
		{Kind: metaKind, Runs: 1, Pages: 12, Bytes: 49152},
		{Kind: "leaf", Runs: 1916, Pages: 1916, Bytes: 7847936, Used: 71, Capacity: 100},
		{Kind: freeKind}, {Kind: unknownKind},
	}, 4096)
	if err != nil {
		t.Fatal(err)
	}
	w := a.table()
	for _, r := range []pageRun{
		{Page: 0, Pages: 12, Kind: metaKind},
		{Page: 34610, Pages: 1, Kind: "branch", Tree: 3, Level: 2, Born: 1117, Keys: 21, Used: 1206, Capacity: 4048},
		{Page: 34611, Pages: 2, Kind: pendingKind, Born: 2, Died: 3},
		{Page: 34613, Pages: 1, Kind: unknownKind, Problem: "checksum does not match"},
	} {
		if err := printPageRow(w, r); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	a.out.Flush()
	want := `  pages   runs      bytes  of file   fill  kind
     12      1     49,152     0.6%      -  meta
  1,916  1,916  7,847,936    99.4%  71.0%  leaf
      0      0          0     0.0%      -  free
  1,928  1,917  7,897,088                  all
      0  12  -  -     -  -   -      -  meta
  34610   1  3  2  1117  -  21  29.8%  branch
  34611   2  -  -     2  3   -      -  pending
  34613   1  -  -     -  -   -      -  unknown: checksum does not match
`
	if out.String() != want {
		t.Errorf("got:\n%s", out.String())
	}
}
