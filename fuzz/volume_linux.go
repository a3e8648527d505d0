package fuzz

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// A Volume is a real file system, ext4 or xfs, in a file under a loop device.
type Volume struct {
	Kind string // ext4 or xfs
	File string // what the loop device shows
	Dir  string // where it is mounted

	mounted bool
}

// Format makes v.File, of so many bytes, an empty file system. Nothing is left to be done in the background.
func (v *Volume) Format(size int64) error {
	if err := os.WriteFile(v.File, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(v.File, size); err != nil {
		return err
	}
	cmd := exec.Command("mkfs.ext4", "-qF", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", v.File)
	if v.Kind == "xfs" {
		cmd = exec.Command("mkfs.xfs", "-qfK", v.File)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd.Args[0], err, out)
	}
	return nil
}

// Mount mounts v. The file system replays its journal if it was not unmounted.
func (v *Volume) Mount() error {
	if err := os.MkdirAll(v.Dir, 0o700); err != nil {
		return err
	}
	loop, err := attachLoop(v.File)
	if err != nil {
		return err
	}
	defer loop.Close() // the mount keeps it
	if err := unix.Mount(loop.Name(), v.Dir, v.Kind, unix.MS_NOATIME, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", v.Kind, loop.Name(), err)
	}
	v.mounted = true
	return nil
}

// Unmount unmounts v; its loop device goes with it.
func (v *Volume) Unmount() error {
	if !v.mounted {
		return nil
	}
	if err := unix.Unmount(v.Dir, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", v.Dir, err)
	}
	v.mounted = false
	return nil
}

// Release unmounts v, whoever still uses it.
func (v *Volume) Release() {
	if v.mounted && unix.Unmount(v.Dir, unix.MNT_DETACH) == nil {
		v.mounted = false
	}
}

// Sync makes durable all that was done to v.
func (v *Volume) Sync() error {
	f, err := os.Open(v.Dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", v.Kind, err)
	}
	return nil
}

// The ioctl of ext4 and xfs that shuts a file system down, and its flag to do so without writing the journal first.
const (
	ioctlShutdown = 0x8004587d
	noLogFlush    = 2
)

// Shutdown makes v lose all that was not flushed, at once, as a power failure would. It refuses everything until it
// is mounted anew.
func (v *Volume) Shutdown() error {
	f, err := os.Open(v.Dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), ioctlShutdown, noLogFlush); err != nil {
		return fmt.Errorf("shut down %s: %w", v.Kind, err)
	}
	return nil
}

// attachLoop makes a free loop device show a file, until nobody uses the device any more.
func attachLoop(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for try := 0; ; try++ {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			if try < 20 { // a new one may not be in /dev yet
				time.Sleep(5 * time.Millisecond)
				continue
			}
			return nil, err
		}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{
			Fd: uint32(f.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}})
		if err == nil {
			return loop, nil
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) || try > 20 { // somebody else took it
			return nil, fmt.Errorf("attach %s: %w", loop.Name(), err)
		}
	}
}
