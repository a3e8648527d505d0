package tx

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// guarded opens a database with Options.Guard and one key.
func guarded(t *testing.T) *Store {
	t.Helper()
	st, err := Open(filepath.Join(t.TempDir(), "guard.mmdb"), 0o600, &Options{Guard: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	err = st.Update(func(tx *Tx) error {
		b, err := tx.CreateBucket([]byte("b"))
		if err != nil {
			return err
		}
		return b.Put([]byte("k"), []byte("value"))
	})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// faults reports whether reading b faults.
func faults(b []byte) (fault bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { fault = recover() != nil }()
	return b[0] == 0
}

func TestGuardFaultsOnUseAfterTheTransaction(t *testing.T) {
	st := guarded(t)
	var kept []byte
	err := st.View(func(tx *Tx) error {
		kept = tx.Bucket([]byte("b")).Get([]byte("k"))
		if string(kept) != "value" {
			t.Errorf("inside: %q", kept)
		}
		for err := range tx.Check() {
			t.Error(err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !faults(kept) {
		t.Error("a slice could be read after its View ended")
	}
	rd, err := st.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	kept = rd.Bucket([]byte("b")).Get([]byte("k"))
	if faults(kept) {
		t.Error("a slice of an open transaction faults")
	}
	if err := rd.Rollback(); err != nil {
		t.Fatal(err)
	}
	if !faults(kept) {
		t.Error("a slice could be read after Rollback")
	}
}

func TestGuardStopsAProgramThatKeepsSlices(t *testing.T) {
	if os.Getenv("MMDB_TEST_KEEP_SLICE") != "" {
		st := guarded(t)
		var kept []byte
		st.View(func(tx *Tx) error {
			kept = tx.Bucket([]byte("b")).Get([]byte("k"))
			return nil
		})
		t.Log(kept[0])
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestGuardStopsAProgramThatKeepsSlices$")
	cmd.Env = append(os.Environ(), "MMDB_TEST_KEEP_SLICE=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "unexpected fault address") {
		t.Errorf("the program went on: %v\n%.500s", err, out)
	}
}

// A read transaction, which is used again, keeps no function that can't run.
func TestOnCommitOfAReadTransactionIsForgotten(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	noError(t, st.View(func(tx *Tx) error {
		tx.OnCommit(func() { t.Error("it ran") })
		if len(tx.onCommit) != 0 {
			t.Error("it is kept")
		}
		return nil
	}))
}
