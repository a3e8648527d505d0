package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"mmdb"
)

// makeBrowsed makes a database to browse in.
func makeBrowsed(t *testing.T, file string) {
	t.Helper()
	var rows strings.Builder
	enc := json.NewEncoder(&rows)
	for i := range 500 {
		if err := enc.Encode(map[string]string{"bucket": "people", "key": fmt.Sprintf("person %03d", i), "value": fmt.Sprintf(`{"age":%d,"name":"Ann %d"}`, i%90, i)}); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, rows.String(), "import", file, "-", "--from", "jsonl", "--create")
	mustRun(t, "", "put", file, "people/nested", "inside", "a nested value", "--create")
	mustRun(t, "", "put", file, "blobs", "binary", `\x00\x01\xfe`, "--create")
	mustRun(t, strings.Repeat("large value ", 3000), "put", file, "blobs", "large")
}

// Walking through buckets and keys, into values in all their forms, and to the pages that hold them.
func TestBrowseWalksAndShows(t *testing.T) {
	t.Chdir(t.TempDir())
	makeBrowsed(t, "a.mmdb")
	s := onScreen(t, "browse", "a.mmdb")
	s.shows("a.mmdb  /  1 of 2 keys", "blobs", "<bucket, 2 keys>", "people", "<bucket, 501 keys>")
	s.press("Enter")
	s.shows("blobs  1 of 2 keys", "binary", `\x00\x01\xfe`, "large value large", "(36,000 bytes)")
	s.press("Enter")
	s.shows("blobs/binary  3 bytes  hexadecimal", "00000000  00 01 fe")
	s.press("Tab")
	s.shows("text", `\x00\x01\xfe`)
	s.press("Left", "Down", "Enter")
	s.shows("blobs/large  36,000 bytes", "text", "large value large value")
	s.press("p")
	s.shows("holds blobs/large, its value is in the run at page", "kind", "leaf", "binary")
	s.press("o")
	s.shows("overflow", "payload", "36,000 bytes")
	s.press("Escape")
	s.shows("2 of 2 keys")
	s.press("BSpace")
	s.shows("a.mmdb  /  1 of 2 keys")
	s.press("Down", "Enter")
	s.shows("people  1 of 501 keys", "nested", "<bucket, 1 key>", "person 000")
	s.press("End")
	s.shows("501 of 501 keys", "person 499")
	s.hides("person 000")
	s.press("PgUp", "PgUp")
	s.shows("person 446", "447 of 501 keys")
	s.press("Home", "Enter")
	s.shows("people/nested  1 of 1 key", "a nested value")
	s.press("p")
	s.shows("holds people/nested/inside", "nested", "bucket")
	s.press("Left", "Left", "Down", "Enter") // escape and an arrow at once would be another key
	s.shows(`people/person 000`, "JSON", `"age": 0,`, `"name": "Ann 0"`)
	s.press("Tab")
	s.shows("text", `{"age":0,"name":"Ann 0"}`)
	s.press("Left", "?")
	s.shows("go to the first key from what is typed")
	s.press("x", "q")
	s.ends(exitOK)
}

// On a narrow screen what is said of a bucket is cut, and no length of a value comes in its place.
func TestBrowseNarrow(t *testing.T) {
	m := &browser{width: 24, height: 5, rows: []browseRow{{text: "people", value: "<bucket, 501 keys>", bucket: true}}}
	if line := m.body()[0]; !strings.Contains(line, "<bucket") || strings.Contains(line, "bytes") {
		t.Errorf("%q", line)
	}
}

// Seeking a key and finding text in values.
func TestBrowseSearches(t *testing.T) {
	t.Chdir(t.TempDir())
	makeBrowsed(t, "a.mmdb")
	s := onScreen(t, "browse", "a.mmdb", "people")
	s.shows("1 of 501 keys")
	s.press("s")
	s.shows("go to the first key from:")
	s.types("person 33")
	s.shows("332 of 501 keys")
	s.press("/")
	s.shows("find in keys and values:")
	s.types("Ann 41")
	s.shows("412 of 501 keys", "Ann 410")
	s.press("n")
	s.shows("413 of 501 keys")
	s.press("/")
	s.press("C-u")
	s.types(`"Ann 7"`)
	s.shows("9 of 501 keys") // around the end
	s.press("/")
	s.press("C-u")
	s.types("nobody")
	s.shows("not found in this bucket: nobody")
	s.press("s")
	s.types(`\q`)
	s.shows("the key is not text: unknown escape")
	s.press("C-c")
	s.ends(exitOK)
}

// Each change asks first, and is made only after a yes; what has changed meanwhile is not overwritten.
func TestBrowseEdits(t *testing.T) {
	t.Chdir(t.TempDir())
	makeBrowsed(t, "a.mmdb")
	s := onScreen(t, "browse", "a.mmdb", "blobs")
	s.shows("1 of 2 keys")
	s.press("e")
	s.shows(`value of blobs/binary: \x00\x01\xfe`)
	s.press("C-u")
	s.types("new")
	s.shows("replace 3 bytes of blobs/binary by 3 bytes? y/n")
	s.press("n")
	s.shows("nothing was done")
	s.press("e", "C-u")
	s.types(`new\x00`)
	s.press("y")
	s.shows("replaced blobs/binary", `new\x00`)
	s.press("a")
	s.shows("new key:")
	s.types("added")
	s.shows("its value:")
	s.types("text")
	s.shows("add blobs/added with 4 bytes? y/n")
	s.press("y")
	s.shows("added blobs/added", "1 of 3 keys")
	s.press("d")
	s.shows("delete blobs/added? y/n")
	s.press("Escape")
	s.shows("nothing was done")
	s.press("d", "y")
	s.shows("deleted blobs/added", "1 of 2 keys")
	s.press("Down", "e")
	s.shows("values of more than 4,096 bytes are not edited in a line")
	s.press("Left", "Down", "d")
	s.shows("delete the bucket people <bucket, 501 keys> with all that is in it? y/n")
	s.press("y")
	s.shows("deleted people", "1 of 1 key")
	s.press("e")
	s.shows("the top level holds only buckets")
	s.press("q")
	s.ends(exitOK)
	if got := mustRun(t, "", "scan", "a.mmdb", "blobs", "--limit", "1") + mustRun(t, "", "scan", "a.mmdb"); got != "binary\tnew\\x00\nblobs\t<bucket, 2 keys>\n" {
		t.Errorf("the file holds %q", got)
	}
	mustRun(t, "", "check", "a.mmdb")
}

// An editor gets the value as it is; what it leaves is stored after a yes.
func TestBrowseWithAnEditor(t *testing.T) {
	t.Chdir(t.TempDir())
	makeBrowsed(t, "a.mmdb")
	t.Setenv("VISUAL", "")
	t.Setenv("EDITOR", "sed -i s/large/small/g")
	s := onScreen(t, "browse", "a.mmdb", "blobs")
	s.shows("1 of 2 keys")
	s.press("Down", "E")
	s.shows("replace 36,000 bytes of blobs/large by 36,000 bytes? y/n")
	s.press("y")
	s.shows("replaced blobs/large", "small value small")
	s.press("E")
	s.shows("the value is the same")
	s.press("q")
	s.ends(exitOK)
	if got := mustRun(t, "", "get", "a.mmdb", "blobs", "large", "--format", "raw"); got != strings.Repeat("small value ", 3000) {
		t.Errorf("the value is %.60q", got)
	}
	t.Setenv("EDITOR", "false")
	s = onScreen(t, "browse", "a.mmdb", "blobs")
	s.shows("1 of 2 keys")
	s.press("E")
	s.shows("false: exit status 1")
	s.press("q")
	s.ends(exitOK)
}

func TestBrowseReadOnly(t *testing.T) {
	t.Chdir(t.TempDir())
	makeBrowsed(t, "a.mmdb")
	before, err := os.ReadFile("a.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	s := onScreen(t, "browse", "a.mmdb", "blobs", "--read-only", "--format", "hex")
	s.shows("62696e617279", "0001fe")
	for _, key := range []string{"e", "a", "d"} {
		s.press(key)
		s.shows("changes are refused: --read-only")
		s.press("Down")
		s.hides("refused")
	}
	s.press("q")
	s.ends(exitOK)
	if after, err := os.ReadFile("a.mmdb"); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file changed: %v", err)
	}
}

// A damaged page is told, and the rest stays usable.
func TestBrowseOfADamagedFile(t *testing.T) {
	t.Chdir(t.TempDir())
	makeBrowsed(t, "a.mmdb")
	err := (&app{ctx: t.Context()}).view("a.mmdb", func(tx *mmdb.Tx) error {
		w, err := locate(tx, bucketPath{[]byte("people")}, []byte("person 300"))
		if err == nil {
			defer damagePage(t, "a.mmdb", w.page)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s := onScreen(t, "browse", "a.mmdb", "people")
	s.shows("person 000")
	s.press("s")
	s.types("person 300")
	s.shows("a.mmdb: database is damaged: page ")
	s.press("Home")
	s.shows("1 of 501 keys", "person 000")
	s.press("q")
	s.ends(exitOK)
}

// Without a terminal, and with a file that can't be opened, there is one line of error.
func TestBrowseRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", "k", "v", "--create")
	wantError(t, exitError, []string{"must be a terminal"}, "", "browse", "a.mmdb")
	wantError(t, exitError, []string{"no bucket x"}, "", "browse", "a.mmdb", "x")
	wantError(t, exitError, []string{"missing.mmdb: no such file"}, "", "browse", "missing.mmdb")
	wantError(t, exitUsage, []string{"a name is empty"}, "", "browse", "a.mmdb", "a//b")
}

// The page where locate finds a key is the one that has it, for every key of every bucket.
func TestLocateFindsEveryKey(t *testing.T) {
	t.Chdir(t.TempDir())
	makeBrowsed(t, "a.mmdb")
	for i := range 40 { // large keys
		mustRun(t, "", "put", "a.mmdb", "long", strings.Repeat("k", 400+i*20)+fmt.Sprint(i), strings.Repeat("v", i*300), "--create")
	}
	keys := 0
	err := (&app{ctx: t.Context()}).view("a.mmdb", func(tx *mmdb.Tx) error {
		return walkBuckets(rootBucket(tx), nil, func(path bucketPath, b *mmdb.Bucket) error {
			for k, v := range b.All() {
				w, err := locate(tx, path, k)
				if err != nil {
					return err
				}
				keys++
				p, err := tx.PageBytes(w.page)
				if err != nil {
					return err
				}
				if !bytes.Contains(p, k[:min(len(k), 200)]) {
					t.Errorf("page %d does not hold %.40q of %s", w.page, k, path)
				}
				if w.run != 0 {
					p, err := tx.PageBytes(w.run)
					if err != nil || !bytes.Contains(p, v) {
						t.Errorf("the run at %d does not hold the value of %.40q, %v", w.run, k, err)
					}
				} else if len(v) > 3000 {
					t.Errorf("no run holds the value of %.40q", k)
				}
			}
			return nil
		})
	})
	if err != nil || keys < 540 {
		t.Errorf("%d keys, %v", keys, err)
	}
}
