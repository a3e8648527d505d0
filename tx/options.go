package tx

import (
	"fmt"
	"log/slog"
	"math"
	"time"

	"mmdb/mmapfile"
	"mmdb/page"
)

// Options says how a database is opened. The zero value is a good default.
type Options struct {
	// Timeout is how long Open waits for a process that has the file exclusively, or until it has it exclusively itself.
	// Zero waits for ever, as in bbolt. Any other waits 50 ms at least: who is just opening the file lets others in soon.
	Timeout time.Duration
	// ReadOnly opens an existing file without ever changing it. Others may write to it meanwhile, if this process may write to the lock file
	// or make one, as they do. If it may not, and nobody has the file open, it keeps writers out as long as it has it open.
	ReadOnly bool
	// Immutable promises that nobody changes the file while it is open: no lock is taken and nothing is
	// written, so it works on read-only media. It implies ReadOnly.
	Immutable bool
	// PageSize is the page size in bytes of a new file: a power of two from 4096 to 65536; zero is 4096.
	// An existing file keeps its own.
	PageSize int
	// InitialSize is the size in bytes to which a new file is extended.
	InitialSize int64
	// MaxSize bounds the size of the file in bytes; zero is no bound. An eighth of it, at most 64 pages, is kept for changes that write no more
	// than they free, so that deletions succeed in a full database.
	MaxSize int64
	// Durability says when commits return; the default is Durable. Tx.SetDurability chooses for one transaction.
	Durability Durability
	// SyncInterval is how long after a Lazy commit the file is flushed, at the latest; zero is 200 ms. A negative one
	// leaves it to DB.Sync and to Close, but for windows that grow beyond their bound (64 MiB, less in small files).
	SyncInterval time.Duration
	// TwoPhase flushes a commit's pages before its meta page is written: two device flushes in place of
	// one, and no reliance on checksums to tell a whole commit from half of one.
	TwoPhase bool
	// Prefault reads the whole file into memory at open.
	Prefault bool
	// ReadAhead leaves the kernel's read-ahead on: with every page that has to be read from the device it reads those around
	// it. A database that fits into memory is warm sooner then. In one that does not, a random read takes many times as long,
	// so it is off by default; scans and GetMany ask for what they come to either way.
	ReadAhead bool
	// Mlock locks the mapped file in memory; Open fails where the limit on locked memory is too low.
	Mlock bool
	// Logger receives what a caller can't see otherwise, such as a commit that recovery rejected. Nil discards it.
	Logger *slog.Logger
	// Exclusive keeps all other processes out while the database is open, and other opens of this one. No lock file is needed then. With ReadOnly,
	// it keeps only writers out. On systems without locks of single bytes (freebsd) it is always on.
	Exclusive bool
	// MaxDirty is how many bytes of changed pages a transaction keeps in memory before it writes finished
	// ones ahead of its commit (which then takes two flushes); zero is 64 MiB.
	MaxDirty int64
	// Slack is how many times as large as its pages in use the file may become so that commits are written in few runs,
	// which is what random writes cost most on a device. At 1 pages go into any hole: the file is as small as it can
	// be. Zero is 1.5. Commits of much of the database, and databases of less than some megabytes, take less.
	Slack float64
	// Carry makes commits of some dozens of pages move others along when long free runs are scarce, so that they are
	// written in a few runs also after many random changes, at the price of up to twice as many pages. It pays where a run
	// costs as much as some ten pages or more: on network volumes and disks, not on fast local drives.
	Carry bool
	// Guard gives each read transaction a mapping of its own, unmapped when it ends, so that a use of a slice after its
	// transaction faults at once instead of now and then. It is for the tests of programs that use mmdb: a transaction
	// then costs some tens of microseconds.
	Guard bool
	// Seam, when set, is called around every system call that changes or flushes the file. It is for tests.
	Seam mmapfile.Seam

	bugs    Bug  // see Sabotage
	network bool // for tests: the file system counts as one of other computers
}

// defaultMaxDirty is Options.MaxDirty when it is zero.
const defaultMaxDirty = 64 << 20

// defaultSyncInterval is Options.SyncInterval when it is zero.
const defaultSyncInterval = 200 * time.Millisecond

// withDefaults checks o and fills in what was left out. A nil o is all defaults.
func (o *Options) withDefaults() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	if r.PageSize == 0 {
		r.PageSize = page.DefaultSize
	}
	if !page.ValidSize(r.PageSize) {
		return r, fmt.Errorf("%w: %d", ErrPageSize, r.PageSize)
	}
	if !r.Durability.valid() {
		return r, fmt.Errorf("%w: %v", ErrDurability, r.Durability)
	}
	switch {
	case r.SyncInterval == 0:
		r.SyncInterval = defaultSyncInterval
	case r.SyncInterval < 0:
		r.SyncInterval = math.MaxInt64
	}
	if r.MaxDirty <= 0 {
		r.MaxDirty = defaultMaxDirty
	}
	if r.Slack == 0 {
		r.Slack = defaultSlack
	}
	if r.Immutable {
		r.ReadOnly = true
	}
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	return r, nil
}
