package engine

import (
	"errors"
	"os"
	"path/filepath"

	"mmdb"
	"mmdb/mmapfile"
)

// Everything stands in one bucket.
var bucketName = []byte("bench")

func init() {
	Register(Engine{
		Name:     "mmdb",
		Settings: "page size 4096, one bucket; no flush: flushes are left out through Options.Seam; lazy: Options.Durability Lazy, flushed every 200 ms",
		Open:     func(dir string, o Options) (Store, error) { return openMmdb(dir, o, mmdb.Options{}) },
	})
	Register(Engine{
		Name:     "mmdb-exclusive",
		Settings: "the same with Options.Exclusive: no other process may open the database",
		Open: func(dir string, o Options) (Store, error) {
			return openMmdb(dir, o, mmdb.Options{Exclusive: true})
		},
	})
}

// mmdbStore is a Store of mmdb.
type mmdbStore struct {
	db   *mmdb.DB
	path string
	opts mmdb.Options
}

func openMmdb(dir string, o Options, opts mmdb.Options) (Store, error) {
	s := &mmdbStore{path: filepath.Join(dir, "data.mmdb"), opts: opts}
	switch o.Durability {
	case Lazy:
		s.opts.Durability = mmdb.Lazy
	case NoFlush:
		if opts.Seam == nil {
			s.opts.Seam = withoutFlush
		}
	}
	return s, s.open()
}

// withoutFlush leaves flushes out. It is a trick for benchmarks, which compare the engines' own work: a database that was
// written so has no protection against a power loss.
func withoutFlush(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	if flushes(op.Kind) {
		return 0, nil
	}
	return do(op)
}

// flushes reports whether k is a flush, or the begin of one.
func flushes(k mmapfile.OpKind) bool {
	return k == mmapfile.OpMsync || k == mmapfile.OpSync || k == mmapfile.OpSyncDir || k == mmapfile.OpStart
}

// open opens the file and makes the bucket.
func (s *mmdbStore) open() (err error) {
	if s.db, err = mmdb.Open(s.path, 0o600, &s.opts); err != nil {
		return err
	}
	missing := false
	err = s.db.View(func(tx *mmdb.Tx) error { missing = tx.Bucket(bucketName) == nil; return nil })
	if err == nil && missing {
		err = s.db.Update(func(tx *mmdb.Tx) error { _, err := tx.CreateBucket(bucketName); return err })
	}
	return err
}

func (s *mmdbStore) Sync() error   { return s.db.Sync() }
func (s *mmdbStore) Settle() error { return nil }
func (s *mmdbStore) Close() error  { return s.db.Close() }

// Used counts the pages of the bucket's tree.
func (s *mmdbStore) Used() (n int64, err error) {
	err = s.db.View(func(tx *mmdb.Tx) error {
		st := tx.Bucket(bucketName).Stats()
		n = st.BranchAlloc + st.LeafAlloc + st.OverflowAlloc
		return tx.Err()
	})
	return n, err
}

// Compact puts mmdb's own compacting backup in the place of the file.
func (s *mmdbStore) Compact() error {
	small := s.path + ".compact"
	_, err := s.db.Backup(small, mmdb.BackupOptions{Compact: true})
	if err = errors.Join(err, s.db.Close()); err != nil {
		return err
	}
	if err := os.Rename(small, s.path); err != nil {
		return err
	}
	return s.open()
}

// mmdbSession keeps the functions that it hands to mmdb, so that a transaction allocates nothing here.
type mmdbSession struct {
	db     *mmdb.DB
	read   func(Reader) error
	write  func(Writer) error
	view   func(*mmdb.Tx) error
	update func(*mmdb.Tx) error
	reader mmdbReader
	values [][]byte
}

func (s *mmdbStore) Session() Session {
	c := &mmdbSession{db: s.db}
	c.view = func(tx *mmdb.Tx) error {
		c.reader = mmdbReader{tx: tx, session: c}
		return c.read(&c.reader)
	}
	c.update = func(tx *mmdb.Tx) error { return c.write(tx.Bucket(bucketName)) }
	return c
}

func (c *mmdbSession) View(fn func(Reader) error) error {
	c.read = fn
	return c.db.View(c.view)
}

func (c *mmdbSession) Update(fn func(Writer) error) error {
	c.write = fn
	return c.db.Update(c.update)
}

// mmdbReader finds its bucket and its cursor when it first needs them.
type mmdbReader struct {
	tx      *mmdb.Tx
	bucket  *mmdb.Bucket
	cursor  *mmdb.Cursor
	session *mmdbSession
}

// in returns the bucket.
func (r *mmdbReader) in() *mmdb.Bucket {
	if r.bucket == nil {
		r.bucket = r.tx.Bucket(bucketName)
	}
	return r.bucket
}

func (r *mmdbReader) Get(key []byte) ([]byte, error) {
	v := r.in().Get(key)
	if v == nil {
		return nil, r.tx.Err()
	}
	return v, nil
}

func (r *mmdbReader) GetMany(keys [][]byte, t *Touch) error {
	values := r.in().GetMany(keys, r.session.values[:0])
	for _, v := range values {
		if v != nil {
			t.Value(v)
		}
	}
	r.session.values = values
	return r.tx.Err()
}

func (r *mmdbReader) Scan(from []byte, limit int, reverse bool, t *Touch) error {
	if r.cursor == nil {
		r.cursor = r.in().Cursor()
	}
	c := r.cursor
	var k, v []byte
	switch {
	case reverse && from == nil:
		k, v = c.Last()
	case reverse:
		k, v = c.SeekLE(from)
	case from == nil:
		k, v = c.First()
	default:
		k, v = c.Seek(from)
	}
	if reverse {
		for ; k != nil && limit > 0; k, v = c.Prev() {
			t.Item(k, v)
			limit--
		}
	} else {
		for ; k != nil && limit > 0; k, v = c.Next() {
			t.Item(k, v)
			limit--
		}
	}
	return r.tx.Err()
}

func (r *mmdbReader) Each(fn func(k, v []byte) error) error { return r.in().ForEach(fn) }

func (r *mmdbReader) Len() (int, error) { return int(r.in().Len()), r.tx.Err() }
