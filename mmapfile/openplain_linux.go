//go:build !android

package mmapfile

import "golang.org/x/sys/unix"

// sysOpenPlain opens the file at path if no part of the path is a symbolic link: one call tells what takes one for each part
// otherwise. Kernels before 5.6 and some sandboxes have none: any error means to do it the other way.
func sysOpenPlain(path string, readOnly bool) (int, error) {
	return unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: uint64(accessFlag(readOnly) | openFlags | unix.O_LARGEFILE), Resolve: unix.RESOLVE_NO_SYMLINKS})
}
