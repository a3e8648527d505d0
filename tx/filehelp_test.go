package tx

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mmdb/mmapfile"
	"mmdb/page"
)

// This file holds what the tests of files, locks, faults and recovery share.

// childVariable makes the test binary play one of childRoles in place of running tests: what needs its own process
// limits, or another process, happens there.
const childVariable = "MMDB_TX_CHILD"

// childRoles print their findings and return an error if something is not as it should be.
var childRoles = map[string]func(args []string) error{}

func TestMain(m *testing.M) {
	name := os.Getenv(childVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := childRoles[name](os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "child", name+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// childCommand is a command that plays a role.
func childCommand(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	noError(t, err)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), childVariable+"="+name, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// runChild plays a role to its end and returns what it printed.
func runChild(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := childCommand(t, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("child %s: %v\n%s%s", name, err, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError ends the test unless err is target and its message has all of words.
func wantError(t *testing.T, err, target error, words ...string) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error %v, should be %q", err, target)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Fatalf("error %q does not say %q", err, w)
		}
	}
}

// wantBytes ends the test unless the file at path still holds want.
func wantBytes(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	noError(t, err)
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	t.Fatalf("%s: %d bytes where %d were, different from byte %d on", path, len(got), len(want), at)
}

// quick are options for tests: nobody waits for long.
func quick() *Options { return &Options{Timeout: time.Minute} }

func testKey(i int) []byte { return fmt.Appendf(nil, "key %08d", i) }

// testValue is large enough that a few hundred make a tree of some pages.
func testValue(i int) []byte { return bytes.Repeat([]byte{byte('a' + i%26)}, 40+i%60) }

// putKeys puts keys from to to into bucket "b" in one transaction.
func putKeys(st *Store, from, to int) error {
	return st.Update(func(tx *Tx) error { return putInto(tx, from, to) })
}

func putInto(tx *Tx, from, to int) error {
	b, err := tx.CreateBucketIfNotExists([]byte("b"))
	for i := from; i < to && err == nil; i++ {
		err = b.Put(testKey(i), testValue(i))
	}
	return err
}

// putLarge puts a value of n bytes into bucket "z".
func putLarge(st *Store, key string, n int) error {
	return st.Update(func(tx *Tx) error { return largeInto(tx, key, n) })
}

func largeInto(tx *Tx, key string, n int) error {
	z, err := tx.CreateBucketIfNotExists([]byte("z"))
	if err != nil {
		return err
	}
	return z.Put([]byte(key), make([]byte, n))
}

// wantKeys ends the test unless bucket "b" holds exactly keys 0 to n, or is missing with n = 0.
func wantKeys(t *testing.T, st *Store, n int) {
	t.Helper()
	noError(t, st.View(func(tx *Tx) error { return keysAre(tx, n) }))
}

func keysAre(tx *Tx, n int) error {
	b := tx.Bucket([]byte("b"))
	if b == nil && (n == 0 || tx.Err() != nil) {
		return tx.Err()
	}
	if b == nil {
		return fmt.Errorf("no bucket where %d keys should be", n)
	}
	if b.Len() != uint64(n) {
		return fmt.Errorf("%d keys, should be %d", b.Len(), n)
	}
	for i := range n {
		v := b.Get(testKey(i))
		if tx.Err() != nil {
			return fmt.Errorf("key %d: %w", i, tx.Err())
		}
		if !bytes.Equal(v, testValue(i)) {
			return fmt.Errorf("key %d: value %q", i, v)
		}
	}
	return nil
}

// checkStore runs the whole check.
func checkStore(t *testing.T, st *Store) {
	t.Helper()
	noError(t, st.View(func(tx *Tx) error {
		for err := range tx.Check() {
			t.Error("check:", err)
		}
		return nil
	}))
}

// checkFile opens the database at path, checks all of it and that it holds n keys, and that it can go on.
func checkFile(t *testing.T, path string, n int) {
	t.Helper()
	st, err := Open(path, 0o600, quick())
	noError(t, err)
	defer func() { noError(t, st.Close()) }()
	wantKeys(t, st, n)
	checkStore(t, st)
	noError(t, putKeys(st, n, n+20))
	wantKeys(t, st, n+20)
	checkStore(t, st)
}

// openStore opens a database and, at the end of the test, checks and closes it.
func openStore(t *testing.T, path string, o *Options) *Store {
	t.Helper()
	st, err := Open(path, 0o600, o)
	noError(t, err)
	t.Cleanup(func() {
		if st.published.Load() != nil {
			checkStore(t, st)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "test.mmdb") }

// makeFile makes a database with n keys, closes it, and returns its path and bytes.
func makeFile(t *testing.T, n int, o *Options) (string, []byte) {
	t.Helper()
	path := newPath(t)
	st, err := Open(path, 0o600, o)
	noError(t, err)
	noError(t, putKeys(st, 0, n))
	noError(t, st.Close())
	return path, readAll(t, path)
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	noError(t, err)
	return b
}

// memoryPath is newPath in a file system in memory, where there is one: flushes cost nothing there, and a test that opens
// a hundred files takes a second less for each other program that uses the disk.
func memoryPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mmdb-test-")
	if err != nil {
		return newPath(t)
	}
	t.Cleanup(func() { noError(t, os.RemoveAll(dir)) })
	return filepath.Join(dir, "test.mmdb")
}

// writeFile puts img into a new file, in memory where that is possible.
func writeFile(t *testing.T, img []byte) string {
	t.Helper()
	path := memoryPath(t)
	noError(t, os.WriteFile(path, img, 0o600))
	return path
}

// liveImage is the file after a number of commits of a process that then died: commit i holds keys 0 to i*step.
func liveImage(t *testing.T, commits, step int, o *Options) []byte {
	t.Helper()
	path := memoryPath(t)
	st, err := Open(path, 0o600, o)
	noError(t, err)
	for i := range commits {
		noError(t, putKeys(st, i*step, (i+1)*step))
	}
	img := readAll(t, path)
	noError(t, st.Close())
	return img
}

// slotsOf decodes the meta slots of img. Those that are not valid have commit 0.
func slotsOf(img []byte) (slots [page.MetaSlots]page.Meta) {
	for i := range slots {
		if err := slots[i].Decode(img[page.MetaOffset(i):]); err != nil {
			slots[i] = page.Meta{}
		}
	}
	return slots
}

// newestSlot returns the slot with the newest meta, a settled one before its copy.
func newestSlot(img []byte) (best int, m page.Meta) {
	slots := slotsOf(img)
	for i := range slots {
		if slots[i].Commit > slots[best].Commit || slots[i].Commit == slots[best].Commit && slots[i].Settled {
			best = i
		}
	}
	return best, slots[best]
}

// editMetas changes every valid meta in a copy of img.
func editMetas(img []byte, edit func(slot int, m *page.Meta)) []byte {
	img = bytes.Clone(img)
	for i, m := range slotsOf(img) {
		if m.Commit != 0 {
			edit(i, &m)
			m.Encode(img[page.MetaOffset(i):])
		}
	}
	return img
}

// recordOf decodes the commit record of m.
func recordOf(t *testing.T, img []byte, m *page.Meta) page.Record {
	t.Helper()
	from := int64(m.Record.Page) * int64(m.PageSize)
	n := int64(page.RunPages(int(m.Record.Len), int(m.PageSize))) * int64(m.PageSize)
	var rec page.Record
	noError(t, rec.Decode(page.RunPayload(img[from:from+n])))
	return rec
}

// A tape is a seam that keeps what passes, and may make operations fail.
type tape struct {
	mu  sync.Mutex
	ops []taped
	// hook, when set, is asked before the i-th operation (from 0); its error takes the place of the call.
	hook func(i int, op mmapfile.Op) error
}

// A taped is one operation and how it ended.
type taped struct {
	kind   mmapfile.OpKind
	path   string
	offset int64
	length int64
	data   []byte
	err    error
}

func (o taped) String() string {
	return fmt.Sprintf("%s %d+%d (%v)", o.kind, o.offset, o.length, o.err)
}

// meta reports whether o writes a meta slot and nothing else.
func (o taped) meta() bool {
	return o.kind == mmapfile.OpWrite && o.offset%page.MetaStride == 0 && o.offset < page.MetaSlots*page.MetaStride && o.length == page.MetaBlock
}

func (o taped) flush() bool { return o.kind == mmapfile.OpSync || o.kind == mmapfile.OpMsync }

func (p *tape) seam(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	o := taped{kind: op.Kind, path: op.Path, offset: op.Offset, length: op.Length}
	for _, b := range op.Data {
		o.data = append(o.data, b...)
	}
	p.mu.Lock()
	i, hook := len(p.ops), p.hook
	p.ops = append(p.ops, o)
	p.mu.Unlock()
	n := 0
	var err error
	if hook != nil {
		err = hook(i, op)
	}
	if err == nil {
		n, err = do(op)
	}
	p.mu.Lock()
	if i < len(p.ops) {
		p.ops[i].err = err
	}
	p.mu.Unlock()
	return n, err
}

// set changes the hook and forgets what was recorded.
func (p *tape) set(hook func(i int, op mmapfile.Op) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook, p.ops = hook, nil
}

// recorded returns a copy of what passed.
func (p *tape) recorded() []taped {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]taped(nil), p.ops...)
}

// A logBook is a logger that keeps its lines.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
