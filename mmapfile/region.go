package mmapfile

import (
	"math"
	"os"
	"syscall"
)

// Prot says what may be done with mapped memory.
type Prot uint8

// Protections, to be combined.
const (
	ProtRead Prot = 1 << iota
	ProtWrite
	ProtNone Prot = 0 // address space only: every access faults
)

// Flag says how memory is mapped.
type Flag uint8

// Flags, to be combined.
const (
	Shared    Flag = 1 << iota // stores reach the file and everybody who has it mapped
	Private                    // stores stay in this process (copy on write)
	Populate                   // enter all of it into the page table now; a hint
	Locked                     // keep it in memory (see Mapping.Lock); failing to is an error
	NoReserve                  // set no swap space aside; a hint
)

// Region is a piece of mapped memory. Its methods may be called by several goroutines at once,
// except Unmap, after which nobody may touch the memory.
type Region struct {
	raw  []byte // whole pages, as mapped
	data []byte // the bytes asked for
	path string
	off  int64 // of raw in the file
	file bool  // memory of a file, not anonymous
	seam Seam
}

// MapFile maps length bytes of f from offset on, which need not be aligned. It is clipped at the
// end of a regular file: Bytes may be shorter than length. An offset at or beyond the end is an
// error, as are a length below 1 and flags without exactly one of Shared and Private (EINVAL).
// f may be closed afterwards.
func MapFile(f *os.File, offset int64, length int, prot Prot, flags Flag) (r *Region, err error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	ctlErr := conn.Control(func(fd uintptr) {
		r, err = mapFile(int(fd), fi, f.Name(), offset, length, prot, flags)
	})
	if err == nil {
		err = ctlErr
	}
	return r, err
}

// MapRegion maps a part of the file by the rules of MapFile. Its Sync goes through the file's seam.
func (f *File) MapRegion(offset int64, length int, prot Prot, flags Flag) (r *Region, err error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	err = f.with(func(fd int) (err error) {
		r, err = mapFile(fd, fi, f.path, offset, length, prot, flags)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.seam = f.seam
	return r, nil
}

func mapFile(fd int, fi os.FileInfo, path string, offset int64, length int, prot Prot, flags Flag) (*Region, error) {
	switch {
	case offset < 0 || length <= 0:
		return nil, invalid(opMap, path, "range %d+%d", offset, length)
	case (flags&Shared != 0) == (flags&Private != 0):
		return nil, invalid(opMap, path, "not one of Shared and Private")
	}
	if fi.Mode().IsRegular() {
		left := fi.Size() - offset
		if left <= 0 {
			return nil, invalid(opMap, path, "offset %d is not before the end, %d", offset, fi.Size())
		}
		length = int(min(int64(length), left))
	}
	skip := int(offset & (pageSize - 1))
	if length > math.MaxInt-skip {
		return nil, wrap(opMap, path, syscall.ENOMEM)
	}
	raw, err := memMap(fd, offset-int64(skip), skip+length, prot, flags)
	if err != nil {
		return nil, wrap(opMap, path, err)
	}
	r := &Region{raw: raw, data: raw[skip : skip+length : skip+length], path: path, off: offset - int64(skip), file: true}
	return r.prepare(flags)
}

// Anonymous maps length bytes of zeroed memory that belongs to no file and that the garbage
// collector does not see. Without Shared it is Private.
func Anonymous(length int, flags Flag) (*Region, error) {
	if length <= 0 {
		return nil, invalid(opAnonymous, "", "length %d", length)
	}
	if flags&Shared == 0 {
		flags |= Private
	}
	raw, err := memMap(-1, 0, length, ProtRead|ProtWrite, flags)
	if err != nil {
		return nil, wrap(opAnonymous, "", err)
	}
	r := &Region{raw: raw, data: raw}
	return r.prepare(flags)
}

// prepare does what flags ask for after mapping. The kernel's own MAP_LOCKED would not tell of a failure.
func (r *Region) prepare(flags Flag) (*Region, error) {
	if flags&Locked != 0 {
		if err := r.Lock(); err != nil {
			_ = r.Unmap()
			return nil, err
		}
	}
	return r, nil
}

// OpenShared maps size bytes of the file at path as memory shared with all processes that do the same,
// creating the file or making it longer as needed. New bytes are zero. Nothing of it is meant to outlive
// the machine. Creation and sizing go through seam.
func OpenShared(path string, size int64, mode os.FileMode, seam Seam) (r *Region, err error) {
	if size <= 0 || size > math.MaxInt {
		return nil, invalid(opMap, path, "size %d", size)
	}
	f, err := Open(path, Options{Create: true, Mode: mode, Seam: seam})
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	have, err := f.Size()
	if err != nil {
		return nil, err
	}
	if have < size {
		// Two processes may both do this: the size is the same, and nothing is cut off.
		if err := f.Truncate(size); err != nil {
			return nil, err
		}
	}
	return f.MapRegion(0, int(size), ProtRead|ProtWrite, Shared)
}

// Bytes returns the memory, valid until Unmap.
func (r *Region) Bytes() []byte { return r.data }

// Sync writes stores to a shared region back to its file and waits for that (msync). Memory of no file has nothing to write.
func (r *Region) Sync() error {
	if !r.file {
		return nil
	}
	_, err := r.seam.through(Op{Kind: OpMsync, Path: r.path, Offset: r.off, Length: int64(len(r.raw))}, func(Op) (int, error) {
		return 0, sysMsync(r.raw)
	})
	return wrap("msync", r.path, err)
}

// Advise tells the kernel how the region will be read.
func (r *Region) Advise(a Advice) error { return wrap("advise", r.path, sysAdvise(r.raw, a)) }

// Lock keeps the region in memory.
func (r *Region) Lock() error { return wrap(opPin, r.path, sysPin(r.raw, r.raw)) }

// Unlock takes the effect of Lock back.
func (r *Region) Unlock() error { return wrap("unlock memory", r.path, sysUnpin(r.raw)) }

// ReadFault is Mapping.ReadFault for a region.
func (r *Region) ReadFault(addr uintptr) bool { return readFault(r.raw, addr) }

// Unmap gives the memory back. A second Unmap does nothing.
func (r *Region) Unmap() error {
	raw := r.raw
	r.raw, r.data = nil, nil
	return wrap("unmap", r.path, memUnmap(raw))
}
