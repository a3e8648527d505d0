// Package tx is the engine of mmdb: transactions over copy-on-write B+trees in one mapped file.
//
// A [Store] is an open database. Its newest durable commit is an immutable snapshot behind an atomic pointer.
// A read transaction takes that pointer and names the commit in a slot of the reader table; it neither waits nor
// makes others wait. One write transaction runs at a time, on top of all that ran before.
//
// # Writing
//
// A changed page is copied to an arena of anonymous memory (dirtySet), and its parents with it; a dirty branch
// refers to a dirty child by its index there. When its function has succeeded, a transaction joins the open group; functions that
// follow copy its pages before they change them, so that each can be undone alone. A group becomes one commit. Page numbers
// are given when it is sealed, to all its pages at once, so that they stand together in the file. In the order of events a commit is:
//
//	fold       the headers of changed buckets go into their parents' leaves; small roots move inline, and the root bucket into the meta
//	join       space for the group with this transaction is secured
//	collect    dirty pages in key order, children first
//	place      one allocation for all of them and the commit record; the file is made long enough
//	write      pages, then the commit record
//	flush      the meta is written to the oldest slot, and one msync makes everything durable
//	publish    new readers see it
//
// From collect to the record it holds the writer lock, and no other flush is in progress; the flush holds no lock. The next
// functions run meanwhile, on the pages that were just written, and form the next group (group.go).
//
// A commit that is too large for one flush, that spilled, or that Options.TwoPhase asks for flushes before its meta is
// written too.
//
// A lazy commit (durability.go) leaves the flush out. Its meta names the newest durable commit as its base, and recovery
// verifies all that was written since and is still reached (windowcheck.go): what the window freed is used again.
//
// # Promises that the code must keep
//
// No page that a needed snapshot can reach is written (I1): a freed extent is pending until no needed commit lies
// between the one that wrote it and the one that freed it, which package freelist decides with the commits that
// neededCommits names.
//
// No slice that was handed out changes before its transaction ends (I2): of a dirty page the caller gets copies at first;
// after a quarter of it the page is pinned instead, and from then on its cells are not overwritten, and its memory is
// kept when it leaves the tree.
//
// No page of the file is trusted before it was verified once (I3): node and run are the only ways to a page, and compare
// each one with what its parent says of it.
//
// A commit that recovery finds without the mark of a clean close is checked as a whole (records, pages and their checksums), and
// if it is, its pages are written and flushed once more before anybody sees it (I5). If it is not, its base is taken.
// Writing again is not enough where the page cache lies, as ext4's does after a failed write to new blocks: so a file that
// was not closed cleanly is dropped from the cache first (distrust.go). If adoption itself can't be written, Open fails
// rather than go back: the commit may have been acknowledged.
//
// After a failed flush nobody knows what the device holds: everything that writes is refused until the next open (I7).
//
// A read error is never taken for an absent key (I13): calls without an error result keep it in the transaction.
//
// # Several processes
//
// Processes that have a database open share the reader table, in a lock file beside it (lockfile.go), and take turns at writing (role.go). Who
// is one of them is told by locks of bytes of the database file (presence.go). A process finds that another one has published when it begins
// a read, and takes the newer commit for its snapshot (refresh.go). All that is published is in the file, and durable before the writer's
// byte is given away. Who takes the byte from a dead process recovers the file as an open does, under the eyes of readers.
//
// # Order of reading
//
// store.go and snapshot.go, readers.go, tx.go; then search.go, cursor.go, bucket.go, nest.go and put.go, split.go, spread.go,
// delete.go for the trees; writetx.go, group.go, writer.go, fold.go, seal.go, commit.go, flight.go for the commit; place.go, alloc.go, slots.go, carry.go, compact.go and
// relocate.go for where its pages go; space.go and grow.go for
// free space and the file; presence.go, session.go, lockfile.go, lockopen.go, refresh.go and role.go for several processes; create.go, open.go, distrust.go and recover.go for its life; walk.go and check.go for what
// must hold; stats.go, readerlist.go, processlist.go and held.go for who watches; salvage.go and its files for damaged files.
//
// Package tx knows nothing of the public DB type, and leaves bytes on disk to page, free space to freelist and the
// operating system to mmapfile.
package tx
