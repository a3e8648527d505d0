package mmdb

import "mmdb/tx"

// Errors of the file and of opening it. Use errors.Is: most are returned with more detail around them.
var (
	ErrDatabaseNotOpen  = tx.ErrDatabaseNotOpen  // the database was closed
	ErrDatabaseReadOnly = tx.ErrDatabaseReadOnly // it was opened read-only
	ErrInvalid          = tx.ErrInvalid          // the file is not an mmdb database
	ErrVersion          = tx.ErrVersion          // the file is of a newer format
	ErrVersionMismatch  = tx.ErrVersion          // bbolt's name of ErrVersion
	ErrCorrupt          = tx.ErrCorrupt          // the file is damaged; see CorruptError
	ErrTimeout          = tx.ErrTimeout          // the file is in use, and was not free in time
	ErrLockFile         = tx.ErrLockFile         // other processes use the database, with another lock file
	ErrNetwork          = tx.ErrNetwork          // a network file system: only Options.Exclusive works there
	ErrPageSize         = tx.ErrPageSize         // Options.PageSize is not a power of two from 4096 to 65536
	ErrDurability       = tx.ErrDurability       // a Durability that is neither Durable nor Lazy
	ErrMaxSizeReached   = tx.ErrMaxSizeReached   // the change does not fit Options.MaxSize
	ErrFailed           = tx.ErrFailed           // a flush failed before: reopen the database
	ErrMapping          = tx.ErrMapping          // the file system can't be used: a mapping does not show what was written
)

// Errors of transactions.
var (
	ErrTxNotWritable = tx.ErrTxNotWritable // a change in a read transaction
	ErrTxClosed      = tx.ErrTxClosed      // the transaction has ended
	ErrTxManaged     = tx.ErrTxManaged     // Commit or Rollback inside View or Update
)

// Errors of buckets, keys and values.
var (
	ErrBucketNotFound     = tx.ErrBucketNotFound
	ErrBucketExists       = tx.ErrBucketExists
	ErrBucketNameRequired = tx.ErrBucketNameRequired
	ErrKeyRequired        = tx.ErrKeyRequired
	ErrKeyTooLarge        = tx.ErrKeyTooLarge
	ErrValueTooLarge      = tx.ErrValueTooLarge
	ErrIncompatibleValue  = tx.ErrIncompatibleValue // a bucket in place of a value, or the reverse
	ErrSameBuckets        = tx.ErrSameBuckets       // a bucket moved to where it is, or into itself
	ErrDifferentDB        = tx.ErrDifferentDB       // a bucket moved between transactions
	ErrCursorPosition     = tx.ErrCursorPosition    // Cursor.Delete with the cursor not on an item
)
