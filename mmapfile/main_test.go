package mmapfile

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// childEnv makes the test binary play one of children in place of running tests: what needs its
// own process limits, or another process, happens there.
const childEnv = "MMAPFILE_TEST_CHILD"

// children are filled in by init functions of the files that use them. A child prints its findings
// and exits with 0, or returns an error.
var children = map[string]func(args []string) error{}

func TestMain(m *testing.M) {
	name := os.Getenv(childEnv)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := children[name](os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "child", name+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// childCommand is a command that plays a child.
func childCommand(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	return cmd
}

// runChild plays a child to its end and returns what it printed.
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

// openTemp creates a file in a directory of the test's own.
func openTemp(t *testing.T, o Options) *File {
	t.Helper()
	o.Create = true
	if o.Mode == 0 {
		o.Mode = 0o600
	}
	f, err := Open(filepath.Join(t.TempDir(), "data"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// mapTemp maps f for the time of the test.
func mapTemp(t *testing.T, f *File, o MapOptions) *Mapping {
	t.Helper()
	m, err := f.Map(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Unmap() })
	return m
}

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pattern is n bytes that depend on their place.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i*7) + byte(i>>8)
	}
	return b
}

// recorder is a Seam that keeps what passes.
type recorder struct {
	ops []string
}

func (r *recorder) seam(op Op, do func(Op) (int, error)) (int, error) {
	n, err := do(op)
	r.ops = append(r.ops, fmt.Sprintf("%s %d+%d = %d %v", op.Kind, op.Offset, op.Length, n, err))
	return n, err
}
