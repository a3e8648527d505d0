//go:build linux

package mmapfile

import (
	"errors"
	"runtime/debug"
	"strings"
	"testing"
)

// caught calls fn in m.Catch, and tells what it panicked with and its error.
func caught(m *Mapping, fn func()) (panicked any, err error) {
	defer func() { panicked = recover() }()
	return nil, m.Catch(func() error { fn(); return nil })
}

func TestFaultsBecomeErrors(t *testing.T) {
	f := openTemp(t, Options{})
	must(t, f.WriteAt([][]byte{pattern(1<<20, 1)}, 0))
	m := mapTemp(t, f, MapOptions{})
	b := m.Data()[:1<<20]
	if p, err := caught(m, func() { load(b, 700_000) }); err != nil || p != nil {
		t.Fatal(err, p)
	}
	// Somebody cuts the file short.
	must(t, f.Truncate(100_000))
	p, err := caught(m, func() { load(b, 700_000) })
	var fe *FaultError
	if p != nil || !errors.As(err, &fe) || fe.Offset != 700_000 || !strings.Contains(err.Error(), f.Path()) {
		t.Fatal(err, p)
	}
	if p, err := caught(m, func() { load(b, 50_000) }); err != nil || p != nil {
		t.Fatal("what is left of the file:", err, p)
	}
	if err := m.Catch(func() error { return ErrTimeout }); err != ErrTimeout {
		t.Fatal("an error of the function itself:", err)
	}
	if debug.SetPanicOnFault(false) {
		t.Fatal("the goroutine's setting was not restored")
	}
	// It heals when the file is whole again.
	must(t, f.Truncate(1<<20))
	if p, err := caught(m, func() { load(b, 700_000) }); err != nil || p != nil {
		t.Fatal(err, p)
	}
}

func TestWritesThroughTheMappingPanicAndNeverReachTheFile(t *testing.T) {
	f := openTemp(t, Options{})
	must(t, f.WriteAt([][]byte{pattern(1<<20, 1)}, 0))
	m := mapTemp(t, f, MapOptions{})
	b := m.Data()[:1<<20]
	p, err := caught(m, func() { b[4097]++ })
	if err != nil || p == nil {
		t.Fatal("a caller's write is not a panic:", err)
	}
	addr, ok := FaultAddr(p)
	if !ok || addr != memAddr(b)+4097 || !m.Contains(addr) || m.ReadFault(addr) {
		t.Fatalf("fault at %x: %v", addr, ok)
	}
	if off, ok := m.Offset(addr); !ok || off != 4097 {
		t.Error("wrong place in the file:", off, ok)
	}
	if _, ok := m.Offset(0); ok {
		t.Error("an address outside has a place in the file")
	}
	if want := pattern(1<<20, 1); contents(t, f)[4097] != want[4097] {
		t.Fatal("the file changed")
	}
}

func TestOtherPanicsAreNotFaults(t *testing.T) {
	f := openTemp(t, Options{})
	m := mapTemp(t, f, MapOptions{})
	var none *Mapping
	for _, fn := range []func(){
		func() { panic("mine") },
		func() { panic(errors.New("mine")) },
		func() { _ = none.file },
		func() { load(nil, 3) },
	} {
		p, err := caught(m, fn)
		if err != nil || p == nil {
			t.Error("swallowed:", err)
		}
		if addr, ok := FaultAddr(p); ok && m.Contains(addr) {
			t.Errorf("fault at %x", addr)
		}
	}
	if m.Contains(0) || m.ReadFault(0) || m.Contains(memAddr(m.Data())-1) || m.Contains(memAddr(m.Data())+uintptr(len(m.Data()))) {
		t.Error("contains what lies outside")
	}
	if !m.ReadFault(memAddr(m.Data()) + uintptr(m.Len())) {
		t.Error("reserved space can be read")
	}
}

func BenchmarkCatch(b *testing.B) {
	f, err := Open(b.TempDir()+"/f", Options{Create: true, Mode: 0o600})
	if err != nil {
		b.Fatal(err)
	}
	m, err := f.Map(MapOptions{})
	if err != nil {
		b.Fatal(err)
	}
	nothing := func() error { return nil }
	for b.Loop() {
		_ = m.Catch(nothing)
	}
}
