package freelist

import (
	"encoding/binary"

	"mmdb/page"
)

// DecodeExtents decodes what AppendExtents wrote. Every extent ends at or below max.
// Any bytes give extents that are sorted, not empty and do not overlap, or
// page.ErrCorrupt. Memory is at most 16 times the input.
func DecodeExtents(b []byte, max page.No) ([]Extent, error) {
	d := newDecoder(b, max)
	extents := make([]Extent, 0, d.values())
	for d.more() {
		extents = append(extents, d.extent())
	}
	if d.err != nil {
		return nil, d.err
	}
	return extents, nil
}

// DecodeFreed decodes what AppendFreed wrote for commit died, as strictly as
// DecodeExtents.
func DecodeFreed(b []byte, died page.Commit, max page.No) ([]Pending, error) {
	d := newDecoder(b, max)
	freed := make([]Pending, 0, d.values()/2)
	for d.more() {
		p := Pending{Extent: d.extent(), Died: died}
		p.Born = d.before(died)
		freed = append(freed, p)
	}
	if d.err != nil {
		return nil, d.err
	}
	return freed, nil
}

// decodePending decodes the pending section of commit's checkpoint.
func decodePending(b []byte, commit page.Commit, max page.No) ([]Pending, error) {
	d := newDecoder(b, max)
	pending := make([]Pending, 0, d.values()/3)
	for d.more() {
		p := Pending{Extent: d.extent()}
		age := d.uvarint()
		p.Died = d.before(commit)
		if d.err == nil && age > uint64(p.Died) {
			d.fail("born before the first commit")
		}
		p.Born = p.Died - page.Commit(age)
		pending = append(pending, p)
	}
	if d.err != nil {
		return nil, d.err
	}
	return pending, nil
}

// decoder reads a list of extents. After the first error it reads nothing more.
type decoder struct {
	rest []byte
	at   page.No // end of the extent before
	max  page.No // no extent ends above
	err  error
}

func newDecoder(b []byte, max page.No) decoder {
	return decoder{rest: b, max: min(max, maxPages)}
}

// more reports whether there is more to read.
func (d *decoder) more() bool { return d.err == nil && len(d.rest) > 0 }

// values returns the number of values left to read: each ends in a byte below 0x80.
func (d *decoder) values() int {
	n := 0
	for _, c := range d.rest {
		if c < 0x80 {
			n++
		}
	}
	return n
}

// fail keeps the first error.
func (d *decoder) fail(reason string) {
	if d.err == nil {
		d.err = page.Corruptf(d.at, "list of extents: %s", reason)
	}
}

// uvarint reads a number, 0 after an error.
func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail("a number is cut off or too long")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// extent reads an extent.
func (d *decoder) extent() Extent {
	v := d.uvarint()
	gap, n := v>>1, uint64(1)
	if v&1 != 0 {
		n = d.uvarint()
		if n > uint64(maxPages) {
			d.fail("an extent is too long")
		}
		n += 2
	}
	if d.err != nil {
		return Extent{}
	}
	room := uint64(d.max - d.at)
	if gap > room || n > room-gap {
		d.fail("an extent ends above the high water")
		return Extent{}
	}
	e := Extent{d.at + page.No(gap), n}
	d.at = e.End()
	return e
}

// before reads a commit number that is stored as the distance to c.
func (d *decoder) before(c page.Commit) page.Commit {
	v := d.uvarint()
	if v > uint64(c) {
		d.fail("a commit number is negative")
		return 0
	}
	return c - page.Commit(v)
}
