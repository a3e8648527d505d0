package tx

import (
	"sync/atomic"
	"time"
)

// Stats are figures of an open database, since it was opened unless said otherwise.
type Stats struct {
	OpenReaders   int           // read transactions of this process that are open now
	Commits       uint64        // commits that changed something
	Updates       uint64        // functions and transactions in them: several share a commit when they run at the same time
	LargestGroup  uint64        // most of them in one commit
	FlushTime     time.Duration // what the flushes of commits took, with the writes of metas
	LongestFlush  time.Duration // the longest of one commit
	Flushes       uint64        // msync calls of commits
	Writes        uint64        // write calls for pages and commit records
	PagesWritten  uint64        // pages of trees and overflow runs
	PagesSpilled  uint64        // of those, written ahead of a commit
	PagesCarried  uint64        // of those, moved along without a change (Options.Carry)
	PagesVerified uint64        // pages whose checksum and structure were verified, in ended transactions
	FreePages     uint64        // pages that the next commit may use (0 before the first write transaction)
	PendingPages  uint64        // pages that are free but pinned by a snapshot (0 likewise)
	Rejected      uint64        // commits that recovery rejected at open
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
}

// landed counts a commit of n functions, which took d to reach the device. Commits land one after the other.
func (c *counters) landed(n int, d time.Duration) {
	c.commits.Add(1)
	c.updates.Add(uint64(n))
	c.largestGroup.Store(max(c.largestGroup.Load(), uint64(n)))
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

// Stats returns figures of the open database. It takes no lock.
func (st *Store) Stats() Stats {
	c := &st.counts
	open, _ := st.openReaders() // none, of a closed database
	return Stats{
		OpenReaders:   open,
		Commits:       c.commits.Load(),
		Updates:       c.updates.Load(),
		LargestGroup:  c.largestGroup.Load(),
		FlushTime:     time.Duration(c.flushTime.Load()),
		LongestFlush:  time.Duration(c.longestFlush.Load()),
		Flushes:       c.flushes.Load(),
		Writes:        c.writes.Load(),
		PagesWritten:  c.pagesWritten.Load(),
		PagesSpilled:  c.pagesSpilled.Load(),
		PagesCarried:  c.pagesCarried.Load(),
		PagesVerified: c.pagesVerified.Load(),
		FreePages:     c.freePages.Load(),
		PendingPages:  c.pendingPages.Load(),
		Rejected:      c.rejected.Load(),
	}
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
	Depth                                 int   // levels of pages; 0 for an inline bucket
	BranchPages, LeafPages, OverflowPages int   // pages
	Keys, Buckets, InlineBuckets          int   // Buckets and InlineBuckets are among Keys
	BranchUsed, LeafUsed, OverflowUsed    int64 // bytes in use; an inline bucket's are its parent's
	BranchAlloc, LeafAlloc, OverflowAlloc int64 // bytes of those pages
}
