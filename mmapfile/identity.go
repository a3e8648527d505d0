package mmapfile

import "os"

// An Identity says which file it is, whatever its name, whose, and who may use it.
type Identity struct {
	Device, Inode uint64
	User, Group   int
	Mode          os.FileMode // permission bits
}

// Identity returns the identity of the open file.
func (f *File) Identity() (id Identity, err error) {
	err = f.with(func(fd int) (err error) {
		id, err = sysIdentity(fd)
		return err
	})
	return id, wrap("look at", f.path, err)
}

// Look returns the identity of the regular file at path and its size in bytes, without opening it. Whatever else stands there, a symbolic link
// too, is ErrNotRegular.
func Look(path string) (id Identity, size int64, err error) {
	kind, id, size, err := sysLook(path)
	if err != nil {
		return id, 0, wrap("look at", path, err)
	}
	return id, size, regular(path, kind)
}

// Opened returns the identity that the file had when it was opened: device and inode never change.
func (f *File) Opened() Identity { return f.id }

// Same reports whether both are opens of one file.
func (id Identity) Same(other Identity) bool {
	return id.Device == other.Device && id.Inode == other.Inode
}

// SameAccess reports whether both files have the same owner, group and permission bits, so that whoever may use one may use the other.
func (id Identity) SameAccess(other Identity) bool {
	return id.User == other.User && id.Group == other.Group && id.Mode == other.Mode
}

// Give makes the user and group of id the owners of the file. That needs privileges.
func (f *File) Give(id Identity) error {
	return wrap("change the owner of", f.path, f.with(func(fd int) error { return sysGive(fd, id) }))
}

// Chmod makes mode the permission bits of the file, whatever the umask.
func (f *File) Chmod(mode os.FileMode) error {
	return wrap("change the mode of", f.path, f.with(func(fd int) error { return sysChmod(fd, mode) }))
}

// Network returns the kind of the file system that the file is on if that is one of other computers, such as "nfs", where neither locks
// nor mappings can be relied on; "" if it is local, or can't be told.
func (f *File) Network() (kind string, err error) {
	err = f.with(func(fd int) (err error) {
		kind, err = sysNetwork(fd)
		return err
	})
	return kind, wrap("look at the file system of", f.path, err)
}
