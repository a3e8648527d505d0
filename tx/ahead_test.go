package tx

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"testing"

	"mmdb/mmapfile"
	"mmdb/page"
)

// TestScansOfAColdFile scans a file that is not in memory, where the system can forget it, from both ends and from the middle.
func TestScansOfAColdFile(t *testing.T) {
	const n = 30_000
	path, _ := makeFile(t, n, quick())
	all := func(b *Bucket) iter.Seq2[[]byte, []byte] { return b.All() }
	back := func(b *Bucket) iter.Seq2[[]byte, []byte] { return b.Backward(nil, nil) }
	middle := func(b *Bucket) iter.Seq2[[]byte, []byte] { return b.Range(testKey(n/2), nil) }
	for name, c := range map[string]struct {
		scan        func(*Bucket) iter.Seq2[[]byte, []byte]
		first, step int
		count       int
	}{"All": {all, 0, 1, n}, "Backward": {back, n - 1, -1, n}, "Range": {middle, n / 2, 1, n - n/2}} {
		st := openStore(t, path, &Options{ReadOnly: true})
		noError(t, st.file.Drop())
		noError(t, st.View(func(tx *Tx) error {
			i := c.first
			for k, v := range c.scan(tx.Bucket([]byte("b"))) {
				if !bytes.Equal(k, testKey(i)) || !bytes.Equal(v, testValue(i)) {
					t.Fatalf("%s: item %d is %q", name, i, k)
				}
				i += c.step
			}
			if i != c.first+c.step*c.count {
				t.Errorf("%s ended before item %d", name, i)
			}
			return tx.Err()
		}))
	}
}

// TestReadAheadSplitsNoMapping grows a database: the kernel must go on seeing one area, or a commit takes a flush for each.
func TestReadAheadSplitsNoMapping(t *testing.T) {
	st := openStore(t, newPath(t), &Options{ReadAhead: true})
	for i := range 4 {
		noError(t, putKeys(st, i*20_000, (i+1)*20_000))
		switch n, err := st.mapping.Areas(); {
		case errors.Is(err, mmapfile.ErrUnsupported):
		case err != nil || n != 1:
			t.Fatalf("%d areas of %d bytes: %v", n, st.mapping.Len(), err)
		}
	}
	if st.mapping.Len() < 4<<20 {
		t.Errorf("the mapping has not grown: %d bytes", st.mapping.Len())
	}
	wantKeys(t, st, 80_000)
}

func TestBlocksHoldWhatIsAskedForAndEndInsideTheDatabase(t *testing.T) {
	const limit, size = 1000, page.DefaultSize
	tx := &Tx{region: &region{limit: limit, shift: 12}}
	for _, block := range []int64{size, 4 * size, 64 * size} {
		pages := []int64{999, 12, 500, 501, 13, 998, 64, 63}
		var offs []int64
		for _, no := range pages {
			offs = append(offs, no*size)
		}
		got := tx.blocks(slices.Clone(offs), block)
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("blocks of %d: %d", block, got)
		}
		for _, from := range got {
			if from < 0 || from+block > limit*size {
				t.Errorf("block of %d at %d is outside", block, from)
			}
		}
		for _, off := range offs {
			if !slices.ContainsFunc(got, func(from int64) bool { return from <= off && off+size <= from+block }) {
				t.Errorf("blocks of %d miss page %d", block, off/size)
			}
		}
	}
}

// What a long scan has asked for it does not ask for again while it is there.
func TestALongScanAsksOnceForEachBlock(t *testing.T) {
	path, _ := makeFile(t, 30_000, quick())
	st := openStore(t, path, &Options{ReadOnly: true})
	m := st.mapping
	noError(t, st.file.Drop())
	if m.Resident(aheadBlock) || m.Resident(3*aheadBlock) {
		t.Skip("the file system forgets nothing that was read")
	}
	noError(t, st.View(func(tx *Tx) error {
		if int64(tx.limit)<<tx.shift < 4*aheadBlock {
			t.Fatalf("only %d pages", tx.limit)
		}
		marking := false
		missing := func(blocks ...int64) (list []int64) {
			var offs []int64
			for _, i := range blocks {
				offs = append(offs, i*aheadBlock, i*aheadBlock+4096)
			}
			for _, off := range tx.missing(offs, &marking) {
				list = append(list, off/aheadBlock)
			}
			slices.Sort(list)
			return slices.Compact(list)
		}
		want := func(when string, got []int64, want ...int64) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%s: blocks %d are missing, expected %d", when, got, want)
			}
		}
		want("at first", missing(1, 2), 1, 2)
		want("dropped since", missing(1, 2), 1, 2)
		noError(t, m.Populate(aheadBlock, 2*aheadBlock))
		want("in memory", missing(1, 2))
		want("one more", missing(1, 2, 3), 3)
		marking = false
		want("another scan that finds it in memory", missing(1, 2))
		tx.asked = tx.asked[:0]
		want("after growth", missing(1, 3), 1, 3)
		return nil
	}))
}
