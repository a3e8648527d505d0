package fuzz

import (
	"errors"
	"fmt"
	"sync"
	"syscall"

	"mmdb"
	"mmdb/mmapfile"
)

// A FaultKind is a way in which a system call fails.
type FaultKind uint8

// The ways to fail.
const (
	FaultEIO    FaultKind = iota // any call: a device error
	FaultENOSPC                  // calls that need space: the disk is full
	FaultEINTR                   // calls that a signal may interrupt; must not be noticed
	FaultShort                   // a write does half of its work; must not be noticed
)

// String returns the kind's name.
func (k FaultKind) String() string { return [...]string{"EIO", "ENOSPC", "EINTR", "short"}[k] }

// hidden reports whether the library must go on as if nothing had happened.
func (k FaultKind) hidden() bool { return k == FaultEINTR || k == FaultShort }

// hits reports whether a call can fail in this way.
func (k FaultKind) hits(op mmapfile.OpKind) bool {
	switch k {
	case FaultENOSPC:
		return op == mmapfile.OpWrite || op == mmapfile.OpAllocate || op == mmapfile.OpTruncate || op == mmapfile.OpCreate
	case FaultEINTR:
		return op == mmapfile.OpWrite || op == mmapfile.OpAllocate || op == mmapfile.OpTruncate
	case FaultShort:
		return op == mmapfile.OpWrite
	}
	return true
}

// An Injector makes the N-th call that it can hit fail, counted from 1; or
// every call from that one on.
type Injector struct {
	Kind       FaultKind
	N          int
	Persistent bool

	mu    sync.Mutex
	count int
	hit   []mmapfile.Op // what failed, without data
	off   bool
}

// Seam fails the call, shortens it, or does it.
func (in *Injector) Seam(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	if !in.strikes(op) {
		return do(op)
	}
	switch in.Kind {
	case FaultENOSPC:
		return 0, syscall.ENOSPC
	case FaultEINTR:
		return -1, syscall.EINTR
	case FaultShort:
		return do(half(op))
	}
	return 0, syscall.EIO
}

func (in *Injector) strikes(op mmapfile.Op) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.off || !in.Kind.hits(op.Kind) {
		return false
	}
	if in.count++; in.count < in.N || in.count > in.N && !in.Persistent {
		return false
	}
	op.Data = nil
	in.hit = append(in.hit, op)
	return true
}

// half cuts a write to the first half of its bytes, at least one.
func half(op mmapfile.Op) mmapfile.Op {
	n := max(1, op.Length/2)
	op.Length = n
	var data [][]byte
	for _, b := range op.Data {
		if n == 0 {
			break
		}
		b = b[:min(int64(len(b)), n)]
		data, n = append(data, b), n-int64(len(b))
	}
	op.Data = data
	return op
}

// Stop lets every later call through.
func (in *Injector) Stop() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.off = true
}

// Hits returns what failed so far, without the data.
func (in *Injector) Hits() []mmapfile.Op {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.hit
}

// metaEnd is where the meta slots end, in bytes.
const metaEnd = 3 * 16384

// poisons reports whether one of the calls, failing, leaves it open what is on
// the device: a flush of the database, or the write of a meta.
func (f *faulter) poisons(ops []mmapfile.Op) bool {
	for _, op := range ops {
		if op.Path != f.Path {
			continue // a copy of it
		}
		switch op.Kind {
		case mmapfile.OpSync, mmapfile.OpMsync:
			return true
		case mmapfile.OpWrite:
			if op.Offset < metaEnd {
				return true
			}
		}
	}
	return false
}

// A faulter runs a workload in which calls fail, and holds the library to
// invariant I7.
type faulter struct {
	*Runner
	in *Injector
}

// RunFault runs ops on a new database at r.Path, while in makes calls fail. A
// nil error means that I7 held; then r.DB is closed, and the file holds
// r.States[r.Acked()]. The seam of the options must lead to in.
func RunFault(r *Runner, in *Injector, ops []Op) error {
	f := faulter{r, in}
	if err := r.Open(); err != nil {
		if err := f.failed(err); err != nil {
			return fmt.Errorf("creation: %w", err)
		}
	}
	for len(ops) > 0 {
		body, end, rest := Cut(ops)
		ops = rest
		before := len(in.Hits())
		err := r.Transaction(body, end)
		if err == nil {
			if in.Kind.hidden() || !f.poisons(in.Hits()[before:]) || r.DB() == nil {
				continue
			}
			return fmt.Errorf("%s after %s: no error, but %v failed", end, in.Kind, in.Hits()[before:])
		}
		if err := f.failed(err); err != nil {
			return err
		}
	}
	in.Stop()
	return f.finish()
}

// failed looks at an error of the workload: is it one that the fault explains,
// do readers go on, are writes refused if they must be, and does the database
// recover?
func (f *faulter) failed(err error) error {
	hits := f.in.Hits()
	switch {
	case errors.Is(err, ErrMismatch), len(hits) == 0:
		return err
	case f.in.Kind.hidden():
		return fmt.Errorf("%s must not be noticed: %w", f.in.Kind, err)
	case !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the error does not wrap its cause: %w", err)
	}
	if f.db == nil { // it failed in Open or Close
		f.in.Stop()
		return f.Recover()
	}
	if err := f.Verify(false); err != nil {
		return fmt.Errorf("readers after a failure: %w", err)
	}
	if !f.poisons(hits) {
		if errors.Is(err, mmdb.ErrFailed) {
			return fmt.Errorf("poisoned without need, by %v: %w", hits, err)
		}
		if !f.in.Persistent {
			return nil
		}
		f.in.Stop() // the cause is gone: all must work again without an open
		return nil
	}
	if err := f.db.Update(func(tx *mmdb.Tx) error { return nil }); !errors.Is(err, mmdb.ErrFailed) {
		return fmt.Errorf("update after a failed flush or meta write: %v, want ErrFailed", err)
	}
	if err := f.Verify(false); err != nil {
		return fmt.Errorf("readers of a failed database: %w", err)
	}
	f.drop()
	f.in.Stop()
	return f.Recover()
}

// drop closes a failed database; it may say so.
func (f *faulter) drop() {
	for len(f.readers) > 0 {
		_ = f.endReader()
	}
	_ = f.db.Close()
	f.db = nil
}

// finish commits once more, closes, opens, and compares.
func (f *faulter) finish() error {
	put := Op{Kind: OpPut, Path: []string{"A"}, Key: []byte("the end"), Size: 5000, Seed: 1}
	if err := f.Transaction([]Op{put}, Op{Kind: OpVerify}); err != nil {
		return fmt.Errorf("after the fault: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("after the fault: %w", err)
	}
	if err := f.Open(); err != nil {
		return fmt.Errorf("after the fault: %w", err)
	}
	return errors.Join(f.Verify(true), f.Close())
}
