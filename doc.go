// Package mmdb is an ordered key-value store in one file, for use inside a Go program. The file is mapped into memory and read
// without copying; it is written copy-on-write, so that a crash at any moment leaves the last commit whole. Several
// programs may have the file open at once. Any number of goroutines read, and their reads and the one that writes never wait for each other.
//
// # The types
//
// There are only a few. A [DB] is an open file. A [Tx] is a transaction: a view of the whole database as one commit left it,
// and, if it is writable, changes on top of that. A [Bucket] is a sorted map from keys to values or to further buckets; the top
// level of a database holds only buckets. A [Cursor] walks a bucket in both directions.
//
//	db, err := mmdb.Open("my.mmdb", 0o600, nil)
//	...
//	err = db.Update(func(tx *mmdb.Tx) error { // returns when the changes are on the device
//		b, err := tx.CreateBucketIfNotExists([]byte("pets"))
//		if err != nil {
//			return err // nothing is changed
//		}
//		return b.Put([]byte("cat"), []byte("Minka"))
//	})
//	err = db.View(func(tx *mmdb.Tx) error {
//		for k, v := range tx.Bucket([]byte("pets")).All() {
//			fmt.Printf("%s: %s\n", k, v)
//		}
//		return nil
//	})
//
// Keys have 1 to 32768 bytes and are ordered by [bytes.Compare]; values have 0 to 2^31-2 bytes. Buckets know how many keys they
// hold: Len, Rank, SeekIndex and CountRange read a few pages, however large the bucket is. A range is [lo, hi), and a nil lo
// or hi is open: Range, Backward, CountRange, DeleteRange.
//
// # Lifetimes
//
// A slice that came from the database is valid until its transaction ends, and not a moment longer: it points into the
// mapped file. In write transactions too it keeps its bytes, whatever the transaction changes meanwhile. It must not be written to.
// What is to outlive the transaction must be copied. A slice from [Bucket.PutReserve] is for the caller to fill before the
// next change. What callers pass in is copied, and not kept.
//
// A Bucket and a Cursor live as long as their transaction, and are used by one goroutine at a time, as that is. A Cursor stays in
// its place while the bucket changes around it. Open each file once in a process and share the DB: a second one works as another process does,
// and costs as much. Inside the function of an Update, another Update waits for ever; a View does not, and sees the last commit.
//
// An open transaction holds the pages that it sees. Read transactions are cheap, so end them soon. [DB.Close] waits for
// all of them.
//
// # Several processes
//
// Up to 256 processes of one machine may have a database open, to read and to write. In a file beside it, named as the database
// with "-lock" behind it, they tell each other of their readers and of what may be read. It stays when all have left, so that the next
// open need not make it, and may be removed then. A read transaction sees what any process had committed when it began. Writers of different processes take turns. A process that dies, at whatever
// point, leaves nothing behind that others would wait for: its readers are forgotten, and the next writer sees to its last commit.
// Options.Exclusive keeps all others out, and needs no file. An open that finds the database in use, but not the lock file of those who use it
// (it was removed, or they opened the database under another name), is an error.
//
// # Errors
//
// Misuse gives one of the errors in this package, to be compared by [errors.Is]. A damaged file gives [ErrCorrupt], and
// a [CorruptError] with the page and the reason by [errors.As]: pages are verified when they are first read.
// Calls without an error result (Get, the moves of a cursor, iterators) then return nothing, and the
// transaction keeps the first such failure: [Tx.Err] tells it, View and Update return it even if the function returned nil, and
// Commit refuses with it. So damage never passes for "not there". [Salvage] recovers what is left of a damaged file.
//
// After a flush or the write of a meta page failed, nobody knows what is on the device: every later write gives
// [ErrFailed] until the database is opened again. Reading goes on.
//
// # Durability
//
// When Update or Commit returns nil, the commit is on the device (Options.Durability [Durable], the default). It takes one flush: pages and meta page go out together, and the
// next Open tells a whole commit from half of one by checksums. Commits that write more than 16 MiB, and all with
// Options.TwoPhase, flush the pages first and the meta page second. A transaction that changed nothing makes no commit.
//
// Updates of several goroutines run one after the other, and share commits: those that come while the device is busy with
// a flush are made durable together by the next one. Each stands for itself: the error or panic of one undoes what that one did,
// and nothing else. A function sees what those before it did, which may not be durable yet; so an Update that fails or
// changes nothing returns when it is, too. A transaction from Begin(true) commits alone.
// A commit is not written while a function runs, so a function must not wait for the end of another goroutine's Update.
//
// With Options.Durability [Lazy], or Tx.SetDurability, a commit returns when it is in the system's page cache, and readers see it
// at once; it is flushed with others later: after Options.SyncInterval, by [DB.Sync], by the next durable commit, at Close. When only the
// process dies nothing is lost. A power loss takes the database back to what it was after some commit not older than the last
// flush: never to a mix.
//
// # Compared with bbolt
//
// Where bbolt has a name, it is here with the same signature and the same small print, except that
//
//   - [Tx.Check] returns an iterator, and each problem is a [CorruptError];
//   - Tx.DB, Tx.Copy (WriteTo does the same), Tx.WriteFlag, Inspect, DB.Info, DB.Logger and the fields of DB do not exist, nor do DefaultOptions,
//     DefaultFillPercent and the other constants for options, CheckOption and KVStringer, ErrChecksum ([ErrCorrupt] in its place), ErrInvalidMapping
//     and ErrFreePagesNotLoaded; and [Options] has fields of its own;
//   - [Tx.Page] takes a uint64, and returns no pointer; [Bucket.Root] returns a uint64;
//   - [Stats], [TxStats], [BucketStats] and [Info], which [Tx.Info] returns, are types of this package;
//   - [Cursor.Delete] does not skip: the next Next returns the item after the deleted one;
//   - Next and Prev of a cursor that was not placed yet go to the first and the last item; in bbolt they return nil;
//   - [Tx.WriteTo] and [Tx.CopyFile] in a write transaction that has changed something are an error; bbolt copies what was there before;
//   - [DB.Sync] of a database that was opened read-only returns [ErrDatabaseReadOnly]; bbolt returns nil;
//   - FillPercent does not exist: pages that grow at their end fill up by themselves;
//   - Commit and Rollback inside View or Update return [ErrTxManaged]; bbolt panics;
//   - use after the end of a transaction gives nil and [ErrTxClosed]; bbolt panics;
//   - [DB.Batch] calls its function once, as Update does;
//   - an Update that changes nothing makes no new commit, so [Tx.ID] does not grow;
//   - values are copied by Put, and a bucket may be changed while ForEach runs over it;
//   - several processes may have the file open and write to it, unless Options.Exclusive keeps the others out;
//   - in place of NoSync and its like there is [Lazy], after which a crash can't leave a damaged file; in place of Compact,
//     [DB.Compact], which works where the file is, and BackupOptions.Compact.
//
// # The packages
//
// This package is the whole API, and little code: it gives names to what package tx does. The fields and methods of a type that is
// an alias, such as Options, Tx or Stats, are documented there: go doc mmdb/tx.Options. Below it, each knowing nothing of those
// above: tx (transactions, the tree, commit and recovery), freelist (free space), page (the file format), mmapfile (files and mmap).
// To read the source, begin with page's documentation, then tx/tx.go, tx/search.go, tx/put.go and tx/commit.go.
package mmdb
