//go:build linux

package mmapfile

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMapFileClipsAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	all := pattern(3*int(pageSize)+100, 2)
	must(t, os.WriteFile(path, all, 0o600))
	f, err := os.Open(path)
	must(t, err)
	size := len(all)
	for _, c := range []struct{ off, n int }{
		{0, 1}, {0, size}, {0, size + 1}, {1, 1}, {5, 10000}, {int(pageSize), 10}, {int(pageSize) - 1, 2},
		{size - 1, 1}, {size - 1, math.MaxInt}, {3 * int(pageSize), 1 << 30},
	} {
		r, err := MapFile(f, int64(c.off), c.n, ProtRead, Shared)
		must(t, err)
		want := all[c.off:min(size, c.off+min(c.n, size))]
		if !bytes.Equal(r.Bytes(), want) || cap(r.Bytes()) != len(want) {
			t.Errorf("%d+%d: %d bytes", c.off, c.n, len(r.Bytes()))
		}
		must(t, r.Unmap())
		must(t, r.Unmap())
	}
	for _, c := range []struct {
		off   int64
		n     int
		flags Flag
	}{
		{int64(size), 1, Shared}, {1 << 50, 1, Shared}, {-1, 1, Shared}, {0, 0, Shared}, {0, -1, Shared},
		{0, 1, 0}, {0, 1, Shared | Private}, {0, 1, Populate},
	} {
		if _, err := MapFile(f, c.off, c.n, ProtRead, c.flags); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := MapFile(f, 0, 1, ProtRead|ProtWrite, Shared); !errors.Is(err, syscall.EACCES) {
		t.Errorf("shared writable mapping of a file open for reading: %v", err)
	}
	must(t, f.Close())
	if _, err := MapFile(f, 0, 1, ProtRead, Shared); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestPrivateAndSharedStores(t *testing.T) {
	var rec recorder
	f := openTemp(t, Options{Seam: rec.seam})
	must(t, f.WriteAt([][]byte{[]byte("0123456789")}, 0))
	private, err := f.MapRegion(2, 3, ProtRead|ProtWrite, Private|Populate)
	must(t, err)
	copy(private.Bytes(), "abc")
	shared, err := f.MapRegion(7, 100, ProtRead|ProtWrite, Shared)
	must(t, err)
	copy(shared.Bytes(), "xyz")
	must(t, shared.Advise(AdviceSequential))
	must(t, shared.Sync())
	if got := string(contents(t, f)); got != "0123456xyz" {
		t.Fatal(got)
	}
	if last := rec.ops[len(rec.ops)-1]; !strings.HasPrefix(last, "msync 0+") {
		t.Fatal("a region's flush does not pass the seam:", last)
	}
	must(t, private.Unmap())
	must(t, f.Truncate(0))
	if addr := memAddr(shared.Bytes()); !shared.ReadFault(addr) {
		t.Error("a cut-off region can be read")
	}
	must(t, shared.Unmap())
}

func TestMapDevice(t *testing.T) {
	f, err := os.OpenFile("/dev/zero", os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	r, err := MapFile(f, 0, 10000, ProtRead, Private) // not clipped: a device has no end
	must(t, err)
	if len(r.Bytes()) != 10000 || r.Bytes()[9999] != 0 {
		t.Error("wrong bytes")
	}
	must(t, r.Unmap())
	d, err := os.Open(t.TempDir())
	must(t, err)
	defer d.Close()
	if _, err := MapFile(d, 0, 1, ProtRead, Private); !errors.Is(err, syscall.ENODEV) || !strings.Contains(err.Error(), "can't map files") {
		t.Error(err)
	}
}

func TestAnonymous(t *testing.T) {
	for _, flags := range []Flag{0, Private, Shared, Populate, NoReserve | Private, Shared | Populate} {
		r, err := Anonymous(100_000, flags)
		must(t, err)
		if !bytes.Equal(r.Bytes(), make([]byte, 100_000)) {
			t.Error("not zero")
		}
		r.Bytes()[99_999] = 1
		must(t, r.Sync())
		must(t, r.Advise(AdviceNormal))
		must(t, r.Unmap())
	}
	for _, n := range []int{0, -1} {
		if _, err := Anonymous(n, 0); !errors.Is(err, syscall.EINVAL) {
			t.Error(err)
		}
	}
	if bits.UintSize == 32 {
		return // so much may be had
	}
	if _, err := Anonymous(math.MaxInt-1<<20, NoReserve); !errors.Is(err, syscall.ENOMEM) || !strings.Contains(err.Error(), "no address space") {
		t.Error(err)
	}
}

func init() {
	children["locked region"] = func([]string) error {
		if err := errors.Join(dropCapability(unix.CAP_IPC_LOCK), limit(unix.RLIMIT_MEMLOCK, 64<<10)); err != nil {
			return err
		}
		r, err := Anonymous(64<<10, Locked)
		if err != nil {
			return err
		}
		if lockedKiB() != 64 {
			return errors.New("not locked")
		}
		if err := errors.Join(r.Unlock(), r.Unmap()); err != nil {
			return err
		}
		_, err = Anonymous(128<<10, Locked)
		fmt.Println(err)
		return nil
	}
	children["shared"] = func(args []string) error {
		r, err := OpenShared(args[0], 10000, 0o600, nil)
		if err != nil {
			return err
		}
		fmt.Println(string(r.Bytes()[9000:9005]))
		copy(r.Bytes()[100:], "child")
		return r.Unmap()
	}
}

func TestLockedRegion(t *testing.T) {
	if out := runChild(t, "locked region"); !strings.Contains(out, "lock in memory") || !strings.Contains(out, "ulimit -l") {
		t.Fatal(out)
	}
}

func TestSharedMemoryBetweenProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shared")
	var rec recorder
	r, err := OpenShared(path, 10000, 0o640, rec.seam)
	must(t, err)
	defer r.Unmap()
	if got := strings.Join(rec.ops, "; "); got != "create 0+0 = 0 <nil>; truncate 0+10000 = 0 <nil>" {
		t.Error(got)
	}
	if !bytes.Equal(r.Bytes(), make([]byte, 10000)) {
		t.Error("not zero")
	}
	copy(r.Bytes()[9000:], "hello")
	if out := runChild(t, "shared", path); out != "hello" {
		t.Error(out)
	}
	if got := string(r.Bytes()[100:105]); got != "child" {
		t.Error(got)
	}
	if _, err := OpenShared(t.TempDir(), 1, 0o600, nil); !errors.Is(err, ErrNotRegular) {
		t.Error(err)
	}
	if _, err := OpenShared(path, 0, 0o600, nil); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}
