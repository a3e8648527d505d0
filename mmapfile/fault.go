package mmapfile

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// FaultAddr returns the address in a value that recover returned, if that value is a fault: an
// access to memory that could not be served, in a goroutine that called debug.SetPanicOnFault(true).
func FaultAddr(recovered any) (uintptr, bool) {
	if e, ok := recovered.(runtime.Error); ok {
		if a, ok := e.(interface{ Addr() uintptr }); ok {
			return a.Addr(), true
		}
	}
	return 0, false
}

// FaultError is a byte of a mapped file that could not be read: the device failed, or somebody cut
// the file short.
type FaultError struct {
	Path   string
	Offset int64 // in the file
}

// Error tells the file and the place.
func (e *FaultError) Error() string {
	return fmt.Sprintf("read %s at byte %d through the mapping: the device failed or the file was cut short", e.Path, e.Offset)
}

// Contains reports whether addr lies in the mapping's reservation.
func (m *Mapping) Contains(addr uintptr) bool { return contains(m.data, addr) }

// ReadFault reports whether reading the byte at addr, an address in the mapping, faults. After a
// recovered fault it tells a read error (true) from a caller's write to read-only memory (false).
func (m *Mapping) ReadFault(addr uintptr) bool { return readFault(m.data, addr) }

// Catch calls fn and turns a read error in the mapping into a *FaultError, and in a writable one any fault: a file system that was shut
// down shows what it has, and takes no more. Every other panic goes
// on, also that of a write through a read-only slice: it is the writer's bug.
func (m *Mapping) Catch(fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		r := recover()
		if r == nil {
			return
		}
		addr, ok := FaultAddr(r)
		if !ok || !m.ReadFault(addr) && !(m.writable && m.Contains(addr)) {
			panic(r)
		}
		err = &FaultError{Path: m.file.path, Offset: int64(addr - memAddr(m.data))}
	}()
	return fn()
}

func contains(b []byte, addr uintptr) bool {
	base := memAddr(b)
	return len(b) > 0 && addr >= base && addr-base < uintptr(len(b))
}

func readFault(b []byte, addr uintptr) (fault bool) {
	if !contains(b, addr) {
		return false
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if _, ok := FaultAddr(r); !ok {
				panic(r)
			}
			fault = true
		}
	}()
	load(b, int(addr-memAddr(b)))
	return false
}

// load reads one byte; a call, so that the compiler can't leave the read out.
//
//go:noinline
func load(b []byte, i int) byte { return b[i] }
