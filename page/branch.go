package page

import (
	"bytes"
	"math/bits"
)

// Branch is the body of a branch page. Slot numbers run from 0 to Count()-1 in
// key order; slot 0 has no key and stands for all keys below slot 1's. A Branch
// that came from a file must have been validated.
type Branch []byte

// InitBranch makes body an empty branch, which needs at least one slot before
// it can be searched. All of its bytes are cleared.
func InitBranch(body []byte) Branch {
	initBody(body)
	return Branch(body)
}

// Count returns the number of slots.
func (r Branch) Count() int { return count(r) }

// Search returns the slot of the child below which key belongs: the last one
// whose key is not above key. ld is asked only about large keys; its error is
// the only one.
func (r Branch) Search(key []byte, ld KeyLoader) (i int, err error) {
	n, p := count(r), prefix(r)
	h := head(key, p)
	i = lowerBound(r, branchLayout.first(), n, h)
	if i < n && headAt(r, i) == h || p > len(key) {
		return r.searchAt(i, h, key, ld)
	}
	if p > 0 { // the usual case of searchAt: key has the prefix
		o := branchLayout.keyStart(slotAt(r, max(branchLayout.first(), i-1)))
		if !bytes.Equal(key[:p], r[o:o+p]) {
			return r.searchAt(i, h, key, ld)
		}
	}
	return i - 1, nil
}

// Route is Search and Child in the usual case. If ok is false, they have to
// tell.
func (r Branch) Route(key []byte) (child Ref, i int, ok bool) {
	if len(key) < headSize {
		return 0, 0, false
	}
	if len(r) < window {
		return r.routeSmall(key)
	}
	w := (*[window]byte)(r)
	n, p := counts(w)
	if n > windowSlots || p > uint(len(key)) {
		return 0, 0, false
	}
	h := headNow(key, p)
	if h == 1<<32-1 {
		return 0, 0, false
	}
	return r.routeTo(w, windowBound(w, uint(branchLayout.first()), n, h+1), key, h, p)
}

// RouteAt is Route for a key for which Guess has returned at; if that is wrong, it searches again.
func (r Branch) RouteAt(at int, key []byte) (child Ref, i int, ok bool) {
	if len(r) < window || len(key) < headSize {
		return r.Route(key)
	}
	w := (*[window]byte)(r)
	n, p := counts(w)
	u := uint(at)
	if n > windowSlots || p > uint(len(key)) || u-1 >= n {
		return r.Route(key)
	}
	h := headNow(key, p)
	if u < n && windowSlot(w, u).head() == h {
		u++
	}
	if u < n && windowSlot(w, u).head() <= h || u > 1 && windowSlot(w, u-1).head() > h {
		return r.Route(key)
	}
	return r.routeTo(w, u, key, h, p)
}

// routeTo is Route when u is the first slot with a head above h, that of key. w is the window of r, and p the length of the prefix.
func (r Branch) routeTo(w *[window]byte, u uint, key []byte, h uint32, p uint) (child Ref, i int, ok bool) {
	s := windowSlot(w, u-1) // the last one whose head is not above h
	size := s.size()
	if size > slotKeyMask || s.head() == h && size > min(p+headSize, uint(len(key))) {
		return 0, 0, false
	}
	if p > 0 {
		k := windowSlot(w, u-1+(u-2)>>(bits.UintSize-1)) // slot 0 has no key
		o := k.offset() + branchHeader
		if k.size() > slotKeyMask || o+p > uint(len(r)) || !samePrefix(key, r[o:], p) {
			return 0, 0, false
		}
	}
	c := s.offset()
	return Ref(le.Uint64(r[c : c+8 : c+8])), int(u) - 1, true
}

// samePrefix reports whether the first n bytes of a and b, which have so many, are the same.
func samePrefix(a, b []byte, n uint) bool {
	if n < 8 || n > 16 {
		return bytes.Equal(a[:n], b[:n])
	}
	return le.Uint64(a) == le.Uint64(b) && le.Uint64(a[n-8:n]) == le.Uint64(b[n-8:n])
}

// searchAt is Search where lowerBound returned i for the head h of key.
func (r Branch) searchAt(i int, h uint32, key []byte, ld KeyLoader) (int, error) {
	i, found, err := searchAt(r, branchLayout, i, h, key, ld)
	if found || err != nil {
		return i, err
	}
	return i - 1, nil
}

// Guess returns the slot behind the one where Route will find the child of
// key, most likely. See Leaf.Guess.
func (r Branch) Guess(key []byte) int {
	if len(r) >= window && len(key) >= headSize {
		w := (*[window]byte)(r)
		if n, p := counts(w); n <= windowSlots && p <= uint(len(key)) {
			return int(windowBound(w, uint(branchLayout.first()), n, headNow(key, p)))
		}
	}
	return guess(r, branchLayout.first(), count(r), head(key, prefix(r)))
}

// routeSmall is Route in a branch of few slots, for keys of headSize and more.
func (r Branch) routeSmall(key []byte) (child Ref, i int, ok bool) {
	n, p := count(r), prefix(r)
	if p > len(key) {
		return 0, 0, false
	}
	h := headNow(key, uint(p))
	first := branchLayout.first()
	for i = first; i < n && headAt(r, i) < h; i++ {
	}
	if i < n && headAt(r, i) == h {
		return 0, 0, false
	}
	i--
	if p > 0 {
		o := branchLayout.keyStart(slotAt(r, max(first, i)))
		if !bytes.Equal(key[:p], r[o:o+p]) {
			return 0, 0, false
		}
	}
	return r.Child(i), i, true
}

// Touch loads the beginning of the cell of slot i, for the processor to fetch
// it. See Leaf.Touch.
func (r Branch) Touch(i int) byte { return r[slotAt(r, i).cell()] }

// Child returns the reference in slot i.
func (r Branch) Child(i int) Ref {
	return Ref(le.Uint64(r[slotAt(r, i).cell()+offBranchChild:]))
}

// SetChild replaces the reference in slot i.
func (r Branch) SetChild(i int, child Ref) {
	le.PutUint64(r[slotAt(r, i).cell()+offBranchChild:], uint64(child))
}

// Keys returns the number of keys below the child in slot i.
func (r Branch) Keys(i int) uint64 { return r.keys(slotAt(r, i)) }

func (r Branch) keys(s slot) uint64 {
	// The field ends where the key starts; its bytes 6 and 7 are the last two
	// of the eight that start two before it.
	return le.Uint64(r[s.cell()+offBranchKeys-2:]) >> 16
}

// SetKeys replaces the number of keys in slot i, at most MaxChildKeys.
func (r Branch) SetKeys(i int, n uint64) {
	putKeys(r[slotAt(r, i).cell()+offBranchKeys:], n)
}

func putKeys(b []byte, n uint64) {
	if n > MaxChildKeys {
		panic("page: invariant: number of keys out of range")
	}
	le.PutUint32(b, uint32(n))
	le.PutUint16(b[4:], uint16(n>>32))
}

// TotalKeys returns the sum of Keys over all slots.
func (r Branch) TotalKeys() uint64 {
	var sum uint64
	for i := range count(r) {
		sum += r.Keys(i)
	}
	return sum
}

// Key returns the key in slot i, of a large one the first LargeKeyPart bytes.
// Slot 0's is empty.
func (r Branch) Key(i int) []byte { return branchLayout.key(r, slotAt(r, i)) }

// Large reports whether the key in slot i is large.
func (r Branch) Large(i int) bool { return slotAt(r, i).large() }

// KeyRef returns where the whole key of slot i stands if it is large, else
// the zero Overflow.
func (r Branch) KeyRef(i int) Overflow { return branchLayout.ref(r, slotAt(r, i)) }

// StoredKey returns the key of slot i in the form that Insert takes.
func (r Branch) StoredKey(i int) Key {
	s := slotAt(r, i)
	return Key{Bytes: branchLayout.key(r, s), Large: s.large(), Ref: branchLayout.ref(r, s)}
}

// SetKeyRef changes where the whole key of slot i stands. The key must be
// large.
func (r Branch) SetKeyRef(i int, o Overflow) { branchLayout.setRef(r, slotAt(r, i), o) }

// Insert adds a child with the key k and the number of keys below it at slot
// i. The first one, at slot 0, has no key: k is ignored. After that, i must not
// be 0. It returns false, and changes nothing, if Free() is too small. No other
// cell moves.
func (r Branch) Insert(i int, k Key, child Ref, keys uint64) bool {
	if i == 0 {
		if count(r) != 0 {
			panic("page: invariant: insert before the first child")
		}
		k = Key{}
	}
	checkKey(k)
	part := k.part()
	cell, h, ok := addCell(r, branchLayout, i, BranchCellSize(k), part)
	if !ok {
		return false
	}
	putSlot(r, i, r.putCell(cell, k, child, keys).withHead(h))
	return true
}

// putCell writes a cell at the offset cell, and returns its slot without a
// head.
func (r Branch) putCell(cell int, k Key, child Ref, keys uint64) slot {
	le.PutUint64(r[cell+offBranchChild:], uint64(child))
	putKeys(r[cell+offBranchKeys:], keys)
	part := k.part()
	if k.Large {
		k.Ref.Encode(r[cell+offBranchRef:])
		copy(r[cell+branchLargeHeader:], part)
		return makeSlot(cell, len(part), flagLarge, 0)
	}
	copy(r[cell+branchHeader:], part)
	return makeSlot(cell, len(part), 0, 0)
}

// Remove takes out slot i. Its cell stays where it is, as garbage. When i is 0
// slot 1 becomes slot 0 and loses its key: if that is large, its run is for the
// caller to free, before.
func (r Branch) Remove(i int) {
	checkSlot(r, i)
	lost := r.CellSize(i)
	dropSlot(r, i)
	n := count(r)
	if i == 0 && n > 0 {
		s := slotAt(r, 0)
		lost += r.cellSize(s) - branchHeader
		putSlot(r, 0, makeSlot(s.cell(), 0, 0, 0))
	}
	setGarbage(r, garbage(r)+lost)
	if n <= branchLayout.first() {
		setPrefix(r, 0)
	}
}

// BranchCellSize returns the bytes that a cell with the key k takes, without
// its slot.
func BranchCellSize(k Key) int {
	if k.Large {
		return branchLargeHeader + LargeKeyPart
	}
	return branchHeader + len(k.Bytes)
}

// CellSize returns the bytes that the cell of slot i takes, without its slot.
func (r Branch) CellSize(i int) int { return r.cellSize(slotAt(r, i)) }

func (r Branch) cellSize(s slot) int {
	if s.large() {
		return branchLargeHeader + LargeKeyPart
	}
	return branchHeader + s.keyLen()
}

// Free returns the contiguous free bytes: a cell fits if its size and eight
// bytes for its slot do.
func (r Branch) Free() int { return free(r) }

// Garbage returns the bytes of removed cells.
func (r Branch) Garbage() int { return garbage(r) }

// Used returns the bytes of all slots and live cells.
func (r Branch) Used() int { return used(r) }

// Capacity returns the most that Used can be.
func (r Branch) Capacity() int { return len(r) - bodyHeader }

// AppendFrom copies the cells of the slots [from, to) of src, whose keys are
// all above those of r, behind the slots of r. The first of them gets the key
// first, or, if r was empty, becomes slot 0 and has none: then first is
// ignored. It panics if there is no room.
func (r Branch) AppendFrom(src Branch, from, to int, first Key) {
	if from >= to {
		return
	}
	n := count(r)
	if n == 0 {
		first = Key{}
	}
	checkKey(first)
	at := room(start(r), n, BranchCellSize(first))
	putSlot(r, n, r.putCell(at, first, src.Child(from), src.Keys(from)))
	end := n + 1
	for i := from + 1; i < to; i++ {
		s := slotAt(src, i)
		size := src.cellSize(s)
		at = room(at, end, size)
		copy(r[at:at+size], src[s.cell():])
		putSlot(r, end, s.moved(at))
		end++
	}
	setCount(r, end)
	setStart(r, at)
	q := prefix(src)
	appended(r, branchLayout, n, q)
	if n >= branchLayout.first() && prefix(r) == q {
		rehead(r, branchLayout, n, n+1)
	}
}
