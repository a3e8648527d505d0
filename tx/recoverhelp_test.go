package tx

import (
	"fmt"
	"os"
	"testing"

	"mmdb/freelist"
	"mmdb/mmapfile"
	"mmdb/page"
)

// failing is a hook for a tape that fails what which chooses.
func failing(with error, which func(taped) bool) func(int, mmapfile.Op) error {
	return func(_ int, op mmapfile.Op) error {
		if which(taped{kind: op.Kind, offset: op.Offset, length: op.Length}) {
			return with
		}
		return nil
	}
}

// failNth is a hook that fails the n-th operation, counted from 0, and tells in hit when it did.
func failNth(n int, with error, hit *taped) func(int, mmapfile.Op) error {
	return func(i int, op mmapfile.Op) error {
		if i != n {
			return nil
		}
		*hit = taped{kind: op.Kind, offset: op.Offset, length: op.Length}
		return with
	}
}

// writtenPages returns the numbers of all pages that the newest commit of img wrote, its record last.
func writtenPages(t *testing.T, img []byte) []page.No {
	t.Helper()
	_, m := newestSlot(img)
	rec := recordOf(t, img, &m)
	extents := decodeWritten(t, &rec)
	var all []page.No
	for _, e := range extents {
		for no := e.Page; no < e.End(); no++ {
			all = append(all, no)
		}
	}
	return append(all, m.Record.Page)
}

// fileSize is the size of a file that is there.
func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path)
	noError(t, err)
	return fi.Size()
}

// describeOps lists operations, one a line.
func describeOps(ops []taped) (s string) {
	for i, o := range ops {
		s += fmt.Sprintf("%3d %v\n", i, o)
	}
	return s
}

func decodeWritten(t *testing.T, rec *page.Record) []freelist.Extent {
	t.Helper()
	extents, err := freelist.DecodeExtents(rec.Written, rec.HighWater)
	noError(t, err)
	return extents
}
