package workload

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	"mmdb/bench/engine"
)

// evict drops the files in dir from the page cache.
func evict(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return errors.Join(unix.Fsync(int(f.Fd())), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
	})
}

// Where control groups of memory are mounted, and the name of their limit, in the first version and the second.
var memoryGroups = []struct{ root, limit string }{
	{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
	{"/sys/fs/cgroup", "memory.max"},
}

// limitMemory moves this process into a control group of its own with a limit of memory, its page cache included. It needs
// the right to make one, which root has. leave goes back and removes the group.
func limitMemory(limit int64) (leave func(), err error) {
	pid := []byte(strconv.Itoa(os.Getpid()))
	for _, g := range memoryGroups {
		dir := filepath.Join(g.root, "bench-"+string(pid))
		if err = os.Mkdir(dir, 0o755); err != nil {
			continue
		}
		if err = os.WriteFile(filepath.Join(dir, g.limit), []byte(strconv.FormatInt(limit, 10)), 0o644); err == nil {
			err = os.WriteFile(filepath.Join(dir, "cgroup.procs"), pid, 0o644)
		}
		if err != nil {
			os.Remove(dir)
			continue
		}
		return func() {
			if os.WriteFile(filepath.Join(g.root, "cgroup.procs"), pid, 0o644) == nil {
				os.Remove(dir)
			}
		}, nil
	}
	return nil, fmt.Errorf("%w: no control group of memory: %w", engine.ErrUnavailable, err)
}
