package mmapfile

import (
	"errors"
	"fmt"
	"syscall"
)

// OpKind names one kind of operation that changes or flushes a file.
type OpKind uint8

// The kinds of operation that pass through a Seam.
const (
	OpCreate   OpKind = iota + 1 // a file comes into being, empty
	OpWrite                      // Data goes to Offset; Length is the sum of its lengths
	OpTruncate                   // the file's size becomes Length
	OpAllocate                   // blocks for [Offset, Offset+Length), the file grows if it ends before
	OpPunch                      // blocks of [Offset, Offset+Length) are given back, the range reads as zeros
	OpSync                       // the file's data and size become durable
	OpMsync                      // [Offset, Offset+Length) becomes durable, through the mapping
	OpSyncDir                    // the directory entry becomes durable
	OpRename                     // Path becomes To
	OpRemove                     // Path goes away
	OpStart                      // what was written to [Offset, Offset+Length) sets out for the device: nothing becomes durable
)

var opNames = [...]string{
	OpCreate: "create", OpWrite: "write", OpTruncate: "truncate", OpAllocate: "allocate", OpPunch: "punch",
	OpSync: "sync", OpMsync: "msync", OpSyncDir: "syncdir", OpRename: "rename", OpRemove: "remove", OpStart: "start",
}

// String returns the kind as one lower-case word.
func (k OpKind) String() string {
	if int(k) < len(opNames) && opNames[k] != "" {
		return opNames[k]
	}
	return fmt.Sprintf("op%d", uint8(k))
}

// Op is one operation on its way to the operating system.
type Op struct {
	Kind   OpKind
	Path   string   // the file, as it was given to Open
	To     string   // the new name, for OpRename
	Offset int64    // first byte
	Length int64    // bytes; the new size for OpTruncate
	Data   [][]byte // bytes to be written, for OpWrite; valid only during the call
}

// Seam stands between this package and the operating system: every operation that changes or
// flushes a file is handed to it, with do as the one real call. It may pass op on, record it, be
// slow, fail without calling do, or pass a changed op (fewer bytes of Data, with Length to match:
// the rest of a short write follows as the next operation). It returns what do returned: for
// OpWrite the number of bytes written, else 0.
//
// It may be called by several goroutines at once. A nil Seam means none.
type Seam func(op Op, do func(Op) (int, error)) (int, error)

// maxInterrupts bounds how often an operation that makes no progress is begun again after EINTR.
const maxInterrupts = 1000

// interrupted reports whether err says that a signal arrived before the work was done.
func interrupted(err error) bool {
	return errors.Is(err, syscall.EINTR)
}

// through hands op to the seam, or straight to do when there is none.
func (s Seam) through(op Op, do func(Op) (int, error)) (int, error) {
	if s == nil {
		return do(op)
	}
	return s(op, do)
}
