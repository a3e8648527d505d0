package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"strings"
	"testing"
)

// makeShaped makes a database with all kinds of pages.
func makeShaped(t *testing.T, file string) {
	t.Helper()
	for i := range 12 {
		mustRun(t, "", "put", file, fmt.Sprintf("b%d", i%3), fmt.Sprintf("key %d", i), strings.Repeat("v", 1200), "--create")
		mustRun(t, "", "put", file, "large", fmt.Sprintf("key %d", i%4), strings.Repeat("v", i*2000), "--create")
	}
}

// runsOf returns the pages of the file as "mmdb pages --list --json" prints them.
func runsOf(t *testing.T, file string) (runs []pageRun) {
	t.Helper()
	for line := range strings.Lines(mustRun(t, "", "pages", file, "--list", "--json")) {
		var r pageRun
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	return runs
}

// An interrupted map leaves the picture that was there.
func TestInterruptedPicture(t *testing.T) {
	t.Chdir(t.TempDir())
	makeShaped(t, "a.mmdb")
	mustRun(t, "", "map", "a.mmdb", "-o", "a.svg")
	want, err := os.ReadFile("a.svg")
	if err != nil {
		t.Fatal(err)
	}
	interrupt(t, []string{"map", "a.mmdb", "-o", "a.svg", "--force"}, "", func() {
		if got, err := os.ReadFile("a.svg"); err != nil || string(got) != string(want) {
			t.Fatalf("the picture changed: %v", err)
		}
	})
}

// Each character of the map is a page, of the kind, fill and age that the list of pages says.
func TestMapShowsEveryPage(t *testing.T) {
	t.Chdir(t.TempDir())
	makeShaped(t, "a.mmdb")
	var info fileInfo
	if err := json.Unmarshal([]byte(mustRun(t, "", "info", "a.mmdb", "--json")), &info); err != nil {
		t.Fatal(err)
	}
	runs := runsOf(t, "a.mmdb")
	for _, show := range []string{showKind, showFill, showAge} {
		body, legend, _ := strings.Cut(mustRun(t, "", "map", "a.mmdb", "--show", show), "\n\n")
		var got strings.Builder
		for line := range strings.Lines(body) {
			got.WriteString(strings.TrimSpace(line))
		}
		var want strings.Builder
		for _, r := range runs {
			mark := pageKinds[kindIndex(r.Kind)].mark
			switch {
			case show == showFill && r.Capacity > 0:
				mark = "0123456789"[min(10*(r.Used/r.Pages)/(r.Capacity/r.Pages), 9)]
			case show == showAge && r.Born > 0 && r.Kind != pendingKind:
				age := 0
				for n := info.Commit - r.Born + 1; n > 1; n /= 2 {
					age++
				}
				mark = "0123456789abc"[age]
			}
			want.WriteString(strings.Repeat(string(mark), r.Pages))
		}
		if got.String() != want.String() {
			t.Errorf("--show %s gives\n%s\nthe list\n%s", show, got.String(), want.String())
		}
		for i, k := range pageKinds {
			if item := fmt.Sprintf("%c %s", k.mark, k.name); strings.Contains(legend, item) != strings.ContainsRune(body, rune(k.mark)) {
				t.Errorf("--show %s: kind %d, %s: legend %s", show, i, item, legend)
			}
		}
		if show == showAge {
			for _, c := range strings.TrimSpace(body) {
				if c >= '0' && c <= '9' && !strings.Contains(legend, string(c)+" from ") && !strings.Contains(legend, string(c)+" newest") {
					t.Errorf("the legend has no age %c: %s", c, legend)
				}
			}
		}
	}
	if got := mustRun(t, "", "map", "a.mmdb", "--json"); got != mustRun(t, "", "pages", "a.mmdb", "--list", "--json") {
		t.Errorf("--json gives %s", got)
	}
}

// A picture has a square for each page, in the color of its kind.
func TestMapAsPNG(t *testing.T) {
	t.Chdir(t.TempDir())
	makeShaped(t, "a.mmdb")
	mustRun(t, "", "map", "a.mmdb", "-o", "a.png")
	f, err := os.Open("a.png")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	pages := uint64(0)
	columns := (img.Bounds().Dx() - 2*mapMargin) / 16
	for _, r := range runsOf(t, "a.mmdb") {
		pages += uint64(r.Pages)
		at := int(r.Page)
		x, y := mapMargin+at%columns*16, mapHead+at/columns*16
		red, green, blue, _ := img.At(x+7, y+14).RGBA() // the lowest row: any fill reaches it
		got, want := red>>8<<16|green>>8<<8|blue>>8, pageKinds[kindIndex(r.Kind)].rgb
		if got != want && !(r.Capacity > 0 && r.Used*15 < r.Capacity) {
			t.Errorf("page %d, %s: color %06x, want %06x", r.Page, r.Kind, got, want)
		}
	}
	if rows := (img.Bounds().Dy() - mapHead - mapFoot) / 16; uint64(rows*columns) < pages {
		t.Errorf("%d rows of %d squares for %d pages", rows, columns, pages)
	}
}

// An SVG picture is XML, and names every page.
func TestMapAsSVG(t *testing.T) {
	t.Chdir(t.TempDir())
	makeShaped(t, "a.mmdb")
	for _, show := range []string{showKind, showFill, showAge} {
		mustRun(t, "", "map", "a.mmdb", "-o", "a.svg", "--force", "--show", show)
		f, err := os.Open("a.svg")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		named := map[string]bool{}
		for dec := xml.NewDecoder(f); ; {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if text, ok := token.(xml.CharData); ok && strings.HasPrefix(string(text), "page ") {
				name, _, _ := strings.Cut(string(text), ":")
				named[name] = true
			}
		}
		for _, r := range runsOf(t, "a.mmdb") {
			if !named[fmt.Sprintf("page %d", r.Page)] {
				t.Errorf("--show %s does not name page %d", show, r.Page)
			}
		}
	}
}

// Neighbouring pages share a cell where there are more pages than cells, and every kind keeps its share.
func TestMapOfManyPages(t *testing.T) {
	d := newMapDrawing(make([]mapCell, mapSquares), 7, 1, mapOptions{out: "a.png"})
	if d.width > 4000 || d.height > 4000 || d.side < 2 {
		t.Errorf("%d by %d pixels, squares of %d", d.width, d.height, d.side)
	}
	pic := newPicture(100_000, 50)
	for no := uint64(0); no < 100_000; no += 10 {
		pic.add(no, 9, 2)
		pic.add(no+9, 1, 5)
	}
	counts := map[int]int{}
	for _, kind := range pic.kinds() {
		counts[kind]++
	}
	if n := len(pic.cells); counts[5] < n/10-2 || counts[5] > n/10+2 || counts[2]+counts[5] != n {
		t.Errorf("%v of %d cells", counts, n)
	}
}

// The levels of tree are the pages of the list, and its cells the keys.
func TestTreeCountsThePages(t *testing.T) {
	t.Chdir(t.TempDir())
	var rows strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&rows, "{\"key\":\"key %d\",\"value\":%q}\n", i, strings.Repeat("v", 20+i%50))
	}
	mustRun(t, rows.String(), "import", "a.mmdb", "-", "--from", "jsonl", "--bucket", "b", "--create")
	var s treeShape
	if err := json.Unmarshal([]byte(mustRun(t, "", "tree", "a.mmdb", "b", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	type sum struct{ pages, cells, used, capacity uint64 }
	want := map[int]sum{}
	for _, r := range runsOf(t, "a.mmdb") {
		if r.Tree == 2 {
			v := want[r.Level]
			want[r.Level] = sum{v.pages + 1, v.cells + uint64(r.Keys), v.used + uint64(r.Used), v.capacity + uint64(r.Capacity)}
		}
	}
	if s.Keys != 4000 || s.Depth < 2 || len(want) != s.Depth {
		t.Errorf("%+v, the list has %v", s, want)
	}
	for _, l := range s.Levels {
		pages := uint64(0)
		for _, n := range l.Fill {
			pages += n
		}
		if got := (sum{l.Pages, l.Cells, l.Used, l.Capacity}); got != want[l.Level] || pages != l.Pages {
			t.Errorf("level %d: %+v, want %+v", l.Level, l, want[l.Level])
		}
	}
	if s.Levels[s.Depth-1].Cells != s.Keys {
		t.Errorf("%d keys in leaves", s.Levels[s.Depth-1].Cells)
	}
	damage(t, "a.mmdb", "leaf")
	if r := tool("", "tree", "a.mmdb", "b"); r.code != exitCorrupt || strings.Count(r.err, "\n") != 1 {
		t.Errorf("of a damaged file: status %d, %s", r.code, r.err)
	}
}
