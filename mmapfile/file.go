package mmapfile

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Options say how a file is opened.
type Options struct {
	ReadOnly  bool        // open for reading only; nothing is created
	Create    bool        // create the file when it is missing
	Exclusive bool        // with Create: an existing file is an error (fs.ErrExist)
	NoLink    bool        // a symbolic link at the path is an error (ErrNotRegular), not followed
	NoAtime   bool        // its access time need not be kept, which takes the file system's journal; a hint
	Mode      os.FileMode // permission bits of a created file, before the umask
	Seam      Seam        // stands between the file and the system; nil: none
}

// File is an open regular file. All methods may be called by several goroutines at once; after
// Close they return an error that is os.ErrClosed.
type File struct {
	path     string // as given
	real     string // absolute, without symbolic links
	readOnly bool
	created  bool
	id       Identity // when it was opened
	seam     Seam

	mu        sync.RWMutex          // held shared during a system call, exclusively by Close
	fd        int                   // -1 once closed
	do        func(Op) (int, error) // perform, made once so that an operation allocates nothing
	presence  lockMode              // what LockPresence holds; guarded by lockMu
	writer    lockMode              // what LockWriter holds; guarded by lockMu
	bytes     bool                  // LockByte was used; guarded by lockMu
	lockMu    sync.Mutex
	journal   sync.Once // guards journaled
	journaled bool      // it stands on ext4 with a journal
}

// Path returns the path that was given to Open.
func (f *File) Path() string { return f.path }

// RealPath returns the absolute path of the file at the time of Open, symbolic links resolved.
func (f *File) RealPath() string { return f.real }

// ReadOnly reports whether the file was opened for reading only.
func (f *File) ReadOnly() bool { return f.readOnly }

// Created reports whether this Open brought the file into being.
func (f *File) Created() bool { return f.created }

// Stat returns what the system knows of the file. It is not for what is done often.
func (f *File) Stat() (fi os.FileInfo, err error) {
	// Package os describes only what it has opened itself, and an os.File of our own would close our descriptor.
	dup := -1
	err = f.with(func(fd int) (err error) {
		dup, err = sysDup(fd)
		return err
	})
	if err != nil {
		return nil, wrap("look at", f.path, err)
	}
	o := os.NewFile(uintptr(dup), f.path)
	defer func() { _ = o.Close() }()
	return o.Stat()
}

// Size returns the size of the file in bytes.
func (f *File) Size() (int64, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd < 0 {
		return 0, wrap("size of", f.path, os.ErrClosed)
	}
	size, err := sysSize(f.fd)
	return size, wrap("size of", f.path, err)
}

// Space returns the size of the file in bytes, and how many of them the file system has set aside. The latter may count what
// it keeps beside the file too.
func (f *File) Space() (size, allocated int64, err error) {
	err = f.with(func(fd int) (err error) {
		size, allocated, err = sysSpace(fd)
		return err
	})
	return size, allocated, wrap("size of", f.path, err)
}

// SameFile reports whether path leads to this very file, through whatever links.
func (f *File) SameFile(path string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd < 0 {
		return false
	}
	other, err := sysIdentityOf(path)
	return err == nil && f.id.Same(other)
}

// ReadAt reads len(p) bytes at off as io.ReaderAt does.
func (f *File) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, invalid(opRead, f.path, "offset %d", off)
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd < 0 {
		return 0, wrap(opRead, f.path, os.ErrClosed)
	}
	for tries := 0; n < len(p); {
		k, err := sysRead(f.fd, p[n:min(len(p), n+maxWrite)], off+int64(n))
		switch {
		case interrupted(err) && tries < maxInterrupts:
			tries++
		case err != nil:
			return n, wrap(opRead, f.path, err)
		case k == 0:
			return n, io.EOF
		default:
			n, tries = n+k, 0
		}
	}
	return n, nil
}

// Close releases the file's locks and closes it. Mappings stay readable, but can't grow any more.
// It waits for system calls in progress. A second Close returns os.ErrClosed.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd < 0 {
		return os.ErrClosed
	}
	// A child process that is just being started may hold a copy of the descriptor until it
	// executes its program: unlocking explicitly releases the locks at once all the same.
	f.releaseLocks()
	fd := f.fd
	f.fd = -1
	return wrap("close", f.path, sysClose(fd))
}

// releaseLocks gives back all locks; the caller holds f.mu.
func (f *File) releaseLocks() {
	f.lockMu.Lock()
	defer f.lockMu.Unlock()
	if f.writer != lockNone || f.presence != lockNone || f.bytes {
		_ = unlockBytes(f.fd)
	}
	f.writer, f.presence, f.bytes = lockNone, lockNone, false
}

// with calls fn with the descriptor, which stays open meanwhile.
func (f *File) with(fn func(fd int) error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd < 0 {
		return os.ErrClosed
	}
	return fn(f.fd)
}

// perform is the real call behind the seam for every operation on an open file.
func (f *File) perform(op Op) (int, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd < 0 {
		return 0, os.ErrClosed
	}
	switch op.Kind {
	case OpWrite:
		return sysWritev(f.fd, op.Data, op.Offset)
	case OpTruncate:
		return 0, sysTruncate(f.fd, op.Length)
	case OpAllocate:
		return 0, sysAllocate(f.fd, op.Offset, op.Length)
	case OpPunch:
		return 0, sysPunch(f.fd, op.Offset, op.Length)
	case OpStart:
		return 0, sysStart(f.fd, op.Offset, op.Length)
	case OpSync:
		return 0, f.flushed(f.fd, sysSync(f.fd))
	case OpSyncDir:
		return 0, f.flushed(f.fd, sysSyncDir(filepath.Dir(f.real), f.real, f.fd))
	}
	return 0, syscall.EINVAL
}

// flushed returns the error of a flush, or what the flush has kept to itself.
func (f *File) flushed(fd int, err error) error {
	if err == nil {
		err = f.failedLater(fd)
	}
	return err
}

// afterMsync returns what an msync has kept to itself. The mapping of a closed file is flushed all the same.
func (f *File) afterMsync() error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd < 0 {
		return nil
	}
	return f.failedLater(f.fd)
}

// run sends op through the seam and begins again after EINTR. Flushes don't come here: what a
// failed flush left undone can't be known, so none is ever repeated.
func (f *File) run(op Op) error {
	op.Path = f.path
	for tries := 0; ; tries++ {
		_, err := f.seam.through(op, f.do)
		if !interrupted(err) || tries == maxInterrupts {
			return wrap(op.Kind.String(), f.path, err)
		}
	}
}
