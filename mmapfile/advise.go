package mmapfile

import "os"

// Advice tells the kernel how memory will be read.
type Advice uint8

// The kinds of advice.
const (
	AdviceNormal     Advice = iota // some read-ahead
	AdviceRandom                   // none
	AdviceSequential               // much
)

// Advise sets the read-ahead of the whole mapping, and of what it grows by. Advice for a part
// would split the kernel's area, and a flush costs one device flush per area.
func (m *Mapping) Advise(a Advice) error {
	m.life.RLock()
	defer m.life.RUnlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		return wrap("advise", m.file.path, os.ErrClosed)
	}
	err := sysAdvise(m.data[:m.mapped.Load()], a)
	if err == nil {
		m.advice = a
	}
	return wrap("advise", m.file.path, err)
}

// WillNeed asks the kernel to begin reading [off, off+n) of the file, and returns at once. The part
// that is not mapped or not in the file is left out.
func (m *Mapping) WillNeed(off, n int64) error {
	return m.ask("read ahead", off, n, sysWillNeed)
}

// WillNeedEach is WillNeed for the n bytes from each of offs on, which should be inside the file. Those that follow each other
// in the file, in ascending order, are asked for in one call.
func (m *Mapping) WillNeedEach(offs []int64, n int64) error {
	m.life.RLock()
	defer m.life.RUnlock()
	if m.data == nil {
		return wrap("read ahead", m.file.path, os.ErrClosed)
	}
	mapped := m.mapped.Load()
	for i := 0; i < len(offs); {
		from, to := offs[i], offs[i]+n
		if from < 0 || n < 0 || from > mapped-n {
			return invalid("read ahead", m.file.path, "range %d+%d of %d mapped bytes", from, n, mapped)
		}
		for i++; i < len(offs) && offs[i] == to && to <= mapped-n; i++ {
			to += n
		}
		if err := sysWillNeed(m.data[from&^(pageSize-1) : to]); err != nil {
			return wrap("read ahead", m.file.path, err)
		}
	}
	return nil
}

// Resident reports whether the byte at off is in memory, so that reading it does not wait for the device; true where the
// system does not tell, or the byte is not mapped.
func (m *Mapping) Resident(off int64) bool {
	m.life.RLock()
	defer m.life.RUnlock()
	off &^= pageSize - 1
	return off < 0 || off+pageSize > m.mapped.Load() || sysResident(m.data[off:off+pageSize])
}

// Populate reads [off, off+n) into memory and enters it into the page table, so that it can be
// read without a fault. The part that is not mapped or not in the file is left out.
func (m *Mapping) Populate(off, n int64) error {
	return m.ask("populate", off, n, sysPopulate)
}

// ask calls fn for the pages of the mapping that hold [off, off+n) of the file.
func (m *Mapping) ask(op string, off, n int64, fn func([]byte) error) error {
	if off < 0 || n < 0 {
		return invalid(op, m.file.path, "range %d+%d", off, n)
	}
	m.life.RLock()
	defer m.life.RUnlock()
	if m.data == nil {
		return wrap(op, m.file.path, os.ErrClosed)
	}
	mapped := m.mapped.Load()
	if off >= mapped {
		return nil
	}
	b := m.inFile(off&^(pageSize-1), off+min(n, mapped-off))
	if len(b) == 0 {
		return nil
	}
	return wrap(op, m.file.path, fn(b))
}

// inFile returns the pages of Data between from (a multiple of the page size) and to that lie inside the file.
func (m *Mapping) inFile(from, to int64) []byte {
	size, err := m.file.Size()
	if err != nil {
		return nil
	}
	to = min(roundUp(min(to, size), pageSize), int64(len(m.data)))
	if to <= from {
		return nil
	}
	return m.data[from:to]
}

// Lock keeps the whole mapping in memory, and what it grows by: nothing of it is read from the
// device again. The kernel counts mapped bytes, which may be twice the file's, against the limit of locked
// memory (ulimit -l); from then on the mapping grows by what is needed only. All of it is locked
// or, after an error, nothing. Grow then fails when the limit is reached.
func (m *Mapping) Lock() error {
	m.life.RLock()
	defer m.life.RUnlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		return wrap(opPin, m.file.path, os.ErrClosed)
	}
	mapped := m.data[:m.mapped.Load()]
	if err := sysPin(mapped, m.inFile(0, int64(len(mapped)))); err != nil {
		_ = sysUnpin(mapped)
		return wrap(opPin, m.file.path, err)
	}
	m.locked = true
	return nil
}

// Unlock takes the effect of Lock back.
func (m *Mapping) Unlock() error {
	m.life.RLock()
	defer m.life.RUnlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil || !m.locked {
		return nil
	}
	m.locked = false
	return wrap("unlock memory", m.file.path, sysUnpin(m.data[:m.mapped.Load()]))
}

// Areas returns how many areas the kernel keeps for the mapped part: 1, or a flush costs more than
// one device flush. ErrUnsupported on systems that don't tell. For tests.
func (m *Mapping) Areas() (int, error) {
	m.life.RLock()
	defer m.life.RUnlock()
	base := memAddr(m.data)
	n, err := sysAreas(base, base+uintptr(m.mapped.Load()))
	return n, wrap("count areas", m.file.path, err)
}
