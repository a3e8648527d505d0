package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

// Every figure is there, the disk's flush time first, and nothing stays in the folder.
func TestBenchMeasuresEverything(t *testing.T) {
	t.Chdir(t.TempDir())
	var r benchResult
	if err := json.Unmarshal([]byte(mustRun(t, "", "bench", "--keys", "1000", "--for", "10ms", "--json")), &r); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range r.Figures {
		got = append(got, f.Name)
		if f.Rate <= 0 || f.Median <= 0 || f.P99 < f.Median || f.Note == "" {
			t.Errorf("%+v", f)
		}
	}
	if want := "flush load put put lazy put x16 put x100 get get-tx scan open"; strings.Join(got, " ") != want {
		t.Errorf("figures %q", got)
	}
	if r.FileSize < 100*1000 || r.Keys != 1000 || r.CPUs < 1 {
		t.Errorf("%+v", r)
	}
	out := mustRun(t, "", "bench", "--keys", "100", "--value", "0", "--for", "1ms")
	for _, f := range r.Figures {
		if !strings.Contains(out, "\n"+f.Name+" ") {
			t.Errorf("no line for %s: %s", f.Name, out)
		}
	}
	if left := names(t); left != "" {
		t.Errorf("files stayed: %s", left)
	}
}

// An interrupt ends it, and takes its files away.
func TestInterruptedBench(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if code := runContext(ctx, []string{"bench", "--for", "1h"}, strings.NewReader(""), io.Discard, io.Discard); code != exitInterrupted {
		t.Errorf("status %d", code)
	}
	if left := names(t); left != "" {
		t.Errorf("files stayed: %s", left)
	}
}

func TestBenchRefusesWhatItCannotDo(t *testing.T) {
	t.Chdir(t.TempDir())
	wantError(t, exitError, []string{"nowhere: no such directory"}, "", "bench", "--dir", "nowhere")
	for _, args := range [][]string{{"--keys", "3"}, {"--value", "-1"}, {"--for", "0s"}, {"extra"}} {
		wantError(t, exitUsage, []string{"--help"}, "", append([]string{"bench"}, args...)...)
	}
}
