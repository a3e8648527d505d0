package main

import (
	"errors"
	"fmt"
	"iter"

	"mmdb"
)

// importer puts rows into a database.
type importer struct {
	a       *app
	o       *importOptions
	source  string // its name, for errors
	db      *mmdb.DB
	tx      *mmdb.Tx
	buckets map[string]*mmdb.Bucket // of tx, by what rows call them
	seen    map[string]bool         // what rows called their buckets
	done    importResult            // committed
	result  importResult
}

// importResult is what "mmdb import" did, in JSON.
type importResult struct {
	Buckets  int    `json:"buckets"`  // that rows went to
	Keys     uint64 `json:"keys"`     // imported
	Replaced uint64 `json:"replaced"` // those of them that were there before
	Bytes    int64  `json:"bytes"`    // of keys and values
	Commits  int    `json:"commits"`
}

// run imports the rows into file. A file that it made and could put nothing into is removed again.
func (im *importer) run(file string, rows iter.Seq2[row, error]) (err error) {
	var done func(error) error
	if im.db, done, err = im.a.openToWrite(file, im.o.create); err != nil {
		return err
	}
	defer func() { err = done(err) }()
	next, stop := iter.Pull2(rows)
	defer stop()
	im.seen = map[string]bool{}
	r, err, more := next() // outside of transactions: nobody waits for a source that is slow to begin
	for more && err == nil {
		err = im.a.updateDB(file, im.db, func(tx *mmdb.Tx) (err error) {
			im.tx, im.buckets = tx, map[string]*mmdb.Bucket{}
			for rows := uint64(1); ; rows++ {
				if err := im.put(&r); err != nil || rows == im.o.batch {
					return err
				}
				if r, err, more = next(); err != nil || !more {
					return err
				}
			}
		})
		if err != nil {
			break
		}
		im.result.Commits++
		im.done = im.result
		if more {
			r, err, more = next()
		}
	}
	return im.failed(err)
}

// failed adds to err how much was imported before.
func (im *importer) failed(err error) error {
	var inUse inUseError
	if err == nil || (errors.Is(err, errInterrupted) || errors.As(err, &inUse)) && im.done.Commits == 0 {
		return err
	}
	if im.done.Commits == 0 {
		return fmt.Errorf("%s: %w; nothing was imported", im.source, err)
	}
	return fmt.Errorf("%s: %w; %s imported before it", im.source, err, plural(im.done.Keys, "key was", "keys were"))
}

// put stores one row.
func (im *importer) put(r *row) error {
	if err := im.a.interrupted(); err != nil {
		return err
	}
	b, err := im.bucket(r.bucket)
	if err != nil {
		return atRow(r, err)
	}
	if !im.seen[r.bucket] {
		im.seen[r.bucket] = true
		im.result.Buckets++
	}
	if r.key == nil {
		if r.sequence != 0 {
			err = b.SetSequence(r.sequence)
		}
		return atRow(r, err)
	}
	before := b.Len()
	if err := b.Put(r.key, r.value); err != nil {
		return atRow(r, fmt.Errorf("put key %s: %w", shorten(textForm(r.key), 60), err))
	}
	im.result.Keys++
	im.result.Bytes += int64(len(r.key) + len(r.value))
	if b.Len() == before {
		im.result.Replaced++
	}
	return nil
}

// atRow says where in the source an error comes from.
func atRow(r *row, err error) error {
	if err == nil || r.where == "" {
		return err
	}
	return fmt.Errorf("%s: %w", r.where, err)
}

// bucket returns the bucket that rows call name, in the running transaction.
func (im *importer) bucket(name string) (*mmdb.Bucket, error) {
	if b := im.buckets[name]; b != nil {
		return b, nil
	}
	below, err := parsePath(name)
	if err != nil {
		return nil, errors.New(err.Error()) // wrong in the source, not in how the tool was called
	}
	path := append(im.o.path[:len(im.o.path):len(im.o.path)], below...)
	if len(path) == 0 {
		path = bucketPath{[]byte("main")}
	}
	b, err := openOrCreate(im.tx, path, im.o.create)
	if err == nil {
		im.buckets[name] = b
	}
	return b, err
}

func (im *importer) print(file string) error {
	r := im.result
	if im.a.json {
		return im.a.printJSON(r)
	}
	replaced := ""
	if r.Replaced > 0 {
		replaced = ", " + count(r.Replaced) + " of them replaced"
	}
	im.a.printf("%s: %s imported into %s%s\n", visible(file), plural(r.Keys, "key", "keys"), plural(r.Buckets, "bucket", "buckets"), replaced)
	return nil
}
