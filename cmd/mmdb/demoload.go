package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"mmdb"
)

// load makes the database and fills it, a transaction for every demoBatch files.
func (d *demo) load() (err error) {
	db, err := d.a.openDB(d.file, mmdb.Options{})
	if err != nil {
		discardEmpty(d.file) // else the next demo would take it for somebody else's
		return fileError(d.file, err)
	}
	defer func() {
		if closeErr := db.Close(); err == nil {
			err = closeErr
		}
	}()
	if err := db.Update(markDemo); err != nil {
		return err
	}
	d.result.Commits = 1
	bar := d.a.bar("loading", int64(len(d.files)), false)
	defer bar.done()
	loaded := d.files[:0]
	for start := 0; start < len(d.files); start += demoBatch {
		if err := d.a.interrupted(); err != nil {
			return err
		}
		batch := d.files[start:min(start+demoBatch, len(d.files))]
		n := int64(len(batch))
		err := db.Update(func(tx *mmdb.Tx) error { return d.loadBatch(tx, batch, &loaded) })
		if err != nil {
			return err
		}
		d.result.Commits++
		bar.add(n)
	}
	d.files = loaded
	d.result.Files = len(loaded)
	return nil
}

// markDemo makes the file recognizable as the demo's own, before anything else
// is in it.
func markDemo(tx *mmdb.Tx) error {
	if rootBucket(tx).Len() != 0 {
		return fmt.Errorf("somebody else has put data there meanwhile")
	}
	b, err := tx.CreateBucketIfNotExists([]byte(demoMark))
	if err == nil {
		err = b.Put([]byte(demoMarkKey), []byte(demoMarkValue))
	}
	if err == nil {
		_, err = tx.CreateBucketIfNotExists([]byte(demoContent))
	}
	if err == nil {
		_, err = tx.CreateBucketIfNotExists([]byte(demoDirs))
	}
	return err
}

// loadBatch stores the files of one transaction and appends those that could
// be read to loaded.
func (d *demo) loadBatch(tx *mmdb.Tx, batch []demoFile, loaded *[]demoFile) error {
	content := tx.Bucket([]byte(demoContent))
	own, err := os.Stat(d.file)
	if err != nil {
		return err
	}
	lock, _ := os.Stat(d.file + lockSuffix) // nil where it could not be made
	for _, f := range batch {
		path := d.source(f)
		info, err := os.Stat(path)
		if err == nil && os.SameFile(info, own) {
			d.result.Own = true
			continue
		}
		if err == nil && lock != nil && os.SameFile(info, lock) {
			continue // of the database itself
		}
		data, err := os.ReadFile(path)
		if err != nil {
			d.unreadable(path, err)
			continue
		}
		if err := content.Put([]byte(f.path), data); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		f.size = int64(len(data))
		if err := d.putSize(tx, f); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		*loaded = append(*loaded, f)
		d.result.ContentBytes += f.size
	}
	return nil
}

// putSize stores the size of a file in the bucket of its directory.
func (d *demo) putSize(tx *mmdb.Tx, f demoFile) error {
	dirs, name := splitPath(f.path)
	b, err := dirs.create(tx)
	if err != nil {
		return err
	}
	size := strconv.AppendInt(nil, f.size, 10)
	d.result.StoredBytes += int64(len(f.path)) + f.size + int64(len(name)) + int64(len(size))
	return b.Put([]byte(name), size)
}

// splitPath returns the bucket of a file's directory and the file's name.
func splitPath(path string) (bucketPath, string) {
	parts := strings.Split(path, "/")
	dirs := bucketPath{[]byte(demoDirs)}
	for _, p := range parts[:len(parts)-1] {
		dirs = append(dirs, []byte(p))
	}
	return dirs, parts[len(parts)-1]
}
