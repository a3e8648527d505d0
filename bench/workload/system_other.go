//go:build !unix

package workload

import (
	"io/fs"
	"time"
)

// allocated returns the size of a file.
func allocated(info fs.FileInfo) int64 { return info.Size() }

// cpuTime is not known here.
func cpuTime() time.Duration { return 0 }
