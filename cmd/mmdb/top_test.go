package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"mmdb"
)

// What a sample says is what has happened since the one before.
func TestSamplerCountsWhatHappened(t *testing.T) {
	t.Chdir(t.TempDir())
	db, err := mmdb.Open("a.mmdb", fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	put := func(n int) {
		t.Helper()
		for i := range n {
			err := db.Update(func(tx *mmdb.Tx) error {
				b, err := tx.CreateBucketIfNotExists([]byte("b"))
				if err == nil {
					err = b.Put(fmt.Appendf(nil, "key %d", i), []byte(strings.Repeat("v", 500)))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	put(40)
	s := sampler{db: db}
	now := time.Unix(1000, 0)
	first, err := s.take(now)
	if err != nil || first.Updates != 0 || first.Commit == 0 || len(first.Readers) != 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	old, err := db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = old.Rollback() }()
	put(20)
	v, err := s.take(now.Add(2 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if v.Updates != 10 || v.Commits != 10 || v.Group != 1 || v.LargestGroup != 1 || v.Written < 20 || v.Commit != first.Commit+20 {
		t.Errorf("%+v", v)
	}
	if len(v.Readers) != 1 || v.Readers[0].Behind != 20 || v.Readers[0].Held == 0 || v.PendingPages < v.Readers[0].Held {
		t.Errorf("readers %+v, %d pages pending", v.Readers, v.PendingPages)
	}
	if v, err := s.take(now.Add(3 * time.Second)); err != nil || v.Updates != 0 || v.Written != 0 {
		t.Errorf("nothing has happened, but: %+v, %v", v, err)
	}
}

// "top --json" prints an object for each interval, and ends at --count or an interrupt.
func TestTopForPrograms(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", "k", "v", "--create")
	out := mustRun(t, "", "top", "a.mmdb", "--json", "--interval", "10ms", "--count", "3")
	lines := 0
	for line := range strings.Lines(out) {
		var v topSample
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Commit == 0 || v.PageSize != 4096 || v.Readers == nil {
			t.Errorf("%v: %s", err, line)
		}
		lines++
	}
	if lines != 3 {
		t.Errorf("%d lines", lines)
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if code := runContext(ctx, []string{"top", "a.mmdb", "--json", "--interval", "10ms"}, strings.NewReader(""), io.Discard, io.Discard); code != exitInterrupted {
		t.Errorf("status %d after an interrupt", code)
	}
	wantError(t, exitError, []string{"must be a terminal"}, "", "top", "a.mmdb")
	wantError(t, exitError, []string{"missing.mmdb: no such file"}, "", "top", "missing.mmdb", "--json")
	wantError(t, exitUsage, []string{"at least 10ms"}, "", "top", "a.mmdb", "--interval", "1ms")
	wantError(t, exitUsage, []string{"--count"}, "", "top", "a.mmdb", "--count", "-1")
}

// The screen has the figures of the file.
func TestTopOnScreen(t *testing.T) {
	t.Chdir(t.TempDir())
	makeBrowsed(t, "a.mmdb")
	s := onScreen(t, "top", "a.mmdb", "--interval", "50ms")
	s.shows("a.mmdb  commit 5", "commits  0 a second", "written  0 pages", "pages in use or free", "free", "pending", "updates/s", "0 open readers")
	s.press("Space")
	s.shows("paused")
	s.press("Space")
	s.hides("paused")
	s.press("q")
	s.ends(exitOK)
}

func TestSparkline(t *testing.T) {
	for want, v := range map[string][]float64{"": nil, "  ": {0, 0}, "█": {3}, "▁█ ▅": {0.1, 8, 0, 4}} {
		if got := sparkline(v, 4); got != want {
			t.Errorf("%v gives %q, want %q", v, got, want)
		}
	}
	if got := sparkline([]float64{9, 1, 1}, 2); got != "██" {
		t.Errorf("the last two: %q", got)
	}
}

// A process is a line whose words are apart.
func TestTopShowsWhoWrites(t *testing.T) {
	m := &topScreen{width: 100}
	m.now.Processes = []processRow{{Process: 17, Readers: 3, Writer: true}, {Process: 18, Readers: 4}}
	lines := m.processes()
	for i, want := range [][]string{{"process", "readers"}, {"17", "3 writes"}, {"18", "4"}} {
		words := strings.Join(strings.Fields(lines[i]), " ")
		if !strings.HasPrefix(words, want[0]) || !strings.HasSuffix(words, " "+want[1]) {
			t.Errorf("line %d is %q", i, lines[i])
		}
	}
}
