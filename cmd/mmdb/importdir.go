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
)

// errEnough ends a walk that nobody wants more of.
var errEnough = errors.New("enough")

// dirRows returns the regular files below dir: path and content. Links and everything else are left out.
func dirRows(a *app, dir string, bar *progress) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		others := 0
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir():
				return nil
			case !entry.Type().IsRegular():
				others++
				return nil
			}
			r, err := fileRow(dir, path)
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
