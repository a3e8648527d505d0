//go:build linux

package mmapfile

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestGrowthKeepsAddressesAndOneArea(t *testing.T) {
	f := openTemp(t, Options{})
	m := mapTemp(t, f, MapOptions{})
	if m.Reserved() < 128<<20 || int64(len(m.Data())) != m.Reserved() || m.Len() != chunk {
		t.Fatalf("reserved %d, mapped %d", m.Reserved(), m.Len())
	}
	base := memAddr(m.Data())
	for size := int64(1 << 20); size <= 64<<20; size = size*3/2 + 4096 {
		must(t, f.Truncate(size))
		must(t, m.Grow(size))
		if m.Len() < size || m.Len() >= 2*size+chunk || m.Len()%chunk != 0 {
			t.Fatalf("%d bytes mapped for a file of %d", m.Len(), size)
		}
		mark := []byte(fmt.Sprint(size))
		must(t, f.WriteAt([][]byte{mark}, size-16))
		if !bytes.HasPrefix(m.Data()[size-16:], mark) {
			t.Fatal("what was written does not show in the mapping")
		}
		must(t, oneArea(m))
	}
	if memAddr(m.Data()) != base {
		t.Fatal("the mapping moved")
	}
	for _, a := range []Advice{AdviceNormal, AdviceSequential, AdviceRandom} {
		must(t, m.Advise(a))
		must(t, oneArea(m))
		must(t, f.Truncate(m.Len()+1))
		must(t, m.Grow(m.Len()+1))
		must(t, oneArea(m))
	}
	size, err := f.Size()
	must(t, err)
	must(t, m.WillNeed(5, 1<<20))
	must(t, m.WillNeedEach([]int64{0, 1 << 20, 5}, 4096))
	must(t, m.Populate(4097, 1<<20))
	for _, off := range []int64{-1, 0, 4097, m.Len(), 1 << 62} { // in memory, or nowhere
		if !m.Resident(off) {
			t.Errorf("the byte at %d is not resident", off)
		}
	}
	must(t, m.Populate(0, 1<<62))     // clipped at the end of the file
	must(t, m.WillNeed(size+9999, 9)) // behind it
	must(t, oneArea(m))
	if err := m.WillNeed(-1, 2); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
	for _, offs := range [][]int64{{-1}, {0, m.Len() - 1}, {1 << 62}} {
		if err := m.WillNeedEach(offs, 2); !errors.Is(err, syscall.EINVAL) {
			t.Error(offs, err)
		}
	}
}

func TestMapBeginsWithTheWholeFile(t *testing.T) {
	for _, size := range []int64{0, 1, 1 << 20, 1<<20 + 1, 5 << 20} {
		f := openTemp(t, Options{})
		must(t, f.Truncate(size))
		m := mapTemp(t, f, MapOptions{})
		if m.Len() < size {
			t.Errorf("%d of %d bytes mapped", m.Len(), size)
		}
		must(t, oneArea(m))
		// A reservation smaller than the file is made large enough.
		s := mapTemp(t, f, MapOptions{Reserve: 1})
		if s.Len() < size || s.Reserved() > 8<<20 {
			t.Errorf("%d of %d bytes mapped, %d reserved", s.Len(), size, s.Reserved())
		}
	}
}

func TestReadsDuringGrowth(t *testing.T) {
	f := openTemp(t, Options{})
	want := pattern(1<<20, 5)
	must(t, f.WriteAt([][]byte{want}, 0))
	m := mapTemp(t, f, MapOptions{})
	var stop atomic.Bool
	var reads atomic.Int64
	var readers sync.WaitGroup
	for range 2 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for !stop.Load() {
				if !bytes.Equal(m.Data()[:len(want)], want) {
					t.Error("bytes changed during growth")
					return
				}
				last := m.Len() - 1
				if b := m.Data()[last]; b != 0 && last >= int64(len(want)) {
					t.Error("new part is not zero")
					return
				}
				reads.Add(1)
			}
		}()
	}
	// The file always ends where the mapping does, so that readers may touch all of it.
	for size := int64(2 << 20); size <= min(m.Reserved(), 8<<30); size *= 2 {
		must(t, f.Truncate(size))
		must(t, m.Grow(size))
	}
	before := reads.Load()
	for reads.Load() < before+2 && !t.Failed() {
	}
	stop.Store(true)
	readers.Wait()
	must(t, oneArea(m))
}

func TestGrowBeyondTheReservation(t *testing.T) {
	f := openTemp(t, Options{})
	m := mapTemp(t, f, MapOptions{Reserve: 3 << 20})
	must(t, f.Truncate(3<<20))
	must(t, m.Grow(2<<20+1))
	if m.Len() != 3<<20 {
		t.Fatalf("%d bytes mapped", m.Len())
	}
	if err := m.Grow(3<<20 + 1); !errors.Is(err, ErrReserved) || !strings.Contains(err.Error(), f.Path()) {
		t.Fatal(err)
	}
}

func TestFailedFixedMappingClosesTheReservation(t *testing.T) {
	f := openTemp(t, Options{})
	must(t, f.WriteAt([][]byte{pattern(1<<20, 1)}, 0))
	must(t, f.Truncate(16<<20))
	m, err := f.Map(MapOptions{Reserve: 64 << 20})
	must(t, err)
	must(t, m.Unmap())
	must(t, f.Truncate(1<<20))
	m, err = f.Map(MapOptions{Reserve: 64 << 20})
	must(t, err)
	// The kernel takes the reserved pages away and fails, and somebody else's mapping gets them.
	var other []byte
	m.place = func(dst []byte, fd int, off int64, _ bool) error {
		must(t, memUnmap(dst))
		p, err := unix.MmapPtr(-1, 0, ptr(dst), uintptr(len(dst)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_FIXED_NOREPLACE)
		must(t, err)
		other = slice(p, len(dst))
		other[0] = 77
		return syscall.ENOMEM
	}
	must(t, f.Truncate(16<<20))
	err = m.Grow(16 << 20)
	if !errors.Is(err, ErrReserved) || !errors.Is(err, syscall.ENOMEM) || !strings.Contains(err.Error(), "no address space") {
		t.Fatal(err)
	}
	m.place = memPlace
	if err := m.Grow(2 << 20); !errors.Is(err, ErrReserved) {
		t.Fatal("a closed reservation grows:", err)
	}
	if !bytes.Equal(m.Data()[:m.Len()], pattern(1<<20, 1)) {
		t.Fatal("the old part changed")
	}
	base := memAddr(m.Data())
	must(t, m.Unmap())
	if other[0] != 77 {
		t.Fatal("somebody else's memory was unmapped")
	}
	must(t, memUnmap(other))
	if n, err := sysAreas(base, base+64<<20); n != 0 || err != nil {
		t.Fatalf("%d areas left, %v", n, err)
	}
}

func TestMapErrors(t *testing.T) {
	f := openTemp(t, Options{})
	r := again(t, f.Path(), Options{ReadOnly: true})
	if _, err := r.Map(MapOptions{Writable: true}); !errors.Is(err, syscall.EACCES) || errors.Is(err, ErrReserved) || !strings.Contains(err.Error(), "open for reading, and for writing") {
		t.Fatal(err)
	}
	p, err := os.Open("/proc/self/status")
	must(t, err)
	defer p.Close()
	if _, err := MapFile(p, 0, 1, ProtRead, Private); err == nil {
		t.Fatal("mapped a file of /proc")
	}
	m := mapTemp(t, f, MapOptions{})
	for _, c := range [][2]int64{{-1, 1}, {0, -1}, {0, m.Len() + 1}, {m.Len(), 1}, {math.MaxInt64, 1}, {1, math.MaxInt64}} {
		if err := m.Sync(c[0], c[1]); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%v: %v", c, err)
		}
	}
	for _, off := range []int64{0, 100, m.Len()} {
		must(t, m.Sync(off, 0))
	}
}

func TestWritableMapping(t *testing.T) {
	f := openTemp(t, Options{})
	must(t, f.Truncate(1<<20))
	m := mapTemp(t, f, MapOptions{Writable: true})
	copy(m.Data()[100:], "stored")
	must(t, m.Sync(100, 6))
	if !bytes.Equal(contents(t, f)[100:106], []byte("stored")) {
		t.Fatal("not in the file")
	}
}

func TestSyncIsOneOperation(t *testing.T) {
	var r recorder
	f := openTemp(t, Options{Seam: r.seam})
	m := mapTemp(t, f, MapOptions{})
	for size := int64(2 << 20); size <= 32<<20; size *= 2 {
		must(t, f.Truncate(size))
		must(t, m.Grow(size))
	}
	r.ops = nil
	must(t, f.WriteAt([][]byte{pattern(8192, 1)}, 20<<20))
	must(t, m.Sync(5, 30<<20))
	must(t, f.Sync())
	got := strings.Join(r.ops, "\n")
	if got != "write 20971520+8192 = 8192 <nil>\nmsync 5+31457280 = 0 <nil>\nsync 0+0 = 0 <nil>" {
		t.Fatal(got)
	}
}

// deviceFlushes returns how many flushes the device of path has served.
func deviceFlushes(path string) (n int, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, err
	}
	b, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 16 {
		return 0, errors.New("the kernel does not count flushes")
	}
	_, err = fmt.Sscan(fields[15], &n)
	return n, err
}

// The kernel's counters include everybody's flushes, so the smallest of several figures is logged, not required.
func TestDeviceFlushesAreLogged(t *testing.T) {
	f := openTemp(t, Options{})
	if _, err := deviceFlushes(f.Path()); err != nil {
		t.Skip("no flush counters for this file's device:", err)
	}
	must(t, f.WriteAt([][]byte{make([]byte, 16<<20)}, 0))
	m := mapTemp(t, f, MapOptions{})
	for size := int64(2 << 20); size <= 16<<20; size *= 2 {
		must(t, m.Grow(size))
	}
	must(t, f.Sync())
	must(t, f.SyncDir())
	r := again(t, f.Path(), Options{ReadOnly: true})
	ro := mapTemp(t, r, MapOptions{})
	least := func(flush func() error) int {
		best := 1 << 30
		for i := range 8 {
			must(t, f.WriteAt([][]byte{pattern(8192, byte(i))}, int64(i)*(2<<20)))
			before, err := deviceFlushes(f.Path())
			must(t, err)
			must(t, flush())
			after, err := deviceFlushes(f.Path())
			must(t, err)
			best = min(best, after-before)
		}
		return best
	}
	t.Logf("device flushes, least of 8: Mapping.Sync %d, read-only Mapping.Sync %d, File.Sync %d, after growth in %d steps",
		least(func() error { return m.Sync(0, 16<<20) }), least(func() error { return ro.Sync(0, 16<<20) }), least(f.Sync), 4)
}
