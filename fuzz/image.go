package fuzz

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// An image is a real file that is made to hold, one after the other, what
// crashes leave behind. Only what differs from the durable content is written
// and put back, so that an image costs microseconds and not its size.
type image struct {
	path    string
	file    *os.File
	of      *file  // the inode that it holds
	touched []span // differs from the durable content of it
	size    int64  // bytes of the file after overlay
}

// dirPrefix begins the names of image folders; the process that made one
// follows.
const dirPrefix = "mmdb-fuzz-"

// ImageDir returns a new folder for images, in memory where the system has a
// file system for that. The caller removes it. Those of processes that were
// killed, as the workers of the fuzzer are, are removed the first time.
func ImageDir() (string, error) {
	pattern := fmt.Sprintf("%s%d-", dirPrefix, os.Getpid())
	if s, err := os.Stat("/dev/shm"); err == nil && s.IsDir() {
		sweepOnce.Do(func() { sweep("/dev/shm") })
		if dir, err := os.MkdirTemp("/dev/shm", pattern); err == nil {
			return dir, nil
		}
	}
	return os.MkdirTemp("", pattern)
}

var sweepOnce sync.Once

// sweep removes the image folders in dir whose process is gone.
func sweep(dir string) {
	entries, _ := os.ReadDir(dir) // what can't be read stays
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), dirPrefix)
		owner, _, ok2 := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(owner)
		if !ok || !ok2 || err != nil {
			continue
		}
		p, err := os.FindProcess(pid)
		if err == nil && errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone) {
			os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

func newImage(dir, name string) (*image, error) {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &image{path: path, file: f}, nil
}

func (im *image) close() error { return im.file.Close() }

// take brings the durable content of f to the file.
func (im *image) take(f *file) error {
	if im.of != f {
		im.of = f
		f.dirty = []span{{0, int64(len(f.data))}}
	}
	im.touched = append(im.touched, f.dirty...)
	f.dirty = f.dirty[:0]
	return im.restore()
}

// overlay adds what p says of the pending changes.
func (im *image) overlay(d *Disk, p *pick) error {
	size := int64(len(im.of.data))
	var errs error
	d.each(im.of, p, func(n int64) {
		im.touched = append(im.touched, span{min(n, size), max(n, size)})
		size = n
		errs = errors.Join(errs, im.file.Truncate(n))
	}, func(off int64, data []byte) {
		if off >= size {
			return
		}
		data = data[:min(int64(len(data)), size-off)]
		im.touched = append(im.touched, span{off, off + int64(len(data))})
		_, err := im.file.WriteAt(data, off)
		errs = errors.Join(errs, err)
	})
	im.size = size
	return errs
}

// changed notes what somebody else wrote to the file.
func (im *image) changed(events []Event) {
	for _, e := range events {
		switch e.Kind {
		case EventWrite, EventPunch:
			im.touched = append(im.touched, span{e.Offset, e.Offset + e.Length})
		case EventSize:
			im.touched = append(im.touched, span{e.Size, 1 << 62})
		}
	}
}

// restore puts the durable content back wherever it was touched.
func (im *image) restore() error {
	data := im.of.data
	if err := im.file.Truncate(int64(len(data))); err != nil {
		return err
	}
	slices.SortFunc(im.touched, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
	at := int64(0)
	for _, s := range im.touched {
		lo, hi := max(at, s.lo), min(s.hi, int64(len(data)))
		if lo >= hi {
			continue
		}
		if _, err := im.file.WriteAt(data[lo:hi], lo); err != nil {
			return err
		}
		at = hi
	}
	im.touched = im.touched[:0]
	return nil
}

// holds reports whether the file is exactly the durable content: the check of
// the check.
func (im *image) holds() error {
	b, err := os.ReadFile(im.path)
	if err != nil {
		return err
	}
	if !slices.Equal(b, im.of.data) {
		return fmt.Errorf("fuzz: image invariant: the image is not the durable content any more")
	}
	return nil
}

// bytes returns what the file holds now, or nothing if that is not wanted.
func (im *image) bytes(wanted bool) ([]byte, error) {
	if !wanted {
		return nil, nil
	}
	b := make([]byte, im.size)
	_, err := im.file.ReadAt(b, 0)
	if err == io.EOF {
		err = nil
	}
	return b, err
}

// hide takes the file away, as if its name had never become durable, while f
// runs, and removes what f left in its place.
func (im *image) hide(f func() error) error {
	aside := im.path + ".aside"
	if err := os.Rename(im.path, aside); err != nil {
		return err
	}
	err := f()
	if rm := os.Remove(im.path); rm != nil && !os.IsNotExist(rm) {
		err = errors.Join(err, rm)
	}
	return errors.Join(err, os.Rename(aside, im.path))
}
