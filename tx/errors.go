package tx

import (
	"errors"

	"mmdb/freelist"
	"mmdb/mmapfile"
	"mmdb/page"
)

// Errors of the file and of opening it.
var (
	// ErrDatabaseNotOpen is returned when a closed database is used.
	ErrDatabaseNotOpen = errors.New("database not open")
	// ErrInvalid is returned for a file that is not an mmdb database.
	ErrInvalid = page.ErrInvalid
	// ErrVersion is returned for a file of a newer format, or one that uses a feature this version does not know.
	ErrVersion = page.ErrVersion
	// ErrCorrupt is returned for a damaged file. The error says which page and why (see page.CorruptError).
	ErrCorrupt = page.ErrCorrupt
	// ErrTimeout is returned when a lock was not got within Options.Timeout.
	ErrTimeout = mmapfile.ErrTimeout
	// ErrPageSize is returned for a page size that is not a power of two from 4096 to 65536.
	ErrPageSize = errors.New("page size must be a power of two from 4096 to 65536")
	// ErrDurability is returned for a Durability that is neither Durable nor Lazy.
	ErrDurability = errors.New("durability must be Durable or Lazy")
	// ErrFailed is returned by every write after a flush or a meta write failed: what is on the device is
	// not known any more until the database is opened again. It wraps the cause.
	ErrFailed = errors.New("database failed: reopen it to recover")
	// ErrNetwork is returned for a database on a file system of other computers, which processes can't share: neither locks
	// nor mappings hold between computers.
	ErrNetwork = errors.New("a network file system can't have a database that several processes share: open it with Options.Exclusive")
	// ErrLockFile is returned by Open when other processes have the database open, and the file beside it is not the lock file that they
	// have: it was removed or replaced, or they opened the database under another name.
	ErrLockFile = errors.New("the database is in use by other processes, but this is not the lock file that they have: it was removed or replaced, or they opened the database under another name")
	// ErrMaxSizeReached is returned when a change would make the file larger than Options.MaxSize.
	ErrMaxSizeReached = errors.New("database reached its maximum size")
	// ErrMapping is returned when what was written cannot be read through the mapping (some network and
	// FUSE file systems).
	ErrMapping = errors.New("the file system does not show written data through a shared mapping")
)

// Errors of transactions.
var (
	// ErrTxNotWritable is returned when a read transaction is asked to change something.
	ErrTxNotWritable = errors.New("transaction not writable")
	// ErrTxClosed is returned when a transaction is used after its commit or rollback.
	ErrTxClosed = errors.New("transaction closed")
	// ErrTxManaged is returned by Commit and Rollback inside View and Update, which end the transaction themselves.
	ErrTxManaged = errors.New("transaction is managed by View or Update")
	// ErrDatabaseReadOnly is returned when a database that was opened read-only is asked to change.
	ErrDatabaseReadOnly = errors.New("database is in read-only mode")
)

// Errors of buckets, keys and values.
var (
	// ErrBucketNotFound is returned when a bucket does not exist, or was deleted under its handle.
	ErrBucketNotFound = errors.New("bucket not found")
	// ErrBucketExists is returned when a bucket is created that exists.
	ErrBucketExists = errors.New("bucket already exists")
	// ErrBucketNameRequired is returned when a bucket is created with an empty name.
	ErrBucketNameRequired = errors.New("bucket name required")
	// ErrKeyRequired is returned for an empty key.
	ErrKeyRequired = errors.New("key required")
	// ErrKeyTooLarge is returned for a key of more than 32768 bytes.
	ErrKeyTooLarge = errors.New("key too large")
	// ErrValueTooLarge is returned for a value of more than 2^31-2 bytes.
	ErrValueTooLarge = errors.New("value too large")
	// ErrIncompatibleValue is returned when a bucket stands where a value was asked for, or the reverse.
	ErrIncompatibleValue = errors.New("incompatible value")
	// ErrSameBuckets is returned when a bucket is moved to where it is.
	ErrSameBuckets = errors.New("the source and target are the same bucket")
	// ErrDifferentDB is returned when a bucket is moved between two databases or transactions.
	ErrDifferentDB = errors.New("the source and target buckets are in different databases")
	// ErrCursorPosition is returned by Cursor.Delete when the cursor is not on an item.
	ErrCursorPosition = errors.New("cursor is not on an item")
)

// fullError turns the free list's refusal into the public error.
func fullError(err error) error {
	if errors.Is(err, freelist.ErrFull) {
		return ErrMaxSizeReached
	}
	return err
}
