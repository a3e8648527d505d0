package main

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"mmdb"
)

// TestCompact: a file of which little is left becomes small, while a program has it open, and holds what it held.
func TestCompact(t *testing.T) {
	t.Chdir(t.TempDir())
	db, err := mmdb.Open("a.mmdb", fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *mmdb.Tx) error {
		for i := range 2000 {
			b, err := tx.CreateBucketIfNotExists(fmt.Appendf(nil, "b%d", i%2))
			if err == nil {
				err = b.Put(fmt.Appendf(nil, "%05d", i), make([]byte, 3000))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = db.Update(func(tx *mmdb.Tx) error {
			_, err := tx.Bucket([]byte("b1")).DeleteRange(nil, []byte("01900"))
			return err
		})
	}
	if err == nil {
		err = db.Update(func(tx *mmdb.Tx) error { return tx.DeleteBucket([]byte("b0")) })
	}
	if err != nil {
		t.Fatal(err)
	}
	before := mustRun(t, "", "export", "a.mmdb", "b1")
	old, err := os.Stat("a.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	var r compactResult
	if err := json.Unmarshal([]byte(mustRun(t, "", "compact", "a.mmdb", "--json")), &r); err != nil {
		t.Fatal(err)
	}
	now, err := os.Stat("a.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	if r.File != "a.mmdb" || r.Moved == 0 || r.Before > old.Size() || r.After != now.Size() || now.Size() > old.Size()/8 {
		t.Errorf("%+v, the file had %d bytes and has %d", r, old.Size(), now.Size())
	}
	if after := mustRun(t, "", "export", "a.mmdb", "b1"); after != before {
		t.Error("it holds something else")
	}
	mustRun(t, "", "check", "a.mmdb")
}

// TestCompactRefuses: wrong files and arguments, each with one line of error.
func TestCompactRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	mustRun(t, "", "compact", "a.mmdb")
	if err := os.WriteFile("text", []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, exitError, []string{"missing: no such file"}, "", "compact", "missing")
	wantError(t, exitError, []string{"text: "}, "", "compact", "text")
	wantError(t, exitUsage, []string{"takes 1 argument"}, "", "compact")
	wantError(t, exitUsage, []string{"takes 1 argument"}, "", "compact", "a.mmdb", "b.mmdb")
	fill(t, "b.mmdb")
	db, err := mmdb.Open("b.mmdb", fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	wantError(t, exitInUse, []string{"b.mmdb"}, "", "compact", "b.mmdb", "--timeout", "50ms")
}
