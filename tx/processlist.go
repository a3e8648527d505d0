package tx

import (
	"os"
	"time"
)

// Words of a process in the lock file, beside those that others act on: what it has done, for who wants to know.
const (
	atUpdates  = 3
	atCommits  = 4
	atFlushing = 5 // nanoseconds
	atWritten  = 6 // pages
	atVerified = 7 // pages
)

// ProcessInfo describes a process that has the database open, and what it has done since.
type ProcessInfo struct {
	Process       int           // its number for the system, where it runs
	Since         time.Time     // when it opened the database; zero where nobody else can have it open
	Own           bool          // it is this one, by this open
	Writer        bool          // it has the writer lock, or was the last to have it
	Readers       int           // read transactions that it has open now
	Updates       uint64        // as in Stats
	Commits       uint64        // likewise
	FlushTime     time.Duration // likewise
	PagesWritten  uint64        // likewise
	PagesVerified uint64        // likewise, as of its last commit
}

// Processes lists the processes that have the database open, this one too. A process that has it open twice is there twice.
func (st *Store) Processes() (list []ProcessInfo, err error) {
	if st.published.Load() == nil {
		return nil, ErrDatabaseNotOpen
	}
	if st.lockFile() == nil {
		s := st.Stats()
		return []ProcessInfo{{Process: os.Getpid(), Own: true, Writer: !st.readOnly, Readers: s.OpenReaders, Updates: s.Updates, Commits: s.Commits,
			FlushTime: s.FlushTime, PagesWritten: s.PagesWritten, PagesVerified: s.PagesVerified}}, nil
	}
	err = st.inLock(func() { list = st.lockFile().processes() })
	return list, err
}

// processes reads the table of processes.
func (lf *lockFile) processes() (list []ProcessInfo) {
	readers := lf.openReaders()
	for i := range procMax {
		p := lf.proc(i)
		pid := p[atPid].Load()
		if pid == 0 {
			continue
		}
		list = append(list, ProcessInfo{
			Process: int(pid), Since: time.Unix(0, int64(p[atSince].Load())), Own: i == lf.self,
			Writer: lf.words[atWriter].Load() == uint64(i)+1, Readers: readers[i],
			Updates: p[atUpdates].Load(), Commits: p[atCommits].Load(), FlushTime: time.Duration(p[atFlushing].Load()),
			PagesWritten: p[atWritten].Load(), PagesVerified: p[atVerified].Load(),
		})
	}
	return list
}

// openReaders counts the open read transactions of each process.
func (lf *lockFile) openReaders() (n [procMax]int) {
	for k := range lf.blocks() {
		b := lf.block(k)
		owner := b.owner().Load()
		if owner == 0 || owner > procMax {
			continue
		}
		for i := range blockSlots {
			if b.slot(i).Load() != 0 {
				n[owner-1]++
			}
		}
	}
	return n
}

// tell leaves the figures of this process where others can read them. It costs a few stores, once a commit.
func (st *Store) tell() {
	if st.lockFile() == nil {
		return
	}
	_ = st.inLock(func() { // a lock file that was cut is noticed elsewhere
		p, c := st.lockFile().proc(st.lockFile().self), &st.counts
		p[atUpdates].Store(c.updates.Load())
		p[atCommits].Store(c.commits.Load())
		p[atFlushing].Store(c.flushTime.Load())
		p[atWritten].Store(c.pagesWritten.Load())
		p[atVerified].Store(c.pagesVerified.Load())
	})
}

// ReapReaders forgets the readers of processes that have died, so that they hold nothing back, and returns how many such
// processes there were. Writers do the same now and then.
func (st *Store) ReapReaders() (dead int, err error) {
	st.mu.Lock() // as a writer does
	defer st.mu.Unlock()
	switch {
	case st.closed:
		return 0, ErrDatabaseNotOpen
	case st.lockFile() == nil:
		return 0, nil
	}
	err = st.inLock(func() { dead = st.lockFile().reap() })
	return dead, err
}
