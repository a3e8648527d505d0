package mmdb

import (
	"mmdb/page"
	"mmdb/tx"
)

// The types of transactions, declared in package tx.
type (
	// Options says how a database is opened. The zero value is a good default.
	Options = tx.Options
	// Durability says when a commit returns: Durable or Lazy.
	Durability = tx.Durability
	// Tx is a read or write transaction, used by one goroutine at a time.
	Tx = tx.Tx
	// Bucket is a sorted collection of keys, each with a value or a nested bucket.
	Bucket = tx.Bucket
	// Cursor walks the keys of a bucket in order, in both directions.
	Cursor = tx.Cursor
	// Stats are figures of an open database.
	Stats = tx.Stats
	// TxStats are figures of one transaction.
	TxStats = tx.TxStats
	// BucketStats are figures of one bucket.
	BucketStats = tx.BucketStats
	// Info describes a database file.
	Info = tx.Info
	// MetaInfo describes one of the three meta slots of a file.
	MetaInfo = tx.MetaInfo
	// PageInfo describes a page or run of a file.
	PageInfo = tx.PageInfo
	// CorruptError is the error for a damaged file: the page, where it hangs in the tree, and what is wrong with it.
	CorruptError = page.CorruptError
)

// When a commit returns.
const (
	// Durable commits return when they are on the device. It is the default.
	Durable = tx.Durable
	// Lazy commits return when they are in the system's page cache, and are flushed later: see Options.SyncInterval. When only
	// the process dies nothing is lost; a power loss takes the database back to a commit not older than the last flush.
	Lazy = tx.Lazy
)

// Limits of keys and values.
const (
	MaxKeySize   = page.MaxKeySize   // bytes of a key; the least is 1
	MaxValueSize = page.MaxValueSize // bytes of a value; the least is 0
)
