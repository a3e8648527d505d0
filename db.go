package mmdb

import (
	"context"
	"os"
	"sync"

	"mmdb/tx"
)

// DB is an open database. Its methods may be called by several goroutines at once. The zero DB is a closed one.
type DB struct {
	store *tx.Store
}

// closed is what the zero DB stands for.
var closed = sync.OnceValue(tx.Closed)

func (db *DB) opened() *tx.Store {
	if db.store == nil {
		return closed()
	}
	return db.store
}

// Open opens the database at path. A file that is missing is created with mode (before the umask), one that is
// empty is made a database, unless opts ask for read-only. A nil opts is all defaults. Other processes may have the file open too,
// unless one asks for Options.Exclusive: then the others wait for Options.Timeout, and get ErrTimeout.
//
// Errors: ErrInvalid for a file that is no database, ErrVersion for one of a newer format, ErrCorrupt for a damaged
// one, ErrTimeout, ErrLockFile, ErrNetwork, ErrPageSize, ErrDurability, and the system's.
func Open(path string, mode os.FileMode, opts *Options) (*DB, error) {
	st, err := tx.Open(path, mode, opts)
	if err != nil {
		return nil, err
	}
	return &DB{st}, nil
}

// View calls fn with a read transaction and ends it. The transaction sees the newest commit, whole, for as long as it
// lasts, and neither waits for writers nor makes them wait. View returns fn's error, or else Tx.Err. A disk error in the
// mapping while fn runs becomes an error that wraps ErrCorrupt. The Tx, and all that comes from it, must not be
// used after fn has returned.
func (db *DB) View(fn func(*Tx) error) error {
	if db.store == nil { // not opened(): so that View is inlined
		return ErrDatabaseNotOpen
	}
	return db.store.View(fn)
}

// Update calls fn with a write transaction and commits it. When fn returns an error or panics, nothing is changed. When
// Update returns nil the next View sees the changes, and they are on the device (unless the commit is Lazy). Write transactions run one after the
// other, those of other processes too; an Update inside another's function waits for ever, and so does a function that waits
// for the end of another goroutine's Update.
//
// Errors: fn's, Tx.Err's, ErrDatabaseReadOnly, ErrDatabaseNotOpen, ErrMaxSizeReached, ErrFailed, and the system's.
func (db *DB) Update(fn func(*Tx) error) error { return db.opened().Update(fn) }

// UpdateContext is Update, but gives up with ctx's error if ctx ends while it waits for other write transactions, before fn
// begins. Once fn has begun ctx has no effect.
func (db *DB) UpdateContext(ctx context.Context, fn func(*Tx) error) error {
	return db.opened().UpdateContext(ctx, fn)
}

// Batch is Update under the name that bbolt has for updates from many goroutines. fn is called once.
func (db *DB) Batch(fn func(*Tx) error) error { return db.opened().Update(fn) }

// Begin starts a transaction, which the caller must end with Commit or Rollback. A write transaction waits for the one
// before it; a read transaction never waits. Long read transactions keep the pages that they see from being used again.
func (db *DB) Begin(writable bool) (*Tx, error) { return db.opened().Begin(writable) }

// Close waits for all transactions to end, and closes the database. Those that would begin meanwhile get ErrDatabaseNotOpen, as all do
// afterwards. Slices that came from it must not be used any more. A second Close waits for the first, and does nothing.
func (db *DB) Close() error { return db.opened().Close() }

// Sync makes durable all that was committed before, if commits are Lazy; with Durable ones there is nothing to do, but it flushes
// the file all the same. It waits for a flush in progress, not for transactions. Errors: ErrDatabaseNotOpen, ErrFailed, and
// ErrDatabaseReadOnly in a database that was opened read-only, where there is nothing to flush.
func (db *DB) Sync() error { return db.opened().Sync() }

// Path returns the path that the database was opened with.
func (db *DB) Path() string { return db.opened().Path() }

// IsReadOnly reports whether the database can't be changed through db.
func (db *DB) IsReadOnly() bool { return db.opened().IsReadOnly() }

// Stats returns figures of the open database and of what this process did with it; go doc mmdb/tx.Stats lists them. It takes no
// lock and reads no page, so it may be called every second. After Close the counters stay as they were.
func (db *DB) Stats() Stats { return db.opened().Stats() }

// String names the database for messages.
func (db *DB) String() string { return db.opened().String() }

// GoString is String, for %#v.
func (db *DB) GoString() string { return db.opened().String() }
