package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mmdb"
)

// readers are the commands that only read, without their file.
var readers = [][]string{
	{"info"}, {"stats"}, {"buckets"}, {"get", "b", "k"}, {"scan", "b"}, {"check"}, {"pages"}, {"page", "12"}, {"dump"}, {"verify"},
	{"export"}, {"map"}, {"tree"}, {"tree", "b"}, {"readers"},
}

// withFile puts the file after the command's name.
func withFile(command []string, file string) []string {
	return append([]string{command[0], file}, command[1:]...)
}

// A file that is no database is an error of every command that reads, and it
// stays as it is.
func TestReadingRefusesWhatIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), dangling); err != nil {
		t.Fatal(err)
	}
	cases := []struct{ file, want string }{
		{filepath.Join(dir, "missing"), "no such file"},
		{filepath.Join(dir, "missing", "deeper"), "no such file"},
		{dangling, "no such file"},
		{write("empty", ""), "empty"},
		{write("text", strings.Repeat("hello\n", 20000)), "not an mmdb database"},
		{write("short", "hello\n"), ""},
		{dir, "regular file"},
	}
	for _, c := range cases {
		for _, r := range readers {
			wantError(t, exitError, []string{c.file, c.want}, "", withFile(r, c.file)...)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("reading made files: %v", entries)
	}
}

// Of a file of bbolt every command says what it is, and what to do about it.
func TestBoltFilesAreTold(t *testing.T) {
	t.Chdir(t.TempDir())
	makeBolt(t, "old.db")
	for _, command := range append(readers, []string{"put", "b", "k", "v", "--create"}, []string{"del", "b", "k"}) {
		wantError(t, exitError, []string{"old.db: not an mmdb database, but of bbolt: mmdb import NEW old.db --create"}, "", withFile(command, "old.db")...)
	}
}

// Writing commands don't make a file without --create, and never over one that is none of ours.
func TestWritingRefusesWhatIsNoDatabase(t *testing.T) {
	t.Chdir(t.TempDir())
	dump := "VERSION=3\nformat=print\nHEADER=END\n k\n v\nDATA=END\n"
	wantError(t, exitError, []string{"new.mmdb: no such file (--create makes one)"}, "", "put", "new.mmdb", "b", "k", "v")
	wantError(t, exitError, []string{"new.mmdb: no such file (--create makes one)"}, dump, "load", "new.mmdb")
	wantError(t, exitError, []string{"no such file"}, "", "del", "new.mmdb", "b", "k")
	if _, err := os.Stat("new.mmdb"); err == nil {
		t.Fatal("a file was made")
	}
	text := []byte(strings.Repeat("hello\n", 20000))
	err := errors.Join(os.WriteFile("text", text, 0o600), os.WriteFile("empty", nil, 0o600), os.WriteFile("zeros", make([]byte, 1<<17), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, exitError, []string{"the file is empty (--create"}, "", "put", "zeros", "b", "k", "v")
	wantError(t, exitError, []string{"the file is empty (--create"}, "", "put", "empty", "b", "k", "v")
	for _, args := range [][]string{{"put", "text", "b", "k", "v", "--create"}, {"load", "text", "--create"}, {"del", "text", "b", "k"}} {
		wantError(t, exitError, []string{"text", "not an mmdb database"}, dump, args...)
	}
	if got, err := os.ReadFile("text"); err != nil || string(got) != string(text) {
		t.Error("a text file was changed")
	}
	wantError(t, exitError, []string{"regular file"}, dump, "load", ".", "--create")
	mustRun(t, "", "put", "empty", "b", "k", "v", "--create")
}

func TestNewFilesAreForTheOwnerOnly(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", "k", "v", "--create")
	mustRun(t, "", "dump", "a.mmdb", "-o", "a.dump")
	mustRun(t, "", "load", "b.mmdb", "a.dump", "--create")
	for _, name := range []string{"a.mmdb", "a.dump", "b.mmdb"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
}

// A FIFO is refused at once: opening it does not wait for a writer.
func TestFifoIsRefused(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	makeFifo(t, fifo)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, r := range readers {
			wantError(t, exitError, []string{fifo, "regular file"}, "", withFile(r, fifo)...)
		}
		new := filepath.Join(t.TempDir(), "new")
		for _, args := range [][]string{{"put", fifo, "b", "k", "v", "--create"}, {"salvage", fifo, new}, {"backup", fifo, new}, {"restore", fifo, new},
			{"import", new, fifo, "--from", "bbolt", "--create"}, {"import", fifo, ".", "--from", "dir", "--create"}} {
			wantError(t, exitError, []string{fifo, "regular file"}, "", args...)
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("a command waits for the FIFO")
	}
}

// A file that is open elsewhere is said to be in use, after the timeout, with status 3.
func TestFileInUse(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", "k", "v", "--create")
	if err := errors.Join(os.Symlink("a.mmdb", "soft"), os.Link("a.mmdb", "hard")); err != nil {
		t.Fatal(err)
	}
	db, err := mmdb.Open("a.mmdb", 0o600, &mmdb.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, name := range []string{"a.mmdb", "soft", "hard"} {
		start := time.Now()
		for _, args := range [][]string{{"info", name}, {"put", name, "b", "k", "v"}} {
			wantError(t, exitInUse, []string{name + " is in use by another process"}, "", append(args, "--timeout", "50ms")...)
		}
		if d := time.Since(start); d < 100*time.Millisecond || d > time.Minute {
			t.Errorf("two timeouts of 50 ms took %v", d)
		}
	}
	wantError(t, exitInUse, []string{"in use"}, "", "demo", ".", "--db", "a.mmdb", "--timeout", "50ms")
}

// Commands that read, and others that write, share the file with a program that has it open.
func TestCommandsShare(t *testing.T) {
	for _, readOnly := range []bool{true, false} {
		t.Chdir(t.TempDir())
		mustRun(t, "", "put", "a.mmdb", "b", "k", "v", "--create")
		db, err := mmdb.Open("a.mmdb", 0o600, &mmdb.Options{ReadOnly: readOnly})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if out := mustRun(t, "", "get", "a.mmdb", "b", "k"); out != "v\n" {
			t.Errorf("get: %q", out)
		}
		mustRun(t, "", "put", "a.mmdb", "b", "k", "new", "--timeout", "10s")
		err = db.View(func(tx *mmdb.Tx) error {
			if v := tx.Bucket([]byte("b")).Get([]byte("k")); string(v) != "new" {
				t.Errorf("the program reads %q", v)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// Reading leaves the file as it was, to the byte and the time.
func TestReadingWritesNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", "k", "v", "--create")
	before, err := os.ReadFile("a.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes("a.mmdb", old, old); err != nil {
		t.Fatal(err)
	}
	for _, r := range readers {
		mustRun(t, "", withFile(r, "a.mmdb")...)
	}
	after, err := os.ReadFile("a.mmdb")
	if err != nil || string(after) != string(before) {
		t.Errorf("the file changed: %v", err)
	}
	if info, err := os.Stat("a.mmdb"); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("the time of the file changed: %v", err)
	}
	if entries, _ := os.ReadDir("."); len(entries) != 1 {
		t.Errorf("reading made files: %v", entries)
	}
}

func TestUnknownBucketAndKey(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b/c", "k", "v", "--create")
	for _, args := range [][]string{{"get", "a.mmdb", "b/x", "k"}, {"scan", "a.mmdb", "b/x"}, {"dump", "a.mmdb", "b/x"},
		{"stats", "a.mmdb", "b/x"}, {"buckets", "a.mmdb", "b/x"}, {"put", "a.mmdb", "b/x", "k", "v"}, {"del", "a.mmdb", "b/x", "k"},
		{"del", "a.mmdb", "b/x", "--bucket"}} {
		wantError(t, exitError, []string{"no bucket b/x"}, "", args...)
	}
	wantError(t, exitError, []string{"no key x in bucket b/c"}, "", "get", "a.mmdb", "b/c", "x")
	wantError(t, exitError, []string{"no key " + strings.Repeat("k", 59) + "… in bucket b/c"}, "", "get", "a.mmdb", "b/c", strings.Repeat("k", 5000))
	wantError(t, exitError, []string{"no key x in bucket b/c"}, "", "del", "a.mmdb", "b/c", "x")
	wantError(t, exitError, []string{"b/c is a bucket, not a key"}, "", "get", "a.mmdb", "b", "c")
	wantError(t, exitError, []string{"b/c is a bucket: delete it with --bucket"}, "", "del", "a.mmdb", "b", "c")
	wantError(t, exitError, []string{"no bucket b/c/k (it is a key with a value)"}, "", "scan", "a.mmdb", "b/c/k")
	wantError(t, exitError, []string{"b/c/k"}, "", "put", "a.mmdb", "b/c/k", "x", "y", "--create")
	wantError(t, exitError, []string{"key"}, "", "put", "a.mmdb", "b", strings.Repeat("k", 32769), "y")
	wantError(t, exitError, []string{"put key c into bucket b"}, "", "put", "a.mmdb", "b", "c", "y")
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		want string
		args []string
	}{
		{"unknown command frobnicate (", []string{"frobnicate"}},
		{"unknown command infos, did you mean info? (", []string{"infos"}},
		{"unknown flag: --frob", []string{"info", "--frob"}},
		{"info takes 1 argument, not 0: info FILE", []string{"info"}},
		{"put takes 3 to 4 arguments, not 1", []string{"put", "a"}},
		{"must be one of text, hex, base64, raw", []string{"get", "a", "b", "c", "--format", "octal"}},
		{"the key is not hex", []string{"get", "a", "b", "xy", "--format", "hex"}},
		{"the value is not base64", []string{"put", "a", "b", "YQ==", "!", "--format", "base64"}},
		{"the key is not text: unknown escape", []string{"get", "a", "b", `\q`}},
		{"--from is not hex", []string{"scan", "a", "b", "--from", "q", "--format", "hex"}},
		{"--json and --format raw", []string{"get", "a", "b", "c", "--json", "--format", "raw"}},
		{"a name is empty", []string{"get", "a", "b//c", "k"}},
		{"a bucket is needed", []string{"get", "a", "/", "k"}},
		{"x is not a page number", []string{"page", "a", "x"}},
		{"give either a KEY or --bucket", []string{"del", "a", "b"}},
		{"give either a KEY or --bucket", []string{"del", "a", "b", "k", "--bucket"}},
		{"either --list or --map", []string{"pages", "a", "--list", "--map"}},
		{"either --json or a picture", []string{"map", "a", "-o", "a.png", "--json"}},
		{"unknown command frobnicate (", []string{"help", "frobnicate"}},
		{"unknown command", []string{"completion", "frobnicate"}},
		{"the name of the command is empty", []string{""}},
		{"the name of the file is empty: info FILE", []string{"info", ""}},
		{"the key is empty", []string{"put", "a", "b", "", "v"}},
		{"the key is empty", []string{"get", "a", "b", ""}},
		{"the key is empty", []string{"del", "a", "b", ""}},
		{"--depth is not negative", []string{"buckets", "a", "--depth", "-1"}},
		{"--timeout is not negative", []string{"info", "a", "--timeout", "-1s"}},
		{"--for is a time", []string{"torture", "--for", "0s"}},
	} {
		wantError(t, exitUsage, []string{c.want, "--help"}, "", c.args...)
	}
}

// What would be made in a directory that is not there, or is none, is an error that names the directory, and no name that the
// user did not give.
func TestMissingDirectories(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", "k", "v", "--create")
	if err := os.WriteFile("text", []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	dump := mustRun(t, "", "dump", "a.mmdb")
	for _, args := range [][]string{{"put", "no/x", "b", "k", "v", "--create"}, {"load", "no/x", "--create"}, {"dump", "a.mmdb", "-o", "no/x"},
		{"import", "no/x", ".", "--create"}, {"export", "a.mmdb", "-o", "no/x"}, {"map", "a.mmdb", "-o", "no/x.png"}, {"backup", "a.mmdb", "no/x"},
		{"restore", "a.mmdb", "no/x"}, {"salvage", "a.mmdb", "no/x"}, {"demo", ".", "--db", "no/x"}, {"bench", "--dir", "no"}, {"torture", "--dir", "no"}} {
		wantError(t, exitError, []string{"mmdb: no: no such directory\n"}, dump, args...)
	}
	for _, args := range [][]string{{"dump", "a.mmdb", "-o", "text/x"}, {"bench", "--dir", "text"}, {"torture", "--dir", "text"}} {
		wantError(t, exitError, []string{"mmdb: text: is not a directory\n"}, "", args...)
	}
	if err := os.Mkdir("locked", 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 { // who may write everywhere
		wantError(t, exitError, []string{"create locked/x: permission denied"}, "", "dump", "a.mmdb", "-o", "locked/x")
	}
}

// An existing output is refused without --force, the input as output always, by whatever name.
func TestOutputFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", "k", "v", "--create")
	if err := errors.Join(os.WriteFile("there", []byte("old"), 0o600), os.Symlink("a.mmdb", "soft"), os.Link("a.mmdb", "hard"),
		os.Symlink("there", "link"), os.Mkdir("dir", 0o700)); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile("a.mmdb")
	wantError(t, exitError, []string{"there: exists already (--force"}, "", "dump", "a.mmdb", "-o", "there")
	wantError(t, exitError, []string{"dir: is a directory"}, "", "dump", "a.mmdb", "-o", "dir", "--force")
	for _, same := range []string{"a.mmdb", "./a.mmdb", "soft", "hard", "dir/../a.mmdb"} {
		wantError(t, exitError, []string{"output and input are the same file"}, "", "dump", "a.mmdb", "-o", same, "--force")
		wantError(t, exitError, []string{"output and input are the same file"}, "", "load", "a.mmdb", same)
	}
	wantError(t, exitError, []string{"no bucket x"}, "", "dump", "a.mmdb", "x", "-o", "there", "--force")
	if b, _ := os.ReadFile("there"); string(b) != "old" {
		t.Error("a refused or failed dump changed the output")
	}
	mustRun(t, "", "dump", "a.mmdb", "-o", "link", "--force")
	mustRun(t, "", "dump", "a.mmdb", "-o", "new")
	want := mustRun(t, "", "dump", "a.mmdb")
	for _, name := range []string{"there", "link", "new"} {
		if b, _ := os.ReadFile(name); string(b) != want {
			t.Errorf("%s holds %q", name, b)
		}
	}
	if info, _ := os.Lstat("link"); info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced, not what it leads to")
	}
	if after, _ := os.ReadFile("a.mmdb"); string(after) != string(before) {
		t.Error("the input changed")
	}
	if left, _ := filepath.Glob(".mmdb-*"); left != nil {
		t.Errorf("temporary files stayed: %v", left)
	}
}

// "mmdb dump a >> a" and "mmdb load a < a" are refused.
func TestStreamsThatAreTheDatabase(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", "k", "v", "--create")
	f, err := os.OpenFile("a.mmdb", os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var errs strings.Builder
	if code := run([]string{"dump", "a.mmdb"}, strings.NewReader(""), f, &errs); code != exitError || !strings.Contains(errs.String(), "same file") {
		t.Errorf("dump: %d, %s", code, errs.String())
	}
	errs.Reset()
	if code := run([]string{"load", "a.mmdb"}, f, io.Discard, &errs); code != exitError || !strings.Contains(errs.String(), "same file") {
		t.Errorf("load: %d, %s", code, errs.String())
	}
	mustRun(t, "", "check", "a.mmdb")
}

// brokenWriter fails with an error after some bytes.
type brokenWriter struct {
	left int
	err  error
}

func (w *brokenWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, w.err
	}
	return len(b), nil
}

// A reader of standard output that goes away ends every command quietly; a full disk there is an error.
func TestBrokenOutput(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	mustRun(t, "", "put", "a.mmdb", "b", "huge", strings.Repeat("x", 300000))
	for _, r := range [][]string{{"scan", "a.mmdb", "b"}, {"dump", "a.mmdb"}, {"info", "a.mmdb"}, {"get", "a.mmdb", "b", "huge"},
		{"buckets", "a.mmdb", "--json"}, {"pages", "a.mmdb", "--list"}, {"check", "a.mmdb"}, {"--help"}} {
		var errs strings.Builder
		if code := run(r, strings.NewReader(""), &brokenWriter{0, syscall.EPIPE}, &errs); code != exitOK || errs.Len() > 0 {
			t.Errorf("mmdb %q on a closed pipe: status %d, %s", r, code, errs.String())
		}
		errs.Reset()
		if code := run(r, strings.NewReader(""), &brokenWriter{0, syscall.ENOSPC}, &errs); code != exitError || !strings.Contains(errs.String(), "no space") {
			t.Errorf("mmdb %q on a full disk: status %d, %s", r, code, errs.String())
		}
	}
}

// A damaged page: check names it and goes on, status 4; get says so and does not
// claim that the key is absent.
func TestDamagedFile(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	for i := range 200 {
		mustRun(t, "", "put", "a.mmdb", "many", string(rune('a'+i%26))+strings.Repeat("k", i), strings.Repeat("v", 300), "--create")
	}
	damage(t, "a.mmdb", "leaf")
	r := tool("", "check", "a.mmdb")
	if r.code != exitCorrupt || !strings.Contains(r.err, "found") || !strings.Contains(r.out, "page ") {
		t.Errorf("check: status %d, %s%s", r.code, r.out, r.err)
	}
	if r := tool("", "check", "a.mmdb", "--json"); r.code != exitCorrupt || !strings.Contains(r.out, `"ok":false`) {
		t.Errorf("check --json: status %d, %s", r.code, r.out)
	}
	failed := 0
	for _, args := range [][]string{{"scan", "a.mmdb", "many"}, {"dump", "a.mmdb"}, {"stats", "a.mmdb"}, {"get", "a.mmdb", "many", "a"}} {
		if r := tool("", args...); r.code == exitCorrupt && strings.HasPrefix(r.err, "mmdb: ") && strings.Count(r.err, "\n") == 1 {
			failed++
		} else if r.code != exitOK {
			t.Errorf("mmdb %q: status %d, %s", args, r.code, r.err)
		}
	}
	if failed < 2 {
		t.Errorf("only %d of the commands saw the damage", failed)
	}
	for _, args := range [][]string{{"pages", "a.mmdb"}, {"pages", "a.mmdb", "--list"}, {"pages", "a.mmdb", "--map"}, {"info", "a.mmdb"}} {
		if r := tool("", args...); r.out == "" || strings.Contains(r.err, "internal") {
			t.Errorf("mmdb %q: status %d, %s", args, r.code, r.err)
		}
	}
}

// damage flips bytes in the middle of the last page of a kind.
func damage(t *testing.T, file, kind string) {
	t.Helper()
	no := lastPage(t, file, kind)
	damagePage(t, file, no)
	r := tool("", "page", file, itoa(no))
	if r.code != exitCorrupt || !strings.Contains(r.out, "problem") {
		t.Errorf("page %d: status %d, %s", no, r.code, r.out)
	}
}

// Whatever bytes of a file are flipped, every command that reads ends with a status and at most one
// line of error.
func TestFlippedBytes(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	for i := range 20 {
		mustRun(t, "", "put", "a.mmdb", "many", strings.Repeat("k", 1+i*30), strings.Repeat("v", i*i*20), "--create")
	}
	whole, err := os.ReadFile("a.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	noticed := 0
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 7))
		damaged := append([]byte(nil), whole...)
		for range 1 + r.IntN(4) {
			at := r.IntN(len(damaged))
			if at < 49152 { // most of that is not used
				at = at%3*16384 + r.IntN(512)
			}
			damaged[at] ^= byte(1 + r.IntN(255))
		}
		if err := os.WriteFile("b.mmdb", damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range append(readers, []string{"page", "0"}, []string{"page", "20"}, []string{"pages", "--map"}, []string{"scan", "many"}) {
			res := tool("", withFile(c, "b.mmdb")...)
			if res.code != exitOK && res.code != exitError && res.code != exitCorrupt || strings.Contains(res.err, "internal error") {
				t.Errorf("seed %d, mmdb %q: status %d, %s", seed, c, res.code, res.err)
			}
			if res.code == exitCorrupt {
				noticed++
			}
		}
	}
	if noticed == 0 {
		t.Error("no damage was noticed")
	}
}

// A command that was to make a database and has no room for it leaves no file.
func TestNoRoomForANewDatabase(t *testing.T) {
	t.Chdir(t.TempDir())
	withoutRoom(t, func() {
		for _, args := range [][]string{{"put", "a.mmdb", "b", "k", "v", "--create"}, {"load", "a.mmdb", "--create"},
			{"import", "a.mmdb", "-", "--from", "jsonl", "--create"}, {"demo", ".", "--db", "a.mmdb"}} {
			wantError(t, exitError, []string{"a.mmdb: ", "too large"}, "", args...)
		}
	})
	if got := names(t); got != "" {
		t.Errorf("files: %s", got)
	}
}

// Nothing is written where the lock file of a database stands, or would.
func TestLockFilesAreNoOutput(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	if err := os.Symlink("a.mmdb-lock", "link"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // with a lock file and without
		for _, args := range [][]string{{"backup", "a.mmdb", "a.mmdb-lock", "--force"}, {"restore", "a.mmdb", "link", "--force"},
			{"dump", "a.mmdb", "-o", "a.mmdb-lock", "--force"}, {"salvage", "a.mmdb", "a.mmdb-lock"}, {"put", "a.mmdb-lock", "b", "k", "v", "--create"}} {
			wantError(t, exitError, nil, "", args...)
		}
		mustRun(t, "", "put", "a.mmdb", "b", "k", "v")
		if err := os.Remove("a.mmdb-lock"); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, "", "dump", "a.mmdb", "-o", "text-lock") // beside no database
}

// A reader of -o that goes away is an error: what was asked for is not there.
func TestOutputIntoAPipeThatBreaks(t *testing.T) {
	t.Chdir(t.TempDir())
	mustRun(t, "", "put", "a.mmdb", "b", "huge", strings.Repeat("x", 300000), "--create")
	makeFifo(t, "fifo")
	for _, command := range []string{"dump", "export"} {
		go func() {
			if f, err := os.Open("fifo"); err == nil {
				f.Close()
			}
		}()
		wantError(t, exitError, []string{"fifo", "broken pipe"}, "", command, "a.mmdb", "-o", "fifo", "--force")
	}
}
