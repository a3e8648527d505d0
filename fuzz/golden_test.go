package fuzz

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mmdb"
	"mmdb/mmapfile"
)

// describe says in one line what an event does, with places that do not change
// from run to run.
func describe(e Event) string {
	const pageSize = 4096
	pages := func(n int64) string {
		if n%pageSize != 0 {
			return fmt.Sprintf("%d bytes", n)
		}
		return fmt.Sprintf("%d pages", n/pageSize)
	}
	switch e.Kind {
	case EventWrite:
		if e.Offset < metaEnd && e.Length == pageSize {
			return fmt.Sprintf("write meta slot %d", e.Offset/metaStride)
		}
		return fmt.Sprintf("write at page %d, %s", e.Offset/pageSize, pages(e.Length))
	case EventSize:
		return fmt.Sprintf("%s: size %s", e.Op, pages(e.Size))
	case EventFlushEnd:
		if e.Op == mmapfile.OpMsync {
			return fmt.Sprintf("msync from %s, %s", pages(e.Offset), pages(e.Length))
		}
		return e.Op.String()
	}
	return eventNames[e.Kind]
}

// A scene is one heading of the golden file.
type scene struct {
	name    string
	options mmdb.Options
	before  []Op // not shown
	ops     []Op // shown, if not nil
	close   bool // show Close
}

func put(key string, size int) Op {
	return Op{Kind: OpPut, Path: []string{"A"}, Key: []byte(key), Size: size, Seed: 1}
}

var scenes = []scene{
	{name: "creation"},
	{name: "a one-put commit", before: []Op{put("a", 10), {Kind: OpCommit}, put("b", 10), {Kind: OpCommit}}, ops: []Op{put("c", 10), {Kind: OpCommit}}},
	{name: "a commit that grows the file", before: []Op{put("a", 10), {Kind: OpCommit}}, ops: []Op{put("b", 3<<20), {Kind: OpCommit}}},
	{name: "a commit of 20 MiB", before: []Op{put("a", 10), {Kind: OpCommit}}, ops: []Op{put("b", 20<<20), {Kind: OpCommit}}},
	{name: "a one-put commit, TwoPhase", options: mmdb.Options{TwoPhase: true}, before: []Op{put("a", 10), {Kind: OpCommit}}, ops: []Op{put("b", 10), {Kind: OpCommit}}},
	{name: "a transaction that changes nothing", before: []Op{put("a", 10), {Kind: OpCommit}}, ops: []Op{{Kind: OpCommit}}},
	{name: "rollback", before: []Op{put("a", 10), {Kind: OpCommit}}, ops: []Op{put("b", 10), {Kind: OpRollback}}},
	{name: "Close after a commit", before: []Op{put("a", 10), {Kind: OpCommit}}, close: true},
	{name: "Close without a commit", before: []Op{put("a", 10), {Kind: OpReopen}}, close: true},
	{name: "CopyFile", before: []Op{put("a", 10), {Kind: OpCommit}}, ops: []Op{{Kind: OpCopy}}},
}

// play returns the events that a scene shows, one a line.
func (s *scene) play(t *testing.T) []string {
	rec := NewRecorder(nil).WithoutData()
	s.options.Seam = rec.Seam
	r := Runner{Path: filepath.Join(imageDir(t), "db"), Options: s.options}
	check := func(err error) {
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
	check(r.Run(s.before))
	from := len(rec.Events())
	switch {
	case s.close:
		check(r.Close())
	case s.ops == nil:
		from = 0
	default:
		check(r.Run(s.ops))
	}
	to := len(rec.Events())
	if !s.close {
		check(r.Close())
	}
	var lines []string
	for _, e := range rec.Events()[from:to] {
		if e.Kind != EventMark && e.Kind != EventFlushStart {
			lines = append(lines, describe(e))
		}
	}
	return lines
}

// TestGoldenOrderOfWritesAndFlushes holds the order of everything that passes
// the seam to testdata/io.golden: above all, the one flush of a commit.
func TestGoldenOrderOfWritesAndFlushes(t *testing.T) {
	var b strings.Builder
	for i := range scenes {
		fmt.Fprintf(&b, "== %s\n", scenes[i].name)
		for _, line := range scenes[i].play(t) {
			fmt.Fprintf(&b, "%s\n", line)
		}
		b.WriteString("\n")
	}
	path := filepath.Join("testdata", "io.golden")
	if *rewrite {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the order of writes and flushes changed; if that is right, run with -rewrite.\ngot:\n%s\nwant:\n%s", b.String(), want)
	}
}

// TestGoldenOneFlush states in code what the golden file shows: one msync, and
// no other flush, for an ordinary commit.
func TestGoldenOneFlush(t *testing.T) {
	s := scene{before: []Op{put("a", 10), {Kind: OpCommit}, put("b", 10), {Kind: OpCommit}}, ops: []Op{put("c", 10), {Kind: OpCommit}}}
	flushes := 0
	for _, line := range s.play(t) {
		if strings.HasPrefix(line, "msync") || line == mmapfile.OpSync.String() || line == mmapfile.OpSyncDir.String() {
			flushes++
		}
	}
	if flushes != 1 {
		t.Fatalf("%d flushes, want 1", flushes)
	}
}
