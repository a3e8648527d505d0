package mmapfile

import (
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
)

const chunk = 1 << 20 // a mapping begins with one and doubles; a multiple of every system's page

// MapOptions say how a file is mapped.
type MapOptions struct {
	Reserve  int64 // bytes of address space; 0: 1 TiB, less where many mappings are open, on 32-bit systems 512 MiB
	Writable bool  // stores through the mapping change the file; a database never asks for it
}

// Mapping is a file mapped into memory from its first byte on, shared with all who have the file
// open: what anybody writes to the file shows in it at once. Addresses never change: the mapping
// grows inside address space that was reserved for it.
//
// All methods but Unmap may be called by several goroutines at once, while others read the data.
type Mapping struct {
	file     *File
	writable bool
	data     []byte       // the whole reservation
	mapped   atomic.Int64 // bytes of data that show the file; grows only
	life     sync.RWMutex // held shared by calls that touch the mapping, exclusively by Unmap

	mu     sync.Mutex // serialises growth and guards the rest
	advice Advice
	locked bool
	fixed  bool   // made by MapShared
	closed bool   // no more growth: a fixed mapping failed
	hole   [2]int // the range of that failure, which may be somebody else's memory by now
	place  func(dst []byte, fd int, off int64, writable bool) error
	msync  func(Op) (int, error) // perform, made once
}

// Map reserves address space and maps the whole file into its beginning. Where the asked-for
// reservation is more than the process may have (ulimit -v), half of it is tried, and so on down to
// what the file needs now. Read-ahead is off (AdviceRandom).
func (f *File) Map(o MapOptions) (*Mapping, error) {
	if !supported {
		return nil, wrap(opMap, f.path, ErrUnsupported)
	}
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	want := o.Reserve
	if want <= 0 {
		want = max(defaultReserve(), 2*size)
	}
	data, err := reserve(want, max(size, 1))
	if err != nil {
		return nil, wrap(opReserve, f.path, err)
	}
	reservedNow.Add(int64(len(data)))
	m := &Mapping{file: f, writable: o.Writable, data: data, advice: AdviceRandom, place: memPlace}
	m.msync = m.perform
	if err := m.extend(size, opMap); err != nil {
		_ = m.Unmap()
		return nil, err
	}
	return m, nil
}

// MapShared maps the first n bytes of the file to be read and stored to, in one call, whatever the file has: what lies beyond its end faults until
// the file has grown so far. The mapping itself does not grow.
func (f *File) MapShared(n int64) (*Mapping, error) {
	if n <= 0 || n > math.MaxInt {
		return nil, invalid(opMap, f.path, "%d bytes", n)
	}
	m := &Mapping{file: f, writable: true, place: memPlace, fixed: true, closed: true}
	m.msync = m.perform
	err := f.with(func(fd int) (err error) {
		m.data, err = memMap(fd, 0, int(n), ProtRead|ProtWrite, Shared)
		return err
	})
	if err != nil {
		return nil, wrap(opMap, f.path, err)
	}
	m.mapped.Store(n)
	return m, nil
}

// roundUp rounds n up to a multiple of unit, a power of two.
func roundUp(n, unit int64) int64 { return (n + unit - 1) &^ (unit - 1) }

// Data returns the whole reservation. Only its first Len bytes may be touched, and of these only
// what lies inside the file: the rest faults. It must not be written to unless the mapping is
// Writable, and is valid until Unmap.
func (m *Mapping) Data() []byte { return m.data }

// Len returns how many bytes of Data are mapped, which may be more than the file has.
func (m *Mapping) Len() int64 { return m.mapped.Load() }

// Reserved returns the bytes of address space that the mapping can grow into.
func (m *Mapping) Reserved() int64 { return int64(len(m.data)) }

// Grow makes sure that at least the first size bytes of the file are mapped. Nothing moves, and
// readers of what was mapped before are not disturbed. ErrReserved means that this mapping can't
// grow so far: the caller makes a new one and keeps this one as long as it is read. After any error
// what was mapped before still is.
func (m *Mapping) Grow(size int64) error {
	if size <= m.mapped.Load() {
		return nil
	}
	m.life.RLock()
	defer m.life.RUnlock()
	return m.extend(size, opGrow)
}

// extend maps more of the file, in doubling steps so that there are few of them.
func (m *Mapping) extend(size int64, op string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := m.mapped.Load()
	if m.data == nil {
		return wrap(op, m.file.path, os.ErrClosed)
	}
	if from > 0 && size <= from {
		return nil
	}
	if m.closed || size > int64(len(m.data)) {
		return wrap(op, m.file.path, ErrReserved)
	}
	to := m.nextLen(from, size)
	dst := m.data[from:to]
	err := m.file.with(func(fd int) error { return m.place(dst, fd, from, m.writable) })
	if err == os.ErrClosed {
		return wrap(op, m.file.path, err)
	}
	if err != nil {
		// The kernel may have taken the reserved pages away before it failed, and anybody's next
		// mapping may get them: this range must never be touched again, not even to unmap it.
		m.closed, m.hole = true, [2]int{int(from), int(to)}
		if from > 0 { // a new mapping may do better
			err = fmt.Errorf("%w: %w", ErrReserved, err)
		}
		return wrap(op, m.file.path, err)
	}
	// The same advice everywhere makes one kernel area of old and new.
	_ = sysAdvise(dst, m.advice)
	if m.locked {
		if err := sysPin(dst, m.inFile(from, to)); err != nil {
			return m.takeBack(dst, from, err)
		}
	}
	m.mapped.Store(to)
	return nil
}

// nextLen is the length of the mapping after growth from from so that it holds size bytes.
func (m *Mapping) nextLen(from, size int64) int64 {
	to := max(from, chunk)
	if m.locked { // locked memory is scarce
		return min(roundUp(size, chunk), int64(len(m.data)))
	}
	for to < size && to < int64(len(m.data)) {
		to *= 2
	}
	return min(to, int64(len(m.data)))
}

// takeBack turns a part that could not be locked into reserved space again.
func (m *Mapping) takeBack(dst []byte, from int64, cause error) error {
	if err := memTakeBack(dst); err != nil {
		m.closed, m.hole = true, [2]int{int(from), int(from) + len(dst)}
	}
	return wrap(opPin, m.file.path, cause)
}

// Unmap gives the memory and the address space back. Nobody may read the data any more, or call
// another method; a second Unmap does nothing.
func (m *Mapping) Unmap() error {
	m.life.Lock()
	defer m.life.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	data := m.data
	if data == nil {
		return nil
	}
	m.data = nil
	m.mapped.Store(0)
	if !m.fixed {
		reservedNow.Add(-int64(len(data)))
	}
	err := memUnmap(data[:m.hole[0]])
	if e := memUnmap(data[m.hole[1]:]); err == nil {
		err = e
	}
	return wrap("unmap", m.file.path, err)
}

// Detach gives the file back, and keeps the address space: whoever still touches the data does not meet memory that has become
// somebody else's. In a writable mapping it is memory of its own from then on, all zero, and otherwise a fault. Unmap is still to
// be called when nobody can.
func (m *Mapping) Detach() error {
	m.life.Lock()
	defer m.life.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.mapped.Load()
	if m.data == nil || n == 0 {
		return nil
	}
	m.closed = true
	if m.hole[1] != 0 {
		n = min(n, int64(m.hole[0]))
	}
	if m.writable && memBlank(m.data[:n]) == nil {
		return nil
	}
	return wrap("unmap", m.file.path, memTakeBack(m.data[:n]))
}

// Sync makes [off, off+n) of the file durable, and the file's size, whether it was written by
// WriteAt or through a mapping: one msync call, and one flush of the device. The range must be
// mapped; an empty one flushes nothing. Where msync does not reach the device, the whole file is flushed through its descriptor. As
// with File.Sync, nothing is repeated after a failure.
func (m *Mapping) Sync(off, n int64) error {
	if off < 0 || n < 0 || n > m.mapped.Load()-off {
		return invalid("msync", m.file.path, "range %d+%d of %d mapped bytes", off, n, m.mapped.Load())
	}
	_, err := m.file.seam.through(Op{Kind: OpMsync, Path: m.file.path, Offset: off, Length: n}, m.msync)
	return wrap("msync", m.file.path, err)
}

// perform is the real call behind the seam for OpMsync.
func (m *Mapping) perform(op Op) (int, error) {
	m.life.RLock()
	defer m.life.RUnlock()
	if m.data == nil {
		return 0, os.ErrClosed
	}
	if op.Length == 0 {
		return 0, nil
	}
	from := op.Offset &^ (pageSize - 1)
	to := min(roundUp(op.Offset+op.Length, pageSize), m.mapped.Load())
	// The kernel does not count a file that is open for reading only as shared: msync does nothing.
	if !msyncReachesDevice || m.file.readOnly {
		return 0, m.file.with(func(fd int) error { return m.file.flushed(fd, sysSync(fd)) })
	}
	if err := sysMsync(m.data[from:to]); err != nil {
		return 0, err
	}
	return 0, m.file.afterMsync()
}

// pageSize is the size in bytes of the system's pages, which mappings are aligned to.
var pageSize = int64(os.Getpagesize())
