package tx

import (
	"fmt"

	"mmdb/mmapfile"
)

// takeGuard gives t a mapping of its own, which Options.Guard asks for.
func (t *Tx) takeGuard() error {
	size := int64(t.limit) << t.shift
	m, err := t.store.file.Map(mmapfile.MapOptions{Reserve: size})
	if err == nil {
		if err = m.Grow(size); err != nil {
			m.Unmap()
		}
	}
	if err != nil {
		t.release()
		return fmt.Errorf("guard: %w", err)
	}
	own := *t.region
	own.data = m.Data()
	t.guard, t.region = m, &own
	if at := t.snap.rootAt; at != 0 {
		t.root.inline = own.data[at:][:len(t.snap.root):len(t.snap.root)]
	}
	return nil
}

// dropGuard unmaps it: whatever slices of it are left fault from now on.
func (t *Tx) dropGuard() {
	if err := t.guard.Unmap(); err != nil {
		t.store.log.Warn("mmdb: unmap a guarded transaction", "path", t.store.path, "error", err)
	}
	t.guard, t.region = nil, &nowhere
}
