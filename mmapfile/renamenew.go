package mmapfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// RenameNew is Rename, but an existing file at newpath is an error (fs.ErrExist) and stays as it is.
func RenameNew(oldpath, newpath string, seam Seam) error {
	_, err := seam.through(Op{Kind: OpRename, Path: oldpath, To: newpath}, func(op Op) (int, error) {
		err := sysRenameNew(op.Path, op.To)
		if err != nil && !errors.Is(err, fs.ErrExist) && noSuchCall(err) {
			err = linkNew(op.Path, op.To)
		}
		if err != nil && !isLinkError(err) {
			err = &os.LinkError{Op: "rename", Old: op.Path, New: op.To, Err: err}
		}
		return 0, err
	})
	return err
}

// linkNew does it in two steps. A crash between them leaves the file with both names.
func linkNew(oldpath, newpath string) error {
	err := os.Link(oldpath, newpath)
	switch {
	case err == nil:
		return os.Remove(oldpath)
	case noSuchCall(err) || isErrno(err, syscall.EPERM): // a file system without hard links
		if _, err := os.Lstat(newpath); err == nil {
			return fs.ErrExist
		}
		return os.Rename(oldpath, newpath)
	}
	return err
}

// noSuchCall reports whether the system or the file system does not have a call.
func noSuchCall(err error) bool {
	return isUnsupported(err) || isErrno(err, syscall.EINVAL) || isErrno(err, syscall.ENOSYS)
}

func isLinkError(err error) bool {
	var l *os.LinkError
	return errors.As(err, &l)
}
