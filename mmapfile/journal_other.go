//go:build !linux

package mmapfile

// failedLater has no counterpart here.
func (f *File) failedLater(int) error { return nil }
