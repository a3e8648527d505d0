package tx

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"mmdb/page"
)

// The reader table holds the commit number of every open read transaction, so that a writer knows which pages are
// still needed (I9). It consists of words in blocks: in the memory of this process when the database is open exclusively, and
// in memory that processes share otherwise. All else is the same, and costs the same.
//
// A block is 4 KiB in lines of 64 bytes, so that readers on different cores don't disturb each other: the first line says
// whose block it is, each other line is a slot. A slot's first word is the commit number of an open transaction, or zero.
// Its next two belong to writers: since when that commit has not been the newest one.
const (
	lineWords  = 8
	blockWords = 512
	blockSlots = blockWords/lineWords - 1
)

// errTooManyReaders is returned when memory that processes share has no more room for slots.
var errTooManyReaders = errors.New("too many read transactions are open at once")

// A readerBlock is one block of the table.
type readerBlock []atomic.Uint64

// owner is zero for a block that nobody uses, and else the number of its process.
func (b readerBlock) owner() *atomic.Uint64 { return &b[0] }

func (b readerBlock) slot(i int) *readerSlot { return &b[(i+1)*lineWords] }

// note remembers since when slot i's commit n is not the newest any more, in nanoseconds of Unix time. As no transaction begins on such a
// commit, the note is of one transaction, or of several that began at about the same time.
func (b readerBlock) note(i int, n uint64, now func() int64) (since int64) {
	at := (i + 1) * lineWords
	if b[at+2].Load() != n {
		b[at+1].Store(uint64(now()))
		b[at+2].Store(n)
	}
	return int64(b[at+1].Load())
}

// A readerSlot is where an open read transaction leaves its commit number.
type readerSlot = atomic.Uint64

// A readerTable holds the commit numbers of all open read transactions (I10: beginning and ending a read
// takes the same time with 1 or 1000 others). A process keeps its blocks until it closes the database.
type readerTable struct {
	// published is the number of the newest commit that readers may see, in whatever process.
	published *atomic.Uint64
	own       atomic.Pointer[[]readerBlock] // blocks of this process
	mu        sync.Mutex                    // serialises growth
	shared    *lockFile                     // where the blocks are; nil: in the memory of this process
}

// newReaderTable makes a table for this process alone.
func newReaderTable() *readerTable {
	words := make(readerBlock, lineWords+blockWords)
	rt := &struct {
		readerTable
		own   []readerBlock
		first [1]readerBlock
	}{}
	rt.published, rt.first[0] = &words[0], words[lineWords:]
	rt.own = rt.first[:]
	rt.readerTable.own.Store(&rt.own)
	return &rt.readerTable
}

// newSharedTable makes a table that is shared with the other processes that have lf open.
func newSharedTable(lf *lockFile) (*readerTable, error) {
	rt := &readerTable{published: &lf.words[atPublished], shared: lf}
	b, err := lf.claimBlock()
	if err != nil {
		return nil, err
	}
	rt.own.Store(&[]readerBlock{b})
	return rt, nil
}

// probes is how many slots are tried at random. The table is kept half empty, so two are enough on average, and one search in
// 65,000 looks at all slots.
const probes = 16

// find takes any free slot for commit n and returns it.
func (rt *readerTable) find(n uint64) (*readerSlot, error) {
	for {
		own := *rt.own.Load()
		total := uint32(len(own) * blockSlots)
		for range probes {
			k := int(rand.Uint32N(total))
			if s := own[k/blockSlots].slot(k % blockSlots); s.Load() == 0 && s.CompareAndSwap(0, n) {
				return s, nil
			}
		}
		free, busy := rt.scan(own)
		err := error(nil)
		if 2*busy > int(total) {
			err = rt.grow(len(own))
		}
		if free != nil && free.CompareAndSwap(0, n) {
			return free, nil
		}
		if free == nil && err != nil {
			return nil, err
		}
	}
}

// scan counts the slots that are taken, and returns one that is not, if there is one.
func (rt *readerTable) scan(own []readerBlock) (free *readerSlot, busy int) {
	for _, b := range own {
		for i := range blockSlots {
			if s := b.slot(i); s.Load() != 0 {
				busy++
			} else {
				free = s
			}
		}
	}
	return free, busy
}

// grow doubles the number of blocks unless somebody else did since the caller saw n.
func (rt *readerTable) grow(n int) error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	own := *rt.own.Load()
	if len(own) != n {
		return nil
	}
	next := append(make([]readerBlock, 0, 2*n), own...)
	for len(next) < 2*n {
		b, err := rt.newBlock()
		if err != nil && len(next) == n {
			return err
		} else if err != nil {
			break // fewer will do
		}
		next = append(next, b)
	}
	rt.own.Store(&next)
	return nil
}

// newBlock returns a block that nobody else uses.
func (rt *readerTable) newBlock() (readerBlock, error) {
	if rt.shared == nil {
		return make(readerBlock, blockWords), nil
	}
	return rt.shared.claimBlock()
}

// blocks returns how many blocks there are, of all processes.
func (rt *readerTable) blocks() int {
	if rt.shared != nil {
		return rt.shared.blocks()
	}
	return len(*rt.own.Load())
}

// block returns block i, or nil if nobody uses it.
func (rt *readerTable) block(i int) readerBlock {
	if rt.shared == nil {
		return (*rt.own.Load())[i]
	}
	if b := rt.shared.block(i); b.owner().Load() != 0 {
		return b
	}
	return nil
}

// appendCommits appends the commit number of every open read transaction, of every process, to dst, in no order, and notes which of
// them are not the newest any more.
func (rt *readerTable) appendCommits(dst []page.Commit) []page.Commit {
	published := rt.published.Load()
	for k := range rt.blocks() {
		b := rt.block(k)
		if b == nil {
			continue
		}
		for i := range blockSlots {
			n := b.slot(i).Load()
			if n == 0 {
				continue
			}
			dst = append(dst, page.Commit(n))
			if n < published {
				b.note(i, n, unixNano)
			}
		}
	}
	return dst
}

func unixNano() int64 { return time.Now().UnixNano() }

// open returns how many read transactions of this process are open.
func (rt *readerTable) open() int {
	_, busy := rt.scan(*rt.own.Load())
	return busy
}
