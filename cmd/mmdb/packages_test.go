package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// packageIndex returns an index of packages as JSON Lines, like one made of what apt-cache dumpavail prints: text of a few hundred bytes
// to some kilobytes, of several lines, with letters beyond ASCII.
func packageIndex(rows int) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("library development files the of für daemon \"quoted\" back\\slash 図書館 tool <maintainer@example.org> a, b (>= 2.3~rc1)")
	for i := range rows {
		var text strings.Builder
		for range 20 + r.IntN(300) {
			text.WriteString(words[r.IntN(len(words))])
			text.WriteByte(" \n"[r.IntN(12)/11])
		}
		name := fmt.Sprintf("lib%s%d-dev", words[r.IntN(4)], i)
		_ = enc.Encode(map[string]any{"id": name + "/amd64", "Package": name, "Version": fmt.Sprintf("%d:%d.%d-1", r.IntN(2), i%9, r.IntN(100)),
			"Installed-Size": r.IntN(1 << 20), "Description": text.String()})
	}
	return out.Bytes()
}

// afterHeader returns the data of a dump.
func afterHeader(t *testing.T, dump []byte) []byte {
	t.Helper()
	_, data, ok := bytes.Cut(dump, []byte("HEADER=END\n"))
	if !ok {
		t.Fatalf("no header in %.100q", dump)
	}
	return data
}

// A package index is imported, exported and imported again in both forms, dumped, loaded by LMDB, and dumped by LMDB: the data
// is the same to the byte.
func TestPackageIndexThroughLmdb(t *testing.T) {
	if _, err := exec.LookPath("mdb_load"); err != nil {
		t.Skip("mdb_load and mdb_dump (Debian's lmdb-utils) are not installed")
	}
	rows := 3000
	if testing.Short() {
		rows = 300
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("index.jsonl", packageIndex(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "", "import", "a.mmdb", "index.jsonl", "--key", "id", "--bucket", "packages", "--create")
	mustRun(t, "", "export", "a.mmdb", "packages", "-o", "a.csv")
	mustRun(t, "", "import", "b.mmdb", "a.csv", "--bucket", "packages", "--create", "--batch", "700")
	mustRun(t, "", "export", "b.mmdb", "-o", "b.jsonl")
	mustRun(t, "", "import", "c.mmdb", "b.jsonl", "--create")
	mustRun(t, "", "verify", "c.mmdb")
	mustRun(t, "", "dump", "c.mmdb", "packages", "-o", "c.dump")
	if out, err := exec.Command("mdb_load", "-n", "-f", "c.dump", "other.mdb").CombinedOutput(); err != nil {
		t.Fatalf("mdb_load: %v, %s", err, out)
	}
	theirs, err := exec.Command("mdb_dump", "-n", "other.mdb").Output()
	if err != nil {
		t.Fatalf("mdb_dump: %v", err)
	}
	ours, err := os.ReadFile("c.dump")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(afterHeader(t, theirs), afterHeader(t, ours)) {
		t.Error("LMDB dumps something else than it was given")
	}
	if n := bytes.Count(ours, []byte("\n ")); n != 2*rows {
		t.Errorf("%d lines of data for %d rows", n, rows)
	}
}
