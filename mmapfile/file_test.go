//go:build linux

package mmapfile

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOpenCreatesOnlyWhenAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if _, err := Open(path, Options{}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Fatalf("without Create: %v", err)
	}
	if _, err := Open(path, Options{ReadOnly: true, Create: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("read-only with Create: %v", err)
	}
	old := unix.Umask(0o027)
	f, err := Open(path, Options{Create: true, Mode: 0o664})
	unix.Umask(old)
	must(t, err)
	defer f.Close()
	fi, err := f.Stat()
	must(t, err)
	if fi.Mode() != 0o640 || !f.Created() || f.ReadOnly() || f.Path() != path {
		t.Fatalf("mode %v, created %v", fi.Mode(), f.Created())
	}
	g, err := Open(path, Options{Create: true, Mode: 0o600})
	must(t, err)
	defer g.Close()
	if g.Created() {
		t.Fatal("an existing file counts as created")
	}
	if _, err := Open(path, Options{Create: true, Exclusive: true}); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("Exclusive on an existing file: %v", err)
	}
}

func TestOpenRefusesAllButRegularFilesWithoutBlocking(t *testing.T) {
	dir := t.TempDir()
	fifo, sock := filepath.Join(dir, "fifo"), filepath.Join(dir, "sock")
	must(t, unix.Mkfifo(fifo, 0o600))
	l, err := net.Listen("unix", sock)
	must(t, err)
	defer l.Close()
	link := filepath.Join(dir, "link")
	must(t, os.Symlink(fifo, link))
	for _, c := range []struct{ path, what string }{
		{dir, "directory"}, {fifo, "FIFO"}, {link, "FIFO"}, {sock, "socket"}, {"/dev/null", "device"},
	} {
		for _, o := range []Options{{}, {ReadOnly: true}, {Create: true, Mode: 0o600}} {
			done := make(chan error, 1)
			go func() { _, err := Open(c.path, o); done <- err }()
			select {
			case err := <-done:
				if !errors.Is(err, ErrNotRegular) || !strings.Contains(err.Error(), c.what) {
					t.Errorf("%s %+v: %v", c.path, o, err)
				}
			case <-time.After(time.Minute):
				t.Fatalf("%s: Open blocks", c.path)
			}
		}
	}
}

func TestOpenThroughLinks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "db")
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	soft, hard := filepath.Join(dir, "sub", "soft"), filepath.Join(dir, "hard")
	dangling := filepath.Join(dir, "dangling")
	must(t, os.Symlink(filepath.Join(dir, "nowhere"), dangling))
	for _, o := range []Options{{}, {Create: true, Mode: 0o600}} {
		if _, err := Open(dangling, o); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("dangling link: %v", err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "nowhere")); err == nil {
		t.Fatal("the target of a dangling link was created")
	}
	f, err := Open(path, Options{Create: true, Mode: 0o600})
	must(t, err)
	defer f.Close()
	must(t, os.Symlink("../db", soft))
	must(t, os.Link(path, hard))
	g, err := Open(soft, Options{})
	must(t, err)
	defer g.Close()
	want, err := filepath.EvalSymlinks(path)
	must(t, err)
	if g.RealPath() != want {
		t.Errorf("real path %s, want %s", g.RealPath(), want)
	}
	for _, p := range []string{path, soft, hard} {
		if !f.SameFile(p) {
			t.Errorf("%s is not the same file", p)
		}
	}
	if f.SameFile(dangling) || f.SameFile(dir) {
		t.Error("another file is the same file")
	}
	must(t, g.SyncDir())
}

// A file without a name can be opened by its descriptor: crash tests do so.
func TestOpenFileInMemory(t *testing.T) {
	fd, err := unix.MemfdCreate("image", unix.MFD_CLOEXEC)
	must(t, err)
	defer unix.Close(fd)
	f, err := Open(fmt.Sprintf("/proc/self/fd/%d", fd), Options{Create: true})
	must(t, err)
	defer f.Close()
	must(t, f.LockPresence(true, -1))
	must(t, f.Allocate(0, 1<<20))
	m := mapTemp(t, f, MapOptions{})
	must(t, f.WriteAt([][]byte{[]byte("x")}, 1<<20-1))
	must(t, m.Sync(0, 1<<20))
	must(t, f.SyncDir())
	if f.Created() || m.Data()[1<<20-1] != 'x' {
		t.Fatal("wrong")
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	loop := filepath.Join(dir, "loop")
	must(t, os.Symlink(loop, loop))
	if _, err := Open(loop, Options{Create: true}); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("loop of links: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "no", "db"), Options{Create: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	// A running program can't be opened for writing, not even by who may write to it.
	exe, err := os.Executable()
	must(t, err)
	writable := unix.Access(exe, unix.W_OK) == nil
	if _, err := Open(exe, Options{}); writable && (!errors.Is(err, syscall.ETXTBSY) || !strings.Contains(err.Error(), "running program")) {
		t.Errorf("running program: %v", err)
	}
	fail := func(op Op, _ func(Op) (int, error)) (int, error) { return 0, nil }
	if _, err := Open(filepath.Join(dir, "db"), Options{Create: true, Seam: fail}); err == nil {
		t.Error("a seam that creates nothing is a success")
	}
}

func TestOpenWithoutPermission(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "db")
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Chmod(path, 0))
	if os.Getuid() == 0 {
		if out := runChild(t, "permission", path); !strings.Contains(out, "no permission") {
			t.Fatal(out)
		}
		return
	}
	if _, err := Open(path, Options{}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "no permission") {
		t.Fatal(err)
	}
}

func init() {
	children["permission"] = func(args []string) error {
		// Root passes all permission checks by this capability only.
		if err := dropCapability(unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH); err != nil {
			return err
		}
		_, err := Open(args[0], Options{})
		if !errors.Is(err, fs.ErrPermission) {
			return errors.New("not fs.ErrPermission")
		}
		os.Stdout.WriteString(err.Error())
		return nil
	}
}

func TestDescriptorsCloseOnExec(t *testing.T) {
	f := openTemp(t, Options{})
	g, err := Open(f.Path(), Options{ReadOnly: true})
	must(t, err)
	defer g.Close()
	for _, x := range []*File{f, g} {
		must(t, x.with(func(fd int) error {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if err == nil && flags&unix.FD_CLOEXEC == 0 {
				t.Error("descriptor survives exec")
			}
			status, err2 := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			if status&unix.O_NONBLOCK != 0 {
				t.Error("descriptor is non-blocking")
			}
			return errors.Join(err, err2)
		}))
	}
}

func TestAfterClose(t *testing.T) {
	f := openTemp(t, Options{})
	m := mapTemp(t, f, MapOptions{})
	must(t, f.Close())
	_, sizeErr := f.Size()
	_, mapErr := f.Map(MapOptions{})
	_, regErr := f.MapRegion(0, 1, ProtRead, Shared)
	_, readErr := f.ReadAt(make([]byte, 1), 0)
	for i, err := range []error{
		f.Close(), sizeErr, mapErr, regErr, readErr, f.WriteAt([][]byte{{1}}, 0), f.Truncate(1), f.Allocate(0, 1), f.Punch(0, 1),
		f.Sync(), f.SyncDir(), f.LockPresence(true, 0), f.UnlockPresence(), f.LockWriter(true, 0), m.Grow(64 << 20),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if f.SameFile(f.Path()) {
		t.Error("SameFile after Close")
	}
	must(t, m.Unmap())
	must(t, m.Unmap())
	if err := m.Sync(0, 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Sync after Unmap: %v", err)
	}
}

func TestRenameAndRemoveGoThroughTheSeam(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	var r recorder
	f, err := Open(a, Options{Create: true, Mode: 0o600, Seam: r.seam})
	must(t, err)
	must(t, f.Close())
	must(t, Rename(a, b, r.seam))
	must(t, SyncParent(b, r.seam))
	must(t, Remove(b, r.seam))
	if err := Remove(b, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	got := strings.Join(r.ops, "\n")
	want := "create 0+0 = 0 <nil>\nrename 0+0 = 0 <nil>\nsyncdir 0+0 = 0 <nil>\nremove 0+0 = 0 <nil>"
	if got != want {
		t.Fatalf("got:\n%s", got)
	}
}

// Where no part of a path is a symbolic link, the real path is found with the open itself.
func TestRealPathOfAPlainPath(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	want := filepath.Join(dir, "file")
	must(t, os.WriteFile(want, nil, 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	must(t, os.Symlink(filepath.Join(dir, "sub"), filepath.Join(dir, "soft")))
	must(t, os.Symlink("../file", filepath.Join(dir, "sub", "link")))
	for _, path := range []string{want, dir + "/./sub/..//file", dir + "/soft/../file", dir + "/soft/link"} {
		for _, o := range []Options{{}, {ReadOnly: true}, {NoAtime: true}} {
			f, err := Open(path, o)
			must(t, err)
			if f.RealPath() != want || f.Path() != path || !f.SameFile(want) {
				t.Errorf("%s leads to %s, should lead to %s", path, f.RealPath(), want)
			}
			must(t, f.Close())
		}
	}
}
