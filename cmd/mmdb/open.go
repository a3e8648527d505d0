package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mmdb"
	"mmdb/mmapfile"
	"mmdb/page"
)

// fileMode is the mode of every file that the tool creates.
const fileMode = 0o600

// lockSuffix ends the name of the lock file that stands beside a database.
const lockSuffix = "-lock"

// notLockFile returns an error if path is where the lock file of a database stands: no other file may.
func notLockFile(path string) error {
	name := path
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		name = resolved
	}
	db, ok := strings.CutSuffix(name, lockSuffix)
	if ok && regularFile(db) == nil && pageSizeOf(db) != 0 {
		return fmt.Errorf("%s: is the name of the lock file of %s", path, db)
	}
	return nil
}

// view calls fn in a read transaction on the file at path, which is opened
// read-only and must exist.
func (a *app) view(path string, fn func(*mmdb.Tx) error) error {
	return a.viewDB(path, func(db *mmdb.DB) error { return db.View(fn) })
}

// viewDB calls fn with the file at path, which is opened read-only and must exist.
func (a *app) viewDB(path string, fn func(*mmdb.DB) error) (err error) {
	db, err := a.openDB(path, mmdb.Options{ReadOnly: true})
	if err != nil {
		return fileError(path, err)
	}
	defer func() {
		if closeErr := db.Close(); err == nil && closeErr != nil {
			err = fileError(path, closeErr)
		}
	}()
	return viewError(path, fn(db))
}

// viewError adds the path to an error of the library; the tool's own errors
// and those of standard output stand for themselves.
func viewError(path string, err error) error {
	if errors.Is(err, mmdb.ErrCorrupt) {
		return fileError(path, err)
	}
	return err
}

// update calls fn in a write transaction on the file at path. A missing or
// empty file is an error unless create is given. When the file was made by this
// call and fn fails, it is removed again.
func (a *app) update(path string, create bool, fn func(*mmdb.Tx) error) (err error) {
	db, done, err := a.openToWrite(path, create)
	if err != nil {
		return err
	}
	defer func() { err = done(err) }()
	return viewError(path, a.updateDB(path, db, fn))
}

// openToWrite opens the file at path to write; a missing or empty one only if create is given. done closes it, and removes a file
// that this call has made if err, which it returns, says that nothing became of it.
func (a *app) openToWrite(path string, create bool) (db *mmdb.DB, done func(err error) error, err error) {
	missing, err := missingFile(path, create)
	if err != nil {
		return nil, nil, err
	}
	// Nobody else shall have a file open that this call may remove again.
	db, err = a.openDB(path, mmdb.Options{Exclusive: missing})
	if err != nil {
		if missing {
			discardEmpty(path)
		}
		return nil, nil, fileError(path, err)
	}
	return db, func(err error) error {
		if err != nil && missing {
			discard(path, db)
		}
		if closeErr := db.Close(); err == nil && closeErr != nil {
			err = fileError(path, closeErr)
		}
		return err
	}, nil
}

// discardEmpty removes a file that was made for a database, which there was no room for, say, unless somebody else uses it.
func discardEmpty(path string) {
	f, err := mmapfile.Open(path, mmapfile.Options{})
	if err != nil {
		return
	}
	defer f.Close()
	if f.LockAlone() == nil && f.SameFile(path) && blank(path) {
		_ = os.Remove(path)
	}
}

// discard removes a database that was made for something that then failed, unless somebody else was quicker and put something
// into it. It must be open exclusively, so that nobody does so now.
func discard(path string, db *mmdb.DB) {
	_ = db.View(func(tx *mmdb.Tx) error {
		if rootBucket(tx).Len() > 0 {
			return nil
		}
		return os.Remove(path)
	})
}

// updateDB calls fn in a write transaction. It waits for those of other processes as long as for a file in use.
func (a *app) updateDB(path string, db *mmdb.DB, fn func(*mmdb.Tx) error) error {
	ctx, stop := a.ctx, func() {}
	if a.timeout > 0 {
		ctx, stop = context.WithTimeout(ctx, a.timeout)
	}
	defer stop()
	err := db.UpdateContext(ctx, fn)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return inUseError{path}
	case errors.Is(err, context.Canceled):
		return errInterrupted
	}
	return err
}

// missingFile reports whether there is no file at path. Without create that is an
// error, and so is an empty or blank file, which opening would make a database.
func missingFile(path string, create bool) (missing bool, err error) {
	err = existing(path)
	missing = errors.Is(err, fs.ErrNotExist)
	switch {
	case missing && create:
		return true, cmp.Or(notLockFile(path), dirExists(filepath.Dir(path)))
	case missing:
		return true, fmt.Errorf("%w (--create makes one)", err)
	case errors.Is(err, errBlank) && create:
		return false, nil
	case errors.Is(err, errBlank):
		return false, fmt.Errorf("%w (--create makes a database of it)", err)
	}
	return false, err
}

// errBlank is for a file with nothing in it.
var errBlank = errors.New("the file is empty")

// existing returns an error unless there is a file at path that may be a database.
func existing(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fileError(path, err)
	case info.Mode().IsRegular() && blank(path):
		return fmt.Errorf("%s: %w", path, errBlank)
	}
	return nil
}

// regularFile returns an error unless there is a regular file at path. To open a pipe would wait for who writes it.
func regularFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fileError(path, err)
	case info.IsDir():
		return fmt.Errorf("%s: is a directory", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: not a regular file", path)
	}
	return nil
}

// dirExists returns an error unless there is a directory at dir, for a file to be made in.
func dirExists(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: no such directory%w", dir, hidden{err})
	case err != nil:
		return fileError(dir, err)
	case !info.IsDir():
		return fmt.Errorf("%s: is not a directory", dir)
	}
	return nil
}

// makeError says that something in the directory dir could not be made. Its own name may be one that the user never gave.
func makeError(what, dir string, err error) error {
	if e := dirExists(dir); e != nil {
		return e
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("create %s: %w", what, err)
}

// blank reports whether the file at path has nothing but zeros where the metas
// stand: opening it to write would make it a new database.
func blank(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false // opening it says why
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, page.MetaSlots*page.MetaStride))
	return err == nil && len(bytes.Trim(head, "\x00")) == 0
}

// twoFiles is exactly(2) for commands whose second argument is the name of a file, too.
func twoFiles(cmd *cobra.Command, args []string) error {
	if len(args) == 2 && args[1] == "" {
		args = args[1:]
	}
	return exactly(2)(cmd, args)
}

// exactly and between are cobra's argument checks with the tool's words.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

func between(lo, hi int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 0 && args[0] == "": // a variable that is not set, say
			return usagef("the name of the file is empty: %s", cmd.Use)
		case len(args) >= lo && len(args) <= hi:
			return nil
		}
		return usagef("%s takes %s, not %d: %s", cmd.Name(), arguments(lo, hi), len(args), cmd.Use)
	}
}

func arguments(lo, hi int) string {
	if lo == hi {
		return plural(lo, "argument", "arguments")
	}
	return fmt.Sprintf("%d to %d arguments", lo, hi)
}
