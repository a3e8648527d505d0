package tx

import (
	"sync"
	"sync/atomic"

	"mmdb/page"
)

// A readerSlot holds the commit number of one open read transaction, or zero. It has a cache line of its
// own, so that readers on different cores don't disturb each other.
type readerSlot struct {
	commit atomic.Uint64
	_      [56]byte
}

// slotChunk is how many slots are added when all are taken.
const slotChunk = 64

// A readerTable holds the commit numbers of all open read transactions (I10: beginning and ending a read
// takes the same time with 1 or 1000 others). Slots are never given back to the allocator.
type readerTable struct {
	chunks atomic.Pointer[[]*[slotChunk]readerSlot]
	mu     sync.Mutex // serialises growth
}

// acquire takes a free slot for commit and returns it; hint, the slot that the caller had last, is tried first.
func (rt *readerTable) acquire(hint *readerSlot, commit page.Commit) *readerSlot {
	if hint != nil && hint.commit.CompareAndSwap(0, uint64(commit)) {
		return hint
	}
	for {
		chunks := rt.chunks.Load()
		if chunks != nil {
			for k := len(*chunks) - 1; k >= 0; k-- {
				for i := range (*chunks)[k] {
					s := &(*chunks)[k][i]
					if s.commit.Load() == 0 && s.commit.CompareAndSwap(0, uint64(commit)) {
						return s
					}
				}
			}
		}
		rt.grow(chunks)
	}
}

// grow adds a chunk unless somebody else did since the caller saw old.
func (rt *readerTable) grow(old *[]*[slotChunk]readerSlot) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.chunks.Load() != old {
		return
	}
	var next []*[slotChunk]readerSlot
	if old != nil {
		next = append(next, *old...)
	}
	next = append(next, new([slotChunk]readerSlot))
	rt.chunks.Store(&next)
}

// appendCommits appends the commit number of every open read transaction to dst, in no order.
func (rt *readerTable) appendCommits(dst []page.Commit) []page.Commit {
	chunks := rt.chunks.Load()
	if chunks == nil {
		return dst
	}
	for _, c := range *chunks {
		for i := range c {
			if n := c[i].commit.Load(); n != 0 {
				dst = append(dst, page.Commit(n))
			}
		}
	}
	return dst
}

// open returns how many read transactions are open.
func (rt *readerTable) open() int {
	n := 0
	if chunks := rt.chunks.Load(); chunks != nil {
		for _, c := range *chunks {
			for i := range c {
				if c[i].commit.Load() != 0 {
					n++
				}
			}
		}
	}
	return n
}
