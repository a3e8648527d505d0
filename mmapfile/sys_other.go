//go:build !linux && !darwin && !freebsd

package mmapfile

import (
	"os"
	"sync/atomic"
)

// supported says that this system can't do what the package is for: Open says so, and the rest is
// here so that programs compile.
const supported = false

const msyncReachesDevice = false

func (f *File) tryPresence(int, lockMode) error { return ErrUnsupported }
func (f *File) tryWriter(int, lockMode) error   { return ErrUnsupported }
func (f *File) tryAlone(int) error              { return ErrUnsupported }

// ByteLocks says that this system can lock single bytes of a file (LockByte).
const ByteLocks = false

func lockByte(int, int64, lockMode) error       { return ErrUnsupported }
func heldBytes(int, int64, int64) (bool, error) { return false, ErrUnsupported }
func unlockBytes(int) error                     { return ErrUnsupported }
func sysNetwork(int) (string, error)            { return "", ErrUnsupported }
func sysIdentity(int) (id Identity, err error)  { return id, ErrUnsupported }
func sysGive(int, Identity) error               { return ErrUnsupported }
func sysChmod(int, os.FileMode) error           { return ErrUnsupported }
func memWords([]byte) []atomic.Uint64           { return nil }

func sysOpen(string, bool) (int, error)                        { return -1, ErrUnsupported }
func sysCreate(string, os.FileMode) (int, error)               { return -1, ErrUnsupported }
func sysClose(int) error                                       { return ErrUnsupported }
func sysDup(int) (int, error)                                  { return -1, ErrUnsupported }
func sysRead(int, []byte, int64) (int, error)                  { return 0, ErrUnsupported }
func sysKind(string, bool) (os.FileMode, error)                { return 0, ErrUnsupported }
func sysOpenPlain(string, bool) (int, error)                   { return -1, ErrUnsupported }
func sysKindOf(int) (kind os.FileMode, id Identity, err error) { return 0, id, ErrUnsupported }
func sysLook(string) (kind os.FileMode, id Identity, size int64, err error) {
	return 0, id, 0, ErrUnsupported
}
func sysIdentityOf(string) (id Identity, err error)      { return id, ErrUnsupported }
func sysBlocking(int, bool) error                        { return ErrUnsupported }
func sysWritev(int, [][]byte, int64) (int, error)        { return 0, ErrUnsupported }
func sysSize(int) (int64, error)                         { return 0, ErrUnsupported }
func sysSpace(int) (size, allocated int64, err error)    { return 0, 0, ErrUnsupported }
func sysTruncate(int, int64) error                       { return ErrUnsupported }
func sysAllocate(int, int64, int64) error                { return ErrUnsupported }
func sysPunch(int, int64, int64) error                   { return ErrUnsupported }
func sysSync(int) error                                  { return ErrUnsupported }
func sysStart(int, int64, int64) error                   { return ErrUnsupported }
func sysDrop(int) error                                  { return ErrUnsupported }
func sysSyncDir(_, _ string, _ int) error                { return ErrUnsupported }
func sysMsync([]byte) error                              { return ErrUnsupported }
func sysAdvise([]byte, Advice) error                     { return ErrUnsupported }
func sysWillNeed([]byte) error                           { return ErrUnsupported }
func sysPopulate([]byte) error                           { return ErrUnsupported }
func sysResident([]byte) bool                            { return true }
func sysPin(_, _ []byte) error                           { return ErrUnsupported }
func sysUnpin([]byte) error                              { return ErrUnsupported }
func sysAreas(uintptr, uintptr) (int, error)             { return 0, ErrUnsupported }
func memReserve(int) ([]byte, error)                     { return nil, ErrUnsupported }
func memPlace([]byte, int, int64, bool) error            { return ErrUnsupported }
func memTakeBack([]byte) error                           { return ErrUnsupported }
func memBlank([]byte) error                              { return ErrUnsupported }
func memMap(int, int64, int, Prot, Flag) ([]byte, error) { return nil, ErrUnsupported }
func memUnmap([]byte) error                              { return nil }
func memAddr([]byte) uintptr                             { return 0 }
