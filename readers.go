package mmdb

import "mmdb/tx"

// Types that tell what goes on in a database, declared in package tx.
type (
	// ReaderInfo describes an open read transaction, of whatever process.
	ReaderInfo = tx.ReaderInfo
	// CommitInfo describes a commit of which the file still has the record; see Tx.History.
	CommitInfo = tx.CommitInfo
)

// Readers lists the read transactions that are open now, the oldest commit first, and what each of them holds back. It
// reads the commit records to tell that, and is not meant to be called all the time.
func (db *DB) Readers() ([]ReaderInfo, error) { return db.store.Readers() }
