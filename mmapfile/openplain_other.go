//go:build darwin || freebsd || android

package mmapfile

// sysOpenPlain: there is no such call here, or programs are ended for it.
func sysOpenPlain(string, bool) (int, error) { return -1, ErrUnsupported }
