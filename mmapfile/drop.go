package mmapfile

import (
	"errors"
	"os"
)

// Drop makes the system forget what it keeps of the file in memory, so that the next reads come from the device. What was
// not flushed before, and what somebody has mapped, stays. On systems that can't do it nothing happens.
//
// A page whose first write to newly allocated blocks failed is the reason to call it: on ext4 (measured on Linux 6.18) every
// later write of that page is reported as done, and reads as written until the file system is unmounted, but is lost then.
func (f *File) Drop() error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd < 0 {
		return wrap("drop cached pages of", f.path, os.ErrClosed)
	}
	if err := sysDrop(f.fd); err != nil && !errors.Is(err, ErrUnsupported) {
		return wrap("drop cached pages of", f.path, err)
	}
	return nil
}
