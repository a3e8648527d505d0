package tx

import (
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"mmdb/mmapfile"
)

// The lock file, named as the database with "-lock" behind it, is memory that the processes share that have the database open: who they
// are, their readers, the newest commit that may be read, and who writes. Nothing in it outlives them: the first process to open the
// database makes it anew. The file itself stays for the next open, which has then no blocks to ask the file system for, and its
// pages in memory: that is most of what it costs.
//
// It consists of words of this machine, in lines of eight: a header of eight lines, a table of processes with a line each, and, from byte
// 20480 on, the blocks of the reader table.
const (
	lockSuffix = "-lock"
	lockMagic  = 0x32_6b_63_6c_62_64_6d_6d // "mmdblck2": the number is that of the layout

	// Words of the header, in lines of their own where many processes use them.
	atMagic     = 0
	atBinding   = 1 // four words
	atLimit     = 5 // how many blocks there may be
	atSession   = 6
	atBlocks    = 7  // how many blocks there are
	atPublished = 8  // the newest commit that readers may see; see publishedFailed
	atWriter    = 16 // the process that writes, plus one; zero when the last one has left the file clean
	atWant      = 17 // not zero: another process waits for the writer's byte
	atTurn      = 18 // the number of the turn: counts up each time the byte is taken
	atTicket    = 24 // the last number that was given to a waiting process

	procMax    = 256
	procsAt    = 64   // word at which the table of processes begins
	blocksAt   = 2560 // the blocks have pages of their own
	firstBlock = 1    // blocks of a new lock file
	atCanary   = blockWords - 1
	canary     = 0x6b636f6c62 // the last word of each block: if somebody cuts the file inside a block, the system makes the rest of its page zero

	// Words of a process.
	atPid    = 0 // zero: free
	atSince  = 1 // when it opened the database, in nanoseconds of Unix time
	atNumber = 2 // its number among those who wait for the writer lock, or zero
)

// Bytes of the lock file that are locked. None of them exists.
const (
	lockUsers = int64(1) << 40 // held shared by every process that has the file open
	lockGrow  = lockUsers + 1  // held exclusively while the file is made longer
	lockProcs = lockUsers + 16 // and the ones after it: held by each process, its own
)

// maxShared bounds the lock file, in bytes: room for 250,000 readers, and 30,000 where addresses are scarce, and in any session that
// such a process has been in: a writer must see all of them.
const maxShared = 2 << 20 << (3 * (bits.UintSize / 64))

// A lockFile is the lock file, open and mapped.
type lockFile struct {
	path  string
	file  *mmapfile.File
	mem   *mmapfile.Mapping
	words []atomic.Uint64
	self  int // this process's line in the table

	session uint64 // the number that the file had when this process came

	reaping sync.Mutex // held by reap
}

// A binding says which database a lock file is for, and which file it is itself, so that a copy is none. That it is not from before a
// restart of the system its session tells: nobody holds the byte any more that it names.
type binding [4]uint64 // device, inode and salt of the database, inode of the lock file

// lockSize returns the bytes of a lock file with n blocks.
func lockSize(n int) int64 { return int64(blocksAt+n*blockWords) * 8 }

// mapFile maps the file as far as it may ever grow, so that what other processes add needs no further call.
func (lf *lockFile) mapFile() error {
	m, err := lf.file.MapShared(maxShared)
	if err != nil {
		return err
	}
	lf.mem, lf.words = m, m.Words()
	return nil
}

// proc returns the line of process i.
func (lf *lockFile) proc(i int) []atomic.Uint64 {
	return lf.words[procsAt+i*lineWords:][:lineWords]
}

// blocks returns how many blocks there are.
func (lf *lockFile) blocks() int { return int(min(lf.words[atBlocks].Load(), uint64(lf.most()))) }

// most returns how many blocks this process can see.
func (lf *lockFile) most() int { return (len(lf.words) - blocksAt) / blockWords }

// bound keeps the lock file from becoming longer than this process can see, or returns an error if it is so already.
func (lf *lockFile) bound() (err error) {
	most := uint64(lf.most())
	if lf.words[atLimit].Load() <= most {
		return nil
	}
	if err := lf.file.LockByte(lockGrow, true, extendTime); err != nil {
		return err
	}
	defer func() { err = firstError(err, lf.file.UnlockByte(lockGrow)) }()
	if lf.words[atBlocks].Load() > most {
		return lockError(lf.path, fmt.Errorf("%w for a process with 32-bit addresses", errTooManyReaders))
	}
	lf.words[atLimit].Store(min(most, lf.words[atLimit].Load()))
	return nil
}

func (lf *lockFile) block(i int) readerBlock {
	return lf.words[blocksAt+i*blockWords:][:blockWords]
}

// claimBlock takes a free block for this process, and makes the file longer if there is none.
func (lf *lockFile) claimBlock() (readerBlock, error) {
	for {
		n := lf.blocks()
		for i := range n {
			b := lf.block(i)
			if b.owner().Load() == 0 && b.owner().CompareAndSwap(0, uint64(lf.self)+1) {
				return b, nil
			}
		}
		if err := lf.extend(n); err != nil {
			return nil, err
		}
	}
}

// extendTime bounds the wait for a process that makes the file longer. It takes microseconds, unless that process is stopped.
const extendTime = 10 * time.Second

// extend adds blocks, unless another process did since the caller saw n.
func (lf *lockFile) extend(n int) (err error) {
	if err := lf.file.LockByte(lockGrow, true, extendTime); err != nil {
		return err
	}
	defer func() { err = firstError(err, lf.file.UnlockByte(lockGrow)) }()
	if lf.blocks() != n {
		return nil
	}
	to := min(2*n, int(min(lf.words[atLimit].Load(), uint64(lf.most()))))
	if to <= n {
		return errTooManyReaders
	}
	if err := lf.file.Allocate(lockSize(n), lockSize(to)-lockSize(n)); err != nil {
		return fmt.Errorf("make room for readers: %w", err)
	}
	lf.grown(n, to)
	return nil
}

// grown notes that blocks n up to to are there.
func (lf *lockFile) grown(n, to int) {
	for i := n; i < to; i++ {
		lf.block(i)[atCanary].Store(canary)
	}
	lf.words[atBlocks].Store(uint64(to))
}

// wipe makes all words of a new lock file zero. Where everybody has left they are but for the header, and pages that are only read
// are not dirtied.
func (lf *lockFile) wipe() {
	words := lf.words[:lockSize(firstBlock)/8]
	for i := range words {
		if words[i].Load() != 0 {
			words[i].Store(0)
		}
	}
}

// sameSession returns an error if somebody has put something else into the file, such as an older copy of it: what it says of turns, readers
// and commits is of another time.
func (lf *lockFile) sameSession() error {
	if lf.words[atMagic].Load() != lockMagic || lf.words[atSession].Load() != lf.session {
		return lockError(lf.path, errLockOther)
	}
	return nil
}

// intact returns an error if readers may be missing in the table. A cut that took whole pages faults instead.
func (lf *lockFile) intact() error {
	if err := lf.sameSession(); err != nil {
		return err
	}
	n := lf.blocks()
	for i := range n {
		if lf.block(i)[atCanary].Load() != canary {
			return lockError(lf.path, errLockCut)
		}
	}
	if n == 0 {
		return lockError(lf.path, errLockCut)
	}
	return nil
}

// register takes a line in the table of processes, that of a dead one if need be.
func (lf *lockFile) register() error {
	for _, dead := range []bool{false, true} {
		for i := range procMax {
			if !dead && lf.proc(i)[atPid].Load() != 0 || lf.file.LockByte(lockProcs+int64(i), true, -1) != nil {
				continue
			}
			lf.clear(i)
			for _, at := range []int{atUpdates, atCommits, atFlushing, atWritten, atVerified} {
				lf.proc(i)[at].Store(0)
			}
			lf.self = i
			lf.proc(i)[atSince].Store(uint64(time.Now().UnixNano()))
			lf.proc(i)[atPid].Store(uint64(os.Getpid()))
			return nil
		}
	}
	return fmt.Errorf("%s: more than %d processes have the database open", lf.path, procMax)
}

// clear removes all traces of process i, which is dead or leaves. The caller holds its byte.
func (lf *lockFile) clear(i int) {
	for k := range lf.blocks() {
		b := lf.block(k)
		if b.owner().Load() != uint64(i)+1 {
			continue
		}
		for j := range blockSlots {
			b.slot(j).Store(0)
		}
		b.owner().Store(0)
	}
	p := lf.proc(i)
	p[atNumber].Store(0)
	p[atPid].Store(0)
}

// reap gives back what dead processes have left, and returns how many there were. The kernel has released their bytes.
func (lf *lockFile) reap() (dead int) {
	// A byte is locked by the open file: for two goroutines at once it would be locked until the first gives it back, and the
	// second could clear the line of a process that has come meanwhile.
	lf.reaping.Lock()
	defer lf.reaping.Unlock()
	for i := range procMax {
		if i == lf.self || lf.proc(i)[atPid].Load() == 0 || lf.file.LockByte(lockProcs+int64(i), true, -1) != nil {
			continue
		}
		if lf.proc(i)[atPid].Load() != 0 {
			lf.clear(i)
			dead++
		}
		_ = lf.file.UnlockByte(lockProcs + int64(i))
	}
	return dead
}

// leave takes this process out of the table. No transaction is open, but a View that is just finding the database closed may have taken a slot
// since that was looked at. From here on it can't give that back, nor one that is another process's by then: its memory is gone. So
// what is cleared stays clear; a slot that was left would be a reader for ever, of the process that takes the block next.
func (lf *lockFile) leave() error {
	m, err := lf.file.MapShared(maxShared)
	if err != nil {
		return err // whoever looks for dead processes clears it
	}
	own := lockFile{mem: m, words: m.Words()}
	if err = lf.mem.Detach(); err == nil && m.Catch(func() error { own.clear(lf.self); return nil }) != nil {
		err = lockError(lf.path, errLockCut)
	}
	return firstError(err, m.Unmap())
}

// close gives the memory and the file back; the process's locks end with it. A View that races with Close may still look for a slot, and
// takes it in memory that nobody else sees: the addresses go when nobody can reach them any more.
func (lf *lockFile) close() error {
	runtime.AddCleanup(lf, func(m *mmapfile.Mapping) { _ = m.Unmap() }, lf.mem)
	return firstError(lf.mem.Detach(), lf.file.Close())
}
