package mmapfile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Rename gives the file at oldpath the name newpath, replacing what had it, through seam.
// SyncDir of the parent makes it durable.
func Rename(oldpath, newpath string, seam Seam) error {
	_, err := seam.through(Op{Kind: OpRename, Path: oldpath, To: newpath}, func(op Op) (int, error) {
		return 0, os.Rename(op.Path, op.To)
	})
	return err
}

// Remove takes the file at path away, through seam.
func Remove(path string, seam Seam) error {
	_, err := seam.through(Op{Kind: OpRemove, Path: path}, func(op Op) (int, error) {
		return 0, os.Remove(op.Path)
	})
	return err
}

// SyncParent makes the directory entry of path durable, through seam: after Rename and Remove.
func SyncParent(path string, seam Seam) error {
	_, err := seam.through(Op{Kind: OpSyncDir, Path: path}, func(op Op) (int, error) {
		return 0, sysSyncDir(filepath.Dir(op.Path), op.Path, -1)
	})
	if isErrno(err, syscall.EINVAL) || isUnsupported(err) {
		return nil
	}
	return wrap("sync the directory of", path, err)
}

func isErrno(err error, want syscall.Errno) bool { return err != nil && errors.Is(err, want) }

func isUnsupported(err error) bool { return err != nil && errors.Is(err, errors.ErrUnsupported) }
