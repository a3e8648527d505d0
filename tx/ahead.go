package tx

import (
	"slices"

	"mmdb/page"
)

// Read-ahead of the kernel is off, because it reads what nobody asked for. A scan knows better: its next leaves stand in the
// branch above. It asks for two of them, then four, and so on as it goes on, so that a short one asks for little. A long one will
// come to the whole file: it asks for larger and larger blocks around its leaves, because a device reads one block of 256 KiB
// in the time of a few single pages. Which of the largest it has asked for it remembers: it asks once for each.

const (
	aheadLeaves = 64        // most leaves that are asked for at a time
	aheadSteps  = 5         // so many steps lead from two leaves to that
	aheadBlocks = 6         // so many more lead from single pages to the largest blocks
	aheadBlock  = 256 << 10 // bytes of these
)

// An outlook is how far a scan has looked ahead.
type outlook struct {
	left  int    // leaves to pass until the next look
	step  int    // looks so far, up to the most that counts
	asked uint64 // pages asked for in blocks

	marking bool // Tx.asked tells of this scan
}

// look asks the device for the next leaves, if they are not in memory. It is called when c has come to a new leaf.
func (c *Cursor) look(back bool) {
	o := &c.ahead
	if o.left--; o.left >= 0 {
		return
	}
	t := c.b.tx
	up := &c.p.f[c.p.n-2]
	branch := up.branchBody()
	from, passed := up.i+1, min(aheadLeaves, 2<<o.step, branch.Count()-1-up.i)
	if back {
		passed = min(aheadLeaves, 2<<o.step, up.i)
		from = up.i - passed
	}
	// The last quarter is looked at again: what is asked for then comes while the scan passes it.
	o.left = passed - passed/4
	if o.step < aheadSteps+aheadBlocks {
		o.step++
	}
	if o.step <= aheadSteps && t.verifiedAll(branch, from, from+passed) {
		return // a page that was verified was in memory not long ago: a short scan does not ask
	}
	c.ask(branch, from, from+passed)
}

// verifiedAll reports whether the children in the slots [from, to) of branch were all verified.
func (t *Tx) verifiedAll(branch page.Branch, from, to int) bool {
	for i := from; i < to; i++ {
		if ref := branch.Child(i); !ref.Dirty() && !t.verified.has(ref.Page()) {
			return false
		}
	}
	return true
}

// ask asks the device for the children in the slots [from, to) of branch, if they are not in memory.
func (c *Cursor) ask(branch page.Branch, from, to int) {
	t, o := c.b.tx, &c.ahead
	var list [aheadLeaves]int64
	offs := list[:0]
	for i := from; i < to; i++ {
		if ref := branch.Child(i); !ref.Dirty() && t.inside(ref.Page(), 1) {
			offs = append(offs, int64(ref.Page())<<t.shift)
		}
	}
	if len(offs) == 0 {
		return
	}
	size := int64(1) << t.shift
	inBlocks := o.step > aheadSteps && o.asked < 2*uint64(t.limit)
	if inBlocks {
		size = max(size, min(size<<(o.step-aheadSteps), aheadBlock))
	}
	if size == aheadBlock {
		if offs = t.missing(offs, &o.marking); len(offs) == 0 {
			return
		}
	} else if t.resident(offs) {
		return
	}
	if inBlocks {
		offs = t.blocks(offs, size)
		o.asked += uint64(len(offs)) * uint64(size>>t.shift)
	} else {
		slices.Sort(offs)
	}
	_ = t.snap.mapping.WillNeedEach(offs, size) // a hint: without it they are read one after the other
}

// missing returns which of offs, which it changes, are to be asked for in blocks of aheadBlock: those in blocks that were not
// asked for yet, and notes that they are; all of them if the system has dropped some of the others since. marking tells whether
// t.asked is of this scan.
func (t *Tx) missing(offs []int64, marking *bool) []int64 {
	if !*marking {
		*marking = true
		clear(t.asked)
	}
	if n := int(int64(t.limit)<<t.shift/aheadBlock)/64 + 1; n > len(t.asked) {
		t.asked = append(t.asked, make([]uint64, n-len(t.asked))...)
	}
	var list [aheadLeaves]int64
	known, fresh := offs[:0], list[:0]
	for _, off := range offs {
		if i := off / aheadBlock; t.asked[i/64]>>(i%64)&1 != 0 {
			known = append(known, off)
		} else {
			fresh = append(fresh, off)
		}
	}
	if t.resident(fresh) {
		fresh = nil
	}
	for _, off := range fresh {
		i := off / aheadBlock
		t.asked[i/64] |= 1 << (i % 64)
	}
	if t.resident(known) {
		known = known[:0]
	}
	return append(known, fresh...)
}

// resident reports whether what is at offs is in memory, as far as the first and the last of them tell.
func (t *Tx) resident(offs []int64) bool {
	m := t.snap.mapping
	return len(offs) == 0 || m.Resident(offs[0]) && m.Resident(offs[len(offs)-1])
}

// blocks makes of offs, which it changes, the offsets of the blocks of that size, a power of two, that hold them. The last
// block of the database ends at the high water.
func (t *Tx) blocks(offs []int64, size int64) []int64 {
	end := int64(t.limit) << t.shift
	for i := range offs {
		offs[i] = max(0, min(offs[i]&^(size-1), end-size))
	}
	slices.Sort(offs)
	return slices.Compact(offs)
}
