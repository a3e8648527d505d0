package tx

import (
	"testing"
	"time"

	"mmdb/freelist"
	"mmdb/page"
)

// salvageForged salvages the file at path, which holds the key of withNumbers, and ends the test if it doesn't come back.
func salvageForged(t *testing.T, path string) {
	t.Helper()
	dst, err := Open(newPath(t), 0o600, &Options{Timeout: quick().Timeout, Seam: noFlush})
	noError(t, err)
	defer func() { noError(t, dst.Close()) }()
	_, err = Salvage(path, dst, SalvageOptions{})
	noError(t, err)
	if got := contents(t, dst); len(got) != 2 {
		t.Errorf("salvage has %q", got)
	}
}

// A record may tell of more written pages than the file has: nobody looks for them.
func TestSalvageOfARecordOfPagesThatAreNotThere(t *testing.T) {
	f := newForge(16)
	f.leaf(12, 2, "a")
	body := forgeBody(forgedLeaf("b", 12, 2, 1))
	unsettled := func(m *page.Meta, _ *page.Record) { m.Settled = false }
	old := f.commit(13, 4, body, unsettled)
	m := f.commit(14, 5, body, func(m *page.Meta, r *page.Record) {
		m.Settled, m.Base, r.Base, r.HighWater = false, 4, 4, page.MaxPages
		r.Written = freelist.AppendExtents(nil, []freelist.Extent{{Page: 15, Len: 1<<36 - 15}})
	})
	f.metas(&m, &old, &old)
	begin := time.Now()
	salvageForged(t, writeFile(t, f.img))
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// runHead makes page no the head of a run to the end of the file of size bytes, with a payload that fits.
func (f *forge) runHead(no page.No, kind page.Kind, size int64) {
	n := uint32(size/forgeSize) - uint32(no)
	h := page.Header{Number: no, Born: 1, Kind: kind, Run: n}
	if kind == page.KindOverflow {
		h.Tree = 2
	}
	page.InitRunHead(f.page(no), h, int(n)*forgeSize-page.RunHeaderSize)
}

// Heads of runs may tell of runs as long as the file: they are read in parts, and memory is taken for none that is not whole.
func TestSalvageOfHeadsOfLongRuns(t *testing.T) {
	const size = 64 << 20
	for _, kind := range []page.Kind{page.KindRecord, page.KindOverflow} {
		f := withNumbers(1, func(m *page.Meta, r *page.Record) { m.HighWater, r.HighWater = 15, 15 })
		f.img = append(f.img, make([]byte, 2*forgeSize)...)
		f.runHead(14, kind, size)
		path := sparseFile(t, f.img, size)
		if n := allocated(func() { salvageForged(t, path) }); n > 40 {
			t.Errorf("a %s takes %d MiB", kind, n)
		}
	}
}

// Where the metas are lost any page may be the head of a record as long as the rest of the file: the file is not read once for each.
func TestSalvageWithoutMetasOfHeadsOfLongRuns(t *testing.T) {
	const pages = 1024
	f := newForge(pages)
	r := page.Record{PageSize: forgeSize, Salt: forgeSalt, Commit: 1, HighWater: pages}
	for no := page.No(12); no < pages; no++ {
		f.runHead(no, page.KindRecord, pages*forgeSize)
		r.Encode(f.page(no)[page.RunHeaderSize:])
	}
	n := allocated(func() {
		_, _, _, err := salvageImage(t, f.img, forgeSize)
		wantError(t, err, ErrInvalid)
	})
	if n > 80 {
		t.Errorf("it reads %d MiB", n)
	}
}

// A file of leaves full of references that all name a run to the end of the file: no page is looked at for each of them.
func TestSalvageAccountsForAPageOnce(t *testing.T) {
	s := salvager{pages: make([]salvagedPage, 1<<18)}
	s.file.become(identity{forgeSize, forgeSalt})
	begin := time.Now()
	for i := range page.No(1 << 16) {
		s.accountRun(page.Overflow{Page: page.PageRef(1<<17 - i), Len: page.MaxValueSize})
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, no := range []page.No{1 << 16, 1<<16 + 1, 1<<18 - 1} {
		if s.pages[no].is(accounted) != (no > 1<<16) {
			t.Errorf("page %d is accounted for: %v", no, no <= 1<<16)
		}
	}
}
