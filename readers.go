package mmdb

import "mmdb/tx"

// Types that tell what goes on in a database, declared in package tx.
type (
	// ReaderInfo describes an open read transaction, of whatever process.
	ReaderInfo = tx.ReaderInfo
	// ProcessInfo describes a process that has the database open.
	ProcessInfo = tx.ProcessInfo
	// CommitInfo describes a commit of which the file still has the record; see Tx.History.
	CommitInfo = tx.CommitInfo
)

// Readers lists the read transactions that are open now, the oldest commit first, and what each of them holds back. It
// reads the commit records to tell that, and is not meant to be called all the time.
func (db *DB) Readers() ([]ReaderInfo, error) { return db.opened().Readers() }

// Processes lists the processes that have the database open, this one too, with what each has done. A process that has it
// open twice is there twice.
func (db *DB) Processes() ([]ProcessInfo, error) { return db.opened().Processes() }

// ReapReaders forgets the readers of processes that have died, so that they hold nothing back, and returns how many such
// processes there were. Writers do the same now and then.
func (db *DB) ReapReaders() (int, error) { return db.opened().ReapReaders() }
