package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"mmdb/mmapfile"
)

// outFile is a file that a command writes. It appears under its name as a whole or, when
// the command fails, not at all.
type outFile struct {
	*os.File
	final string // the name it gets at the end
	free  func() // lets others open the database that it replaces
}

// createOut makes the file at path with mode 0600. An existing file is refused
// without force, and one that is the same file as input (by whatever name), or a database that may be in use, always.
func (a *app) createOut(path string, force bool, input string) (*outFile, error) {
	if sameFile(path, input) {
		return nil, fmt.Errorf("%s: output and input are the same file", path)
	}
	if err := notLockFile(path); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s: is a directory", path)
	}
	if _, linkErr := os.Lstat(path); linkErr == nil && !force {
		return nil, existsError(path)
	}
	if err == nil && !info.Mode().IsRegular() { // with force: a device or a pipe is written to
		f, err := a.openAwaited(path, os.O_WRONLY)
		return &outFile{File: f, final: path, free: func() {}}, err
	}
	target, free := path, func() {}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		target = resolved
	}
	if pageSizeOf(target) != 0 {
		if target, free, err = a.target(path, input, force); err != nil {
			return nil, err
		}
	}
	out, err := newOut(path, target)
	if err != nil {
		free()
		return nil, err
	}
	out.free = free
	return out, nil
}

// newOut makes what becomes the file target at the end, which the user calls path.
func newOut(path, target string) (*outFile, error) {
	f, err := os.CreateTemp(filepath.Dir(target), ".mmdb-*.tmp")
	if err != nil {
		return nil, makeError(path, filepath.Dir(target), err)
	}
	return &outFile{File: f, final: target, free: func() {}}, nil
}

// finish makes the output durable under its name when err is nil and removes
// it otherwise. It returns err, or what went wrong itself.
func (o *outFile) finish(err error, force bool) error {
	defer o.free()
	if o.Name() == o.final {
		return errors.Join(err, o.Close())
	}
	if err == nil {
		err = o.Sync()
	}
	if closeErr := o.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = o.install(force)
	}
	if err != nil {
		os.Remove(o.Name())
		return err
	}
	return mmapfile.SyncParent(o.final, nil)
}

// install gives the finished file its name. Without force a file that came
// there meanwhile is not replaced.
func (o *outFile) install(force bool) error {
	if force {
		return os.Rename(o.Name(), o.final)
	}
	err := mmapfile.RenameNew(o.Name(), o.final, nil)
	if errors.Is(err, fs.ErrExist) {
		return existsError(o.final)
	}
	return err
}

// sameFile reports whether both names lead to one existing file.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// isStream reports whether the stream is the file at path, as in "mmdb dump x >> x".
func isStream(stream any, path string) bool {
	f, _ := stream.(*os.File)
	if !isRegular(f) {
		return false
	}
	x, err := f.Stat()
	if err != nil {
		return false
	}
	y, err := os.Stat(path)
	return err == nil && os.SameFile(x, y)
}
