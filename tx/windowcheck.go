package tx

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"

	"mmdb/freelist"
	"mmdb/page"
)

// A part is what a commit wrote at one place, as recovery read it.
type part struct {
	page  page.No
	bytes []byte
}

// A windowCheck verifies what was written since the base of a commit, and that the commit still reaches: a lazy commit's base may lie many
// commits back, and pages that were written and freed since then may have been used again.
type windowCheck struct {
	st    *Store
	base  page.Commit
	parts []part             // what was read
	pages uint64             // in them
	later map[page.No]uint64 // pages that later commits wrote or freed: a bit each, by the number of 64 of them
	freed uint64             // pages that were written and freed since the base
}

// verify checks the commit of rec, whose pages end at high, and all before it back to the base.
func (c *windowCheck) verify(rec page.Record, high page.No) error {
	for {
		if err := c.written(&rec); err != nil {
			return err
		}
		prev := rec.Prev
		if prev.Commit <= c.base || c.st.sabotaged(BugVerifyNewest) {
			if prev.Commit < c.base {
				return page.Corruptf(rec.Prev.Page, "the commit is based on %d, which is not among those before it", c.base)
			}
			return nil
		}
		if prev.Commit >= rec.Commit {
			return page.Corruptf(prev.Page, "commit %d comes before %d", prev.Commit, rec.Commit)
		}
		if err := c.note(&rec); err != nil {
			return err
		}
		if err := c.count(prev.Page, c.st.extentOf(prev).Len); err != nil {
			return err
		}
		var err error
		if rec, err = c.st.verifyRecord(prev, high, &c.parts); err != nil {
			return err
		}
	}
}

// count adds n pages from no on to what was read.
func (c *windowCheck) count(no page.No, n uint64) error {
	if c.pages += n; n > windowMax || c.pages<<c.st.shift > windowMax {
		return page.Corruptf(no, "commit record lists more pages than may be written before a flush")
	}
	return nil
}

// written verifies the pages that the commit of rec wrote and no later one freed.
func (c *windowCheck) written(rec *page.Record) error {
	extents, err := freelist.DecodeExtents(rec.Written, rec.HighWater)
	if err != nil {
		return err
	}
	sums := rec.Sums
	for _, e := range extents {
		if e.Len > uint64(len(sums)/page.ChecksumSize) {
			return page.Corruptf(e.Page, "commit %d lists fewer checksums than pages", rec.Commit)
		}
		for e.Len > 0 {
			n, later := c.alike(e)
			if !later {
				if err := c.stretch(rec, freelist.Extent{Page: e.Page, Len: n}, sums); err != nil {
					return err
				}
			}
			e.Page, e.Len, sums = e.Page+page.No(n), e.Len-n, sums[n*page.ChecksumSize:]
		}
	}
	if len(sums) != 0 {
		return page.Corruptf(0, "commit %d lists more checksums than pages", rec.Commit)
	}
	return nil
}

// stretch verifies pages that the commit of rec wrote with the checksums that it lists for them.
func (c *windowCheck) stretch(rec *page.Record, e freelist.Extent, sums []byte) error {
	if err := c.count(e.Page, e.Len); err != nil {
		return err
	}
	b, err := c.st.readPart(e, rec.HighWater)
	if err != nil {
		return err
	}
	c.parts = append(c.parts, part{e.Page, b})
	for no := e.Page; no < e.End(); {
		run := page.No(page.Run(b))
		if run == 0 || run > e.End()-no {
			return page.Corruptf(no, "run of %d pages does not fit what the commit wrote", run)
		}
		one := b[:int(run)<<c.st.shift]
		if err := page.Verify(one, c.st.pageSize, no, c.st.salt); err != nil {
			return err
		}
		if page.Born(one) != rec.Commit {
			return page.Corruptf(no, "written by commit %d, not by %d", page.Born(one), rec.Commit)
		}
		if page.Stored(one) != page.ListedChecksum(sums, int(no-e.Page)) && !c.st.sabotaged(BugIgnoreSums) {
			return page.Corruptf(no, "not what commit %d wrote", rec.Commit)
		}
		b = b[len(one):]
		no += run
	}
	return nil
}

// note adds to later what the commit of rec wrote, and what it freed that was written since the base.
func (c *windowCheck) note(rec *page.Record) error {
	if c.later == nil {
		c.later = make(map[page.No]uint64)
	}
	written, freed, err := changesOf(rec)
	if err != nil {
		return err
	}
	for _, e := range written {
		c.noteExtent(e)
	}
	for _, p := range freed {
		if p.Born <= c.base {
			continue
		}
		// What was written since the base has a checksum in a record, and those are counted.
		if c.freed += p.Len; c.freed > windowMax/page.ChecksumSize {
			return page.Corruptf(p.Page, "commit record lists more pages as freed than can have been written since the last flush")
		}
		c.noteExtent(p.Extent)
	}
	return nil
}

func (c *windowCheck) noteExtent(e freelist.Extent) {
	for no := e.Page; no < e.End(); {
		n := min(64-no%64, e.End()-no)
		c.later[no/64] |= ^uint64(0) >> (64 - n) << (no % 64)
		no += n
	}
}

// alike returns how many pages from the begin of e on are all in later, or all not.
func (c *windowCheck) alike(e freelist.Extent) (n uint64, later bool) {
	later = c.later[e.Page/64]>>(e.Page%64)&1 != 0
	for no := e.Page; no < e.End(); {
		word := c.later[no/64] >> (no % 64)
		if later {
			word = ^word
		}
		same, room := page.No(bits.TrailingZeros64(word)), min(64-no%64, e.End()-no)
		if same < room {
			return n + uint64(same), later
		}
		no += room
		n += uint64(room)
	}
	return n, later
}

// verifyRecord reads the commit record that l leads to, and appends it to parts. Of a long one it reads the head first: what l says is only a
// number, and memory for it is there when the file agrees.
func (st *Store) verifyRecord(l page.Link, limit page.No, parts *[]part) (rec page.Record, err error) {
	e := freelist.Extent{Page: l.Page, Len: uint64(page.RunPages(int(min(l.Len, page.MaxValueSize)), st.pageSize))}
	if e.Len > 1 {
		if err := st.inside(e, limit); err != nil {
			return rec, err
		}
		head, err := st.readPart(freelist.Extent{Page: l.Page, Len: 1}, limit)
		if err != nil {
			return rec, err
		}
		if err := st.checkRecordHead(head, l); err != nil {
			return rec, err
		}
	}
	b, err := st.readPart(e, limit)
	if err != nil {
		return rec, err
	}
	*parts = append(*parts, part{l.Page, b})
	return rec, st.checkRecord(&rec, b, l)
}

// inside returns an error unless the pages of e stand behind the metas and below limit, and fit into memory at all.
func (st *Store) inside(e freelist.Extent, limit page.No) error {
	if e.Page < st.first || e.Page >= limit || e.Len > uint64(limit-e.Page) || e.Len > math.MaxInt>>st.shift {
		return page.Corruptf(e.Page, "reference to %d pages outside the database", e.Len)
	}
	return nil
}

// readPart reads the pages of e from the file.
func (st *Store) readPart(e freelist.Extent, limit page.No) ([]byte, error) {
	if err := st.inside(e, limit); err != nil {
		return nil, err
	}
	b := make([]byte, e.Len<<st.shift)
	_, err := st.file.ReadAt(b, int64(e.Page)<<st.shift)
	switch {
	case errors.Is(err, io.EOF): // the commit is not whole: what comes before it may be
		return nil, page.Corruptf(e.Page, "the file ends before the end of these %d pages", e.Len)
	case err != nil:
		return nil, fmt.Errorf("read page %d: %w", e.Page, err)
	}
	return b, nil
}
