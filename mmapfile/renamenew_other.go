//go:build !linux

package mmapfile

import "errors"

// sysRenameNew does not exist here.
func sysRenameNew(_, _ string) error { return errors.ErrUnsupported }
