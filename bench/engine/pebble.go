package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

func init() {
	Register(Engine{
		Name: "pebble",
		Settings: "pebble " + version("github.com/cockroachdb/pebble/v2") + ", block cache 1 GiB, bloom filters of 10 bits a key, no compression, " +
			"memtables of 64 MiB, newest format; a read transaction is a snapshot, a write transaction a batch; " +
			"no flush and lazy: NoSync, the log is still written",
		Open: openPebble,
	})
}

// pebbleStore is a Store of pebble.
type pebbleStore struct {
	db    *pebble.DB
	cache *pebble.Cache
	write *pebble.WriteOptions
}

func openPebble(dir string, o Options) (Store, error) {
	s := &pebbleStore{cache: pebble.NewCache(o.cache()), write: pebble.Sync}
	if o.Durability != Durable {
		s.write = pebble.NoSync
	}
	opts := &pebble.Options{
		Cache:              s.cache,
		MemTableSize:       64 << 20,
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             quiet{},
	}
	opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	var err error
	if s.db, err = pebble.Open(dir, opts); err != nil {
		s.cache.Unref()
		return nil, err
	}
	return s, nil
}

// quiet is a pebble.Logger that is heard only at the end.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (s *pebbleStore) Sync() error { return s.db.LogData(nil, pebble.Sync) }

// Settle merges all files.
func (s *pebbleStore) Settle() error { return s.Compact() }

func (s *pebbleStore) Used() (int64, error) {
	return 0, fmt.Errorf("%w: pebble has no pages", ErrUnavailable)
}

func (s *pebbleStore) Compact() error {
	if err := s.db.Flush(); err != nil {
		return err
	}
	return s.db.Compact(context.Background(), []byte{0}, []byte{255, 255, 255, 255}, true)
}

func (s *pebbleStore) Close() error {
	err := s.db.Close()
	s.cache.Unref()
	return err
}

// pebbleSession reuses its batch.
type pebbleSession struct {
	store  *pebbleStore
	reader pebbleReader
}

func (s *pebbleStore) Session() Session { return &pebbleSession{store: s} }

func (c *pebbleSession) View(fn func(Reader) error) error {
	snap := c.store.db.NewSnapshot()
	c.reader.snap = snap
	err := fn(&c.reader)
	return errors.Join(err, c.reader.done(), snap.Close())
}

func (c *pebbleSession) Update(fn func(Writer) error) error {
	b := c.store.db.NewBatch()
	err := fn(pebbleWriter{b})
	if err == nil {
		err = b.Commit(c.store.write)
	}
	return errors.Join(err, b.Close())
}

// pebbleWriter is a batch.
type pebbleWriter struct{ b *pebble.Batch }

func (w pebbleWriter) Put(k, v []byte) error { return w.b.Set(k, v, nil) }
func (w pebbleWriter) Delete(k []byte) error { return w.b.Delete(k, nil) }

// pebbleReader reads a snapshot, with one iterator for all its scans. It keeps the value of the last Get alive.
type pebbleReader struct {
	snap *pebble.Snapshot
	iter *pebble.Iterator
	held io.Closer
}

// done ends what the reader holds.
func (r *pebbleReader) done() (err error) {
	if r.held != nil {
		err = r.held.Close()
	}
	if r.iter != nil {
		err = errors.Join(err, r.iter.Close())
	}
	*r = pebbleReader{}
	return err
}

func (r *pebbleReader) Get(key []byte) ([]byte, error) {
	if r.held != nil {
		if err := r.held.Close(); err != nil {
			return nil, err
		}
		r.held = nil
	}
	v, held, err := r.snap.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	r.held = held
	return v, err
}

func (r *pebbleReader) GetMany(keys [][]byte, t *Touch) error { return getEach(r, keys, t) }

// it returns the iterator.
func (r *pebbleReader) it() (_ *pebble.Iterator, err error) {
	if r.iter == nil {
		r.iter, err = r.snap.NewIter(nil)
	}
	return r.iter, err
}

func (r *pebbleReader) Scan(from []byte, limit int, reverse bool, t *Touch) error {
	it, err := r.it()
	if err != nil {
		return err
	}
	if reverse {
		ok := false
		if from == nil {
			ok = it.Last()
		} else {
			ok = it.SeekLT(append(append([]byte(nil), from...), 0))
		}
		for ; ok && limit > 0; ok = it.Prev() {
			t.Item(it.Key(), it.Value())
			limit--
		}
		return it.Error()
	}
	ok := false
	if from == nil {
		ok = it.First()
	} else {
		ok = it.SeekGE(from)
	}
	for ; ok && limit > 0; ok = it.Next() {
		t.Item(it.Key(), it.Value())
		limit--
	}
	return it.Error()
}

func (r *pebbleReader) Each(fn func(k, v []byte) error) error {
	it, err := r.it()
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := fn(it.Key(), it.Value()); err != nil {
			return err
		}
	}
	return it.Error()
}

func (r *pebbleReader) Len() (int, error) { return countEach(r) }
