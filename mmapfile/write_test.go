//go:build linux

package mmapfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// contents reads the whole file.
func contents(t *testing.T, f *File) []byte {
	t.Helper()
	b, err := os.ReadFile(f.Path())
	must(t, err)
	return b
}

func TestWriteAtSplitsAtTheVectorLimit(t *testing.T) {
	var r recorder
	f := openTemp(t, Options{Seam: r.seam})
	all := pattern(2500, 9)
	var bufs [][]byte
	for i := range all {
		bufs = append(bufs, all[i:i+1])
	}
	must(t, f.WriteAt(bufs, 100))
	if got := contents(t, f)[100:]; !bytes.Equal(got, all) {
		t.Fatal("wrong bytes")
	}
	if len(r.ops) != 4 { // create, 1024, 1024, 452
		t.Fatalf("%d operations: %s", len(r.ops), strings.Join(r.ops, "\n"))
	}
}

// What a call writes is one piece of the page cache: small buffers must not make a large one. None may end inside a page.
func TestWriteAtWritesSmallBuffersAFewAtATime(t *testing.T) {
	var r recorder
	f := openTemp(t, Options{Seam: r.seam})
	pages := pattern(40*wholePage, 3)
	var bufs [][]byte
	for i := range 20 {
		bufs = append(bufs, pages[i*wholePage:][:wholePage])
	}
	head, large, pad := pages[20*wholePage:][:28], pages[20*wholePage+28:39*wholePage], pages[39*wholePage:]
	must(t, f.WriteAt(append(bufs, head, large, pad[:100], pad[100:]), wholePage))
	if got := contents(t, f)[wholePage:]; !bytes.Equal(got, pages) {
		t.Fatal("wrong bytes")
	}
	want := []string{"create 0+0 = 0 <nil>", "write 4096+32768 = 32768 <nil>", "write 36864+32768 = 32768 <nil>",
		"write 69632+94208 = 94208 <nil>", "write 163840+4096 = 4096 <nil>"}
	if !slices.Equal(r.ops, want) {
		t.Fatal(strings.Join(r.ops, "\n"))
	}
}

func TestWriteAtNothing(t *testing.T) {
	var r recorder
	f := openTemp(t, Options{Seam: r.seam})
	must(t, f.WriteAt(nil, 0))
	must(t, f.WriteAt([][]byte{nil, {}}, 1<<20))
	if len(r.ops) != 1 {
		t.Fatal(r.ops)
	}
}

// shorten passes on only the first n bytes of a write.
func shorten(op Op, n int) Op {
	var data [][]byte
	op.Length = int64(n)
	for _, b := range op.Data {
		if len(b) > n {
			b = b[:n]
		}
		if n -= len(b); len(b) > 0 {
			data = append(data, b)
		}
	}
	op.Data = data
	return op
}

func TestWriteAtContinuesShortWritesAndInterrupts(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		f := openTemp(t, Options{Seam: func(op Op, do func(Op) (int, error)) (int, error) {
			if op.Kind != OpWrite {
				return do(op)
			}
			switch rnd.IntN(3) {
			case 0:
				return 0, syscall.EINTR
			case 1:
				return do(shorten(op, 1+rnd.IntN(int(op.Length))))
			}
			n, err := do(shorten(op, 1+rnd.IntN(int(op.Length))))
			if err == nil {
				err = syscall.EINTR
			}
			return n, err
		}})
		var bufs, before [][]byte
		var all []byte
		for range rnd.IntN(20) + 1 {
			b := pattern(rnd.IntN(300), byte(rnd.Uint32()))
			bufs = append(bufs, b)
			all = append(all, b...)
		}
		before = append(before, bufs...)
		must(t, f.WriteAt(bufs, 17))
		if len(all) > 0 && !bytes.Equal(contents(t, f)[17:], all) {
			t.Fatalf("seed %d: wrong bytes", seed)
		}
		for i := range bufs {
			if len(before[i]) != len(bufs[i]) {
				t.Fatalf("seed %d: the caller's buffers were changed", seed)
			}
		}
		must(t, f.Close())
	}
}

func TestWriteAtReportsFailures(t *testing.T) {
	var fail error
	progress := 0
	f := openTemp(t, Options{Seam: func(op Op, do func(Op) (int, error)) (int, error) {
		if op.Kind != OpWrite {
			return do(op)
		}
		if progress == 0 {
			return -1, fail
		}
		n, _ := do(shorten(op, progress))
		return n, fail
	}})
	for _, fail = range []error{syscall.EIO, syscall.ENOSPC, syscall.EINTR} {
		if err := f.WriteAt([][]byte{{1, 2}, {3}}, 0); !errors.Is(err, fail) || !strings.Contains(err.Error(), f.Path()) {
			t.Errorf("%v became %v", fail, err)
		}
	}
	fail = nil
	if err := f.WriteAt([][]byte{{1}}, 0); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("no progress became %v", err)
	}
	fail, progress = syscall.EIO, 2
	if err := f.WriteAt([][]byte{{1, 2}, {3}}, 0); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	if got := contents(t, f); !bytes.Equal(got, []byte{1, 2}) {
		t.Errorf("wrote %v", got)
	}
}

func TestReadOnlyFileRefusesWrites(t *testing.T) {
	f := openTemp(t, Options{})
	r, err := Open(f.Path(), Options{ReadOnly: true})
	must(t, err)
	defer r.Close()
	if err := r.WriteAt([][]byte{{1}}, 0); !errors.Is(err, syscall.EBADF) || !strings.Contains(err.Error(), "not open for this kind") {
		t.Error(err)
	}
	if err := r.Truncate(1); err == nil {
		t.Error("truncated")
	}
	if err := r.Allocate(0, 1); err == nil {
		t.Error("allocated")
	}
}

func TestAllocate(t *testing.T) {
	f := openTemp(t, Options{})
	must(t, f.WriteAt([][]byte{[]byte("head")}, 0))
	must(t, f.Allocate(0, 1<<20))
	b := contents(t, f)
	if len(b) != 1<<20 || string(b[:4]) != "head" || !bytes.Equal(b[4:], make([]byte, 1<<20-4)) {
		t.Fatal("wrong contents")
	}
	fi, err := f.Stat()
	must(t, err)
	if st := fi.Sys().(*syscall.Stat_t); st.Blocks*512 < 1<<20 {
		t.Errorf("%d blocks", st.Blocks)
	}
	for _, bad := range [][2]int64{{-1, 1}, {0, 0}, {0, -1}} {
		if err := f.Allocate(bad[0], bad[1]); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%v: %v", bad, err)
		}
		if err := f.Punch(bad[0], bad[1]); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestAllocateWritesZerosWhereTheSystemCant(t *testing.T) {
	var r recorder
	f := openTemp(t, Options{Seam: func(op Op, do func(Op) (int, error)) (int, error) {
		if op.Kind == OpAllocate {
			return 0, syscall.EOPNOTSUPP
		}
		return r.seam(op, do)
	}})
	must(t, f.WriteAt([][]byte{[]byte("head")}, 0))
	must(t, f.Allocate(0, 3<<20+5))
	b := contents(t, f)
	if len(b) != 3<<20+5 || string(b[:4]) != "head" || !bytes.Equal(b[4:], make([]byte, 3<<20+1)) {
		t.Fatal("wrong contents")
	}
	must(t, f.Allocate(0, 1<<20)) // inside the file: nothing to do
	if len(r.ops) != 2+3*32+1 {   // create, head, 32 KiB at a time and the rest
		t.Fatal(strings.Join(r.ops, "\n"))
	}
	fi, err := f.Stat()
	must(t, err)
	if st := fi.Sys().(*syscall.Stat_t); st.Blocks*512 < 3<<20 {
		t.Errorf("%d blocks", st.Blocks)
	}
}

func TestPunch(t *testing.T) {
	f := openTemp(t, Options{})
	must(t, f.WriteAt([][]byte{pattern(1<<20, 1)}, 0))
	err := f.Punch(64<<10, 512<<10)
	if errors.Is(err, ErrUnsupported) {
		t.Skip("this file system can't punch:", err)
	}
	must(t, err)
	want := pattern(1<<20, 1)
	clear(want[64<<10 : 576<<10])
	if !bytes.Equal(contents(t, f), want) {
		t.Fatal("wrong contents")
	}
}

func TestSizeChangesContinueAfterInterrupts(t *testing.T) {
	left := 3
	f := openTemp(t, Options{Seam: func(op Op, do func(Op) (int, error)) (int, error) {
		if op.Kind != OpCreate && left > 0 {
			left--
			return 0, syscall.EINTR
		}
		return do(op)
	}})
	must(t, f.Truncate(4096))
	left = 3
	must(t, f.Allocate(4096, 4096))
	if n, err := f.Size(); n != 8192 || err != nil {
		t.Fatal(n, err)
	}
	left = 1 << 30
	if err := f.Truncate(1); !errors.Is(err, syscall.EINTR) {
		t.Fatalf("interrupted for ever: %v", err)
	}
}

func TestFlushesAreNeverRepeated(t *testing.T) {
	calls := 0
	f := openTemp(t, Options{Seam: func(op Op, do func(Op) (int, error)) (int, error) {
		if op.Kind == OpSync || op.Kind == OpMsync || op.Kind == OpSyncDir {
			calls++
			return 0, syscall.EINTR
		}
		return do(op)
	}})
	m := mapTemp(t, f, MapOptions{})
	for _, err := range []error{f.Sync(), m.Sync(0, 4096), f.SyncDir()} {
		if !errors.Is(err, syscall.EINTR) {
			t.Error(err)
		}
	}
	if calls != 3 {
		t.Errorf("%d calls", calls)
	}
}

func TestTheCallsOfACommitAllocateNothing(t *testing.T) {
	f := openTemp(t, Options{})
	bufs := [][]byte{pattern(4096, 1), pattern(4096, 2)}
	m := mapTemp(t, f, MapOptions{})
	for name, fn := range map[string]func() error{
		"WriteAt":      func() error { return f.WriteAt(bufs, 0) },
		"Size":         func() error { _, err := f.Size(); return err },
		"Grow":         func() error { return m.Grow(8192) },
		"Mapping.Sync": func() error { return m.Sync(0, 8192) },
		"WillNeed":     func() error { return m.WillNeed(0, 8192) },
		"WillNeedEach": func() error { return m.WillNeedEach([]int64{0, 4096}, 4096) },
	} {
		if n := testing.AllocsPerRun(20, func() { must(t, fn()) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestStartLeavesTheFileAsItIs(t *testing.T) {
	var r recorder
	f := openTemp(t, Options{Seam: r.seam})
	all := pattern(3*wholePage, 5)
	must(t, f.WriteAt([][]byte{all}, 0))
	f.Start(0, int64(len(all)))
	f.Start(wholePage, 1<<40) // more than there is
	if got := contents(t, f); !bytes.Equal(got, all) {
		t.Fatal("wrong bytes")
	}
	if n := len(r.ops); n != 4 || r.ops[2] != "start 0+12288 = 0 <nil>" {
		t.Fatal(strings.Join(r.ops, "\n"))
	}
	must(t, f.Close())
	f.Start(0, 1) // of a closed file: nothing
}

func TestLargeWritesTakeOneCallAndOthersManySmallOnes(t *testing.T) {
	var r recorder
	f := openTemp(t, Options{Seam: r.seam})
	var bufs [][]byte
	for i := range 5 {
		bufs = append(bufs, pattern(68<<10, byte(i)))
	}
	r.ops = nil
	must(t, f.WriteLarge(bufs, 8192))
	must(t, f.WriteAt(bufs, 8192+5*68<<10))
	want := []string{"write 8192+348160 = 348160 <nil>"}
	for i := range 5 {
		want = append(want, fmt.Sprintf("write %d+69632 = 69632 <nil>", 8192+(5+i)*68<<10))
	}
	if got := strings.Join(r.ops, "\n"); got != strings.Join(want, "\n") {
		t.Error(got)
	}
	all := bytes.Join(bufs, nil)
	if got := contents(t, f)[8192:]; !bytes.Equal(got, append(all, all...)) {
		t.Error("wrong contents")
	}
}
