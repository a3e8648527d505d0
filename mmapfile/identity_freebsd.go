package mmapfile

import "golang.org/x/sys/unix"

// sysBootID: there is none here, and no sharing between processes that would need it.
func sysBootID() (string, error) { return "", ErrUnsupported }

func sysNetwork(fd int) (string, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil || st.Flags&unix.MNT_LOCAL != 0 {
		return "", err
	}
	return unix.ByteSliceToString(st.Fstypename[:]), nil
}
