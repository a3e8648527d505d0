//go:build linux

package mmapfile

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// dropCapability takes capabilities from the calling goroutine, which is tied to its thread.
func dropCapability(caps ...int) error {
	runtime.LockOSThread()
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

// limit sets a limit of this process. The Go runtime raises some again for its children, so it is done in the child.
func limit(what int, n uint64) error {
	return unix.Setrlimit(what, &unix.Rlimit{Cur: n, Max: n})
}

func init() {
	children["address space"] = childAddressSpace
	children["locked memory"] = childLockedMemory
	children["file size"] = childFileSize
}

func TestReservationHalvesUnderULimitV(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	must(t, os.WriteFile(path, nil, 0o600))
	out := runChild(t, "address space", path, "4294967296", "3145728")
	reserved, err := strconv.ParseInt(out, 10, 64)
	must(t, err)
	if reserved < 512<<20 || reserved > 2<<30 {
		t.Fatalf("reserved %d bytes of a 4 GiB address space: should be most of half of it, leaving the rest to the process", reserved)
	}
}

func TestNoAddressSpaceIsAClearError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	must(t, os.WriteFile(path, nil, 0o600))
	out := runChild(t, "address space", path, "4294967296", "8589934592")
	if !strings.Contains(out, "no address space") || !strings.Contains(out, "ulimit -v") || !strings.Contains(out, path) {
		t.Fatalf("error: %s", out)
	}
}

// childAddressSpace maps a file of args[2] bytes with the address space limited to args[1], and prints
// the bytes reserved, or the error.
func childAddressSpace(args []string) error {
	n, _ := strconv.ParseUint(args[1], 10, 64)
	size, _ := strconv.ParseInt(args[2], 10, 64)
	f, err := Open(args[0], Options{})
	if err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	if err := limit(unix.RLIMIT_AS, n); err != nil {
		return err
	}
	m, err := f.Map(MapOptions{})
	if err != nil {
		if !errors.Is(err, syscall.ENOMEM) {
			return fmt.Errorf("not ENOMEM: %w", err)
		}
		fmt.Println(err)
		return nil
	}
	if int64(len(m.Data())) != m.Reserved() || m.Len() < size {
		return fmt.Errorf("%d bytes mapped", m.Len())
	}
	// The rest of the reservation is really usable, and its end is an error like any other.
	if err := f.Truncate(m.Reserved()); err != nil {
		return err
	}
	if err := m.Grow(m.Reserved()); err != nil {
		return err
	}
	if err := m.Grow(m.Reserved() + 1); !errors.Is(err, ErrReserved) {
		return fmt.Errorf("grow beyond: %v", err)
	}
	fmt.Println(m.Reserved())
	return nil
}

func TestLockedMemoryLimitIsAClearError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	must(t, os.WriteFile(path, make([]byte, 3<<20), 0o600))
	for _, c := range []struct {
		limit int
		want  string
	}{{0, "may not lock"}, {1 << 20, "ulimit -l"}} {
		out := runChild(t, "locked memory", path, strconv.Itoa(c.limit))
		if !strings.Contains(out, c.want) || !strings.Contains(out, path) {
			t.Errorf("limit %d: %s", c.limit, out)
		}
	}
	if out := runChild(t, "locked memory", path, strconv.Itoa(6<<20)); !strings.Contains(out, "grow: lock in memory") || !strings.Contains(out, "ulimit -l") {
		t.Errorf("growth beyond the limit: %s", out)
	}
}

// childLockedMemory locks a mapping with the limit args[1] and prints the error, of Lock or of growth.
func childLockedMemory(args []string) error {
	n, _ := strconv.ParseUint(args[1], 10, 64)
	if err := errors.Join(dropCapability(unix.CAP_IPC_LOCK), limit(unix.RLIMIT_MEMLOCK, n)); err != nil {
		return err
	}
	f, err := Open(args[0], Options{})
	if err != nil {
		return err
	}
	m, err := f.Map(MapOptions{})
	if err != nil {
		return err
	}
	if err := m.Lock(); err != nil {
		fmt.Println(err)
		if k := lockedKiB(); k != 0 {
			return fmt.Errorf("%d KiB stay locked", k)
		}
		return oneArea(m)
	}
	before := m.Len()
	if err := f.Truncate(8 << 20); err != nil {
		return err
	}
	err = m.Grow(8 << 20)
	fmt.Println("grow:", err)
	if m.Len() != before || errors.Is(err, ErrReserved) {
		return fmt.Errorf("%d bytes mapped", m.Len())
	}
	if err := oneArea(m); err != nil {
		return err
	}
	// Without the lock the same growth succeeds: the reservation was not closed.
	if err := errors.Join(m.Unlock(), m.Grow(8<<20), oneArea(m)); err != nil {
		return err
	}
	if m.Data()[8<<20-1] != 0 || lockedKiB() != 0 {
		return errors.New("not unlocked")
	}
	return nil
}

func oneArea(m *Mapping) error {
	n, err := m.Areas()
	if err == nil && n != 1 {
		err = fmt.Errorf("%d areas", n)
	}
	return err
}

// lockedKiB is how much memory this process has locked.
func lockedKiB() (kib int) {
	b, _ := os.ReadFile("/proc/self/status")
	if _, after, ok := strings.Cut(string(b), "VmLck:"); ok {
		_, _ = fmt.Sscan(after, &kib)
	}
	return kib
}

func TestLockKeepsGrowthLockedInOneArea(t *testing.T) {
	f := openTemp(t, Options{})
	must(t, f.Truncate(1<<20))
	m := mapTemp(t, f, MapOptions{})
	before := lockedKiB()
	if err := m.Lock(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOMEM) {
		t.Skip("this process may not lock a MiB:", err)
	} else if err != nil {
		t.Fatal(err)
	}
	must(t, f.Truncate(3<<20))
	if err := m.Grow(3 << 20); err != nil {
		t.Skip("this process may not lock 3 MiB:", err)
	}
	if got := lockedKiB() - before; got != 3<<10 {
		t.Errorf("%d KiB locked, not exactly the file", got)
	}
	must(t, oneArea(m))
	must(t, m.Unlock())
	must(t, oneArea(m))
	if got := lockedKiB() - before; got != 0 {
		t.Errorf("%d KiB stay locked", got)
	}
}

func TestShortWritesUnderULimitF(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	out := runChild(t, "file size", path)
	if !strings.Contains(out, "short 1") || !strings.Contains(out, "write "+path) || !strings.Contains(out, "too large") {
		t.Fatal(out)
	}
	fi, err := os.Stat(path)
	must(t, err)
	if fi.Size() != 1<<20 {
		t.Fatalf("size %d", fi.Size())
	}
}

// childFileSize writes over a size limit of 1 MiB: the system writes a part, and the rest is an error.
func childFileSize(args []string) error {
	signal.Ignore(syscall.SIGXFSZ)
	if err := limit(unix.RLIMIT_FSIZE, 1<<20); err != nil {
		return err
	}
	short := 0
	f, err := Open(args[0], Options{Create: true, Mode: 0o600, Seam: func(op Op, do func(Op) (int, error)) (int, error) {
		n, err := do(op)
		if n > 0 && int64(n) < op.Length && err == nil {
			short++
		}
		return n, err
	}})
	if err != nil {
		return err
	}
	data := pattern(600<<10, 1)
	err = f.WriteAt([][]byte{data, data}, 0)
	if !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("not EFBIG: %w", err)
	}
	fmt.Printf("short %d\n%v\n", short, err)
	if err := f.Allocate(0, 2<<20); !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("allocate: %v", err)
	}
	if err := f.Truncate(2 << 20); !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("truncate: %v", err)
	}
	return nil
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("mounting a small file system is not permitted here:", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, 0)) })
	f, err := Open(filepath.Join(dir, "db"), Options{Create: true, Mode: 0o600})
	must(t, err)
	defer f.Close()
	must(t, f.Allocate(0, 512<<10))
	if err := f.Allocate(0, 4<<20); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "allocate") {
		t.Fatalf("allocate: %v", err)
	}
	if err := f.WriteAt([][]byte{pattern(2<<20, 3)}, 0); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("write: %v", err)
	}
	// What was allocated before can be written all the same.
	must(t, f.WriteAt([][]byte{pattern(512<<10, 4)}, 0))
	must(t, f.Punch(0, 512<<10))
	must(t, f.Truncate(0))
	must(t, f.Allocate(0, 512<<10))
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("mounting a small file system is not permitted here:", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, 0)) })
	path := filepath.Join(dir, "db")
	must(t, os.WriteFile(path, []byte("data"), 0o600))
	must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, "size=1m"))
	if _, err := Open(path, Options{}); !errors.Is(err, syscall.EROFS) {
		t.Fatalf("open: %v", err)
	}
	if _, err := Open(path+"2", Options{Create: true}); !errors.Is(err, syscall.EROFS) {
		t.Fatalf("create: %v", err)
	}
	f, err := Open(path, Options{ReadOnly: true})
	must(t, err)
	defer f.Close()
	must(t, f.LockPresence(false, -1))
	m := mapTemp(t, f, MapOptions{})
	if string(m.Data()[:4]) != "data" {
		t.Fatal("wrong bytes")
	}
	must(t, m.Unmap())
}
