//go:build linux

package mmapfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// held asks g for the n bytes from at on.
func heldOf(t *testing.T, g *File, at, n int64) bool {
	t.Helper()
	h, err := g.ByteHeld(at, n)
	must(t, err)
	return h
}

func TestBytesAreLockedOneByOne(t *testing.T) {
	f := openTemp(t, Options{})
	g, ro := again(t, f.Path(), Options{}), again(t, f.Path(), Options{ReadOnly: true})
	must(t, f.LockByte(0, true, -1))
	must(t, f.LockByte(MaxLockByte, true, -1))
	wantTimeout(t, g.LockByte(0, false, -1))
	wantTimeout(t, g.LockByte(MaxLockByte, true, 20*time.Millisecond))
	must(t, g.LockByte(1, true, -1))
	must(t, g.LockByte(MaxLockByte-1, true, -1))
	must(t, g.LockPresence(true, -1)) // the bytes behind are free
	must(t, g.LockWriter(true, -1))
	must(t, g.UnlockPresence())
	must(t, g.UnlockWriter())
	if !heldOf(t, ro, 0, 1) || !heldOf(t, ro, 1, 1) || heldOf(t, ro, 2, 1<<20) || !heldOf(t, ro, 2, MaxLockByte-1) {
		t.Error("who may only read can't see who holds what")
	}
	if heldOf(t, f, 0, 1) || !heldOf(t, f, 0, 2) {
		t.Error("one's own locks count, or those of others don't")
	}
	must(t, f.LockByte(0, false, -1)) // to shared
	must(t, ro.LockByte(0, false, -1))
	wantTimeout(t, g.LockByte(0, true, -1))
	if !heldOf(t, g, 0, 1) {
		t.Error("a shared lock is not seen")
	}
	must(t, f.UnlockByte(0))
	must(t, ro.UnlockByte(0))
	must(t, g.LockByte(0, true, -1))
	must(t, f.Close())
	must(t, g.LockByte(MaxLockByte, true, -1))
}

func TestReadersKeepTheWriterOut(t *testing.T) {
	f := openTemp(t, Options{})
	a, b := again(t, f.Path(), Options{ReadOnly: true}), again(t, f.Path(), Options{ReadOnly: true})
	must(t, a.LockWriter(false, -1))
	must(t, b.LockWriter(false, -1))
	wantTimeout(t, f.LockWriter(true, 10*time.Millisecond))
	must(t, a.UnlockWriter())
	must(t, b.Close())
	must(t, f.LockWriter(true, -1))
	wantTimeout(t, a.LockWriter(false, -1))
	if held, err := a.PresenceHeld(); held || err != nil {
		t.Error(held, err)
	}
	must(t, f.LockPresence(false, -1))
	if held, err := a.PresenceHeld(); !held || err != nil {
		t.Error(held, err)
	}
	if held, err := f.PresenceHeld(); held || err != nil {
		t.Error("one's own counts:", held, err)
	}
}

func TestLockByteRefusesMisuse(t *testing.T) {
	f := openTemp(t, Options{})
	_, heldErr := f.ByteHeld(0, 0)
	for i, err := range []error{f.LockByte(-1, true, -1), f.LockByte(MaxLockByte+1, true, -1), f.UnlockByte(MaxLockByte + 1), heldErr} {
		if !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%d: %v", i, err)
		}
	}
	ro := again(t, f.Path(), Options{ReadOnly: true})
	if err := ro.LockByte(7, true, -1); !errors.Is(err, syscall.EBADF) || !strings.Contains(err.Error(), "open for writing") {
		t.Error(err)
	}
	must(t, f.Close())
	if _, err := f.ByteHeld(0, 1); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

// What a process left word of with a lock is gone when it is killed.
func TestByteLocksEndWithTheProcess(t *testing.T) {
	f := openTemp(t, Options{})
	cmd := childCommand(t, "byte", f.Path())
	out, err := cmd.StdoutPipe()
	must(t, err)
	_, err = cmd.StdinPipe() // stays open until Wait
	must(t, err)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	if lines := bufio.NewScanner(out); !lines.Scan() || lines.Text() != "ready" {
		t.Fatal("the child says", lines.Text())
	}
	wantTimeout(t, f.LockByte(1000, true, -1))
	if !heldOf(t, f, 0, 2000) || heldOf(t, f, 0, 1000) {
		t.Error("not the byte that the other process holds")
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	must(t, f.LockByte(1000, true, 10*time.Second))
}

func init() {
	children["byte"] = func(args []string) error {
		f, err := Open(args[0], Options{})
		if err == nil {
			err = f.LockByte(1000, true, -1)
		}
		if err != nil {
			return err
		}
		fmt.Println("ready")
		_, err = io.Copy(io.Discard, os.Stdin) // a select without cases is a deadlock to the runtime
		return err
	}
	children["count"] = func(args []string) error {
		f, err := Open(args[0], Options{})
		if err != nil {
			return err
		}
		m, err := f.Map(MapOptions{Writable: true, Reserve: 1 << 20})
		if err != nil {
			return err
		}
		return countUp(m)
	}
}

const countTo = 20_000

func countUp(m *Mapping) error {
	for range countTo {
		m.Words()[3].Add(1)
	}
	return m.Unmap()
}

// Processes count with the same words, and lose no count.
func TestWordsAreSharedBetweenProcesses(t *testing.T) {
	f := openTemp(t, Options{})
	must(t, f.Allocate(0, 4096))
	m := mapTemp(t, f, MapOptions{Writable: true, Reserve: 1 << 20})
	m2 := mapTemp(t, f, MapOptions{Writable: true, Reserve: 1 << 20})
	done := make(chan error)
	go func() { done <- countUp(m2) }()
	runChild(t, "count", f.Path())
	must(t, <-done)
	if n := m.Words()[3].Load(); n != 2*countTo {
		t.Fatalf("counted to %d, should be %d", n, 2*countTo)
	}
	if n := len(m.Words()); n != len(m.Data())/8 {
		t.Errorf("%d words of %d bytes", n, len(m.Data()))
	}
}

func TestWordsOfARegion(t *testing.T) {
	r, err := Anonymous(100_000, NoReserve)
	must(t, err)
	r.Words()[12_499].Store(1<<63 | 5)
	if len(r.Words()) != 12_500 || r.Words()[12_499].Load() != 1<<63|5 || r.Bytes()[99_992] == 0 && r.Bytes()[99_999] == 0 {
		t.Error("the words are not the bytes")
	}
	must(t, r.Unmap())
	if r.Words() != nil {
		t.Error("words of an unmapped region")
	}
	f := openTemp(t, Options{})
	must(t, f.Allocate(0, 4096))
	part, err := f.MapRegion(16, 100, ProtRead|ProtWrite, Shared)
	must(t, err)
	if part.Words() != nil {
		t.Error("words that may not be aligned")
	}
	must(t, part.Unmap())
}

// A shared-memory file that somebody cuts is an error for those who use it, and not their end.
func TestSharedMemoryThatWasCut(t *testing.T) {
	f := openTemp(t, Options{})
	must(t, f.Allocate(0, 1<<16))
	m := mapTemp(t, f, MapOptions{Writable: true, Reserve: 1 << 20})
	m.Words()[4096].Store(1)
	must(t, os.Truncate(f.Path(), 4096))
	for _, touch := range []func(){func() { m.Words()[4096].Store(2) }, func() { m.Words()[4096].Load() }, func() { m.Words()[4096].CompareAndSwap(0, 1) }} {
		err := m.Catch(func() error { touch(); return nil })
		var fault *FaultError
		if !errors.As(err, &fault) || fault.Offset != 4096*8 {
			t.Errorf("got %v", err)
		}
	}
	must(t, m.Catch(func() error { m.Words()[3].Store(2); return nil }))
}

func TestIdentity(t *testing.T) {
	f := openTemp(t, Options{})
	hard, copied := f.Path()+".hard", filepath.Join(filepath.Dir(f.Path()), "copy")
	must(t, os.Link(f.Path(), hard))
	must(t, os.WriteFile(copied, nil, 0o600))
	must(t, os.Chmod(copied, 0o604))
	mine, err := f.Identity()
	must(t, err)
	for path, same := range map[string]bool{hard: true, copied: false} {
		g := again(t, path, Options{ReadOnly: true})
		id, err := g.Identity()
		must(t, err)
		if id.Same(mine) != same || id.User != os.Geteuid() || id != g.Opened() {
			t.Errorf("%s: %+v and %+v", path, id, mine)
		}
		if id.SameAccess(mine) != same {
			t.Errorf("%s has mode %v, %s %v", path, id.Mode, f.Path(), mine.Mode)
		}
		must(t, g.Give(id))
	}
	if kind, err := f.Network(); kind != "" || err != nil {
		t.Errorf("a temporary folder is on %q: %v", kind, err)
	}
}

// A shared mapping may be longer than its file, and shows what the file grows to.
func TestMapSharedBeyondTheEnd(t *testing.T) {
	f := openTemp(t, Options{})
	must(t, f.Allocate(0, 4096))
	m, err := f.MapShared(1 << 20)
	must(t, err)
	m.Words()[0].Store(3)
	last := &m.Words()[1<<17-1]
	var fault *FaultError
	if err := m.Catch(func() error { last.Store(4); return nil }); !errors.As(err, &fault) {
		t.Errorf("a store beyond the end: %v", err)
	}
	must(t, f.Allocate(0, 1<<20))
	last.Store(4)
	b := make([]byte, 8)
	if _, err := f.ReadAt(b, 1<<20-8); err != nil || bytes.Count(b, []byte{4}) != 1 {
		t.Errorf("the file holds %v: %v", b, err)
	}
	if err := m.Grow(2 << 20); !errors.Is(err, ErrReserved) {
		t.Error("it grows:", err)
	}
	must(t, m.Unmap())
	if _, err := f.MapShared(0); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}

func TestNoLink(t *testing.T) {
	f := openTemp(t, Options{})
	soft := f.Path() + ".soft"
	for _, target := range []string{f.Path(), f.Path() + ".missing"} {
		must(t, os.Symlink(target, soft))
		if _, err := Open(soft, Options{NoLink: true, Create: true}); !errors.Is(err, ErrNotRegular) || !strings.Contains(err.Error(), "link") {
			t.Error(err)
		}
		must(t, os.Remove(soft))
	}
	g, err := Open(soft, Options{NoLink: true, Create: true, Mode: 0o600})
	must(t, err)
	if !g.Created() || g.RealPath() != soft {
		t.Error(g.RealPath())
	}
	must(t, g.Close())
}

// A detached mapping lets go of its file at once, and its addresses become nobody else's.
func TestDetach(t *testing.T) {
	f := openTemp(t, Options{})
	must(t, f.Allocate(0, 4096))
	m := mapTemp(t, f, MapOptions{Writable: true, Reserve: 1 << 20})
	word := &m.Words()[1]
	word.Store(7)
	must(t, m.Detach())
	must(t, m.Detach())
	maps, err := os.ReadFile("/proc/self/maps")
	must(t, err)
	if strings.Contains(string(maps), f.Path()) {
		t.Error("the file is still mapped")
	}
	must(t, m.Catch(func() error { word.Add(8); return nil }))
	if n := word.Load(); n != 8 {
		t.Errorf("after Detach there were %d in place of zeros", n-8)
	}
	b := make([]byte, 16)
	_, err = f.ReadAt(b, 0)
	must(t, err)
	if b[8] != 7 {
		t.Errorf("the file has %d in place of what was stored before Detach", b[8])
	}
	if err := m.Grow(1 << 21); !errors.Is(err, ErrReserved) {
		t.Error("it grows:", err)
	}
	must(t, m.Unmap())
	must(t, m.Detach())
	r := mapTemp(t, f, MapOptions{Reserve: 1 << 20})
	must(t, r.Detach())
	var fault *FaultError
	if err := r.Catch(func() error { load(r.Data(), 8); return nil }); !errors.As(err, &fault) {
		t.Errorf("a load after Detach of what can't be written: %v", err)
	}
	must(t, r.Unmap())
}
