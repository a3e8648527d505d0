package main

import "mmdb"

// torturePart is the database or a bucket of it, for code that walks buckets.
type torturePart struct {
	tx *mmdb.Tx
	b  *mmdb.Bucket // nil: the top level
}

// bucket returns the bucket of that name in p, and one with nothing in it when there is none.
func (p torturePart) bucket(name string) (torturePart, bool) {
	b := p.b
	if b == nil {
		b = p.tx.Bucket([]byte(name))
	} else {
		b = b.Bucket([]byte(name))
	}
	return torturePart{p.tx, b}, b != nil
}

// each calls fn with all items, nested buckets as keys without a value.
func (p torturePart) each(fn func(key, value []byte) error) error {
	if p.b != nil {
		return p.b.ForEach(fn)
	}
	return p.tx.ForEach(func(name []byte, _ *mmdb.Bucket) error { return fn(name, nil) })
}

// tortureCount counts the items below p.
func tortureCount(p torturePart) (n int) {
	_ = p.each(func(key, value []byte) error {
		n++
		if value == nil {
			if in, ok := p.bucket(string(key)); ok {
				n += tortureCount(in)
			}
		}
		return nil
	})
	return n
}

// find returns the bucket at path, made if create is given, and nil if there is none.
func tortureFind(tx *mmdb.Tx, path []string, create bool) (b *mmdb.Bucket, err error) {
	for i, name := range path {
		switch {
		case i == 0 && create:
			b, err = tx.CreateBucketIfNotExists([]byte(name))
		case i == 0:
			b = tx.Bucket([]byte(name))
		case create:
			b, err = b.CreateBucketIfNotExists([]byte(name))
		default:
			b = b.Bucket([]byte(name))
		}
		if b == nil || err != nil {
			return nil, err
		}
	}
	return b, nil
}

// apply makes the change in the database.
func (s *tortureStep) apply(tx *mmdb.Tx) error {
	switch s.kind {
	case tortureMove:
		return s.applyMove(tx)
	case tortureDeleteBucket:
		return s.applyDeleteBucket(tx)
	}
	b, err := tortureFind(tx, s.path, s.kind == torturePut || s.kind == tortureSequence)
	if b == nil || err != nil {
		return err
	}
	switch s.kind {
	case torturePut:
		err = b.Put([]byte(s.key), s.value.bytes())
	case tortureDelete:
		err = b.Delete([]byte(s.key))
	case tortureDeleteRange:
		_, err = b.DeleteRange([]byte(s.key), []byte(s.end))
	case tortureSequence:
		_, err = b.NextSequence()
	}
	return err
}

func (s *tortureStep) applyDeleteBucket(tx *mmdb.Tx) error {
	b, err := tortureFind(tx, s.path, false)
	if b == nil || err != nil {
		return err
	}
	last := []byte(s.path[len(s.path)-1])
	if len(s.path) == 1 {
		return tx.DeleteBucket(last)
	}
	if b, err = tortureFind(tx, s.path[:len(s.path)-1], false); err != nil {
		return err
	}
	return b.DeleteBucket(last)
}

func (s *tortureStep) applyMove(tx *mmdb.Tx) error {
	from, err := tortureFind(tx, s.path, false)
	if from == nil || err != nil || from.Bucket([]byte(s.key)) == nil {
		return err
	}
	to, err := tortureFind(tx, s.to, true)
	if err != nil || to.Bucket([]byte(s.key)) != nil {
		return err
	}
	return tx.MoveBucket([]byte(s.key), from, to)
}
