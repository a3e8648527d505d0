package tx

import (
	"testing"

	"mmdb/freelist"
	"mmdb/page"
)

// A commit of which an earlier one wrote pages beyond the end of the file is not whole: its base is taken.
func TestWindowBeyondTheEndOfTheFile(t *testing.T) {
	f := newForge(16)
	f.leaf(12, 2, "a")
	body := forgeBody(forgedLeaf("b", 12, 2, 1))
	base := f.commit(13, 1, body, func(m *page.Meta, _ *page.Record) { m.Settled = false })
	follow := func(prev page.Link) func(m *page.Meta, r *page.Record) {
		return func(m *page.Meta, r *page.Record) {
			m.Settled, m.Base, r.Base, r.Checkpoint, r.Prev = false, 1, 1, false, prev
		}
	}
	middle := f.commit(14, 2, body, func(m *page.Meta, r *page.Record) {
		follow(base.Record)(m, r)
		r.HighWater = 100
		r.Written, r.Sums = freelist.AppendExtents(nil, []freelist.Extent{{Page: 50, Len: 1}}), make([]byte, page.ChecksumSize)
	})
	last := f.commit(15, 3, body, follow(middle.Record))
	f.metas(&last, &base, &base)
	st := forged(t, f)
	if n := st.counts.rejected.Load(); n != 1 || st.published.Load().meta.Commit != 1 {
		t.Errorf("%d metas were rejected, commit %d is taken", n, st.published.Load().meta.Commit)
	}
	noError(t, st.Update(func(tx *Tx) error { return tx.Bucket([]byte("b")).Put([]byte("b"), nil) }))
}

// A meta may name a record of any length: memory is taken when the record's own head agrees.
func TestRecordLengthThatTheRecordDoesNotHave(t *testing.T) {
	const size = 1 << 30
	f := withNumbers(5, nil)
	for _, base := range []page.Commit{4, 5} {
		_, m := newestSlot(f.img)
		m.Settled, m.Base, m.Record.Len, m.HighWater = false, base, size-1<<20, size/forgeSize
		f.metas(&m, nil, nil)
		path := sparseFile(t, f.img, size)
		n := allocated(func() {
			_, err := Open(path, 0o600, quick())
			wantError(t, err, ErrCorrupt, "record")
		})
		if n > 40 {
			t.Errorf("base %d: open takes %d MiB", base, n)
		}
	}
}
