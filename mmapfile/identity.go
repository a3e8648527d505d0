package mmapfile

// An Identity says which file it is, whatever its name, and whose.
type Identity struct {
	Device, Inode uint64
	User, Group   int
}

// Identity returns the identity of the open file.
func (f *File) Identity() (id Identity, err error) {
	err = f.with(func(fd int) (err error) {
		id, err = sysIdentity(fd)
		return err
	})
	return id, wrap("look at", f.path, err)
}

// Same reports whether both are opens of one file.
func (id Identity) Same(other Identity) bool {
	return id.Device == other.Device && id.Inode == other.Inode
}

// Give makes the user and group of id the owners of the file. That needs privileges.
func (f *File) Give(id Identity) error {
	return wrap("change the owner of", f.path, f.with(func(fd int) error { return sysGive(fd, id) }))
}

// BootID returns a text that is different each time the system starts. Containers have their kernel's.
func BootID() (string, error) {
	id, err := sysBootID()
	return id, wrap("read the boot id", "", err)
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
