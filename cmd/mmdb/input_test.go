package main

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"mmdb"
)

// A command that waits for what another program writes into a pipe ends at an interrupt, and leaves nothing.
func TestInterruptWhileAPipeIsSilent(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", "k", "v", "--create")
	makeFifo(t, "fifo")
	makeFifo(t, "unread")
	for _, args := range [][]string{{"import", "new.mmdb", "-", "--from", "csv", "--create"}, {"load", "new.mmdb", "--create"},
		{"import", "new.mmdb", "fifo", "--from", "jsonl", "--create"}, {"load", "new.mmdb", "fifo", "--create"},
		{"dump", "a.mmdb", "-o", "unread", "--force"}, {"put", "a.mmdb", "b", "k2"}, {"restore", "-", "new.mmdb"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		code := make(chan int)
		var errs strings.Builder
		go func() { code <- runContext(ctx, args, r, io.Discard, &errs) }()
		cancel()
		if got := <-code; got != exitInterrupted || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("mmdb %q: status %d, %s", args, got, errs.String())
		}
		w.Close()
		r.Close()
		if _, err := os.Stat("new.mmdb"); err == nil {
			t.Errorf("mmdb %q: left a file", args)
		}
	}
	if got := mustRun(t, "", "scan", "a.mmdb", "b"); got != "k\tv\n" {
		t.Errorf("the file holds %q", got)
	}
}

// Every command that writes gives up after --timeout while another program's transaction goes on, and import leaves what it has
// not begun.
func TestWritersGiveUpWaiting(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", "k", "v", "--create")
	dump := mustRun(t, "", "dump", "a.mmdb")
	db, err := mmdb.Open("a.mmdb", fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"put", "a.mmdb", "b", "x", "y"}, {"del", "a.mmdb", "b", "k"}, {"load", "a.mmdb", "--create"},
		{"import", "a.mmdb", "-", "--from", "jsonl", "--create"}, {"import", "a.mmdb", "-", "--from", "jsonl", "--create", "--batch", "1"}} {
		text := dump
		if args[0] == "import" {
			text = `{"key":"x","value":"y"}`
		}
		wantError(t, exitInUse, []string{"mmdb: a.mmdb is in use by another process\n"}, text, append(args, "--timeout", "20ms")...)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	mustRun(t, `{"key":"x","value":"y"}`, "import", "a.mmdb", "-", "--from", "jsonl", "--bucket", "b")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := mustRun(t, "", "scan", "a.mmdb", "b"); got != "k\tv\nx\ty\n" {
		t.Errorf("the file holds %q", got)
	}
}
