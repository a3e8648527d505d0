package tx

import (
	"strings"
	"testing"

	"mmdb/freelist"
	"mmdb/page"
)

// What check calls whole can be written to: pages in use above the high water are damage.
func TestCheckFindsPagesInUseAboveTheHighWater(t *testing.T) {
	st := forged(t, withNumbers(1, func(_ *page.Meta, r *page.Record) { r.HighWater = 20 }))
	if all := problems(t, st); len(all) != 1 || !strings.Contains(all[0], "6 pages at or above the high water are in use") {
		t.Errorf("check finds %q", all)
	}
	wantError(t, putKeys(st, 0, 1), ErrCorrupt, "high water")
}

// The file was longer when the checkpoint was written, and was cut since: what stood there is free, and so nothing is wrong.
func TestCheckpointFromBeforeTheFileWasCut(t *testing.T) {
	f := newForge(16)
	f.leaf(12, 2, "a")
	body := forgeBody(forgedLeaf("b", 12, 2, 1))
	free := func(es ...freelist.Extent) []byte { return freelist.AppendExtents(nil, es) }
	base := f.commit(13, 1, body, func(m *page.Meta, r *page.Record) {
		r.HighWater, r.Free = 100, free(freelist.Extent{Page: 14, Len: 6}, freelist.Extent{Page: 30, Len: 70})
	})
	freed := f.commit(14, 2, body, func(m *page.Meta, r *page.Record) {
		r.Checkpoint, r.Prev, r.HighWater = false, base.Record, 100
		r.Freed = freelist.AppendFreed(nil, []freelist.Pending{{Extent: freelist.Extent{Page: 20, Len: 10}, Born: 1, Died: 2}}, 2)
	})
	f.commit(15, 3, body, func(m *page.Meta, r *page.Record) { r.Checkpoint, r.Prev = false, freed.Record })
	st := forged(t, f)
	checkStore(t, st)
	noError(t, st.Update(func(tx *Tx) error { return tx.Bucket([]byte("b")).Put([]byte("b"), nil) }))
	checkStore(t, st)
}

// A settled meta is taken without a look at its record: check looks.
func TestCheckFindsThatMetaAndRecordDiffer(t *testing.T) {
	other := forgeBody(forgedLeaf("other", 12, 2, 1))
	for name, edit := range map[string]func(m *page.Meta, r *page.Record){
		"body":      func(_ *page.Meta, r *page.Record) { r.Body = other },
		"next tree": func(_ *page.Meta, r *page.Record) { r.NextTree++ },
		"base":      func(m *page.Meta, r *page.Record) { m.Base, r.Base = 2, 1 },
	} {
		all := problems(t, forged(t, withNumbers(3, edit)))
		if len(all) != 1 || !strings.Contains(all[0], "meta and commit record differ") {
			t.Errorf("%s: check finds %q", name, all)
		}
	}
}

// A checkpoint of some bytes can name free pages that are far apart. Those that the file does not have take no memory.
func TestFreeListOfAFileThatIsNotThere(t *testing.T) {
	var es []freelist.Extent
	for i := range page.No(60000) {
		es = append(es, freelist.Extent{Page: 100 + i<<20, Len: 1})
	}
	f := newForge(80)
	f.leaf(12, 2, "a")
	f.commit(13, 1, forgeBody(forgedLeaf("b", 12, 2, 1)), func(_ *page.Meta, r *page.Record) {
		r.HighWater, r.Free = page.MaxPages, freelist.AppendExtents(nil, es)
	})
	st := forged(t, f)
	if n := allocated(func() { wantError(t, st.View(func(tx *Tx) error { tx.Info(); return nil }), ErrCorrupt) }); n > 20 {
		t.Errorf("info takes %d MiB", n)
	}
	got := map[string]string{}
	n := allocated(func() {
		var err error
		got, _, _, err = salvageImage(t, f.img, forgeSize)
		noError(t, err)
	})
	if n > 40 || len(got) != 2 {
		t.Errorf("salvage takes %d MiB, and has %q", n, got)
	}
}

// nested is a file of so many commit records, each of which holds the next older one, which is the last of tail pages.
func nested(records, tail int, checkpoint func(page.Commit) bool) *forge {
	f := newForge(12 + 2 + records + tail)
	f.leaf(12, 2, "a")
	body := forgeBody(forgedLeaf("b", 12, 2, 1))
	var last page.Meta
	for c := page.Commit(1); int(c) <= records; c++ {
		no := page.No(14 + records - int(c))
		last = f.commit(no, c, body, func(m *page.Meta, r *page.Record) {
			m.Base, r.Base, r.Checkpoint, r.Prev = 1, 1, checkpoint(c), last.Record
			// Sums is the last section: it may be whatever stands there.
			r.Sums = f.page(no)[page.RunHeaderSize+page.RecordHeaderSize+len(body):]
			r.Sums = r.Sums[:len(r.Sums)&^7]
		})
	}
	return f
}

// Commit records that stand inside each other are no chain: to read them would take the square of the file's size.
func TestCommitRecordsInsideEachOther(t *testing.T) {
	st := forged(t, nested(200, 200, func(c page.Commit) bool { return c == 1 }))
	wantError(t, st.View(func(tx *Tx) error { tx.Info(); return nil }), ErrCorrupt, "more pages than the database has")
}

// The same is true of the records that metas are verified with, which the first update looks through.
func TestRecordsBeforeTheCheckpointInsideEachOther(t *testing.T) {
	const records, tail = 300, 1000
	st := forged(t, nested(records, tail, func(page.Commit) bool { return true }))
	n := allocated(func() { noError(t, putKeys(st, 0, 1)) })
	if whole := records * tail >> 8; n > whole/2 {
		t.Errorf("it reads %d MiB of records of %d", n, whole)
	}
}
