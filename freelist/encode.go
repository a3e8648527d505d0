package freelist

import (
	"encoding/binary"

	"mmdb/page"
)

// AppendExtents appends the encoding of extents to dst. They are sorted by page and do
// not overlap, as Normalize leaves them.
func AppendExtents(dst []byte, extents []Extent) []byte {
	var at page.No
	for _, e := range extents {
		dst = appendExtent(dst, at, e)
		at = e.End()
	}
	return dst
}

// AppendFreed appends the encoding of extents that commit died freed to dst. They are
// sorted by page, do not overlap, and all died there.
func AppendFreed(dst []byte, freed []Pending, died page.Commit) []byte {
	var at page.No
	for _, p := range freed {
		if p.Died != died || p.Born > died {
			panic("freelist: invariant: freed pages died in this commit")
		}
		dst = appendExtent(dst, at, p.Extent)
		dst = binary.AppendUvarint(dst, uint64(died-p.Born))
		at = p.End()
	}
	return dst
}

// appendExtent appends an extent that follows one that ended at page at.
func appendExtent(dst []byte, at page.No, e Extent) []byte {
	if e.Page < at || !e.valid(maxPages) {
		panic("freelist: invariant: extents are sorted and do not overlap")
	}
	gap := uint64(e.Page-at) << 1
	if e.Len == 1 {
		return binary.AppendUvarint(dst, gap)
	}
	dst = binary.AppendUvarint(dst, gap|1)
	return binary.AppendUvarint(dst, e.Len-2)
}
