package tx

import (
	"mmdb/mmapfile"
	"mmdb/page"
)

// A snapshot is one published commit: an immutable value that any number of transactions share.
type snapshot struct {
	meta     page.Meta
	mapping  *mmapfile.Mapping
	data     []byte  // mapping.Data(), kept here so that a page costs one load less
	limit    page.No // pages below it may be read: the high water
	verified *bitmap // which pages of it were verified
}

// newSnapshot returns commit m as the current mapping shows it.
func (st *Store) newSnapshot(m *page.Meta) *snapshot {
	mp := st.mapping
	return &snapshot{meta: *m, mapping: mp, data: mp.Data(), limit: m.HighWater, verified: st.verified}
}

// show makes s, whose commit is durable, the one that new readers see.
func (st *Store) show(s *snapshot) {
	st.published.Store(s)
	st.readers.published.Store(uint64(s.meta.Commit)) // a reader that has found the snapshot waits for this
}
