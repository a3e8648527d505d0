package main

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mmdb"
)

// TestMain makes the test binary the tool when a torture run starts it as a child, or a test in a terminal.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == tortureWorker || os.Getenv(asTool) != "" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestTorture kills writers for ten seconds, and nothing is lost. On a machine that is too slow or too busy for that to
// kill a writer that has committed something, it takes longer.
func TestTorture(t *testing.T) {
	length := 4 * time.Second
	if raceEnabled || testing.Short() {
		length = 2 * time.Second
	}
	dir := t.TempDir()
	var r tortureResult
	enough := func() bool { return r.Rounds >= 2 && r.Killed > 0 && r.Commits > 0 && r.Keys > 0 }
	for ; !enough() && length < 2*time.Minute; length *= 3 {
		r = tortureResult{}
		if err := json.Unmarshal([]byte(mustRun(t, "", "torture", "--dir", dir, "--for", length.String(), "--json")), &r); err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", r)
		if r.Losses != 0 {
			t.Fatal("something was lost")
		}
	}
	if !enough() {
		t.Error("nothing was tested")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The seed gives the transactions, and the report says it.
func TestTortureReports(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := mustRun(t, "", "torture", "--dir", dir, "--for", "300ms", "--seed", "7", "--writers", "2")
	for _, want := range []string{"rounds", "killed", "acknowledged, from 2 goroutines", "seed         7", "losses       0"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report does not say %q:\n%s", want, out)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	wantError(t, exitError, []string{"missing: no such directory"}, "", "torture", "--dir", filepath.Join(dir, "missing"))
	wantError(t, exitUsage, []string{"--writers"}, "", "torture", "--dir", dir, "--writers", "0")
	wantError(t, exitUsage, []string{"takes 0 arguments"}, "", "torture", dir)
}

// An interrupt ends the child and the run, and leaves nothing.
func TestTortureInterrupted(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	var out, errs strings.Builder
	started := time.Now()
	code := runContext(ctx, []string{"torture", "--dir", dir}, strings.NewReader(""), &out, &errs)
	if code != exitInterrupted || time.Since(started) > 50*time.Second {
		t.Errorf("status %d after %v, %s", code, time.Since(started), errs.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// tortured returns a run that has verified a few rounds.
func tortured(t *testing.T) *torture {
	t.Helper()
	var out, errs strings.Builder
	tt := &torture{a: &app{out: newOutput(&out), err: &errs, ctx: t.Context()}, dir: t.TempDir(), seed: 5, writers: 3, length: time.Second}
	tt.folder = filepath.Join(tt.dir, "folder")
	if err := os.Mkdir(tt.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	tt.start()
	for tt.last < 20 {
		if err := tt.round(300 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	return tt
}

// changeTorture changes the database of a run.
func changeTorture(t *testing.T, tt *torture, change func(tx *mmdb.Tx) error) {
	t.Helper()
	db, err := mmdb.Open(tt.file, 0o600, nil)
	if err == nil {
		err = errors.Join(db.Update(change), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestTortureFindsLosses: whatever is wrong with the database is a loss, and named.
func TestTortureFindsLosses(t *testing.T) {
	tt := tortured(t)
	whole, err := os.ReadFile(tt.file)
	if err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(c *tortureRound){
		"was acknowledged": func(c *tortureRound) { c.acked = tt.last + 1 },
		"no more than": func(*tortureRound) {
			changeTorture(t, tt, func(tx *mmdb.Tx) error { return leaveMark(tx, tt.seed, tt.last+4) })
		},
		"the mark of the last": func(*tortureRound) {
			changeTorture(t, tt, func(tx *mmdb.Tx) error { return leaveMark(tx, tt.seed+1, tt.last) })
		},
		"which was deleted or never made": func(*tortureRound) { changeTorture(t, tt, putIn("b0", []byte("other"), nil)) },
		"items, want": func(*tortureRound) {
			changeTorture(t, tt, func(tx *mmdb.Tx) error { return tx.DeleteBucket([]byte("b1")) })
		},
		"differ from the": func(*tortureRound) {
			for key := range tt.model.buckets["b0"].values {
				changeTorture(t, tt, putIn("b0", []byte(key), []byte("something else")))
				return
			}
		},
		"its sequence is": func(*tortureRound) {
			changeTorture(t, tt, func(tx *mmdb.Tx) error { _, err := tx.Bucket([]byte("b2")).NextSequence(); return err })
		},
		// A problem of the check, or a checksum when the page is one that opening needs.
		"check": func(*tortureRound) { flip(t, tt.file, int64(len(whole))*2/3) },
		"does not open": func(*tortureRound) {
			if err := os.WriteFile(tt.file, []byte("nothing of a database"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		c := &tortureRound{opened: true, found: tt.last}
		spoil(c)
		var loss lossError
		if err := tt.verify(c); !errors.As(err, &loss) || !strings.Contains(err.Error(), want) {
			t.Errorf("verify: %v, want %q", err, want)
		}
		if err := os.WriteFile(tt.file, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func leaveMark(tx *mmdb.Tx, seed, n uint64) error {
	b, err := tx.CreateBucketIfNotExists([]byte(tortureMarkBucket))
	if err == nil {
		err = b.Put([]byte(tortureMarkKey), []byte(tortureMark(seed, n)))
	}
	return err
}

func putIn(bucket string, key, value []byte) func(*mmdb.Tx) error {
	return func(tx *mmdb.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err == nil {
			err = b.Put(key, value)
		}
		return err
	}
}

// flip changes bytes all over the file from a place on, so that some of them matter.
func flip(t *testing.T, path string, from int64) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := from; i < int64(len(data)); i += 1000 {
		data[i] ^= 0x55
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTortureModel: a transaction does the same to the database and to the model, whatever its number.
func TestTortureModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, err := mmdb.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	model, kinds := newTortureBucket(), map[tortureKind]int{}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for n := uint64(1); n <= 1400; n += 1 + n/100 {
		err := db.Update(func(tx *mmdb.Tx) error { return tortureApply(tx, seed, n) })
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range tortureSteps(seed, n) {
			s.model(model)
			kinds[s.kind]++
		}
		if raceEnabled && n%20 != 0 {
			continue
		}
		err = db.View(func(tx *mmdb.Tx) error { return model.compare(torturePart{tx: tx}, nil) })
		if err != nil {
			t.Fatalf("transaction %d: %v", n, err)
		}
	}
	if len(kinds) != 6 {
		t.Errorf("kinds of changes: %v", kinds)
	}
}
