package mmdb

import (
	"context"

	"mmdb/tx"
)

// Types of DB.Compact, declared in package tx.
type (
	// CompactOptions says how DB.Compact goes about it. The zero value is a good default.
	CompactOptions = tx.CompactOptions
	// CompactReport is what DB.Compact did.
	CompactReport = tx.CompactReport
)

// Compact makes the file about as small as what is in it, where it is, while transactions go on: it moves pages from its end to
// free places further ahead, a few MiB in each of its transactions, which are durable, and cuts the file. It does not make pages fuller:
// a backup with BackupOptions.Compact does. A large value moves only to a free place that holds all of it.
//
// It reads all pages of the trees, but not large values that stay where they are. Pages that an open read transaction sees, here or in another process, can't be
// given back before that ends. When other processes write at the same time they may put new pages at the end again. Later commits
// make the file longer again, as they need it.
//
// When ctx ends, or after an error, the file is sound, what was moved stays moved, and the rest is for another call; the report says what
// was done until then. Errors: ctx's, ErrDatabaseReadOnly, ErrDatabaseNotOpen, ErrCorrupt, ErrFailed, that of
// CompactOptions.Progress, and the system's. Safe for concurrent use.
func (db *DB) Compact(ctx context.Context, o CompactOptions) (CompactReport, error) {
	return db.opened().Compact(ctx, o)
}
