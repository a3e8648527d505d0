package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// errEnough ends a walk that nobody wants more of.
var errEnough = errors.New("enough")

// dirRows returns the regular files below dir: path and content. Links and everything else are left out, and so is the database at
// file, which they go to.
func dirRows(a *app, dir, file string, bar *progress) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		others := 0
		root, err := filepath.EvalSymlinks(dir) // a walk does not follow one
		if err != nil {
			yield(row{}, err)
			return
		}
		own := ownFiles(file)
		err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case a.interrupted() != nil:
				return errInterrupted
			case entry.IsDir():
				return nil
			case !entry.Type().IsRegular():
				others++
				return nil
			}
			if info, err := entry.Info(); err == nil && own.has(info) {
				a.warnf("warning: %s left out: it is of the database itself", path)
				return nil
			}
			r, err := fileRow(root, path)
			if err != nil {
				return err
			}
			bar.add(1)
			if !yield(r, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(row{}, err)
			return
		}
		if others > 0 && err == nil {
			a.warnf("warning: %s that %s no regular file left out", plural(others, "entry", "entries"), map[bool]string{true: "is", false: "are"}[others == 1])
		}
	}
}

// databaseFiles are the files of a database: itself and its lock file.
type databaseFiles []os.FileInfo

// ownFiles returns the files of the database at path, as far as they are there.
func ownFiles(path string) (own databaseFiles) {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	for _, name := range []string{path, path + lockSuffix} {
		if info, err := os.Stat(name); err == nil {
			own = append(own, info)
		}
	}
	return own
}

// has reports whether info is about one of the files.
func (d databaseFiles) has(info os.FileInfo) bool {
	return slices.ContainsFunc(d, func(own os.FileInfo) bool { return os.SameFile(own, info) })
}

// fileRow reads one file.
func fileRow(dir, path string) (row, error) {
	name, err := filepath.Rel(dir, path)
	if err != nil {
		return row{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return row{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, math.MaxInt32)) // one more than a value may have, which Put refuses
	if err != nil {
		return row{}, fmt.Errorf("read %s: %w", path, err)
	}
	return row{where: path, key: []byte(filepath.ToSlash(name)), value: data}, nil
}
