package mmapfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// On ext4 a flush may succeed although the file system has failed (measured on Linux 6.18). When a transaction can't be written to the journal, only
// who waits for that very transaction is told. A file that needs it, for its size or for blocks that hold data for the first time, may come
// later: another process has flushed something, or the journal's timer has run out, and the flush finds nothing left to
// do. After a power loss the data are zeros, or beyond the end of the file.
//
// ext4 notices when it next changes an inode. So after each flush the file is given to the owner that it has, twice: the first time
// ext4 gives up, the second time it says so. That takes a microsecond of processor time, and no write and no flush of the device. On
// other file systems it might, and on ext4 without a journal, which has nothing to hide, the next flush would write the inode.

// failedLater returns an error if the file system has failed without telling a flush of fd, which has just succeeded.
func (f *File) failedLater(fd int) error {
	if f.readOnly {
		return nil
	}
	f.journal.Do(func() {
		var st unix.Statfs_t
		f.journaled = unix.Fstatfs(fd, &st) == nil && uint32(st.Type) == unix.EXT4_SUPER_MAGIC && !withoutJournal(fd)
	})
	if !f.journaled {
		return nil
	}
	for range 2 {
		err := unix.Fchown(fd, -1, -1)
		if errors.Is(err, unix.EROFS) || errors.Is(err, unix.EIO) {
			return fmt.Errorf("the file system has failed: %w", err)
		}
		// Other errors: this kernel or a sandbox does not allow it.
	}
	return nil
}

// withoutJournal reports whether the ext4 that fd's file stands on is known to have no journal.
func withoutJournal(fd int) bool {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return false
	}
	dev := uint64(st.Dev) // 32 bits on some machines
	device, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(dev), unix.Minor(dev)))
	if err != nil {
		return false
	}
	task, err := os.ReadFile(filepath.Join("/sys/fs/ext4", filepath.Base(device), "journal_task"))
	return err == nil && string(task) == "<none>\n"
}
