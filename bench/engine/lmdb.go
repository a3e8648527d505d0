//go:build lmdb

package engine

/*
#cgo LDFLAGS: -llmdb
#cgo noescape bench_get
#cgo nocallback bench_get
#cgo noescape bench_cursor
#cgo nocallback bench_cursor
#cgo noescape bench_put
#cgo nocallback bench_put
#cgo noescape bench_del
#cgo nocallback bench_del
#include <stdlib.h>
#include <lmdb.h>

// Calls take bytes by address and length and return a struct, so that Go allocates nothing for them.
typedef struct { int rc; size_t klen; void *k; size_t vlen; void *v; } bench_item;

static inline bench_item bench_get(MDB_txn *txn, MDB_dbi dbi, void *key, size_t n) {
	MDB_val k = {n, key}, v = {0, 0};
	bench_item r = {mdb_get(txn, dbi, &k, &v), 0, 0, v.mv_size, v.mv_data};
	return r;
}

static inline bench_item bench_cursor(MDB_cursor *c, void *key, size_t n, MDB_cursor_op op) {
	MDB_val k = {n, key}, v = {0, 0};
	int rc = mdb_cursor_get(c, &k, &v, op);
	bench_item r = {rc, k.mv_size, k.mv_data, v.mv_size, v.mv_data};
	return r;
}

static inline int bench_put(MDB_txn *txn, MDB_dbi dbi, void *key, size_t n, void *value, size_t m) {
	MDB_val k = {n, key}, v = {m, value};
	return mdb_put(txn, dbi, &k, &v, 0);
}

static inline int bench_del(MDB_txn *txn, MDB_dbi dbi, void *key, size_t n) {
	MDB_val k = {n, key};
	return mdb_del(txn, dbi, &k, NULL);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// Room for the largest benchmark; LMDB wants to know it beforehand, and does not use it up.
const (
	lmdbMap     = 256 << 30
	lmdbReaders = 4096
)

func init() {
	version := strings.TrimSuffix(C.GoString(C.mdb_version(nil, nil, nil)), ":")
	settings := version + ", through cgo; unnamed database, NOTLS, map of 256 GiB, 4096 readers; each session renews one " +
		"read transaction; no flush and lazy: NOSYNC"
	Register(Engine{Name: "lmdb", Settings: settings, Open: func(dir string, o Options) (Store, error) {
		return openLMDB(dir, o, 0)
	}})
	Register(Engine{Name: "lmdb-norda", Fixture: "lmdb", Settings: settings + "; NORDAHEAD", Open: func(dir string, o Options) (Store, error) {
		return openLMDB(dir, o, C.MDB_NORDAHEAD)
	}})
	Register(Engine{Name: "lmdb-native", Fixture: "lmdb", Native: true,
		Only:     []string{"get", "get-tx", "get-miss", "scan", "scan-rev", "range100", "begin"},
		Settings: version + ", loops in C without cgo, gcc -O2"})
}

// lmdbStore is a Store of LMDB.
type lmdbStore struct {
	env   *C.MDB_env
	dbi   C.MDB_dbi
	dir   string
	flags C.uint

	write    sync.Mutex // LMDB lets one thread write; waiting in Go costs no threads
	mu       sync.Mutex
	sessions []*lmdbSession
}

// lmdbError makes an error of a result code.
func lmdbError(what string, rc C.int) error {
	if rc == C.MDB_SUCCESS {
		return nil
	}
	return fmt.Errorf("%s: %s", what, C.GoString(C.mdb_strerror(rc)))
}

func openLMDB(dir string, o Options, flags C.uint) (Store, error) {
	flags |= C.MDB_NOTLS
	if o.Durability != Durable {
		flags |= C.MDB_NOSYNC
	}
	s := &lmdbStore{dir: dir, flags: flags}
	return s, s.open()
}

// open opens the environment and its unnamed database.
func (s *lmdbStore) open() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := lmdbError("create", C.mdb_env_create(&s.env)); err != nil {
		return err
	}
	C.mdb_env_set_mapsize(s.env, lmdbMap)
	C.mdb_env_set_maxreaders(s.env, lmdbReaders)
	path := C.CString(s.dir)
	defer C.free(unsafe.Pointer(path))
	if err := lmdbError("open", C.mdb_env_open(s.env, path, s.flags, 0o600)); err != nil {
		C.mdb_env_close(s.env)
		return err
	}
	var txn *C.MDB_txn
	if err := lmdbError("begin", C.mdb_txn_begin(s.env, nil, C.MDB_RDONLY, &txn)); err != nil {
		return err
	}
	defer C.mdb_txn_abort(txn)
	return lmdbError("open database", C.mdb_dbi_open(txn, nil, 0, &s.dbi))
}

func (s *lmdbStore) Sync() error   { return lmdbError("sync", C.mdb_env_sync(s.env, 1)) }
func (s *lmdbStore) Settle() error { return nil }

// Used counts the pages of the tree.
func (s *lmdbStore) Used() (int64, error) {
	var st C.MDB_stat
	err := lmdbError("stat", C.mdb_env_stat(s.env, &st))
	pages := st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages
	return int64(pages) * int64(st.ms_psize), err
}

// Compact copies the file with LMDB's own compacting copy.
func (s *lmdbStore) Compact() error {
	small := filepath.Join(s.dir, "compact")
	if err := os.Mkdir(small, 0o700); err != nil {
		return err
	}
	path := C.CString(small)
	defer C.free(unsafe.Pointer(path))
	if err := lmdbError("copy", C.mdb_env_copy2(s.env, path, C.MDB_CP_COMPACT)); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(small, "data.mdb"), filepath.Join(s.dir, "data.mdb")); err != nil {
		return err
	}
	return errors.Join(os.Remove(small), s.open())
}

func (s *lmdbStore) Close() error {
	for _, c := range s.sessions {
		c.end()
	}
	s.sessions = nil
	C.mdb_env_close(s.env)
	return nil
}

// lmdbSession keeps a read transaction and a cursor, and renews them for each View.
type lmdbSession struct {
	store  *lmdbStore
	txn    *C.MDB_txn
	cursor *C.MDB_cursor
	fresh  bool // the cursor belongs to the present transaction
}

func (s *lmdbStore) Session() Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &lmdbSession{store: s}
	s.sessions = append(s.sessions, c)
	return c
}

// end frees what the session holds.
func (c *lmdbSession) end() {
	if c.cursor != nil {
		C.mdb_cursor_close(c.cursor)
	}
	if c.txn != nil {
		C.mdb_txn_abort(c.txn)
	}
	c.cursor, c.txn = nil, nil
}

func (c *lmdbSession) View(fn func(Reader) error) error {
	var rc C.int
	if c.txn == nil {
		rc = C.mdb_txn_begin(c.store.env, nil, C.MDB_RDONLY, &c.txn)
	} else {
		rc = C.mdb_txn_renew(c.txn)
	}
	if err := lmdbError("begin", rc); err != nil {
		return err
	}
	c.fresh = false
	err := fn(c)
	C.mdb_txn_reset(c.txn)
	return err
}

// lmdbBytes makes a slice of memory that LMDB owns.
func lmdbBytes(p unsafe.Pointer, n C.size_t) []byte {
	return unsafe.Slice((*byte)(p), int(n))
}

func (c *lmdbSession) Get(key []byte) ([]byte, error) {
	r := C.bench_get(c.txn, c.store.dbi, unsafe.Pointer(&key[0]), C.size_t(len(key)))
	switch r.rc {
	case C.MDB_SUCCESS:
		return lmdbBytes(r.v, r.vlen), nil
	case C.MDB_NOTFOUND:
		return nil, nil
	}
	return nil, lmdbError("get", r.rc)
}

func (c *lmdbSession) GetMany(keys [][]byte, t *Touch) error { return getEach(c, keys, t) }

// place returns the cursor in the present transaction.
func (c *lmdbSession) place() error {
	switch {
	case c.fresh:
		return nil
	case c.cursor == nil:
		c.fresh = true
		return lmdbError("cursor", C.mdb_cursor_open(c.txn, c.store.dbi, &c.cursor))
	}
	c.fresh = true
	return lmdbError("cursor", C.mdb_cursor_renew(c.txn, c.cursor))
}

func (c *lmdbSession) Scan(from []byte, limit int, reverse bool, t *Touch) error {
	if reverse && from != nil {
		return fmt.Errorf("%w: LMDB seeks forwards only", ErrUnavailable)
	}
	if err := c.place(); err != nil {
		return err
	}
	first, next := C.MDB_cursor_op(C.MDB_FIRST), C.MDB_cursor_op(C.MDB_NEXT)
	if reverse {
		first, next = C.MDB_LAST, C.MDB_PREV
	}
	var r C.bench_item
	if from == nil {
		r = C.bench_cursor(c.cursor, nil, 0, first)
	} else {
		r = C.bench_cursor(c.cursor, unsafe.Pointer(&from[0]), C.size_t(len(from)), C.MDB_SET_RANGE)
	}
	for ; limit > 0 && r.rc == C.MDB_SUCCESS; limit-- {
		t.Item(lmdbBytes(r.k, r.klen), lmdbBytes(r.v, r.vlen))
		if limit > 1 {
			r = C.bench_cursor(c.cursor, nil, 0, next)
		}
	}
	if r.rc == C.MDB_NOTFOUND {
		return nil
	}
	return lmdbError("cursor", r.rc)
}

func (c *lmdbSession) Each(fn func(k, v []byte) error) error {
	if err := c.place(); err != nil {
		return err
	}
	r := C.bench_cursor(c.cursor, nil, 0, C.MDB_FIRST)
	for r.rc == C.MDB_SUCCESS {
		if err := fn(lmdbBytes(r.k, r.klen), lmdbBytes(r.v, r.vlen)); err != nil {
			return err
		}
		r = C.bench_cursor(c.cursor, nil, 0, C.MDB_NEXT)
	}
	if r.rc == C.MDB_NOTFOUND {
		return nil
	}
	return lmdbError("cursor", r.rc)
}

func (c *lmdbSession) Len() (int, error) {
	var st C.MDB_stat
	err := lmdbError("stat", C.mdb_stat(c.txn, c.store.dbi, &st))
	return int(st.ms_entries), err
}

// lmdbWriter is a write transaction.
type lmdbWriter struct {
	txn *C.MDB_txn
	dbi C.MDB_dbi
}

func (c *lmdbSession) Update(fn func(Writer) error) error {
	c.store.write.Lock()
	defer c.store.write.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w := lmdbWriter{dbi: c.store.dbi}
	if err := lmdbError("begin", C.mdb_txn_begin(c.store.env, nil, 0, &w.txn)); err != nil {
		return err
	}
	if err := fn(&w); err != nil {
		C.mdb_txn_abort(w.txn)
		return err
	}
	return lmdbError("commit", C.mdb_txn_commit(w.txn))
}

func (w *lmdbWriter) Put(k, v []byte) error {
	return lmdbError("put", C.bench_put(w.txn, w.dbi, unsafe.Pointer(&k[0]), C.size_t(len(k)),
		unsafe.Pointer(unsafe.SliceData(v)), C.size_t(len(v))))
}

func (w *lmdbWriter) Delete(k []byte) error {
	rc := C.bench_del(w.txn, w.dbi, unsafe.Pointer(&k[0]), C.size_t(len(k)))
	if rc == C.MDB_NOTFOUND {
		return nil
	}
	return lmdbError("delete", rc)
}
