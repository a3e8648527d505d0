package main

import (
	"errors"
	"fmt"

	"mmdb"
)

// bucketPath names a bucket: the names of the buckets on the way from the
// root. An empty one is the root itself, which holds only buckets.
type bucketPath [][]byte

// parsePath reads a/b/c, with the escapes of the text form in the names. "" and
// "/" are the root.
func parsePath(s string) (bucketPath, error) {
	if s == "" || s == "/" {
		return nil, nil
	}
	var path bucketPath
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] == '\\' {
			i++
			continue
		}
		if i < len(s) && s[i] != '/' {
			continue
		}
		name, err := parseText(s[start:i])
		if err != nil {
			return nil, usagef("bucket path %s: %w", visible(s), err)
		}
		if len(name) == 0 {
			return nil, usagef("bucket path %s: a name is empty", visible(s))
		}
		path = append(path, name)
		start = i + 1
	}
	if start <= len(s) { // the last backslash stood alone, and skipped the end
		return nil, usagef("bucket path %s: a backslash at the end", visible(s))
	}
	return path, nil
}

// String returns the path in the form that parsePath reads.
func (p bucketPath) String() string {
	if len(p) == 0 {
		return "/"
	}
	var out []byte
	for i, name := range p {
		if i > 0 {
			out = append(out, '/')
		}
		out = appendText(out, name, "/")
	}
	return string(out)
}

// child returns the path of the bucket name inside p. It copies name.
func (p bucketPath) child(name []byte) bucketPath {
	return append(p[:len(p):len(p)], append([]byte(nil), name...))
}

// rootBucket returns the bucket that holds the top-level buckets.
func rootBucket(tx *mmdb.Tx) *mmdb.Bucket { return tx.Cursor().Bucket() }

// find returns the bucket at p.
func (p bucketPath) find(tx *mmdb.Tx) (*mmdb.Bucket, error) {
	b := rootBucket(tx)
	for i, name := range p {
		next := b.Bucket(name)
		if next == nil {
			if err := tx.Err(); err != nil {
				return nil, err
			}
			hint := ""
			if b.Get(name) != nil {
				hint = " (it is a key with a value)"
			}
			return nil, fmt.Errorf("no bucket %s%s%w", p[:i+1], hint, hidden{mmdb.ErrBucketNotFound})
		}
		b = next
	}
	return b, nil
}

// create returns the bucket at p and makes what is missing of it.
func (p bucketPath) create(tx *mmdb.Tx) (*mmdb.Bucket, error) {
	if len(p) == 0 {
		return rootBucket(tx), nil
	}
	b, err := tx.CreateBucketIfNotExists(p[0])
	for i := 1; err == nil && i < len(p); i++ {
		b, err = b.CreateBucketIfNotExists(p[i])
	}
	if err != nil {
		return nil, fmt.Errorf("create bucket %s: %w", p, err)
	}
	return b, nil
}

// openOrCreate returns the bucket at path. A missing one is an error unless create is given.
func openOrCreate(tx *mmdb.Tx, path bucketPath, create bool) (*mmdb.Bucket, error) {
	if create {
		return path.create(tx)
	}
	b, err := path.find(tx)
	if err != nil {
		return nil, fmt.Errorf("%w (--create makes missing buckets)", err)
	}
	return b, nil
}

// pathArg returns the path in args[i], the root when there is none.
func pathArg(args []string, i int) (bucketPath, error) {
	if i >= len(args) {
		return nil, nil
	}
	return parsePath(args[i])
}

// plainPath is pathArg for commands that need a bucket that holds values.
func plainPath(s string) (bucketPath, error) {
	path, err := parsePath(s)
	if err == nil && len(path) == 0 {
		err = usagef("a bucket is needed: the root holds only buckets")
	}
	return path, err
}

// errSkip tells walkBuckets to leave out what is nested in a bucket.
var errSkip = errors.New("skip this bucket")

// walkBuckets calls fn for the bucket b at path and for every bucket below it, parents
// first, in key order. It leaves out the root.
func walkBuckets(b *mmdb.Bucket, path bucketPath, fn func(path bucketPath, b *mmdb.Bucket) error) error {
	if len(path) > 0 {
		err := fn(path, b)
		if errors.Is(err, errSkip) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return b.ForEachBucket(func(name []byte) error {
		sub := b.Bucket(name)
		if sub == nil {
			return fmt.Errorf("bucket %s can't be opened", path.child(name))
		}
		return walkBuckets(sub, path.child(name), fn)
	})
}
