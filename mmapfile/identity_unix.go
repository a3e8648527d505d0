//go:build linux || darwin || freebsd

package mmapfile

import (
	"os"

	"golang.org/x/sys/unix"
)

func sysIdentity(fd int) (Identity, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return identityOf(&st), err
}

// sysIdentityOf is sysIdentity of what path leads to.
func sysIdentityOf(path string) (Identity, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return identityOf(&st), err
}

// sysLook tells what stands at path. It does not follow a symbolic link.
func sysLook(path string) (kind os.FileMode, id Identity, size int64, err error) {
	var st unix.Stat_t
	err = unix.Lstat(path, &st)
	return kindOf(&st), identityOf(&st), st.Size, err
}

func identityOf(st *unix.Stat_t) Identity {
	return Identity{Device: uint64(st.Dev), Inode: st.Ino, User: int(st.Uid), Group: int(st.Gid), Mode: os.FileMode(st.Mode & 0o777)}
}

func sysGive(fd int, id Identity) error { return unix.Fchown(fd, id.User, id.Group) }

func sysChmod(fd int, mode os.FileMode) error { return unix.Fchmod(fd, uint32(mode.Perm())) }
