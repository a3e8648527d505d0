package tx

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mmdb/mmapfile"
)

// withUmask sets the umask of the process for the test.
func withUmask(t *testing.T, mask int) {
	old := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(old) })
}

func wantMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	fi, err := os.Stat(path)
	noError(t, err)
	if fi.Mode().Perm() != want {
		t.Fatalf("%s has mode %v, should have %v", path, fi.Mode().Perm(), want)
	}
}

func TestModeOfANewDatabase(t *testing.T) {
	for mask, after := range map[int]map[os.FileMode]os.FileMode{
		0:     {0o600: 0o600, 0o640: 0o640, 0o644: 0o644, 0o666: 0o666},
		0o022: {0o600: 0o600, 0o666: 0o644},
		0o077: {0o666: 0o600},
	} {
		withUmask(t, mask)
		for mode, want := range after {
			path := newPath(t)
			var made os.FileMode
			st, err := Open(path, mode, &Options{Seam: modeAtCreate(&made, new(string))})
			noError(t, err)
			wantMode(t, path, want)
			if made != want {
				t.Errorf("mode %v was %v at first", want, made)
			}
			noError(t, putKeys(st, 0, 10))
			noError(t, st.Close())
			wantMode(t, path, want)
			checkFile(t, path, 10)
		}
	}
}

// modeAtCreate is a seam that keeps the mode that the last created file has at once, and its name.
func modeAtCreate(mode *os.FileMode, name *string) mmapfile.Seam {
	return func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		n, err := do(op)
		if op.Kind == mmapfile.OpCreate && err == nil {
			fi, e := os.Stat(op.Path)
			if e != nil {
				return n, e
			}
			*mode, *name = fi.Mode().Perm(), op.Path
		}
		return n, err
	}
}

// The umask of the process that opens a database first must not keep those out who may use the database.
func TestModeOfTheLockFileIsTheDatabases(t *testing.T) {
	path, _ := makeFile(t, 50, nil)
	noError(t, os.Chmod(path, 0o666))
	withUmask(t, 0o022)
	st, other := openStore(t, path, nil), openStore(t, path, nil) // the second makes sure that others are let in
	wantMode(t, path+lockSuffix, 0o666)
	noError(t, other.Close())
	noError(t, st.Close())
}

func TestModeOfAnExistingDatabaseStays(t *testing.T) {
	path, _ := makeFile(t, 50, nil)
	noError(t, os.Chmod(path, 0o604))
	st, err := Open(path, 0o666, nil)
	noError(t, err)
	noError(t, putKeys(st, 50, 60))
	noError(t, st.Close())
	wantMode(t, path, 0o604)
}

func TestModeOfACopy(t *testing.T) {
	withUmask(t, 0)
	path, _ := makeFile(t, 200, nil)
	dir := t.TempDir()
	var made os.FileMode
	var temp string
	st := openStore(t, path, &Options{Seam: modeAtCreate(&made, &temp)})
	to := filepath.Join(dir, "copy")
	for _, mode := range []os.FileMode{0o600, 0o640, 0o600, 0o666} { // the second and later replace a file of another mode
		noError(t, st.View(func(tx *Tx) error { return tx.CopyFile(to, mode) }))
		wantMode(t, to, mode)
		if made != mode || filepath.Dir(temp) != dir || temp == to {
			t.Fatalf("the temporary file %s has mode %v, the copy %v", temp, made, mode)
		}
		wantNames(t, dir, "copy")
		checkFile(t, to, 200)
	}
	withUmask(t, 0o027)
	noError(t, st.View(func(tx *Tx) error { return tx.CopyFile(to, 0o666) }))
	wantMode(t, to, 0o640)
}

// descriptors returns the open descriptors of this process and what they lead to.
func descriptors(t *testing.T) map[int]string {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	noError(t, err)
	fds := make(map[int]string)
	for _, e := range list {
		fd, err := strconv.Atoi(e.Name())
		noError(t, err)
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			fds[fd] = name
		}
	}
	return fds
}

// wantCloseOnExec ends the test unless there are descriptors under dir, and all of them close on exec.
func wantCloseOnExec(t *testing.T, dir string, least int) {
	t.Helper()
	n := 0
	for fd, name := range descriptors(t) {
		if !strings.HasPrefix(name, dir) {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		noError(t, err)
		if flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d of %s stays open on exec", fd, name)
		}
		n++
	}
	if n < least {
		t.Errorf("%d descriptors under %s, should be at least %d", n, dir, least)
	}
}

func TestDescriptorsCloseOnExec(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "db")
	seen := make(map[mmapfile.OpKind]bool)
	seam := func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		if !seen[op.Kind] {
			seen[op.Kind] = true
			wantCloseOnExec(t, dir, boolInt(op.Kind != mmapfile.OpCreate))
		}
		return do(op)
	}
	st, err := Open(path, 0o600, &Options{Seam: seam})
	noError(t, err)
	noError(t, putKeys(st, 0, 500))
	noError(t, st.View(func(tx *Tx) error {
		clear(seen)
		return tx.CopyFile(filepath.Join(dir, "copy"), 0o600)
	}))
	wantCloseOnExec(t, dir, 1)
	out, err := exec.Command("sh", "-c", "ls -l /proc/self/fd").Output()
	noError(t, err)
	if strings.Contains(string(out), dir) {
		t.Errorf("a child has the file open:\n%s", out)
	}
	noError(t, st.Close())
	ro := openStore(t, path, &Options{ReadOnly: true})
	wantCloseOnExec(t, dir, 1)
	wantKeys(t, ro, 500)
}

// Neither a used and closed database nor a failed open leaves a descriptor or a mapping.
func TestNothingStaysOpen(t *testing.T) {
	path, img := makeFile(t, 100, nil)
	dir := filepath.Dir(path)
	damaged := filepath.Join(dir, "damaged")
	noError(t, os.WriteFile(damaged, img[:len(img)-1], 0o600))
	st, err := Open(path, 0o600, nil)
	noError(t, err)
	_, err = Open(path, 0o600, &Options{Timeout: 1, Exclusive: true})
	wantError(t, err, ErrTimeout)
	_, err = Open(damaged, 0o600, nil)
	wantError(t, err, ErrCorrupt)
	noError(t, st.View(func(tx *Tx) error { return tx.CopyFile(filepath.Join(dir, "copy"), 0o600) }))
	noError(t, st.Close())
	for fd, name := range descriptors(t) {
		if strings.HasPrefix(name, dir) {
			t.Errorf("descriptor %d of %s stays open", fd, name)
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	noError(t, err)
	if strings.Contains(string(maps), dir) {
		t.Error("a mapping stays:\n", string(maps))
	}
}

// mapped returns a figure in KiB of the mapping of the file at path, from the kernel's list.
func mapped(t *testing.T, path, figure string) (kib int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/smaps")
	noError(t, err)
	inside := false
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if strings.Contains(f[0], "-") && !strings.HasSuffix(f[0], ":") {
			inside = strings.HasSuffix(strings.TrimSpace(line), path)
		}
		if inside && f[0] == figure+":" {
			n, err := strconv.Atoi(f[1])
			noError(t, err)
			kib += n
		}
	}
	return kib
}

// bigFile is a database of more than 2 MiB.
func bigFile(t *testing.T) string {
	path, img := makeFile(t, 30000, nil)
	if len(img) < 2<<20 {
		t.Fatal(len(img), "bytes")
	}
	return path
}

func TestPrefaultReadsTheFileIn(t *testing.T) {
	path := bigFile(t)
	for _, readOnly := range []bool{false, true} {
		st, err := Open(path, 0o600, &Options{ReadOnly: readOnly})
		noError(t, err)
		if kib := mapped(t, path, "Rss"); kib > 1024 {
			t.Error(kib, "KiB are there without Prefault")
		}
		noError(t, st.Close())
		st = openStore(t, path, &Options{ReadOnly: readOnly, Prefault: true})
		size := 0
		noError(t, st.View(func(tx *Tx) error { size = int(tx.Size() >> 10); return nil }))
		if kib := mapped(t, path, "Rss"); kib < size {
			t.Errorf("%d of %d KiB are there", kib, size)
		}
		checkStore(t, st)
		noError(t, st.Close())
	}
}

func TestMlockLocksTheFile(t *testing.T) {
	path := bigFile(t)
	st, err := Open(path, 0o600, &Options{Mlock: true})
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOMEM) {
		t.Skip("this process may not lock some MiB:", err)
	}
	noError(t, err)
	grown := false
	for range 2 {
		size := 0 // of the pages; the file may have slack behind them
		noError(t, st.View(func(tx *Tx) error { size = int(tx.Size() >> 10); return nil }))
		if kib := mapped(t, path, "Locked"); kib < size {
			t.Errorf("%d of %d KiB are locked (grown: %v)", kib, size, grown)
		}
		err = st.Update(func(tx *Tx) error { return tx.Bucket([]byte("b")).Put([]byte("z"), make([]byte, 3<<20)) })
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOMEM) {
			t.Skip("this process may not lock more:", err)
		}
		noError(t, err)
		grown = true
	}
	checkStore(t, st)
	noError(t, st.Close())
	if kib := mapped(t, path, "Locked"); kib != 0 {
		t.Error(kib, "KiB stay locked")
	}
}

func TestInitialSizeSetsBlocksAside(t *testing.T) {
	for _, size := range []int64{1, 4096, 100_001, 3 << 20} {
		path := newPath(t)
		o := &Options{InitialSize: size}
		st, err := Open(path, 0o600, o)
		noError(t, err)
		for range 2 {
			var stat unix.Stat_t
			noError(t, unix.Stat(path, &stat))
			if stat.Size < size || stat.Blocks*512 < size {
				t.Errorf("size %d, %d in blocks, should be %d", stat.Size, stat.Blocks*512, size)
			}
			if size == 3<<20 && stat.Size != size {
				t.Errorf("size %d", stat.Size)
			}
			noError(t, putKeys(st, 0, 300))
		}
		wantKeys(t, st, 300)
		checkStore(t, st)
		noError(t, st.Close())
		fi, err := os.Stat(path)
		noError(t, err)
		if fi.Size() < size {
			t.Error("Close cut the file to", fi.Size())
		}
		checkFile(t, path, 300)
	}
}
