package tx

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mmdb/mmapfile"
)

func TestNotARegularFile(t *testing.T) {
	dir := t.TempDir()
	fifo, sock, null := filepath.Join(dir, "fifo"), filepath.Join(dir, "sock"), "/dev/null"
	noError(t, syscall.Mkfifo(fifo, 0o600))
	l, err := net.Listen("unix", sock)
	noError(t, err)
	defer l.Close()
	link := filepath.Join(dir, "link")
	noError(t, os.Symlink(fifo, link))
	for path, what := range map[string]string{dir: "a directory", fifo: "a FIFO", sock: "a socket", null: "a device", link: "a FIFO"} {
		for _, o := range []*Options{nil, {ReadOnly: true}, {Immutable: true}} {
			done := make(chan error, 1)
			go func() {
				_, err := Open(path, 0o600, o)
				done <- err
			}()
			select {
			case err := <-done:
				wantError(t, err, mmapfile.ErrNotRegular, path, what)
			case <-time.After(time.Minute):
				t.Fatal(path, ": Open blocks")
			}
		}
	}
	wantNames(t, dir, "fifo", "link", "sock")
}

func TestDanglingSymlink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	noError(t, os.Symlink(filepath.Join(dir, "target"), link))
	for _, o := range []*Options{nil, {ReadOnly: true}, {Immutable: true}} {
		_, err := Open(link, 0o600, o)
		wantError(t, err, fs.ErrNotExist, link)
	}
	wantNames(t, dir, "link")
}

func TestLoopOfSymlinks(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	noError(t, os.Symlink(link, link))
	_, err := Open(link, 0o600, nil)
	wantError(t, err, syscall.ELOOP, link)
	wantNames(t, dir, "link")
}

// unprivileged runs fn in a goroutine whose thread may do no more than any user who owns the files.
func unprivileged(t *testing.T, fn func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := dropCapabilities(unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH)
		defer func() { done <- err }()
		if err == nil {
			fn()
		}
	}()
	noError(t, <-done)
}

func dropCapabilities(caps ...int) error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return err
	}
	for _, c := range caps {
		data[c/32].Effective &^= 1 << (c % 32)
	}
	return unix.Capset(&hdr, &data[0])
}

func TestNoPermission(t *testing.T) {
	path, img := makeFile(t, 100, nil)
	open := func(o *Options) (st *Store, err error) {
		unprivileged(t, func() { st, err = Open(path, 0o600, o) })
		return st, err
	}
	noError(t, os.Chmod(path, 0o400))
	_, err := open(nil)
	wantError(t, err, fs.ErrPermission, path, "no permission")
	st, err := open(&Options{ReadOnly: true})
	noError(t, err)
	wantKeys(t, st, 100)
	checkStore(t, st)
	noError(t, st.Close())
	noError(t, os.Chmod(path, 0))
	for _, o := range []*Options{nil, {ReadOnly: true}, {Immutable: true}} {
		_, err := open(o)
		wantError(t, err, fs.ErrPermission, path, "no permission")
	}
	noError(t, os.Chmod(path, 0o600))
	wantBytes(t, path, img)
}

func TestNoPermissionForTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "closed")
	noError(t, os.Mkdir(dir, 0o500))
	path := filepath.Join(dir, "db")
	unprivileged(t, func() {
		_, err := Open(path, 0o600, nil)
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path) {
			t.Error("open:", err)
		}
	})
	wantNames(t, dir)
	good, img := makeFile(t, 100, nil)
	st := openStore(t, good, quick())
	unprivileged(t, func() {
		err := st.View(func(tx *Tx) error { return tx.CopyFile(path, 0o600) })
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path) {
			t.Error("copy:", err)
		}
	})
	wantNames(t, dir)
	wantBytes(t, good, img)
}

// mountSmall mounts a file system of its own for the test, or skips it.
func mountSmall(t *testing.T, options string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skip("mounting a file system is not permitted here:", err)
	}
	t.Cleanup(func() { noError(t, unix.Unmount(dir, 0)) })
	return dir
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir := mountSmall(t, "size=4m")
	live := liveImage(t, 2, 50, nil)
	_, settled := makeFile(t, 100, nil)
	images := map[string][]byte{filepath.Join(dir, "live"): live, filepath.Join(dir, "settled"): settled}
	for path, img := range images {
		noError(t, os.WriteFile(path, img, 0o600))
	}
	noError(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, "size=4m"))
	for path, img := range images {
		_, err := Open(path, 0o600, nil)
		wantError(t, err, syscall.EROFS, path, "read-only")
		_, err = Open(path+"2", 0o600, nil)
		wantError(t, err, syscall.EROFS, path, "read-only")
		for _, o := range []*Options{{ReadOnly: true}, {Immutable: true}} {
			st, err := Open(path, 0o600, o)
			noError(t, err)
			wantKeys(t, st, 100)
			checkStore(t, st)
			wantError(t, st.View(func(tx *Tx) error { return tx.CopyFile(filepath.Join(dir, "copy"), 0o600) }), syscall.EROFS, "copy")
			noError(t, st.Close())
			wantBytes(t, path, img)
		}
	}
	wantNames(t, dir, "live", "settled")
}

func init() {
	childRoles["address space"] = childAddressSpace
	childRoles["locked memory"] = childLockedMemory
	childRoles["file size"] = childFileSize
}

func setLimit(what int, n uint64) error { return unix.Setrlimit(what, &unix.Rlimit{Cur: n, Max: n}) }

// limitAddressSpace leaves this process more bytes of address space than it uses now.
func limitAddressSpace(more uint64) error {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	pages, err := strconv.ParseUint(strings.Fields(string(b))[0], 10, 64)
	if err != nil {
		return err
	}
	return setLimit(unix.RLIMIT_AS, pages*uint64(os.Getpagesize())+more)
}

func TestLittleAddressSpace(t *testing.T) {
	path, _ := makeFile(t, 200, nil)
	if out := runChild(t, "address space", path, strconv.Itoa(256<<20), "200"); out != "ok" {
		t.Fatal(out)
	}
	checkFile(t, path, 2000)
}

func TestNoAddressSpace(t *testing.T) {
	path, img := makeFile(t, 200, nil)
	const size = 8 << 30
	noError(t, os.Truncate(path, size)) // a long file, mostly a hole
	out := runChild(t, "address space", path, strconv.Itoa(256<<20), "200")
	for _, w := range []string{"no address space", "ulimit -v", path} {
		if !strings.Contains(out, w) {
			t.Fatalf("%q does not say %q", out, w)
		}
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() != size {
		t.Fatal("size changed:", err)
	}
	noError(t, os.Truncate(path, int64(len(img))))
	wantBytes(t, path, img)
	checkFile(t, path, 200)
}

// childAddressSpace limits the address space to args[1] bytes more, opens args[0] with args[2] keys and grows it.
func childAddressSpace(args []string) error {
	more, _ := strconv.ParseUint(args[1], 10, 64)
	n, _ := strconv.Atoi(args[2])
	warm := make([]byte, 96<<20) // the test itself needs memory, which the runtime keeps when this is garbage
	runtime.KeepAlive(warm)
	if err := limitAddressSpace(more); err != nil {
		return err
	}
	st, err := Open(args[0], 0o600, nil)
	if err != nil {
		if !errors.Is(err, syscall.ENOMEM) {
			return fmt.Errorf("not ENOMEM: %w", err)
		}
		fmt.Println(err)
		return nil
	}
	if err := st.View(func(tx *Tx) error { return keysAre(tx, n) }); err != nil {
		return err
	}
	if err := putKeys(st, n, 2000); err != nil {
		return err
	}
	if err := outgrow(st); err != nil {
		return err
	}
	fmt.Println("ok")
	return st.Close()
}

// outgrow makes the file larger than the reservation, while a reader holds the old mapping, as far as there is
// address space; then what there was is still there.
func outgrow(st *Store) error {
	r, err := st.Begin(false)
	if err != nil {
		return err
	}
	defer func() { _ = r.Rollback() }()
	held := r.Bucket([]byte("b")).Get(testKey(1))
	block := make([]byte, 4<<20)
	size := int64(0)
	for i := 0; i < 100 && err == nil; i++ {
		if size, err = st.file.Size(); err != nil {
			return err
		}
		err = st.Update(func(tx *Tx) error { return tx.Bucket([]byte("b")).Put(fmt.Appendf(nil, "z%d", i), block) })
	}
	if !errors.Is(err, syscall.ENOMEM) || errors.Is(err, ErrFailed) {
		return fmt.Errorf("growing beyond the address space: %v", err)
	}
	if n, err := st.file.Size(); n > size || err != nil {
		return fmt.Errorf("what failed left the file at %d bytes, it had %d", n, size)
	}
	if string(held) != string(testValue(1)) {
		return errors.New("a held slice changed")
	}
	if err := keysAre(r, 2000); err != nil {
		return err
	}
	return st.Update(func(tx *Tx) error { // it goes on, and becomes as small as it was
		_, err := tx.Bucket([]byte("b")).DeleteRange([]byte("z"), nil)
		return err
	})
}

func TestLittleLockedMemory(t *testing.T) {
	path, img := makeFile(t, 5000, nil)
	for limit, want := range map[string]string{"0": "may not lock", strconv.Itoa(64 << 10): "ulimit -l"} {
		out := runChild(t, "locked memory", path, limit, "5000")
		if !strings.Contains(out, want) || !strings.Contains(out, path) {
			t.Errorf("limit %s: %s", limit, out)
		}
		wantBytes(t, path, img)
	}
	out := runChild(t, "locked memory", path, strconv.Itoa(3<<20), "5000")
	if !strings.Contains(out, "grow: ") || !strings.Contains(out, "ulimit -l") || !strings.Contains(out, path) {
		t.Error(out)
	}
	checkFile(t, path, 5000)
}

// childLockedMemory opens args[0] with Mlock where args[1] bytes may be locked, and prints the error: of Open, or
// of growing. Without Mlock the same works.
func childLockedMemory(args []string) error {
	runtime.LockOSThread()
	limit, _ := strconv.ParseUint(args[1], 10, 64)
	n, _ := strconv.Atoi(args[2])
	if err := errors.Join(dropCapabilities(unix.CAP_IPC_LOCK), setLimit(unix.RLIMIT_MEMLOCK, limit)); err != nil {
		return err
	}
	st, err := Open(args[0], 0o600, &Options{Mlock: true})
	if err != nil {
		fmt.Println(err)
		if st, err = Open(args[0], 0o600, nil); err != nil {
			return err
		}
		return errors.Join(st.View(func(tx *Tx) error { return keysAre(tx, n) }), st.Close())
	}
	before, _ := st.file.Size()
	err = putLarge(st, "z", 8<<20)
	fmt.Println("grow:", err)
	if err == nil || errors.Is(err, ErrFailed) {
		return fmt.Errorf("growing beyond the limit: %v", err)
	}
	if after, err := st.file.Size(); after > before || err != nil {
		return fmt.Errorf("what failed left the file at %d bytes, it had %d", after, before)
	}
	err = errors.Join(st.View(func(tx *Tx) error { return keysAre(tx, n) }), putKeys(st, 0, 10))
	return errors.Join(err, st.Close())
}

// A process may not make files larger than a limit: as a full disk, it fails what needs the space and nothing else.
func TestLimitOfFileSize(t *testing.T) {
	path, _ := makeFile(t, 200, nil)
	out := runChild(t, "file size", path)
	if !strings.Contains(out, "too large") || !strings.Contains(out, path) {
		t.Fatal(out)
	}
	checkFile(t, path, 200)
}

func childFileSize(args []string) error {
	if err := setLimit(unix.RLIMIT_FSIZE, 1<<20); err != nil {
		return err
	}
	st, err := Open(args[0], 0o600, nil)
	if err != nil {
		return err
	}
	for i := range 3 {
		err = putLarge(st, fmt.Sprint(i), 2<<20)
		if !errors.Is(err, syscall.EFBIG) || errors.Is(err, ErrFailed) {
			return fmt.Errorf("put: %v", err)
		}
	}
	fmt.Println(err)
	return errors.Join(putKeys(st, 0, 200), st.Close())
}

// What is no regular file is not replaced, and a symbolic link is followed.
func TestBackupReplacesRegularFilesOnly(t *testing.T) {
	both(t, func(t *testing.T, o BackupOptions) {
		path, _ := makeFile(t, 200, nil)
		st := openStore(t, path, nil)
		dir := t.TempDir()
		o.Replace = true
		fifo, link, to := filepath.Join(dir, "fifo"), filepath.Join(dir, "link"), filepath.Join(dir, "file")
		noError(t, syscall.Mkfifo(fifo, 0o600))
		noError(t, os.Symlink(fifo, link))
		for _, name := range []string{fifo, link, dir} {
			_, err := st.Backup(name, o)
			wantError(t, err, mmapfile.ErrNotRegular)
		}
		noError(t, os.Remove(link))
		noError(t, os.Symlink(to, link))
		_, err := st.Backup(link, o)
		wantError(t, err, fs.ErrNotExist)
		noError(t, os.WriteFile(to, nil, 0o600))
		_, err = st.Backup(link, o)
		noError(t, err)
		checkFile(t, to, 200)
		admitted(st)
		_, err = st.Backup(path+lockSuffix, o)
		wantError(t, err, ErrSameFile)
		wantNames(t, dir, "fifo", "file", "link")
	})
}
