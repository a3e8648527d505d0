package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"mmdb"
)

// liveDatabase makes a database on which a writer commits until the test is over.
func liveDatabase(t *testing.T, file string) *mmdb.DB {
	t.Helper()
	makeBrowsed(t, file)
	db, err := mmdb.Open(file, fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := mmdb.Open(file, fileMode, &mmdb.Options{Timeout: 50 * time.Millisecond, ReadOnly: true}); err != nil {
		db.Close()
		t.Skipf("on this system a database can't be shared: %v", err)
	} else {
		other.Close()
	}
	put := func(i int) error {
		return db.Update(func(tx *mmdb.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("live"))
			for k := range 10 {
				if err == nil {
					err = b.Put(fmt.Appendf(nil, "key %d", (i*7+k)%3000), fmt.Appendf(nil, "value %0100d", i))
				}
			}
			if err == nil {
				err = b.SetSequence(uint64(i))
			}
			return err
		})
	}
	err = put(0)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 1; err == nil; i++ {
			select {
			case <-stop:
				return
			default:
				err = put(i)
			}
		}
		t.Error(err)
	})
	t.Cleanup(func() {
		close(stop)
		wg.Wait()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Every command that reads works while another open of the database commits at full speed, and sees one commit.
func TestReadingALiveDatabase(t *testing.T) {
	t.Chdir(t.TempDir())
	db := liveDatabase(t, "a.mmdb")
	for range 3 {
		for _, c := range [][]string{{"info"}, {"stats"}, {"buckets"}, {"get", "people", "person 007"}, {"scan", "live"}, {"check"}, {"pages"},
			{"pages", "--list"}, {"page", "0"}, {"dump"}, {"verify"}, {"export"}, {"map"}, {"tree"}, {"readers"}} {
			if r := tool("", withFile(c, "a.mmdb")...); r.code != exitOK || r.out == "" {
				t.Errorf("mmdb %q: status %d, %s", c, r.code, r.err)
			}
		}
		for _, compact := range []string{"--compact", "--compact=false"} {
			before := db.Stats().Commits
			mustRun(t, "", "backup", "a.mmdb", "copy.mmdb", "--force", compact)
			mustRun(t, "", "verify", "copy.mmdb")
			for deadline := time.Now().Add(10 * time.Second); db.Stats().Commits == before; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the writer stands still")
				}
			}
		}
	}
	mustRun(t, "", "put", "a.mmdb", "people", "somebody", "else")
	wantError(t, exitInUse, []string{"a.mmdb is in use"}, "", "restore", "copy.mmdb", "a.mmdb", "--force", "--timeout", "30ms")
	if got := mustRun(t, "", "get", "a.mmdb", "people", "somebody"); got != "else\n" {
		t.Errorf("got %q", got)
	}
}

// What top shows of another process is what that has done.
func TestTopWatchesAnotherProcess(t *testing.T) {
	t.Chdir(t.TempDir())
	db := liveDatabase(t, "a.mmdb")
	old, err := db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = old.Rollback() }()
	lines := strings.Split(strings.TrimSpace(mustRun(t, "", "top", "a.mmdb", "--json", "--interval", "200ms", "--count", "3")), "\n")
	var v topSample
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &v); err != nil {
		t.Fatal(err)
	}
	if v.Updates <= 0 || v.Commits <= 0 || v.Written <= 0 || len(v.Processes) != 1 || len(v.Readers) == 0 {
		t.Fatalf("%+v", v)
	}
	if p := v.Processes[0]; p.Process != os.Getpid() || !p.Writer || p.Readers < 1 || p.Updates <= 0 || p.Flush <= 0 || p.Written <= 0 {
		t.Errorf("%+v", p)
	}
	if r := v.Readers[0]; r.Process != os.Getpid() || r.Behind == 0 || r.Held == 0 || r.Stale <= 0 {
		t.Errorf("%+v", r)
	}
	s := onScreen(t, "top", "a.mmdb", "--interval", "100ms")
	s.shows("commits", "updates each", "writes", fmt.Sprintf(" %d ", os.Getpid()), "open reader", "holds back", "█")
	s.press("q")
	s.ends(exitOK)
}

// A command that changes something waits for the writer of another process as long as --timeout says.
func TestWritingWaitsForOtherWriters(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", "k", "v", "--create")
	db, err := mmdb.Open("a.mmdb", fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"put", "a.mmdb", "b", "k", "w"}, {"del", "a.mmdb", "b", "k"}, {"put", "a.mmdb", "new", "k", "w", "--create"}} {
		wantError(t, exitInUse, []string{"a.mmdb is in use"}, "", append(args, "--timeout", "30ms")...)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "", "put", "a.mmdb", "b", "k", "w", "--timeout", "20s")
	if got := mustRun(t, "", "get", "a.mmdb", "b", "k"); got != "w\n" {
		t.Errorf("got %q", got)
	}
}

// The browser follows a database that others write to, and changes it between their commits.
func TestBrowseALiveDatabase(t *testing.T) {
	t.Chdir(t.TempDir())
	db := liveDatabase(t, "a.mmdb")
	s := onScreen(t, "browse", "a.mmdb", "people", "--timeout", "20s")
	s.shows("1 of 501 keys")
	err := db.Update(func(tx *mmdb.Tx) error { return tx.Bucket([]byte("people")).Put([]byte("aaron"), []byte("the first")) })
	if err != nil {
		t.Fatal(err)
	}
	s.shows("2 of 502 keys", "aaron", "the first") // what was selected still is
	s.press("Home", "d")
	s.shows("delete people/aaron? y/n")
	s.press("y")
	s.shows("deleted people/aaron", "1 of 501 keys")
	s.press("q")
	s.ends(exitOK)
}

// A process that is killed while it reads is listed until it is cleared, and then holds nothing any more.
func TestReadersOfADeadProcess(t *testing.T) {
	t.Chdir(t.TempDir())
	makeBrowsed(t, "a.mmdb")
	mustRun(t, "", "put", "a.mmdb", "large", "k", strings.Repeat("v", 4<<20), "--create")
	db, err := mmdb.Open("a.mmdb", fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "backup", "a.mmdb", "-", "--timeout", "200ms") // stops in the middle: nobody reads the pipe
	child.Env = append(os.Environ(), asTool+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill() }()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Skipf("on this system a database can't be shared: %v", err)
	}
	pid := fmt.Sprintf("\"process\":%d,", child.Process.Pid)
	if got := mustRun(t, "", "readers", "a.mmdb", "--json"); !strings.Contains(got, pid) {
		t.Fatalf("the reader is not listed: %s", got)
	}
	if got := mustRun(t, "", "readers", "a.mmdb", "--clear"); !strings.Contains(got, "0 dead processes cleared") {
		t.Errorf("a living one was cleared: %s", got)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) { // the system takes its time to release locks
		got := mustRun(t, "", "readers", "a.mmdb", "--clear")
		if strings.Contains(got, "1 dead process cleared\nnobody reads") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the dead reader stays: %s", got)
		}
	}
	mustRun(t, "", "check", "a.mmdb")
}
