package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mmdb"
	"mmdb/page"
)

// pairOf is one key with its value, with the database it came from.
type pairOf struct{ database, key, value string }

// readDump reads a whole dump.
func readDump(r io.Reader) ([]pairOf, error) {
	d := newDumpReader(r)
	var out []pairOf
	for {
		s, err := d.section()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		for {
			key, value, err := d.pair()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return out, err
			}
			out = append(out, pairOf{s.name, string(key), string(value)})
		}
	}
}

// writeDump writes pairs as a dump with one section for each change of database.
func writeDump(w io.Writer, pairs []pairOf, print bool) error {
	b := bufio.NewWriter(w)
	d := &dumpWriter{w: b, print: print, size: 1 << 20}
	for i, p := range pairs {
		if i == 0 || pairs[i-1].database != p.database {
			if i > 0 {
				d.end()
			}
			d.begin(p.database)
		}
		if err := d.pair([]byte(p.key), []byte(p.value)); err != nil {
			return err
		}
	}
	if len(pairs) > 0 {
		d.end()
	}
	return b.Flush()
}

var samplePairs = []pairOf{
	{"", "a", "1"}, {"", "b\x00\xff", ""}, {"x/y", `back\slash`, "new\nline"}, {"x/y", "c", strings.Repeat("long \x01", 40000)},
	{"z", " leading", "DATA=END"}, {"z", "DATA=END", " "},
}

func TestDumpReadsBack(t *testing.T) {
	for _, print := range []bool{false, true} {
		var b bytes.Buffer
		if err := writeDump(&b, samplePairs, print); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{b.String(), strings.ReplaceAll(b.String(), "\n", "\r\n"), strings.TrimSuffix(b.String(), "\n")} {
			got, err := readDump(strings.NewReader(text))
			if err != nil || fmt.Sprint(got) != fmt.Sprint(samplePairs) {
				t.Errorf("print %v: %v", print, err)
			}
		}
	}
}

// malformed are dumps that must be refused, each with what the error says.
var malformed = []struct{ name, text, want string }{
	{"empty", "", "not a dump"},
	{"text", "hello\n", "line 1: VERSION=3 expected"},
	{"version", "VERSION=4\n", "line 1: VERSION=4: only version 3"},
	{"format", "VERSION=3\nformat=xml\n", "line 2: format xml is not known"},
	{"no format", "VERSION=3\ntype=btree\nHEADER=END\nDATA=END\n", "names no format"},
	{"type", "VERSION=3\nformat=print\ntype=recno\n", "line 3: type recno"},
	{"duplicates", "VERSION=3\nformat=print\nduplicates=1\nHEADER=END\n", "line 3: duplicates=1: several values"},
	{"dupsort", "VERSION=3\nformat=print\ndupsort=1\nHEADER=END\n", "line 3: dupsort=1"},
	{"header end", "VERSION=3\nformat=print\n", "cut off: the header has no HEADER=END"},
	{"header line", "VERSION=3\nformat\n", "line 2: format: not a header line"},
	{"no end", "VERSION=3\nformat=print\nHEADER=END\n a\n b\n", "cut off: there is no DATA=END"},
	{"no value", "VERSION=3\nformat=print\nHEADER=END\n a\n", "cut off: the last key has no value"},
	{"odd", "VERSION=3\nformat=print\nHEADER=END\n a\nDATA=END\n", "line 5: the last key has no value"},
	{"hex", "VERSION=3\nformat=bytevalue\nHEADER=END\n 6g\n 00\nDATA=END\n", "line 4: not hexadecimal"},
	{"odd hex", "VERSION=3\nformat=bytevalue\nHEADER=END\n 616\n 00\nDATA=END\n", "line 4: not hexadecimal"},
	{"escape", "VERSION=3\nformat=print\nHEADER=END\n a\\q\n b\nDATA=END\n", "line 4: neither"},
	{"space", "VERSION=3\nformat=print\nHEADER=END\nab\n b\nDATA=END\n", "line 4: a data line starts with a space"},
	{"empty key", "VERSION=3\nformat=print\nHEADER=END\n \n b\nDATA=END\n", "line 4: a key of 0 bytes"},
	{"long key", "VERSION=3\nformat=print\nHEADER=END\n " + strings.Repeat("k", 32769) + "\n b\nDATA=END\n", "line 4: a key of 32769 bytes"},
	{"longer key", "VERSION=3\nformat=print\nHEADER=END\n " + strings.Repeat("k", 100000) + "\n b\nDATA=END\n", "line 4: longer than any"},
	{"second section", "VERSION=3\nformat=print\nHEADER=END\n a\n b\nDATA=END\nrest\n", "line 7: VERSION=3 expected"},
	{"name", "VERSION=3\nformat=print\ndatabase=a//b\nHEADER=END\n a\n b\nDATA=END\n", "line 3: database=a//b is not a bucket path"},
	{"no name", "VERSION=3\nformat=print\ndatabase=\nHEADER=END\n a\n b\nDATA=END\n", "line 3: the name of the database is empty"},
	{"bucket and key", "VERSION=3\nformat=print\ndatabase=a\nHEADER=END\n b\n v\nDATA=END\nVERSION=3\nformat=print\ndatabase=a/b\nHEADER=END\n k\n v\nDATA=END\n", "line 10: create bucket a/b"},
}

// A malformed dump is an error that names the line, and nothing of it is loaded.
func TestLoadRefusesMalformedDumps(t *testing.T) {
	good := "VERSION=3\nformat=print\ndatabase=good\nHEADER=END\n k\n v\nDATA=END\n"
	for _, m := range malformed {
		t.Run(m.name, func(t *testing.T) {
			dir := t.TempDir()
			file, fresh := filepath.Join(dir, "a.mmdb"), filepath.Join(dir, "fresh.mmdb")
			mustRun(t, "", "put", file, "b", "k", "old", "--create")
			wantError(t, exitError, []string{m.want}, m.text, "load", file, "--create")
			if m.text != "" {
				wantError(t, exitError, []string{"nothing was loaded"}, good+m.text, "load", file, "--create")
			}
			if got := mustRun(t, "", "buckets", file, "--json"); strings.Count(got, "\n") != 1 {
				t.Errorf("something was loaded: %s", got)
			}
			wantError(t, exitError, nil, m.text, "load", fresh, "--create")
			if _, err := os.Stat(fresh); err == nil {
				t.Error("a failed load left a new file")
			}
		})
	}
}

func TestDumpThenLoadGivesTheSame(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	for _, flag := range []string{"--print=false", "--print"} {
		dump := mustRun(t, "", "dump", "a.mmdb", flag)
		os.Remove("b.mmdb")
		mustRun(t, dump, "load", "b.mmdb", "--create")
		if again := mustRun(t, "", "dump", "b.mmdb", flag); mapless(again) != mapless(dump) {
			t.Errorf("%s: the second dump differs:\n%s", flag, again)
		}
	}
}

// fill makes a database with nested buckets and odd keys and values.
func fill(t *testing.T, file string) {
	t.Helper()
	for _, p := range [][]string{
		{"a", "k1", "v1"}, {"a", `k\x00\xff`, `line\nline`}, {"a", "empty", ""}, {`a/n\/m`, "deep", `back\\slash`},
		{"a/n2/n3", "deeper", "x"}, {"b", " space ", "DATA=END"}, {"b", "big", strings.Repeat("0123456789", 2000)},
	} {
		mustRun(t, "", "put", file, p[0], "--create", "--", p[1], p[2])
	}
}

// mapless is a dump without its mapsize lines, which depend on the file.
func mapless(dump string) string {
	var out []string
	for _, line := range strings.Split(dump, "\n") {
		if !strings.HasPrefix(line, "mapsize=") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// The longest names of buckets, in several levels, come back from a dump.
func TestDumpOfLongNamesReadsBack(t *testing.T) {
	t.Chdir(t.TempDir())
	db, err := mmdb.Open("a.mmdb", 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *mmdb.Tx) error {
		name := bytes.Repeat([]byte{0x01}, page.MaxKeySize)
		b, err := bucketPath{name, name, name}.create(tx)
		if err == nil {
			err = b.Put([]byte("k"), []byte("v"))
		}
		return err
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	mustRun(t, mustRun(t, "", "dump", "a.mmdb"), "load", "b.mmdb", "--create")
	if everything(t, "a.mmdb") != everything(t, "b.mmdb") {
		t.Error("something else came back")
	}
}

// What mdb_dump itself wrote (testdata/lmdb.dump) is loaded.
func TestLoadReadsWhatMdbDumpWrote(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.mmdb")
	mustRun(t, "", "load", file, "testdata/lmdb.dump", "--create")
	got := mustRun(t, "", "scan", file, "fruit", "--json")
	want := "{\"key\":\"apple\",\"value\":\"red\\\\x00\"}\n{\"key\":\"pear\",\"value\":\"\"}\n"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Both ways through LMDB's own tools.
func TestLmdbTools(t *testing.T) {
	if _, err := exec.LookPath("mdb_load"); err != nil {
		t.Skip("mdb_load and mdb_dump (Debian's lmdb-utils) are not installed")
	}
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	for i := range 300 {
		mustRun(t, "", "put", "a.mmdb", fmt.Sprintf("c%02d", i%20), fmt.Sprintf("key %d", i), strings.Repeat("v", i*17), "--create")
	}
	dump := mustRun(t, "", "dump", "a.mmdb")
	throughLmdb(t, dump, "-a")
	one := mustRun(t, "", "dump", "a.mmdb", "b", "-p")
	if strings.Contains(one, "database=") {
		t.Error("a named plain bucket has a database= line")
	}
	throughLmdb(t, one, "-p")
	var b bytes.Buffer
	backslashes := []pairOf{{"", "after an escape", "\n" + `\a\\b\5c`}, {"", `k\`, `\`}, {"", "\n" + `k\n\`, ""}}
	slices.SortFunc(backslashes, func(a, b pairOf) int { return strings.Compare(a.key, b.key) })
	if err := writeDump(&b, backslashes, true); err != nil {
		t.Fatal(err)
	}
	throughLmdb(t, b.String(), "-n") // mdb_dump -p does not escape them
}

// throughLmdb loads a dump with mdb_load, dumps it with mdb_dump, and loads that again.
func throughLmdb(t *testing.T, dump, flag string) {
	t.Helper()
	env := t.TempDir()
	load := exec.Command("mdb_load", env)
	if flag == "-n" { // a file, not a folder
		env = filepath.Join(env, "file.mdb")
		load = exec.Command("mdb_load", "-n", env)
	}
	load.Stdin = strings.NewReader(dump)
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("mdb_load: %v, %s", err, out)
	}
	back, err := exec.Command("mdb_dump", flag, env).Output()
	if err != nil {
		t.Fatalf("mdb_dump: %v", err)
	}
	want, err := readDump(strings.NewReader(dump))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readDump(bytes.NewReader(back))
	byName := func(a, b pairOf) int { return strings.Compare(a.database, b.database) }
	slices.SortStableFunc(want, byName) // LMDB dumps by name
	slices.SortStableFunc(got, byName)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("through LMDB: %v, %d pairs of %d", err, len(got), len(want))
	}
	file := filepath.Join(t.TempDir(), "b.mmdb")
	mustRun(t, string(back), "load", file, "--create")
}

// FuzzLoad feeds any text to the dump parser. It must not panic, and what it
// takes must come out the same after writing it in both forms.
func FuzzLoad(f *testing.F) {
	for _, m := range malformed {
		if len(m.text) < 1000 { // long seeds make the fuzzer slow
			f.Add([]byte(m.text))
		}
	}
	for _, print := range []bool{false, true} {
		var b bytes.Buffer
		if err := writeDump(&b, samplePairs[:2], print); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	if b, err := os.ReadFile("testdata/lmdb.dump"); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		pairs, err := readDump(bytes.NewReader(text))
		if err != nil {
			if strings.ContainsRune(oneLine(err), '\n') {
				t.Fatalf("error of several lines: %q", err)
			}
			return
		}
		for _, print := range []bool{false, true} {
			var b bytes.Buffer
			if err := writeDump(&b, pairs, print); err != nil {
				t.Fatal(err)
			}
			again, err := readDump(&b)
			if err != nil || fmt.Sprint(again) != fmt.Sprint(pairs) {
				t.Fatalf("print %v: %v: %v became %v", print, err, pairs, again)
			}
		}
	})
}

// What the format or LMDB can't carry is said on standard error; the dump is written all the same.
func TestDumpWarnsOfWhatIsLost(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", strings.Repeat("k", 512), "v", "--create")
	db, err := mmdb.Open("a.mmdb", 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *mmdb.Tx) error { return tx.Bucket([]byte("b")).SetSequence(7) })
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	r := tool("", "dump", "a.mmdb")
	if r.code != exitOK || !strings.Contains(r.err, "1 key or name is longer than 511 bytes") ||
		!strings.Contains(r.err, "no place for the sequence of 1 bucket") {
		t.Errorf("status %d, %s", r.code, r.err)
	}
	mustRun(t, r.out, "load", "b.mmdb", "--create", "--bucket", "b")
	if got := mustRun(t, "", "scan", "b.mmdb", "b"); got != strings.Repeat("k", 512)+"\tv\n" {
		t.Errorf("loaded: %q", got)
	}
}
