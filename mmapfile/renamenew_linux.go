package mmapfile

import "golang.org/x/sys/unix"

// sysRenameNew renames in one step, unless newpath exists.
func sysRenameNew(oldpath, newpath string) error {
	return unix.Renameat2(unix.AT_FDCWD, oldpath, unix.AT_FDCWD, newpath, unix.RENAME_NOREPLACE)
}
