//go:build linux || darwin || freebsd

package mmapfile

import "golang.org/x/sys/unix"

func sysIdentity(fd int) (Identity, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return Identity{Device: uint64(st.Dev), Inode: st.Ino, User: int(st.Uid), Group: int(st.Gid)}, err
}

func sysGive(fd int, id Identity) error { return unix.Fchown(fd, id.User, id.Group) }
