package mmapfile

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrTimeout is returned when a lock was not free in time.
	ErrTimeout = errors.New("timeout: the file is locked by another open of it")
	// ErrReserved is returned by Mapping.Grow when the reserved address space is used up, or was
	// closed by an earlier failure. A new Mapping, with a larger reservation, can go on.
	ErrReserved = errors.New("the reserved address space is used up")
	// ErrNotRegular is returned for a directory, FIFO, socket or device.
	ErrNotRegular = errors.New("not a regular file")
	// ErrUnsupported is returned for what this system can't do.
	ErrUnsupported = errors.ErrUnsupported
)

// Error is a failed operation: what was tried, on which file, the system's error and what it means here.
// It unwraps to the system's error, so errors.Is finds syscall.ENOMEM, fs.ErrPermission and the like.
type Error struct {
	Op   string // a verb phrase: "open", "map", "lock writer"
	Path string // empty for anonymous memory
	Err  error
}

// Error tells the operation, the file, the system's text and its meaning.
func (e *Error) Error() string {
	s := e.Op
	if e.Path != "" {
		s += " " + e.Path
	}
	s += ": " + e.Err.Error()
	var errno syscall.Errno
	if errors.As(e.Err, &errno) {
		if d := describe(e.Op, errno); d != "" {
			s += " (" + d + ")"
		}
	}
	return s
}

// Unwrap returns the system's error.
func (e *Error) Unwrap() error { return e.Err }

// wrap makes an *Error of err; nil stays nil.
func wrap(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Path: path, Err: err}
}

// The operations whose error numbers mean something of their own.
const (
	opOpen      = "open"
	opCreate    = "create"
	opMap       = "map"
	opReserve   = "reserve address space for"
	opGrow      = "grow the mapping of"
	opAnonymous = "map anonymous memory"
	opPin       = "lock in memory"
	opPresence  = "lock"
	opWriter    = "lock for writing"
	opByte      = "lock a byte of"
	opWrite     = "write"
	opRead      = "read"
)

// describe says what an error number means for an operation, or "" where the system's text is enough.
func describe(op string, errno syscall.Errno) string {
	switch errno {
	case syscall.EACCES:
		return describeAccess(op)
	case syscall.EAGAIN:
		if op == opPin {
			return "some of it could not be locked: raise the limit of locked memory (ulimit -l)"
		}
		return "the file is locked, or too much memory is locked (ulimit -l)"
	case syscall.EBADF:
		if op == opPresence || op == opWriter || op == opByte {
			return "an exclusive lock needs a file that is open for writing"
		}
		return "the file is closed, or not open for this kind of access"
	case syscall.EINVAL:
		return "the offset, the length or the flags are out of range"
	case syscall.ENFILE:
		return "the system's limit of open files is reached"
	case syscall.ENODEV:
		return "this file system can't map files into memory"
	case syscall.ENOMEM:
		return describeMemory(op)
	case syscall.EPERM:
		if op == opPin {
			return "this process may not lock memory: raise the limit of locked memory (ulimit -l)"
		}
		return "the file is sealed, immutable or on a file system that forbids this"
	case syscall.ETXTBSY:
		return "the file is a running program or is used for swapping"
	}
	return ""
}

func describeAccess(op string) string {
	switch op {
	case opOpen, opCreate:
		return "no permission for the file or a directory on the way to it"
	case opMap, opGrow:
		return "a mapping needs a regular file that is open for reading, and for writing if it is shared and writable"
	}
	return ""
}

func describeMemory(op string) string {
	switch op {
	case opPin:
		return "more than this process may lock: raise the limit of locked memory (ulimit -l)"
	case opReserve, opMap, opGrow, opAnonymous:
		return "no address space: raise the limit of virtual memory (ulimit -v), or of mappings (vm.max_map_count)"
	}
	return "out of memory"
}

// invalid is a misuse that the system would answer with EINVAL.
func invalid(op, path, format string, args ...any) error {
	return &Error{Op: op, Path: path, Err: fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), syscall.EINVAL)}
}
