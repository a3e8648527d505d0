package tx

import (
	"fmt"
	"os"
	"sync"

	"mmdb/mmapfile"
	"mmdb/page"
)

// Open opens the database at path. A file that is missing is created with mode (before the umask), one that is
// empty is made a database; both not if opts ask for read-only. Errors: ErrInvalid for a file that is no database,
// ErrVersion, ErrCorrupt, ErrTimeout, ErrPageSize, ErrDurability, and the system's.
func Open(path string, mode os.FileMode, opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	for range openTries {
		st, err := openOnce(path, mode, o)
		if err != nil || o.Immutable || st.file.SameFile(path) {
			return st, err
		}
		// While this open waited, another file took the name: what was written to this one, nobody would find again.
		_ = st.Close()
	}
	return nil, fmt.Errorf("open %s: other files take its name again and again", path)
}

// openTries bounds how often an open begins again.
const openTries = 10

// A firstMemory is what every open needs, in one piece. The first object of a size that a program makes costs it a page of memory and the fault
// for that; so each of these would be one more in the open of a program that looks something up and ends. What transactions keep in the pool
// (slot, readers) has no part in it: it would keep a closed store.
type firstMemory struct {
	store  Store
	writer writer
	dirty  dirtySet
	metas  [page.MetaSlots]candidate
}

// openOnce opens the file that has the name now.
func openOnce(path string, mode os.FileMode, o Options) (_ *Store, err error) {
	m := &firstMemory{store: Store{path: path, opts: o, log: o.Logger, readOnly: o.ReadOnly, gone: make(chan struct{}, 1), pool: new(sync.Pool)}}
	st := &m.store
	st.memory = m
	st.flushed.L = &st.flushMu
	st.file, err = mmapfile.Open(path, mmapfile.Options{ReadOnly: o.ReadOnly, Create: !o.ReadOnly, Mode: mode, Seam: o.Seam})
	if err != nil {
		return nil, err
	}
	st.locks = st.file
	if err := st.open(); err != nil {
		_ = st.release()
		return nil, err
	}
	return st, nil
}

// open takes the locks, creates or recovers the database unless others have it open, and publishes its newest commit.
func (st *Store) open() (err error) {
	defer st.guard(enter(), &err)
	st.setPageSize(st.opts.PageSize)
	switch {
	case st.opts.Immutable:
		return st.openAlone()
	case st.exclusively():
		return st.openExclusive()
	}
	return st.openShared()
}

// bringUp creates or recovers the database, and returns its newest commit. The caller keeps all others from writing.
func (st *Store) bringUp() (*page.Meta, error) {
	size, err := st.file.Size()
	if err != nil {
		return nil, err
	}
	if err := st.distrustCache(size); err != nil {
		return nil, fmt.Errorf("%s: %w", st.path, err)
	}
	defer func() { st.metas = nil }()
	fresh, err := st.isNew(size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", st.path, err)
	}
	st.w = newWriter(st)
	st.w.fileSize = size
	if fresh {
		if st.readOnly {
			return nil, fmt.Errorf("%s: %w: the file is empty", st.path, ErrInvalid)
		}
		m, err := st.create()
		if err != nil {
			return nil, fmt.Errorf("create %s: %w", st.path, err)
		}
		return m, nil
	}
	m, err := st.recover()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", st.path, err)
	}
	return m, nil
}

// guard turns a fault of the mapping into an error of a function of st.
func (st *Store) guard(old bool, err *error) {
	setFault(old)
	if r := recover(); r != nil {
		if *err = st.faultError(r); *err == nil {
			panic(r)
		}
	}
}

// start maps the file and publishes commit m, in a late snapshot if others are let in soon.
func (st *Store) start(m *page.Meta, late bool) error {
	if err := st.mapFile(); err != nil {
		return err
	}
	if err := st.prefault(m); err != nil {
		return err
	}
	st.w.tip = st.lateSnapshot(m)
	if !late || st.opts.Guard { // whose transactions look for what is in the file
		st.placeRoot(st.w.tip)
	}
	st.window.reset(m.Commit)
	return st.show(st.w.tip)
}

// mapFile maps the file.
func (st *Store) mapFile() error {
	mp, err := st.newMapping(st.firstReserve())
	if err != nil {
		return err
	}
	st.mapping = mp
	st.maps.Store(&[]retiredMap{{m: mp}})
	st.verified.Store(newBitmap(uint64(mp.Reserved()) >> st.shift))
	return nil
}
