package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"mmdb"
)

// An interrupt ends every command that waits for a file in use, and nothing stays behind.
func TestInterruptWhileAFileIsInUse(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", "k", "v", "--create")
	mustRun(t, "", "backup", "a.mmdb", "b.mmdb")
	db, err := mmdb.Open("a.mmdb", fileMode, &mmdb.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	old, err := bolt.Open("old.bolt", fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	before := names(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	commands := [][]string{{"get", "a.mmdb", "b", "k"}, {"check", "a.mmdb"}, {"put", "a.mmdb", "b", "k", "v"}, {"backup", "a.mmdb", "new.mmdb"},
		{"restore", "b.mmdb", "a.mmdb", "--force"}, {"salvage", "a.mmdb", "new.mmdb"}, {"demo", ".", "--db", "a.mmdb"},
		{"import", "new.mmdb", "old.bolt", "--from", "bbolt", "--create"}, {"import", "a.mmdb", ".", "--from", "dir"}}
	codes := make([]chan int, 2*len(commands))
	for i := range codes {
		args := append(commands[i/2], "--timeout", []string{"0", "1h"}[i%2])
		codes[i] = make(chan int, 1)
		go func() { codes[i] <- runContext(ctx, args, strings.NewReader(""), io.Discard, io.Discard) }()
	}
	time.Sleep(50 * time.Millisecond) // until they wait
	stop()
	for i, code := range codes {
		select {
		case got := <-code:
			if got != exitInterrupted {
				t.Errorf("mmdb %q: status %d", commands[i/2], got)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("mmdb %q goes on waiting", commands[i/2])
		}
	}
	if got := names(t); got != before {
		t.Errorf("files: %s, before %s", got, before)
	}
}

// A timeout that is longer than the tool leaves the library to wait at once is kept to.
func TestTimeoutIsKept(t *testing.T) {
	t.Chdir(t.TempDir())
	db, err := mmdb.Open("a.mmdb", fileMode, &mmdb.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	start, timeout := time.Now(), lockTurn+lockTurn/5
	wantError(t, exitInUse, []string{"a.mmdb is in use by another process"}, "", "info", "a.mmdb", "--timeout", timeout.String())
	if d := time.Since(start); d < timeout || d > timeout+10*time.Second {
		t.Errorf("%v in place of %v", d, timeout)
	}
}
