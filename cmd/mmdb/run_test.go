package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// result is what one run of the tool gave.
type result struct {
	code     int
	out, err string
}

// tool runs the tool in this process.
func tool(stdin string, args ...string) result {
	var out, errs bytes.Buffer
	code := run(args, strings.NewReader(stdin), &out, &errs)
	return result{code, out.String(), errs.String()}
}

// mustRun runs the tool and fails the test unless it succeeds.
func mustRun(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	r := tool(stdin, args...)
	if r.code != 0 {
		t.Fatalf("mmdb %q: status %d, %s", args, r.code, r.err)
	}
	return r.out
}

// wantError runs the tool and fails the test unless it ends with the status and one
// line of error that holds all the words.
func wantError(t *testing.T, code int, words []string, stdin string, args ...string) {
	t.Helper()
	r := tool(stdin, args...)
	if r.code != code {
		t.Errorf("mmdb %q: status %d, want %d", args, r.code, code)
	}
	if !strings.HasPrefix(r.err, "mmdb: ") || strings.Count(r.err, "\n") != 1 {
		t.Errorf("mmdb %q: not one line of error: %q", args, r.err)
	}
	for _, w := range words {
		if !strings.Contains(r.err, w) {
			t.Errorf("mmdb %q: error %q does not say %q", args, r.err, w)
		}
	}
	if strings.Contains(r.err, "goroutine") || strings.Contains(r.err, "internal error") {
		t.Errorf("mmdb %q: %s", args, r.err)
	}
}

// TestTranscripts runs the commands in every testdata/*.golden and compares what they print. A line that
// starts with "$ " is a command: mmdb ARGS, or write FILE TEXT. In it {root:BUCKET} and {record} stand for numbers of
// pages in FILE. The lines up to the next command are its output, errors marked with "! ", a status other than 0
// with "? ". Each transcript runs in a folder of its own.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".golden"), func(t *testing.T) { transcript(t, file) })
	}
}

func transcript(t *testing.T, file string) {
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	var got strings.Builder
	for line := range strings.Lines(string(want)) {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			if strings.HasPrefix(line, "# ") {
				got.WriteString(line)
			}
			continue
		}
		got.WriteString(line)
		got.WriteString(step(t, words(strings.TrimSuffix(command, "\n"))))
	}
	if *rewrite {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(want) {
		t.Errorf("%s differs (go test -run Transcripts -rewrite writes it anew), got:\n%s", file, got.String())
	}
}

// step runs one command of a transcript and returns what it printed.
func step(t *testing.T, args []string) string {
	t.Helper()
	if args[0] == "write" {
		text, err := parseText(args[2])
		if err == nil {
			err = os.WriteFile(args[1], text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return ""
	}
	stdin := ""
	if n := len(args); n > 2 && args[n-2] == "<" {
		b, err := os.ReadFile(args[n-1])
		if err != nil {
			t.Fatal(err)
		}
		stdin, args = string(b), args[:n-2]
	}
	for i, arg := range args {
		if strings.HasPrefix(arg, "{") {
			args[i] = itoa(namedPage(t, args[2], strings.Trim(arg, "{}")))
		}
	}
	r := tool(stdin, args[1:]...)
	var s strings.Builder
	s.WriteString(r.out)
	if r.out != "" && !strings.HasSuffix(r.out, "\n") {
		s.WriteString("\\\n")
	}
	for line := range strings.Lines(r.err) {
		s.WriteString("! " + line)
	}
	if r.code != 0 {
		fmt.Fprintf(&s, "? %d\n", r.code)
	}
	return steady(s.String())
}

// namedPage returns the number of the page that a transcript names: root:BUCKET or record.
func namedPage(t *testing.T, file, name string) uint64 {
	t.Helper()
	var info fileInfo
	var bucket bucketInfo
	text, into := mustRun(t, "", "info", file, "--json"), any(&info)
	if path, ok := strings.CutPrefix(name, "root:"); ok {
		text, into = mustRun(t, "", "buckets", file, path, "--depth", "1", "--json"), &bucket
	}
	if err := json.NewDecoder(strings.NewReader(text)).Decode(into); err != nil {
		t.Fatal(err)
	}
	return max(info.RecordPage, bucket.Root)
}

// unsteady is what differs from run to run: times, rates, and hexadecimal words that depend on the file's salt; and what
// depends on where in the file the pages come to stand, and where in a page the cells.
var unsteady = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\b\d+\.\d+ s\b`), "0.00 s"},
	{regexp.MustCompile(`[\d.]+ [KMG]?i?B/s`), "0.0 MiB/s"},
	{regexp.MustCompile(`"seconds":[\d.e-]+`), `"seconds":0`},
	{regexp.MustCompile(`\b[0-9a-f]{16}\b`), "0123456789abcdef"},
	{regexp.MustCompile(`go1\.\S+ \w+/\w+`), "go1.0 system/arch"},
	{regexp.MustCompile(`^mmdb \(?[^ ]+, file`), "mmdb VERSION, file"},
	{regexp.MustCompile(`(in|has) [\d,]+ pages`), "$1 N pages"},
	{regexp.MustCompile(`root page \d+`), "root page N"},
	{regexp.MustCompile(`("problems":0,"pages"|"page"|"root"):[1-9]\d*`), "$1:N"}, // 0 is no page
	{regexp.MustCompile(`("(?:fileSize|highWater|freePages|pendingPages|recordPage|recordChain|prevPage)"):\d+`), "$1:N"},
	{regexp.MustCompile(`(?m)[\d,]+ bytes \([\d.]+ KiB\), every page`), "N bytes, every page"},
	{regexp.MustCompile(`"bytes":\d+,"compact"`), `"bytes":N,"compact"`},
	{regexp.MustCompile(`"pages":\d+,"seconds"`), `"pages":N,"seconds"`},
	{regexp.MustCompile(`("(?:cell|garbage|written|freed|free|pending)"):\d+`), "$1:N"},
	{regexp.MustCompile(`(?m)^( +[\d,]+ +\d+ +)\d+(  \S+)$`), "${1}N$2"},           // roots of buckets
	{regexp.MustCompile(`(?m)^( +\d+) +\d+( +\d+ +[0-9a-f]{8} )`), "${1}     N$2"}, // cells of slots
}

// unsteadyLine is a line whose numbers depend on where the pages come to stand.
var unsteadyLine = regexp.MustCompile(`(?m)^(page|file size|high water|free|pending|root|commit record|record before|sections) {2}.*$`)

// unsteadyNumber is a number in such a line, with its unit.
var unsteadyNumber = regexp.MustCompile(`\b\d([\d,.]*\d)?( pages?\b| bytes?\b| [KMG]?i?B\b)?`)

func steady(s string) string {
	for _, u := range unsteady {
		s = u.pattern.ReplaceAllString(s, u.with)
	}
	return unsteadyLine.ReplaceAllStringFunc(s, func(line string) string {
		return unsteadyNumber.ReplaceAllStringFunc(line, func(n string) string {
			_, unit, _ := strings.Cut(n, " ")
			switch unit {
			case "":
				return "N"
			case "page", "pages":
				return "N pages"
			case "byte", "bytes":
				return "N bytes"
			}
			return "N KiB"
		})
	})
}

// words splits a command line at spaces; single quotes hold words together.
func words(line string) []string {
	var out []string
	var word strings.Builder
	quoted, any := false, false
	for _, r := range line {
		switch {
		case r == '\'':
			quoted, any = !quoted, true
		case r == ' ' && !quoted:
			if any {
				out = append(out, word.String())
			}
			word.Reset()
			any = false
		default:
			word.WriteRune(r)
			any = true
		}
	}
	if any {
		out = append(out, word.String())
	}
	return out
}
