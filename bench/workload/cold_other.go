//go:build !linux

package workload

import (
	"fmt"

	"mmdb/bench/engine"
)

// evict can't drop files from the page cache here.
func evict(string) error {
	return fmt.Errorf("%w: the page cache can be emptied on Linux only", engine.ErrUnavailable)
}

// limitMemory can't limit memory here.
func limitMemory(int64) (leave func(), err error) {
	return nil, fmt.Errorf("%w: memory can be limited on Linux only", engine.ErrUnavailable)
}
