package engine

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

func init() {
	Register(Engine{
		Name: "badger",
		Bulk: 10_000, // larger transactions are refused
		Settings: "badger " + version("github.com/dgraph-io/badger/v4") + ", no compression, no block cache (its files are mapped), " +
			"SyncWrites, bulk loads in transactions of 10000 items; no flush and lazy: SyncWrites off",
		Open: openBadger,
	})
}

// badgerStore is a Store of badger.
type badgerStore struct{ db *badger.DB }

func openBadger(dir string, o Options) (Store, error) {
	opts := badger.DefaultOptions(dir).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithMetricsEnabled(false).
		WithSyncWrites(o.Durability == Durable).
		WithLogger(nil)
	db, err := badger.Open(opts)
	if err != nil {
		return nil, err
	}
	return &badgerStore{db}, nil
}

func (s *badgerStore) Sync() error { return s.db.Sync() }

// Settle merges all files.
func (s *badgerStore) Settle() error { return s.db.Flatten(1) }

func (s *badgerStore) Used() (int64, error) {
	return 0, fmt.Errorf("%w: badger has no pages", ErrUnavailable)
}

// Compact merges all files and drops value logs that are half dead.
func (s *badgerStore) Compact() error {
	if err := s.db.Flatten(1); err != nil {
		return err
	}
	for {
		err := s.db.RunValueLogGC(0.5)
		if errors.Is(err, badger.ErrNoRewrite) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *badgerStore) Close() error { return s.db.Close() }

// badgerSession has its one reader.
type badgerSession struct {
	db     *badger.DB
	reader badgerReader
	kept   keeper
}

func (s *badgerStore) Session() Session { return &badgerSession{db: s.db} }

func (c *badgerSession) View(fn func(Reader) error) error {
	txn := c.db.NewTransaction(false)
	defer txn.Discard()
	c.reader = badgerReader{txn: txn}
	defer c.reader.done()
	return fn(&c.reader)
}

func (c *badgerSession) Update(fn func(Writer) error) error {
	c.kept.reset()
	err := c.db.Update(func(txn *badger.Txn) error { return fn(badgerWriter{txn, &c.kept}) })
	if errors.Is(err, badger.ErrTxnTooBig) {
		return fmt.Errorf("%w: badger: %w", ErrUnavailable, err)
	}
	return err
}

// badgerWriter copies keys and values, which badger refers to until the commit.
type badgerWriter struct {
	txn  *badger.Txn
	kept *keeper
}

func (w badgerWriter) Put(k, v []byte) error { return w.txn.Set(w.kept.keep(k), w.kept.keep(v)) }
func (w badgerWriter) Delete(k []byte) error { return w.txn.Delete(w.kept.keep(k)) }

// badgerReader keeps an iterator for each direction.
type badgerReader struct {
	txn   *badger.Txn
	iters [2]*badger.Iterator
}

// done ends what the reader holds.
func (r *badgerReader) done() {
	for _, it := range r.iters {
		if it != nil {
			it.Close()
		}
	}
	r.iters = [2]*badger.Iterator{}
}

func (r *badgerReader) Get(key []byte) (value []byte, err error) {
	item, err := r.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = item.Value(func(v []byte) error { value = v; return nil })
	return value, err
}

func (r *badgerReader) GetMany(keys [][]byte, t *Touch) error { return getEach(r, keys, t) }

// it returns the iterator of that direction. Badger's default prefetch of 100 values is kept.
func (r *badgerReader) it(reverse bool) *badger.Iterator {
	i := 0
	if reverse {
		i = 1
	}
	if r.iters[i] == nil {
		o := badger.DefaultIteratorOptions
		o.Reverse = reverse
		r.iters[i] = r.txn.NewIterator(o)
	}
	return r.iters[i]
}

func (r *badgerReader) Scan(from []byte, limit int, reverse bool, t *Touch) error {
	it := r.it(reverse)
	if from == nil {
		it.Rewind()
	} else {
		it.Seek(from)
	}
	for ; limit > 0 && it.Valid(); it.Next() {
		item := it.Item()
		if err := item.Value(func(v []byte) error { t.Item(item.Key(), v); return nil }); err != nil {
			return err
		}
		limit--
	}
	return nil
}

func (r *badgerReader) Each(fn func(k, v []byte) error) error {
	it := r.it(false)
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		if err := item.Value(func(v []byte) error { return fn(item.Key(), v) }); err != nil {
			return err
		}
	}
	return nil
}

func (r *badgerReader) Len() (int, error) { return countEach(r) }
