package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"mmdb"
)

// everything returns what is in the file as text: buckets with their sequences, keys and values.
func everything(t *testing.T, file string) string {
	t.Helper()
	var out strings.Builder
	err := (&app{ctx: t.Context()}).view(file, func(tx *mmdb.Tx) error {
		return walkBuckets(rootBucket(tx), nil, func(path bucketPath, b *mmdb.Bucket) error {
			fmt.Fprintf(&out, "%s %d %d\n", path, b.Sequence(), b.Len())
			for k, v := range b.All() {
				fmt.Fprintf(&out, "%q %q\n", k, v)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// fillOdd puts keys and values of all kinds of bytes into a database, and gives some of the buckets a sequence.
func fillOdd(t *testing.T, file string, seed uint64, text bool) {
	t.Helper()
	db, err := mmdb.Open(file, fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r := rand.New(rand.NewPCG(seed, 1))
	odd := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = "a\"\n\\,';:{}\t é\x00\u2028"[r.IntN(18)]
			if !text {
				b[i] = byte(r.IntN(256))
			}
		}
		if text {
			b = bytes.ToValidUTF8(b, []byte("�"))
		}
		return b
	}
	err = db.Update(func(tx *mmdb.Tx) error {
		for i := range 5 {
			b, err := tx.CreateBucketIfNotExists(append(odd(5), byte('a'+i)))
			if err != nil {
				return err
			}
			if !text {
				if err := b.SetSequence(r.Uint64N(3)); err != nil {
					return err
				}
				if _, err := b.CreateBucket([]byte("without keys")); err != nil {
					return err
				}
			}
			for range 30 {
				if err := b.Put(append(odd(r.IntN(20)), 'k'), odd(r.IntN(40))); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What is exported and imported again is the same, whatever bytes it is of. CSV has no sequences and no empty buckets, so that is
// tried without them.
func TestExportThenImportGivesTheSame(t *testing.T) {
	for seed := range uint64(6) {
		for _, form := range []string{"auto", "hex", "base64", "utf-8"} {
			for _, kind := range []string{"jsonl", "csv"} {
				t.Run(fmt.Sprint(kind, " ", form, " ", seed), func(t *testing.T) {
					t.Chdir(t.TempDir())
					fillOdd(t, "a.mmdb", seed, form == "utf-8" || seed%2 == 0)
					if kind == "csv" && seed%2 == 1 && form != "utf-8" {
						bare(t, "a.mmdb")
					}
					mustRun(t, "", "export", "a.mmdb", "-o", "out."+kind, "--encoding", form)
					mustRun(t, "", "import", "b.mmdb", "out."+kind, "--create")
					if got, want := everything(t, "b.mmdb"), everything(t, "a.mmdb"); got != want {
						t.Errorf("got\n%s\nwant\n%s", got, want)
					}
					mustRun(t, "", "check", "b.mmdb")
				})
			}
		}
	}
}

// bare takes the sequences and the empty buckets out of a file.
func bare(t *testing.T, file string) {
	t.Helper()
	err := (&app{ctx: t.Context()}).update(file, false, func(tx *mmdb.Tx) error {
		return tx.ForEach(func(name []byte, b *mmdb.Bucket) error {
			if err := b.SetSequence(0); err != nil {
				return err
			}
			return b.DeleteBucket([]byte("without keys"))
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// CSV that can't carry something says so.
func TestExportToCSVSaysWhatIsLost(t *testing.T) {
	t.Chdir(t.TempDir())
	fillOdd(t, "a.mmdb", 3, false)
	r := tool("", "export", "a.mmdb", "--as", "csv")
	if r.code != exitOK || !strings.Contains(r.err, "the sequence of ") || !strings.Contains(r.err, "no place for 5 buckets without keys") {
		t.Errorf("status %d, %s", r.code, r.err)
	}
	if r := tool("", "export", "a.mmdb"); r.code != exitOK || r.err != "" {
		t.Errorf("JSON Lines carry everything, but: %d, %s", r.code, r.err)
	}
}

// A bucket that holds nothing but others comes back with the keys in them, so that nothing is said of it.
func TestExportToCSVCountsTheBucketsThatAreLost(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "a/b/c", "k", "v", "--create")
	if r := tool("", "export", "a.mmdb", "--as", "csv"); r.code != exitOK || r.err != "" {
		t.Errorf("a bucket with a bucket with a key: %d, %s", r.code, r.err)
	}
	for _, lost := range []string{"a/b/bare", "a/bare/in/it", "ab", `a\\/b`} {
		mustRun(t, "", "put", "a.mmdb", lost, "k", "v", "--create")
		mustRun(t, "", "del", "a.mmdb", lost, "k")
	}
	if r := tool("", "export", "a.mmdb", "--as", "csv"); !strings.Contains(r.err, "no place for 7 buckets without keys") {
		t.Errorf("seven empty buckets: %s", r.err)
	}
}

// makeBolt makes a bbolt file with nested buckets, sequences, and keys and values of many sizes.
func makeBolt(t *testing.T, file string) (want string) {
	t.Helper()
	db, err := bolt.Open(file, fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bolt.Tx) error {
		for i := range 4 {
			b, err := tx.CreateBucket(fmt.Appendf(nil, "b/%d\x00", i))
			for level := 0; err == nil && level <= i; level++ {
				if err = b.SetSequence(uint64(i*10 + level)); err != nil {
					return err
				}
				for k := range 10 * i {
					if err := b.Put(fmt.Appendf(nil, "key %d \xff%s", k, strings.Repeat("k", k*30)), bytes.Repeat([]byte{byte(k)}, k*k*5)); err != nil {
						return err
					}
				}
				b, err = b.CreateBucket([]byte("nested"))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var walk func(path bucketPath, b *bolt.Bucket) string
	walk = func(path bucketPath, b *bolt.Bucket) string {
		keys, lines, below := 0, "", ""
		_ = b.ForEach(func(k, v []byte) error {
			keys++
			lines += fmt.Sprintf("%q %q\n", k, v)
			if v == nil {
				below += walk(path.child(k), b.Bucket(k))
			}
			return nil
		})
		return fmt.Sprintf("%s %d %d\n", path, b.Sequence(), keys) + lines + below
	}
	err = db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			want += walk(bucketPath{}.child(name), b)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return want
}

// A bbolt file comes over with all that is in it, and is not changed. One that is in use is said to be.
func TestImportOfBolt(t *testing.T) {
	t.Chdir(t.TempDir())
	want := makeBolt(t, "old.bolt")
	before, err := os.ReadFile("old.bolt")
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range []string{"0", "7"} {
		os.Remove("a.mmdb")
		mustRun(t, "", "import", "a.mmdb", "old.bolt", "--create", "--batch", batch)
		if got := everything(t, "a.mmdb"); got != want {
			t.Errorf("got\n%.2000s\nwant\n%.2000s", got, want)
		}
		mustRun(t, "", "check", "a.mmdb")
	}
	if after, err := os.ReadFile("old.bolt"); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the bbolt file changed: %v", err)
	}
	db, err := bolt.Open("old.bolt", fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	wantError(t, exitInUse, []string{"old.bolt is in use"}, "", "import", "a.mmdb", "old.bolt", "--timeout", "50ms")
}

// A bbolt file that is cut short or damaged is an error of one line, or read as far as bbolt notices nothing; nothing is
// half imported.
func TestImportOfDamagedBolt(t *testing.T) {
	t.Chdir(t.TempDir())
	makeBolt(t, "old.bolt")
	whole, err := os.ReadFile("old.bolt")
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for n := 4096; n < len(whole); n += 8192 {
		if err := os.WriteFile("cut.bolt", whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		r := tool("", "import", "a.mmdb", "cut.bolt", "--create", "--from", "bbolt")
		if r.code == exitOK {
			os.Remove("a.mmdb")
			continue
		}
		failed++
		if strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, "cut.bolt") || strings.Contains(r.err, "internal error") {
			t.Errorf("cut to %d: status %d, %s", n, r.code, r.err)
		}
		if _, err := os.Stat("a.mmdb"); err == nil {
			t.Fatalf("cut to %d: a failed import left a file", n)
		}
	}
	if failed == 0 {
		t.Error("no cut was noticed")
	}
}

func TestImportOfDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	want := "main 0 3\n"
	for i, name := range []string{"src/a", "src/d/b", "src/d/é"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("x", i*3000)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		want += fmt.Sprintf("%q %q\n", strings.TrimPrefix(name, "src/"), text)
	}
	if err := os.Symlink("a", "src/link"); err != nil {
		t.Fatal(err)
	}
	r := tool("", "import", "a.mmdb", "src", "--create")
	if r.code != exitOK || !strings.Contains(r.err, "warning: 1 entry that is no regular file left out") {
		t.Errorf("status %d, %s", r.code, r.err)
	}
	if got := everything(t, "a.mmdb"); got != want {
		t.Errorf("got %s", got)
	}
}

// A symbolic link to a directory is one, a file is none, and a database does not take itself in.
func TestImportOfOddDirectories(t *testing.T) {
	t.Chdir(t.TempDir())
	makeTree(t, "src", 5)
	if err := os.Symlink("src", "link"); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "", "import", "src.mmdb", "src", "--create")
	want := everything(t, "src.mmdb")
	mustRun(t, "", "import", "link.mmdb", "link", "--create")
	if got := everything(t, "link.mmdb"); got != want || !strings.Contains(got, "main 0 5\n") {
		t.Errorf("through the link %s, want %s", got, want)
	}
	var r demoResult
	if err := json.Unmarshal([]byte(mustRun(t, "", "demo", "link", "--json")), &r); err != nil || r.Files != 5 {
		t.Errorf("demo: %v, %d files", err, r.Files)
	}
	wantError(t, exitError, []string{"link.mmdb: is not a directory"}, "", "import", "a.mmdb", "link.mmdb", "--from", "dir", "--create")
	for _, file := range []string{"link/self.mmdb", "src/self.mmdb"} { // the second time with a lock file
		r := tool("", "import", file, "src", "--create")
		if r.code != exitOK || !strings.Contains(r.err, "it is of the database itself") {
			t.Errorf("status %d, %s", r.code, r.err)
		}
		if got := everything(t, file); got != want {
			t.Errorf("with itself %s, want %s", got, want)
		}
	}
	if _, err := os.Stat("a.mmdb"); err == nil {
		t.Error("a failed import left a file")
	}
}

// badTables are sources that are refused, each with what the error says.
var badTables = []struct{ kind, text, want string }{
	{"csv", "", "it is empty"},
	{"csv", "key,key\n", "line 1: two columns are named key"},
	{"csv", "key,value\na\n", "line 2: wrong number of fields"},
	{"csv", "key,value\nk,v\n\"a,b\n", "line 3: extraneous or missing"},
	{"csv", "key,value\n,v\n", "line 2: put key"},
	{"csv", "key:hex,value\n6g,v\n", "line 2: 6g is not hex"},
	{"csv", "key,value:base64\nk,?\n", "line 2: ? is not base64"},
	{"csv", "bucket,key,value\na//b,k,v\n", "line 2: bucket path a//b"},
	{"csv", "bucket,key,value\na,b,v\na/b,k,v\n", "line 3: create bucket"},
	{"jsonl", "[1]\n", "line 1: not a JSON object"},
	{"jsonl", "{\"key\":\"a\",\"value\":\"b\"}\n{\n", "line 2: not a JSON object"},
	{"jsonl", "{\"key\":\"a\"}\n", "line 1: a key and a value are needed"},
	{"jsonl", "{\"key\":\"a\",\"value\":1}\n", "line 1: "},
	{"jsonl", "{\"key\":\"a\",\"value\":\"\xff\"}\n", "line 1: not UTF-8"},
	{"jsonl", "{\"key\":\"a\",\"key:hex\":\"61\",\"value\":\"v\"}\n", "line 1: the key is there 2 times"},
	{"jsonl", "{\"key:hex\":\"x\",\"value\":\"v\"}\n", "line 1: x is not hex"},
	{"jsonl", "{\"key\":\"a\",\"value\":\"v\"}{\"key\":\"a\",\"value\":\"v\"}\n", "line 1: more than one"},
	{"jsonl", "{\"key\":\"a\",\"value\":\"v\"}}\n", "line 1: more than one"},
	{"jsonl", "{\"key\":\"a\",\"value\":\"v\"}]\n", "line 1: more than one"},
	{"jsonl", "{\"key\":\"a\",\"value\":\"v\"} x\n", "line 1: more than one"},
	{"jsonl", "{\"key\":\"\\ud800\",\"value\":\"v\"}\n", "line 1: half a character"},
	{"jsonl", "{\"key\":\"k\",\"value\":\"\\\\\\udc00\\ud800\"}\n", "line 1: half a character"},
	{"jsonl", "{\"key\":\"a\",\"value\":\"v\",\"sequence\":1,\"bucket\":\"b\"}\n", "line 1: a sequence is"},
}

func TestImportRefusesMalformedTables(t *testing.T) {
	for i, b := range badTables {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Chdir(t.TempDir())
			wantError(t, exitError, []string{"standard input: " + b.want, "nothing was imported"}, b.text, "import", "a.mmdb", "-", "--from", b.kind, "--create")
			if got := names(t); got != "" {
				t.Errorf("files: %s", got)
			}
		})
	}
}

// Escapes that make up whole characters are understood; halves of one are refused where they would get lost, and kept in a row that
// is kept as it is.
func TestImportOfEscapesInJSON(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, `{"key":"\\ud800\ud83d\ude00\u0041","value":"\u00e9\\"}`, "import", "a.mmdb", "-", "--from", "jsonl", "--create")
	if got, want := everything(t, "a.mmdb"), "main 0 1\n\"\\\\ud800😀A\" \"é\\\\\"\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	line := `{"id":"k","text":"\ud800"}`
	mustRun(t, line, "import", "b.mmdb", "-", "--from", "jsonl", "--key", "id", "--create")
	if got := mustRun(t, "", "get", "b.mmdb", "main", "k", "--format", "raw"); got != line {
		t.Errorf("got %s", got)
	}
	for _, flags := range [][]string{{"--key", "text"}, {"--key", "id", "--value", "text"}} {
		wantError(t, exitError, []string{"half a character"}, line, append([]string{"import", "b.mmdb", "-", "--from", "jsonl"}, flags...)...)
	}
}

// Commits of --batch stay when a later row is bad, and the error says how many.
func TestImportInBatches(t *testing.T) {
	t.Chdir(t.TempDir())
	text := strings.Repeat("{\"key\":\"k\",\"value\":\"v\"}\n", 25) + "{\n"
	wantError(t, exitError, []string{"line 26", "20 keys were imported before it"}, text, "import", "a.mmdb", "-", "--from", "jsonl", "--create", "--batch", "10")
	if got := mustRun(t, "", "scan", "a.mmdb", "main"); got != "k\tv\n" {
		t.Errorf("got %q", got)
	}
}

// A byte order mark, tabs, and a column named with its encoding are understood.
func TestImportOfOddCSV(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a.tsv", []byte("\xef\xbb\xbfid:hex\tname\r\n6b\ta,b\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "", "import", "a.mmdb", "a.tsv", "--key", "id", "--value", "name", "--create")
	mustRun(t, "k;v\nx;y\n", "import", "a.mmdb", "-", "--from", "csv", "--key", "k", "--value", "v", "--comma", ";")
	if got := mustRun(t, "", "scan", "a.mmdb", "main"); got != "k\ta,b\nx\ty\n" {
		t.Errorf("got %q", got)
	}
}

// FuzzImport feeds any text to the readers of tables. They must not panic, and errors are one line.
func FuzzImport(f *testing.F) {
	for _, b := range badTables {
		f.Add([]byte(b.text), b.kind == "csv", false)
		f.Add([]byte(b.text), b.kind == "csv", true)
	}
	f.Fuzz(func(t *testing.T, text []byte, isCSV, own bool) {
		o := &importOptions{encoding: encodingAuto, comma: ","}
		if !own {
			o.key = "key"
		}
		rows := jsonRows(bytes.NewReader(text), o)
		if isCSV {
			rows = csvRows(bytes.NewReader(text), o)
		}
		for r, err := range rows {
			if err != nil && strings.ContainsRune(oneLine(err), '\n') {
				t.Fatalf("error of several lines: %q", err)
			}
			if err == nil && r.value == nil && r.key != nil {
				t.Fatalf("a key without a value: %q", r.key)
			}
		}
	})
}
