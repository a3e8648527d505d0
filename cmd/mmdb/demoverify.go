package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"mmdb"
)

// compare opens the database again, read-only, and compares every value with the file on disk.
func (d *demo) compare() error {
	bar := d.a.bar("comparing", int64(len(d.files)), false)
	defer bar.done()
	return d.a.view(d.file, func(tx *mmdb.Tx) error {
		content := tx.Bucket([]byte(demoContent))
		if content == nil {
			return fmt.Errorf("the bucket %s is gone", demoContent)
		}
		if content.Len() != uint64(len(d.files)) {
			return fmt.Errorf("%d files were loaded, the database has %d", len(d.files), content.Len())
		}
		for _, f := range d.files {
			if err := d.a.interrupted(); err != nil {
				return err
			}
			if err := d.compareFile(tx, content, f); err != nil {
				return err
			}
			bar.add(1)
		}
		return d.compareDirs(tx)
	})
}

func (d *demo) compareFile(tx *mmdb.Tx, content *mmdb.Bucket, f demoFile) error {
	path := d.source(f)
	stored := content.Get([]byte(f.path))
	if stored == nil {
		return fmt.Errorf("%s is missing in the database", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(stored, data) {
		return fmt.Errorf("%s differs: %d bytes on disk, %d in the database", path, len(data), len(stored))
	}
	dirs, name := splitPath(f.path)
	b, err := dirs.find(tx)
	if err != nil {
		return err
	}
	if size := string(b.Get([]byte(name))); size != strconv.FormatInt(f.size, 10) {
		return fmt.Errorf("%s has %d bytes, its directory in the database says %q", path, f.size, size)
	}
	return nil
}

// compareDirs counts the names in all directories: there must be no more than the
// files that were loaded.
func (d *demo) compareDirs(tx *mmdb.Tx) error {
	path := bucketPath{[]byte(demoDirs)}
	root, err := path.find(tx)
	if err != nil {
		return err
	}
	names := 0
	err = walkBuckets(root, path, func(_ bucketPath, b *mmdb.Bucket) error {
		d.result.Dirs++
		for _, v := range b.All() {
			if v != nil {
				names++
			}
		}
		return nil
	})
	if err == nil && names != len(d.files) {
		err = fmt.Errorf("%d files were loaded, the directories have %d", len(d.files), names)
	}
	return err
}

// check verifies every page and collects the figures of the report.
func (d *demo) check() error {
	return d.a.view(d.file, func(tx *mmdb.Tx) error {
		problems := 0
		err := d.a.eachProblem(tx, func(problem error) {
			if problems++; problems <= 10 {
				d.a.warnf("%v", problem)
			}
		})
		if err != nil {
			return err
		}
		if problems > 0 {
			return foundError{plural(problems, "problem", "problems") + " found"}
		}
		s, err := d.a.collectStats(nil, rootBucket(tx))
		if err != nil {
			return err
		}
		info := tx.Info()
		d.result.Stats = s
		d.result.FileSize, d.result.PageSize, d.result.Pages = info.FileSize, info.PageSize, info.HighWater
		return nil
	})
}
