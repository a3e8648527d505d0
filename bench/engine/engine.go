// Package engine has one driver for each storage engine that is measured, behind one small interface. A driver does what its
// engine's users would do in a fast program, and nothing cleverer: it keeps cursors and read transactions where the
// engine lets it, and reads one byte of each key and value that it passes over.
//
// Drivers say how they are set up in Engine.Settings, which goes into every report.
package engine

import (
	"errors"
	"slices"
	"strings"
)

// ErrUnavailable is returned for what an engine can't do; the text around it says why. A report shows it as such.
var ErrUnavailable = errors.New("not available")

// Durability says what a commit waits for.
type Durability int

const (
	// Durable commits are on the device when they return.
	Durable Durability = iota
	// Lazy commits are in the page cache when they return, and the engine flushes them soon, or lets the kernel.
	Lazy
	// NoFlush commits are never flushed: the cost of the engine itself. After a power loss anything may be in the file.
	NoFlush
)

// Options says how a store is opened. The zero value is durable, with room for what a benchmark needs.
type Options struct {
	Durability Durability
	// CacheBytes bounds the caches of engines that have their own; zero is 1 GiB.
	CacheBytes int64
	// ReadOnly promises that nothing is written; engines may use it or not.
	ReadOnly bool
}

// cache returns CacheBytes or its default.
func (o Options) cache() int64 {
	if o.CacheBytes == 0 {
		return 1 << 30
	}
	return o.CacheBytes
}

// An Engine opens stores.
type Engine struct {
	Name string
	// Settings says in a line what differs from the engine's defaults, and its version.
	Settings string
	// Fixture names the engine whose files this one reads; empty is its own name. Variants share files.
	Fixture string
	// Only names the workloads that the engine is for; nil is all.
	Only []string
	// Bulk is the most items that one transaction of a bulk load should have; zero is no limit.
	Bulk int
	// Native engines have no store: they measure in a program of their own, and Open is nil.
	Native bool
	// Open opens the store in the folder dir, which exists, and creates it if the folder is empty.
	Open func(dir string, o Options) (Store, error)
}

// Store is an open database.
type Store interface {
	// Session returns a handle for one goroutine. Sessions need no end of their own; Close ends them.
	Session() Session
	// Sync makes all commits durable.
	Sync() error
	// Settle does the work that the engine has put off, such as merging its files, so that reads after it cost what they
	// will go on costing.
	Settle() error
	// Used returns the bytes of pages that hold data, without free ones; ErrUnavailable where there is no such figure.
	Used() (int64, error)
	// Compact makes the files small. The store may be another one inside afterwards; sessions must be made anew.
	Compact() error
	// Close closes the store in the engine's own orderly way.
	Close() error
}

// Session runs transactions for one goroutine. Its readers and writers are valid in the function only.
type Session interface {
	// View calls fn in a read transaction that sees one state of the store.
	View(fn func(Reader) error) error
	// Update calls fn in a write transaction, which is undone if fn returns an error.
	Update(fn func(Writer) error) error
}

// Reader reads in a transaction. Slices that it returns are valid until its next call.
type Reader interface {
	// Get returns the value of key, nil if there is none.
	Get(key []byte) ([]byte, error)
	// GetMany adds the first byte of each key's value to t, and counts those found. It uses the engine's own way to look
	// up several keys, where it has one.
	GetMany(keys [][]byte, t *Touch) error
	// Scan passes over up to limit items, from the first with a key of at least from (from the end, if reverse and from is nil),
	// touching each.
	Scan(from []byte, limit int, reverse bool, t *Touch) error
	// Each calls fn for every item in order.
	Each(fn func(key, value []byte) error) error
	// Len returns the number of items, by the fastest way that the engine has.
	Len() (int, error)
}

// Writer changes a store in a transaction. It does not keep what it is given.
type Writer interface {
	Put(key, value []byte) error
	Delete(key []byte) error
}

// Touch counts items that were read, and sums a byte of each, so that nobody can leave the reading out.
type Touch struct {
	Items int
	Sum   uint64
}

// Item adds the last byte of key and the first of value.
func (t *Touch) Item(key, value []byte) {
	t.Items++
	t.Sum += uint64(key[len(key)-1]) + uint64(value[0])
}

// Value adds the first byte of value.
func (t *Touch) Value(value []byte) {
	t.Items++
	t.Sum += uint64(value[0])
}

// getEach is GetMany for engines that look up one key at a time.
func getEach(r Reader, keys [][]byte, t *Touch) error {
	for _, key := range keys {
		v, err := r.Get(key)
		if err != nil {
			return err
		}
		if v != nil {
			t.Value(v)
		}
	}
	return nil
}

// countEach is Len for engines that keep no count.
func countEach(r Reader) (int, error) {
	var t Touch
	err := r.Scan(nil, int(^uint(0)>>1), false, &t)
	return t.Items, err
}

var engines []Engine

// Register adds an engine; drivers call it from init.
func Register(e Engine) { engines = append(engines, e) }

// order is how reports list engines; others follow.
var order = []string{"mmdb", "bbolt", "bbolt-batch", "lmdb", "lmdb-norda", "lmdb-native", "pebble", "badger"}

// All returns every engine of this build.
func All() []Engine {
	slices.SortStableFunc(engines, func(a, b Engine) int {
		if c := rank(a.Name) - rank(b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return slices.Clone(engines)
}

// rank is a name's place in order.
func rank(name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

// Named returns the engine of that name.
func Named(name string) (Engine, bool) {
	for _, e := range engines {
		if e.Name == name {
			return e, true
		}
	}
	return Engine{}, false
}

// InBulk returns how many of n items to put in one transaction of a bulk load.
func (e Engine) InBulk(n int) int {
	if e.Bulk > 0 {
		return min(n, e.Bulk)
	}
	return n
}

// Files names the engine whose files e reads.
func (e Engine) Files() string {
	if e.Fixture != "" {
		return e.Fixture
	}
	return e.Name
}

// version returns the version of a module in this build.
func version(module string) string {
	for _, d := range buildDeps() {
		if d.Path == module {
			return d.Version
		}
	}
	return "unknown version"
}
