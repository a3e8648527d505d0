package page

// A search in a page is a search among the heads of its slots. A processor foretells every second outcome of a random search, and each that
// it does not costs what a few loads cost, and its work on what comes next. So the search here has no branch that data decides: the outcome of a
// comparison is a mask. It takes quarters and not halves, because the three loads of a step don't wait for each other. It sees the
// slots through an array of fixed size, where an offset is masked: one instruction, where the checks of a slice are three.

// window is the size of that array, a power of two: the first bytes of a body, which hold windowSlots slots.
const (
	window      = 2048
	windowSlots = (window - bodyHeader) / slotSize
)

// counts returns the number of slots and the length of the prefix.
func counts(w *[window]byte) (slots, prefix uint) {
	x := uint(le.Uint64(w[:bodyHeader]))
	return x & 0xffff, x >> (8 * offPrefix) & 0xffff
}

// windowSlot returns slot i, which must be in the window.
func windowSlot(w *[window]byte, i uint) slot {
	o := (bodyHeader + slotSize*i) & (window - slotSize)
	return slot(le.Uint64(w[o : o+slotSize]))
}

// below returns -1 if the head at offset o of w is less than h, else 0.
func below(w *[window]byte, o uint, h int64) int64 {
	o &= window - headSize
	return (int64(le.Uint32(w[o:o+headSize])) - h) >> 63
}

// lowerBound returns the first of the slots [lo, hi) whose head is h or more,
// hi if there is none.
func lowerBound(b []byte, lo, hi int, head uint32) int {
	if hi > windowSlots || len(b) < window {
		return lowerBoundWide(b, lo, hi, head)
	}
	return int(windowBound((*[window]byte)(b), uint(lo), uint(hi), head))
}

// windowBound is lowerBound for slots in the window.
func windowBound(w *[window]byte, lo, hi uint, head uint32) uint {
	h := int64(head)
	o, n := bodyHeader+offSlotHead+slotSize*lo, hi-lo
	for n > 3 {
		q := (n + 1) >> 2
		n -= 3 * q
		q *= slotSize
		first, second, third := below(w, o+q-slotSize, h), below(w, o+2*q-slotSize, h), below(w, o+3*q-slotSize, h)
		o += q&uint(first) + q&uint(second) + q&uint(third)
	}
	// The answer is one of the next four, and not beyond hi, from where on w holds something else.
	first := below(w, o, h)
	second := first & below(w, o+slotSize, h)
	third := second & below(w, o+2*slotSize, h)
	o -= bodyHeader + offSlotHead
	return min(hi, o/slotSize-uint(first+second+third))
}

// lowerBoundWide is lowerBound where the slots are not in the window. Its
// branches let the processor read ahead in what is not in the cache.
func lowerBoundWide(b []byte, lo, hi int, h uint32) int {
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if headAt(b, mid) < h {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// guess is lowerBound for many searches at once, whose pages were asked for
// before: the processor goes on to the next search while it waits for the
// loads of this one.
func guess(b []byte, lo, hi int, h uint32) int {
	if hi <= windowSlots && len(b) >= window {
		return lowerBound(b, lo, hi, h)
	}
	for n := hi - lo; n > 0; {
		half := (n + 1) >> 1
		below := (int64(headAt(b, lo+half-1)) - int64(h)) >> 63 // all bits, or none
		lo += half & int(below)
		n -= half
	}
	return lo
}
