package engine

import (
	"errors"
	"sync"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"mmdb"
	"mmdb/mmapfile"
)

func init() {
	Register(Engine{
		Name:    "mmdb-writes",
		Fixture: "mmdb",
		Only: []string{"load-seq", "load-rand", "load-bulk", "put-sync-1", "put-sync-16", "put-sync-64", "put-lazy", "put-noflush",
			"batch100-sync", "batch100-noflush", "delete-churn", "aged", "large-1m"},
		Settings: "no engine: what mmdb wrote while it was measured is written once more, the same pages to the same places in the same calls, each copied " +
			"and hashed before, with the same flushes; what mmdb takes more than that is searching, changing pages, free space and the rest",
		Open: openWrites,
	})
}

// A Repeater does once more what its store wrote, without the engine. A measurement of such a store is that of the repetition.
type Repeater interface {
	// Record forgets what was written until now.
	Record()
	// Repeat does what was written since Record again, and reports whether there was anything. Nobody may use the store meanwhile.
	Repeat() (bool, error)
}

// writesStore is a store of mmdb that records its calls.
type writesStore struct {
	*mmdbStore
	lazy  bool
	mu    sync.Mutex
	calls []call
}

// A call is a write or a flush.
type call struct {
	kind   mmapfile.OpKind
	off, n int64
}

func openWrites(dir string, o Options) (Store, error) {
	w := &writesStore{lazy: o.Durability == Lazy}
	seam := mmapfile.Seam(func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		if o.Durability == NoFlush && flushes(op.Kind) {
			return 0, nil
		}
		w.mu.Lock()
		w.calls = append(w.calls, call{op.Kind, op.Offset, op.Length})
		w.mu.Unlock()
		return do(op)
	})
	st, err := openMmdb(dir, Options{Durability: o.Durability}, mmdb.Options{Seam: seam})
	if s, ok := st.(*mmdbStore); ok {
		w.mmdbStore = s
	}
	return w, err
}

func (w *writesStore) Record() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = w.calls[:0]
}

// Repeat writes to each place what stands there, so that the database stays as it is.
func (w *writesStore) Repeat() (some bool, err error) {
	w.mu.Lock()
	calls := w.calls
	w.calls = nil
	w.mu.Unlock()
	if len(calls) == 0 {
		return false, nil
	}
	f, err := mmapfile.Open(w.path, mmapfile.Options{})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	m, err := f.Map(mmapfile.MapOptions{})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, m.Unmap()) }()
	r := repetition{file: f, mapping: m, beside: w.lazy}
	r.flushes.SetLimit(1)
	defer func() { err = errors.Join(err, r.flushes.Wait()) }()
	for _, c := range calls {
		if err := r.do(c); err != nil {
			return false, err
		}
	}
	return true, nil
}

// A repetition repeats calls on a file.
type repetition struct {
	file    *mmapfile.File
	mapping *mmapfile.Mapping
	beside  bool // flushes go on beside the writes, one at a time
	flushes errgroup.Group
	buf     []byte
	sum     uint64 // of all checksums, so that they are computed
}

// hashed is how many bytes have a checksum of their own.
const hashed = 4096

func (r *repetition) do(c call) error {
	switch c.kind {
	case mmapfile.OpSync, mmapfile.OpMsync:
		return r.flush(c)
	case mmapfile.OpWrite:
		return r.write(c)
	case mmapfile.OpStart:
		r.file.Start(c.off, c.n)
	}
	return nil // the file keeps its size
}

func (r *repetition) flush(c call) error {
	flush := r.file.Sync
	if c.kind == mmapfile.OpMsync {
		flush = func() error { return r.mapping.Sync(c.off, c.n) }
	}
	if !r.beside {
		return flush()
	}
	r.flushes.Go(flush) // waits for the one before
	return nil
}

func (r *repetition) write(c call) error {
	if int64(cap(r.buf)) < c.n {
		r.buf = make([]byte, c.n)
	}
	b := r.buf[:c.n]
	old := r.mapping.Data()[c.off : c.off+c.n]
	for i := 0; i < len(b); i += hashed {
		end := min(i+hashed, len(b))
		copy(b[i:end], old[i:end])
		r.sum += xxhash.Sum64(b[i:end])
	}
	return r.file.WriteAt([][]byte{b}, c.off)
}
