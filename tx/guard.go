package tx

import (
	"runtime/debug"

	"mmdb/mmapfile"
	"mmdb/page"
)

// A fault in the mapping (a disk read error, a file cut short by somebody else) is a signal. Inside View,
// Update and every accessor of a manual transaction it becomes a panic, caught here, and then an error.
// SetPanicOnFault costs a few nanoseconds and is per goroutine.

// enter begins a guarded call; exit or exitErr ends it with what enter returned.
func enter() bool { return debug.SetPanicOnFault(true) }

// setFault restores what enter changed.
func setFault(old bool) { debug.SetPanicOnFault(old) }

// exit ends a guarded call that has no error result: a fault is kept in t (I13).
func (t *Tx) exit(old bool) {
	setFault(old)
	if r := recover(); r != nil {
		err := t.faultError(r)
		if err == nil {
			panic(r)
		}
		t.fail(err)
	}
}

// exitErr ends a guarded call with an error result: a fault is returned in it. A change that it interrupted
// may be half done, so the transaction can't be committed any more.
func (t *Tx) exitErr(old bool, err *error) {
	setFault(old)
	if r := recover(); r != nil {
		if *err = t.faultError(r); *err == nil {
			panic(r)
		}
		t.fail(*err)
	}
}

// caught is exitErr of a call whose caller judges whether the fault is a failure of t.
func (t *Tx) caught(old bool, err *error) {
	setFault(old)
	if r := recover(); r != nil {
		if *err = t.faultError(r); *err == nil {
			panic(r)
		}
	}
}

// faultError is Store.faultError, for t's own mapping too.
func (t *Tx) faultError(r any) error { return t.faultOf(t.store, r) }

// faultOf is faultError of a transaction that may not have begun.
func (t *Tx) faultOf(st *Store, r any) error {
	if t.guard != nil {
		return st.faultError(r, t.guard)
	}
	return st.faultError(r)
}

// faultError returns the error for a recovered panic that is a failure to read the mapping, and nil for any
// other. A caller's write to a read-only slice faults as well, but there a read works: that is a bug of the
// caller and stays a panic.
func (st *Store) faultError(r any, more ...*mmapfile.Mapping) error {
	addr, ok := mmapfile.FaultAddr(r)
	if !ok {
		return nil
	}
	for _, m := range append(st.mappings(), more...) {
		if off, in := m.Offset(addr); in && m.ReadFault(addr) {
			return page.Corruptf(page.No(off>>st.shift), "the page can't be read: a disk error, or the file was cut short")
		}
	}
	if lf := st.lockFile(); lf != nil && lf.mem.ReadFault(addr) {
		if st.closing.Load() {
			return ErrDatabaseNotOpen
		}
		return lockError(lf.path, errLockCut)
	}
	return nil
}
