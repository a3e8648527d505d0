//go:build unix

package workload

import (
	"io/fs"
	"syscall"
)

// allocated returns the bytes of a file's blocks: files may have holes.
func allocated(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(st.Blocks) * 512
	}
	return info.Size()
}
