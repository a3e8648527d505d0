package tx

import (
	"sync/atomic"
	"time"
)

// Stats are figures of an open database: what this process did with it since it opened it, unless said otherwise. They can be
// encoded as JSON, times as nanoseconds. They are read one after the other while others go on, so they may differ by a commit.
type Stats struct {
	// The database now.
	Commit        uint64 // number of the newest commit that readers see
	DurableCommit uint64 // of the newest one that this process knows to be on the device: an older one if there are Lazy commits
	PageSize      int    // bytes
	FileSize      int64  // bytes; 0 once closed
	HighWater     uint64 // pages of the file that are or were in use; FreePages and PendingPages are among them
	FreePages     uint64 // pages that the next commit may use (0 before the first write transaction)
	PendingPages  uint64 // pages that are free but pinned by a snapshot (0 likewise)
	LazyBytes     int64  // bytes of pages in use that Lazy commits have written and no flush has made durable yet
	Failed        bool   // a flush failed, so writes are refused until the database is opened again

	// Read transactions that are open now.
	OpenReaders      int           // of this process
	OldestReader     uint64        // commits that the oldest one, of any process, is behind
	OldestReaderTime time.Duration // since a writer first saw that the commit of that one is not the newest

	// Commits and what they cost.
	Commits      uint64        // commits that changed something
	LazyCommits  uint64        // of those, published without a flush of their own
	Updates      uint64        // functions and transactions in them: several share a commit when they run at the same time
	LargestGroup uint64        // most of them in one commit
	Flushes      uint64        // flushes of the file; a commit in two phases has two
	FlushTime    time.Duration // what they took, with the writes of metas
	LongestFlush time.Duration // the longest of one commit or Sync
	Writes       uint64        // write calls for pages and commit records
	PagesWritten uint64        // pages of trees and overflow runs
	PagesSpilled uint64        // of those, written ahead of a commit
	PagesCarried uint64        // of those, moved along without a change (Options.Carry)
	BytesGrown   uint64        // by which the file was made longer
	BytesCut     uint64        // by which it was made shorter

	PagesVerified uint64 // pages whose checksum and structure were verified, in ended transactions

	// Recovery, at open and when another process had died.
	Adopted  uint64 // commits that were whole but not known to be durable, and were written once more
	Rejected uint64 // commits that were not whole: the one before was taken
}

// TxStats are figures of one transaction.
type TxStats struct {
	PagesVerified uint64 // pages whose checksum and structure were verified
	PagesSpilled  uint64 // pages written ahead of the commit
	PagesCarried  uint64 // pages that the commit moves along without a change (Options.Carry)
	PagesFreed    uint64 // pages of earlier commits that this one frees
	DirtyBytes    int64  // bytes of changed pages in memory now
}

// counters are the live form of Stats.
type counters struct {
	commits, flushes, writes, pagesWritten, pagesSpilled, pagesCarried, pagesVerified, rejected atomic.Uint64
	freePages, pendingPages                                                                     atomic.Uint64
	updates, largestGroup, flushTime, longestFlush                                              atomic.Uint64
	lazy, grown, cut, adopted                                                                   atomic.Uint64
}

// landed counts a commit of n functions, which took d to reach the device. Commits land one after the other.
func (c *counters) landed(n int, d time.Duration) {
	c.commits.Add(1)
	c.updates.Add(uint64(n))
	c.largestGroup.Store(max(c.largestGroup.Load(), uint64(n)))
	c.flushTook(d)
}

// flushTook counts the time of a flush. Who owns the flight calls it.
func (c *counters) flushTook(d time.Duration) {
	c.flushTime.Add(uint64(d))
	c.longestFlush.Store(max(c.longestFlush.Load(), uint64(d)))
}

// add adds the figures of an ended transaction.
func (c *counters) add(t *TxStats) {
	if t.PagesVerified != 0 {
		c.pagesVerified.Add(t.PagesVerified)
	}
	if t.PagesCarried != 0 {
		c.pagesCarried.Add(t.PagesCarried)
	}
	if t.PagesSpilled != 0 {
		c.pagesSpilled.Add(t.PagesSpilled)
	}
}

// Stats returns figures of the database. It takes no lock and reads no page; it looks at each slot of the reader table, and asks
// the system for the size of the file.
func (st *Store) Stats() Stats {
	c := &st.counts
	s := Stats{
		DurableCommit: uint64(st.window.base()),
		PageSize:      st.pageSize,
		FreePages:     c.freePages.Load(),
		PendingPages:  c.pendingPages.Load(),
		LazyBytes:     st.window.bytes.Load(),
		Failed:        st.failed() != nil,
		Commits:       c.commits.Load(),
		LazyCommits:   c.lazy.Load(),
		Updates:       c.updates.Load(),
		LargestGroup:  c.largestGroup.Load(),
		Flushes:       c.flushes.Load(),
		FlushTime:     time.Duration(c.flushTime.Load()),
		LongestFlush:  time.Duration(c.longestFlush.Load()),
		Writes:        c.writes.Load(),
		PagesWritten:  c.pagesWritten.Load(),
		PagesSpilled:  c.pagesSpilled.Load(),
		PagesCarried:  c.pagesCarried.Load(),
		BytesGrown:    c.grown.Load(),
		BytesCut:      c.cut.Load(),
		PagesVerified: c.pagesVerified.Load(),
		Adopted:       c.adopted.Load(),
		Rejected:      c.rejected.Load(),
	}
	if snap := st.published.Load(); snap != nil {
		s.Commit, s.HighWater = uint64(snap.meta.Commit), uint64(snap.meta.HighWater)
		s.FileSize, _ = st.file.Size()
	}
	s.OpenReaders, _ = st.openReaders() // none, of a closed database
	s.OldestReader, s.OldestReaderTime = st.oldestAge()
	return s
}

// oldestAge returns how many commits the oldest read transaction is behind, and for how long as far as a writer has seen it.
func (st *Store) oldestAge() (behind uint64, d time.Duration) {
	if st.published.Load() == nil {
		return 0, 0
	}
	count := func() {
		newest := st.table().published.Load() &^ publishedFailed
		if r, ok := st.table().oldest(); ok && r.Commit < newest {
			behind = newest - r.Commit
			if !r.Since.IsZero() {
				d = max(0, time.Since(r.Since))
			}
		}
	}
	if st.lockFile() == nil {
		count()
	} else {
		_ = st.inLock(count) // a lock file that was cut is noticed elsewhere
	}
	return behind, d
}

// Stats returns figures of t so far.
func (t *Tx) Stats() TxStats {
	s := t.stats
	if t.w != nil && !t.done {
		s.DirtyBytes = t.w.dirty.used()
		for _, p := range t.w.freed[t.w.mark.freed:] {
			s.PagesFreed += p.Len
		}
	}
	return s
}

// BucketStats are figures of one bucket, nested buckets' own trees not included.
type BucketStats struct {
	Depth                                 int   // levels of pages, so without an inline root; 0 for an inline bucket
	BranchPages, LeafPages, OverflowPages int   // pages
	Keys, Buckets, InlineBuckets          int   // Buckets and InlineBuckets are among Keys
	BranchUsed, LeafUsed, OverflowUsed    int64 // bytes in use; an inline bucket's are its parent's
	BranchAlloc, LeafAlloc, OverflowAlloc int64 // bytes of those pages
}
