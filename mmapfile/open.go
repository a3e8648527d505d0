package mmapfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Open opens the regular file at path, and creates it first when Options ask for that and it is
// missing. It never blocks, whatever stands at path: a directory, FIFO, socket or device gives
// ErrNotRegular and is not opened. A symbolic link is followed, a dangling one is fs.ErrNotExist,
// also with Options.Create. The descriptor is closed on exec.
func Open(path string, o Options) (f *File, err error) {
	if !supported {
		return nil, wrap(opOpen, path, ErrUnsupported)
	}
	if o.ReadOnly {
		o.Create = false
	}
	fd, how, err := openOrCreate(path, o)
	if err != nil {
		return nil, err
	}
	// Not an os.File: these start to poll, have a finalizer, and with it wake another thread.
	kind, id, err := sysKindOf(fd)
	if err = firstError(err, sysBlocking(fd, o.NoAtime)); err != nil {
		err = wrap(opOpen, path, err)
	} else {
		err = regular(path, kind)
	}
	if err != nil {
		_ = sysClose(fd)
		return nil, err
	}
	f = &File{path: path, real: path, readOnly: o.ReadOnly, created: how == openedNew, seam: o.Seam, fd: fd, id: id}
	switch {
	case o.NoLink:
	case how == openedPlain:
		f.real = filepath.Clean(path)
	default:
		f.real = realPath(path)
	}
	f.do = f.perform
	return f, nil
}

// opened says how a file was opened.
type opened uint8

const (
	openedFile  opened = iota
	openedPlain        // its path is absolute, and no part of it is a symbolic link
	openedNew          // it was created
)

// openOrCreate returns a descriptor of what stands at path. Files come and go while it looks, so it
// looks again a few times.
func openOrCreate(path string, o Options) (fd int, how opened, err error) {
	for range 10 {
		fd, how, err = openExisting(path, o)
		switch {
		case err == nil && o.Create && o.Exclusive:
			_ = sysClose(fd)
			return -1, how, wrap(opCreate, path, fs.ErrExist)
		case err == nil || !o.Create || !errors.Is(err, fs.ErrNotExist):
			return fd, how, err
		}
		if o.NoLink { // there is none: Lstat has looked
		} else if target, linkErr := os.Readlink(path); linkErr == nil {
			return -1, how, wrap(opOpen, path, fmt.Errorf("dangling symbolic link to %s: %w", target, fs.ErrNotExist))
		}
		fd, err = create(path, o)
		if err == nil || !errors.Is(err, fs.ErrExist) {
			return fd, openedNew, err
		}
	}
	return -1, how, err
}

// openExisting looks before it opens: merely opening some devices has effects.
func openExisting(path string, o Options) (int, opened, error) {
	kind, err := sysKind(path, !o.NoLink)
	if err != nil {
		return -1, openedFile, wrap(opOpen, path, err)
	}
	if err := regular(path, kind); err != nil {
		return -1, openedFile, err
	}
	if !o.NoLink && filepath.IsAbs(path) {
		if fd, err := sysOpenPlain(path, o.ReadOnly); err == nil {
			return fd, openedPlain, nil
		}
	}
	fd, err := sysOpen(path, o.ReadOnly)
	return fd, openedFile, wrap(opOpen, path, err)
}

// create makes a new file, through the seam.
func create(path string, o Options) (int, error) {
	fd := -1
	_, err := o.Seam.through(Op{Kind: OpCreate, Path: path}, func(op Op) (int, error) {
		var err error
		fd, err = sysCreate(op.Path, o.Mode)
		return 0, err
	})
	switch {
	case err != nil && fd >= 0:
		_ = sysClose(fd)
	case err == nil && fd < 0:
		err = errors.New("the seam created no file")
	}
	if err != nil {
		return -1, wrap(opCreate, path, err)
	}
	return fd, nil
}

// regular refuses everything but regular files, by name.
func regular(path string, m os.FileMode) error {
	if m.IsRegular() {
		return nil
	}
	what := "something special"
	switch {
	case m&os.ModeSymlink != 0:
		what = "a symbolic link"
	case m.IsDir():
		what = "a directory"
	case m&os.ModeNamedPipe != 0:
		what = "a FIFO"
	case m&os.ModeSocket != 0:
		what = "a socket"
	case m&os.ModeDevice != 0:
		what = "a device"
	}
	return wrap(opOpen, path, fmt.Errorf("%s: %w", what, ErrNotRegular))
}

// realPath is the path without symbolic links, or the absolute path where they can't be resolved
// (a file that exists only by descriptor).
func realPath(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if plain(abs) {
		return abs
	}
	if r, err := filepath.EvalSymlinks(abs); err == nil {
		return r
	}
	return abs
}

// plain reports whether no part of abs is a symbolic link: the common case, for a fraction of what EvalSymlinks takes.
func plain(abs string) bool {
	for i := 1; i <= len(abs); i++ {
		if i < len(abs) && !os.IsPathSeparator(abs[i]) {
			continue
		}
		if kind, err := sysKind(abs[:i], false); err != nil || kind&os.ModeSymlink != 0 {
			return false
		}
	}
	return true
}

// firstError returns the first that is not nil.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
