package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"mmdb"
)

// boltRows opens a bbolt file read-only and returns everything in it: each bucket, then its keys, then what is nested.
func (a *app) boltRows(path string, bar *progress) (iter.Seq2[row, error], io.Closer, error) {
	if err := regularFile(path); err != nil {
		return nil, nil, err
	}
	var db *bolt.DB
	var idle bool
	err := guardBolt(&idle, func() (err error) {
		return a.lockWait(func(timeout time.Duration) (err error) {
			db, err = bolt.Open(path, fileMode, &bolt.Options{ReadOnly: true, Timeout: timeout})
			if errors.Is(err, bolterrors.ErrTimeout) {
				return mmdb.ErrTimeout
			}
			return err
		})
	})
	switch {
	case errors.Is(err, mmdb.ErrTimeout), errors.Is(err, errInterrupted):
		return nil, nil, fileError(path, err)
	case err != nil:
		return nil, nil, fmt.Errorf("%s: not a bbolt database that can be read: %w", path, err)
	}
	err = guardBolt(&idle, func() error {
		return db.View(func(tx *bolt.Tx) error { return a.checkBolt(path, tx) })
	})
	if err != nil {
		_ = db.Close()
		return nil, nil, fileError(path, err)
	}
	return func(yield func(row, error) bool) {
		w := boltWalk{yield: yield, bar: bar}
		err := guardBolt(&w.away, func() error {
			return db.View(func(tx *bolt.Tx) error {
				return tx.ForEach(func(name []byte, b *bolt.Bucket) error { return w.bucket(bucketPath{}.child(name), b) })
			})
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(row{}, err)
		}
	}, db, nil
}

// guardBolt turns what bbolt does on a damaged file, a panic or a fault of its mapping, into an error. While away is
// true the code that runs is not bbolt's, and its panics are passed on.
func guardBolt(away *bool, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if *away {
				panic(r)
			}
			err = fmt.Errorf("damaged: %v", r)
		}
	}()
	return fn()
}

// A boltWalk yields the buckets of a bbolt file.
type boltWalk struct {
	yield func(row, error) bool
	bar   *progress
	away  bool // in yield
}

// emit yields one row.
func (w *boltWalk) emit(r row) error {
	w.away = true
	more := w.yield(r, nil)
	w.away = false
	if !more {
		return errEnough
	}
	return nil
}

// bucket yields b and what is in it.
func (w *boltWalk) bucket(path bucketPath, b *bolt.Bucket) error {
	name := path.String()
	err := w.emit(row{where: "bucket " + name, bucket: name, sequence: b.Sequence()})
	if err != nil {
		return err
	}
	var nested [][]byte
	err = b.ForEach(func(k, v []byte) error {
		if v == nil {
			nested = append(nested, k) // valid for the whole transaction
			return nil
		}
		w.bar.add(1)
		return w.emit(row{where: "bucket " + name, bucket: name, key: k, value: v})
	})
	for _, k := range nested {
		if err != nil {
			return err
		}
		sub := b.Bucket(k)
		if sub == nil {
			return fmt.Errorf("bucket %s can't be opened", path.child(k))
		}
		err = w.bucket(path.child(k), sub)
	}
	return err
}
