// Package freelist keeps the free space of a database file: which pages are free, which
// are pending, and which pending ones may be used again.
//
// There are only a few types. An Extent is a run of pages. A Pending extent carries two
// commit numbers: born, the commit that wrote it, and died, the commit that freed it. A
// List holds all free and pending extents below the high water, the end of the data; the
// other pages there are in use. A commit uses a list like this:
//
//	Reclaim          pending pages that nobody needs become free
//	CheckpointBound  how large a checkpoint would be
//	Alloc            places for what the commit writes
//	AppendCheckpoint the list as bytes, now and then
//	AddPending       what the commit freed
//
// A commit that fails gives its pages back with Return, and the high water with CutTo.
// A program that opens the file loads the last checkpoint (LoadCheckpoint), repeats the
// commits since (Replay), reclaims, and sets the high water (SetHighWater).
//
// # Placement
//
// What bounds random writes is how many separate runs reach the device, so Alloc lays a
// commit out in few: the shortest run that holds it, else the longest ones, and of short ones
// those that stand where most pages are free. SetTarget lets the file grow before short runs
// are used, and Sparsest names stretches with few pages in use, which a commit can carry along.
// SetLowest is for compaction: everything goes as far to the front as it fits.
//
// # The reuse rule
//
// A snapshot r reaches a page that was born in r or before and died after r. So:
//
// A pending extent may be used again if and only if no needed commit r has
// born <= r < died.
//
// Needed are every live reader of every process, the newest published commit, every
// sealed or in-flight commit, and every commit whose meta stands in a slot, except the
// slot that the next meta will overwrite. The caller lists them; this package does not
// know readers or metas. Pages that were born and died between two needed commits are
// free at once, however old the oldest reader is.
//
// # Invariants
//
//   - A page is in use, free or pending, never two of these. A page that is freed twice
//     or handed out while pending is a panic, or page.ErrCorrupt when it comes from a
//     file.
//   - Free extents, as they are listed, never touch; pending extents that touch differ in
//     born or died. So equal states are equal lists, whatever way led there.
//   - A pending extent is filed under a needed commit that pins it, or waits for the
//     next Reclaim. Reclaim looks at no other extents.
//   - An allocation succeeds as a whole or changes nothing.
//   - Decoders take any bytes: they return extents that are in order, not empty, without
//     overlap and below the given end, or page.ErrCorrupt, in memory that is bounded by
//     the length of the input.
//
// # Encoding
//
// A list of extents is sorted by page. Numbers are unsigned varints (encoding/binary):
// seven bits a byte, low ones first. There is no count: a list ends where its bytes do,
// and an empty list has none. Each extent:
//
//	field   value
//	gap     pages since the end of the extent before (the first: since page 0), times 2,
//	        plus 1 when the extent has more than one page
//	length  pages minus 2; only when the extent has more than one page
//
// Four sections of a commit record are such lists, with more fields behind each extent:
//
//	section  field  value
//	written
//	freed    age    died minus born; died is the record's commit
//	free
//	pending  age    died minus born
//	         since  the record's commit minus died
//
// A free page by itself takes one byte when it is less than 64 pages behind the one
// before, and two when less than 8192.
package freelist
