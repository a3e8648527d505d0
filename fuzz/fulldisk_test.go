//go:build linux

package fuzz

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mountTmpfs mounts a file system in memory of so many bytes, or skips the test where that is not permitted.
func mountTmpfs(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("mounts are not permitted here: %v", err)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

// mountExt4 mounts an ext4 file system in an image of so many bytes, or skips the test where that is not possible.
func mountExt4(t *testing.T, size int64) string {
	t.Helper()
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("there is no mkfs.ext4 to make a file system with")
	}
	image := filepath.Join(imageDir(t), "ext4")
	f, err := os.Create(image)
	if err == nil {
		err = errors.Join(f.Truncate(size), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-qF", "-b", "4096", "-m", "0", image).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4 does not work here: %v, %s", err, out)
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("loop mounts are not permitted here: %v, %s", err, out)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

func unmount(t *testing.T, dir string) {
	if err := unix.Unmount(dir, 0); err != nil {
		t.Errorf("unmount %s: %v", dir, err)
		_ = unix.Unmount(dir, unix.MNT_DETACH)
	}
}

// fillDisk writes a file that leaves room bytes free in the file system of dir, and returns its path.
func fillDisk(t *testing.T, dir string, room int64) string {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var s unix.Statfs_t
	if err := errors.Join(unix.Syncfs(int(f.Fd())), unix.Statfs(dir, &s)); err != nil {
		t.Fatal(err)
	}
	free := int64(s.Bavail) * int64(s.Bsize)
	if free < room {
		t.Fatalf("%d bytes are free, and %d should stay free", free, room)
	}
	if n := free - room; n > 0 {
		if err := errors.Join(unix.Fallocate(int(f.Fd()), 0, 0, n), f.Sync()); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// rooms are how many bytes the disk has left: from less than a new database needs to more than the program needs.
func rooms() (all []int64) {
	step := int64(192 << 10)
	if raceEnabled || testing.Short() {
		step = 1 << 20
	}
	if *straceFull {
		step = 32 << 10
	}
	for n := int64(0); n < 6<<20; n += step {
		all = append(all, n)
	}
	return append(all, 8<<20)
}

// mustBeFull holds a run on a disk that was full for a while to invariant I7: transactions failed, and nothing else happened.
func (r faultyRun) mustBeFull(cause string, room int64) error {
	switch {
	case r.poisoned:
		return errors.New("a full disk made the database refuse writes")
	case strings.Contains(r.out, "fail close"):
		return errors.New("close needs room")
	case r.failures == 0 && room < 2<<20:
		return errors.New("the disk never was full")
	case r.failures > 0 && !strings.Contains(r.out, cause):
		return fmt.Errorf("the error does not say %q", cause)
	}
	return nil
}

// runFull runs the program with a new database in dir, with so many bytes of room, and returns how often it failed.
func runFull(dir string, room int64, cause string, program string, args ...string) (failures int, err error) {
	path := filepath.Join(dir, "db")
	r, err := runFaulty(nil, append(append([]string{program}, args...), path)...)
	if err == nil {
		err = r.mustBeFull(cause, room)
	}
	if err == nil {
		err = r.settled(program, path)
	}
	if err != nil {
		return r.failures, fmt.Errorf("with room for %d bytes: %w\n%s", room, err, r.out)
	}
	return r.failures, os.Remove(path)
}

// TestFullDisk: without room transactions fail and nothing else does; readers go on, and as soon as there is room again the
// same transaction works, without an open. The limit of file sizes (ulimit -f) makes true short writes, too.
func TestFullDisk(t *testing.T) {
	program := faultyProgram(t)
	fill := func(t *testing.T, dir string) {
		failures := 0
		for _, room := range rooms() {
			ballast := fillDisk(t, dir, room)
			n, err := runFull(dir, room, "no space left", program, "-relief", ballast)
			if err != nil {
				t.Fatal(err)
			}
			failures += n
			if err := os.Remove(ballast); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		t.Logf("%d runs, %d failures", len(rooms()), failures)
	}
	t.Run("tmpfs", func(t *testing.T) {
		t.Parallel()
		fill(t, mountTmpfs(t, 16<<20))
	})
	t.Run("ext4", func(t *testing.T) {
		t.Parallel()
		fill(t, mountExt4(t, 24<<20))
	})
	t.Run("ulimit", func(t *testing.T) {
		t.Parallel()
		dir, failures := imageDir(t), 0
		for _, room := range rooms() {
			room += 1234 // in the middle of a page
			n, err := runFull(dir, room, "file too large", program, "-fsize", fmt.Sprint(room))
			if err != nil {
				t.Fatal(err)
			}
			failures += n
		}
		t.Logf("%d runs, %d failures", len(rooms()), failures)
	})
}
