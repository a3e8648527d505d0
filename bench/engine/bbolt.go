package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

func init() {
	settings := "bbolt " + version("go.etcd.io/bbolt") + ", free list as a map, mapping of 64 GiB, one bucket, bulk loads in transactions of 10000 items; " +
		"no flush and lazy: NoSync, NoGrowSync"
	Register(Engine{Name: "bbolt", Bulk: boltBulk, Settings: settings, Open: func(dir string, o Options) (Store, error) {
		return openBolt(dir, o, false)
	}})
	Register(Engine{Name: "bbolt-batch", Fixture: "bbolt", Only: []string{"put-sync-1", "put-sync-16", "put-sync-64"},
		Settings: settings + "; writes through DB.Batch with its defaults",
		Open:     func(dir string, o Options) (Store, error) { return openBolt(dir, o, true) }})
}

// boltMap is room for the largest benchmark: without it, a write that makes bbolt's mapping grow waits for all readers.
const boltMap = 64 << 30

// boltBulk keeps bulk loads short: a transaction splits pages when it commits, so the time that one takes to fill an empty
// bucket in random order grows with the square of its items.
const boltBulk = 10_000

// boltStore is a Store of bbolt.
type boltStore struct {
	db    *bolt.DB
	path  string
	opts  bolt.Options
	batch bool
}

func openBolt(dir string, o Options, batch bool) (Store, error) {
	s := &boltStore{path: filepath.Join(dir, "data.bolt"), batch: batch}
	s.opts = bolt.Options{FreelistType: bolt.FreelistMapType, InitialMmapSize: boltMap}
	if o.Durability != Durable {
		s.opts.NoSync, s.opts.NoGrowSync = true, true
	}
	return s, s.open()
}

// open opens the file and makes the bucket.
func (s *boltStore) open() (err error) {
	if s.db, err = bolt.Open(s.path, 0o600, &s.opts); err != nil {
		return err
	}
	missing := false
	err = s.db.View(func(tx *bolt.Tx) error { missing = tx.Bucket(bucketName) == nil; return nil })
	if err == nil && missing {
		err = s.db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket(bucketName); return err })
	}
	return err
}

func (s *boltStore) Sync() error   { return s.db.Sync() }
func (s *boltStore) Settle() error { return nil }
func (s *boltStore) Close() error  { return s.db.Close() }

// Used counts the pages of the bucket's tree.
func (s *boltStore) Used() (n int64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		st := tx.Bucket(bucketName).Stats()
		n = int64(st.BranchAlloc) + int64(st.LeafAlloc)
		return nil
	})
	return n, err
}

// Compact copies the file with bbolt's own function, in transactions of its command's default size.
func (s *boltStore) Compact() error {
	small := &boltStore{path: s.path + ".compact", opts: s.opts, batch: s.batch}
	var err error
	if small.db, err = bolt.Open(small.path, 0o600, &small.opts); err != nil {
		return err
	}
	err = bolt.Compact(small.db, s.db, 65536)
	if err = errors.Join(err, small.db.Close(), s.db.Close()); err != nil {
		return err
	}
	if err := os.Rename(small.path, s.path); err != nil {
		return err
	}
	return s.open()
}

// boltSession keeps the functions that it hands to bbolt.
type boltSession struct {
	db     *bolt.DB
	batch  bool
	read   func(Reader) error
	write  func(Writer) error
	view   func(*bolt.Tx) error
	update func(*bolt.Tx) error
	reader boltReader
	kept   keeper
}

// boltWriter copies values, which bbolt refers to until the commit.
type boltWriter struct {
	bucket *bolt.Bucket
	kept   *keeper
}

func (w boltWriter) Put(k, v []byte) error { return w.bucket.Put(k, w.kept.keep(v)) }
func (w boltWriter) Delete(k []byte) error { return w.bucket.Delete(k) }

func (s *boltStore) Session() Session {
	c := &boltSession{db: s.db, batch: s.batch}
	c.view = func(tx *bolt.Tx) error {
		c.reader = boltReader{tx: tx}
		return c.read(&c.reader)
	}
	c.update = func(tx *bolt.Tx) error {
		c.kept.reset()
		return c.write(boltWriter{tx.Bucket(bucketName), &c.kept})
	}
	return c
}

func (c *boltSession) View(fn func(Reader) error) error {
	c.read = fn
	return c.db.View(c.view)
}

func (c *boltSession) Update(fn func(Writer) error) error {
	c.write = fn
	if c.batch {
		return c.db.Batch(c.update)
	}
	return c.db.Update(c.update)
}

// boltReader finds its bucket and its cursor when it first needs them.
type boltReader struct {
	tx     *bolt.Tx
	bucket *bolt.Bucket
	cursor *bolt.Cursor
}

func (r *boltReader) in() *bolt.Bucket {
	if r.bucket == nil {
		r.bucket = r.tx.Bucket(bucketName)
	}
	return r.bucket
}

func (r *boltReader) Get(key []byte) ([]byte, error) { return r.in().Get(key), nil }

func (r *boltReader) GetMany(keys [][]byte, t *Touch) error { return getEach(r, keys, t) }

func (r *boltReader) Scan(from []byte, limit int, reverse bool, t *Touch) error {
	if reverse && from != nil {
		return fmt.Errorf("%w: bbolt seeks forwards only", ErrUnavailable)
	}
	if r.cursor == nil {
		r.cursor = r.in().Cursor()
	}
	c := r.cursor
	if reverse {
		for k, v := c.Last(); k != nil && limit > 0; k, v = c.Prev() {
			t.Item(k, v)
			limit--
		}
		return nil
	}
	k, v := []byte(nil), []byte(nil)
	if from == nil {
		k, v = c.First()
	} else {
		k, v = c.Seek(from)
	}
	for ; k != nil && limit > 0; k, v = c.Next() {
		t.Item(k, v)
		limit--
	}
	return nil
}

func (r *boltReader) Each(fn func(k, v []byte) error) error { return r.in().ForEach(fn) }

// Len walks all pages: bbolt keeps no count.
func (r *boltReader) Len() (int, error) { return r.in().Stats().KeyN, nil }
