package page

import "bytes"

// Leaf is the body of a leaf page, or of a bucket stored inline. Slot numbers
// run from 0 to Count()-1 in key order. A Leaf that came from a file must have
// been validated.
type Leaf []byte

// InitLeaf makes body an empty leaf. All of its bytes are cleared.
func InitLeaf(body []byte) Leaf {
	initBody(body)
	return Leaf(body)
}

// Count returns the number of slots.
func (l Leaf) Count() int { return count(l) }

// Find looks for key and returns what its cell holds. The payload aliases the
// page. ld is asked only about large keys.
func (l Leaf) Find(key []byte, ld KeyLoader) (kind CellKind, payload []byte, i int, found bool, err error) {
	return l.FindAt(lowerBound(l, 0, count(l), head(key, prefix(l))), key, ld)
}

// Get returns the value of key where key and value stand whole in a cell, and
// reports whether that was found out: with ok and a nil value, key is absent.
// If ok is false, Find has to tell.
func (l Leaf) Get(key []byte) (value []byte, ok bool) {
	if len(l) < window || len(key) < headSize {
		return nil, false
	}
	w := (*[window]byte)(l)
	n, p := counts(w)
	if n > windowSlots || p > uint(len(key)) {
		return nil, false
	}
	h := headNow(key, p)
	i := windowBound(w, 0, n, h)
	if i >= n {
		return nil, true
	}
	s := windowSlot(w, i)
	size := s.size()
	if s.head() != h {
		return nil, true
	}
	k := s.offset() + leafHeader
	v := k + size
	if size != uint(len(key)) || v > uint(len(l)) || string(l[k:v]) != string(key) {
		return nil, false
	}
	end := v + uint(le.Uint16(l[k-leafHeader:k]))
	if end > uint(len(l)) {
		return nil, false
	}
	return l[v:end:end], true
}

// Guess returns the slot that FindAt begins with, Count() if there is none. It
// reads slots only. Where many searches can go on at the same time, Guess for
// all of them and then FindAt is faster than Find.
func (l Leaf) Guess(key []byte) int {
	if len(l) >= window && len(key) >= headSize {
		w := (*[window]byte)(l)
		if n, p := counts(w); n <= windowSlots && p <= uint(len(key)) {
			return int(windowBound(w, 0, n, headNow(key, p)))
		}
	}
	return guess(l, 0, count(l), head(key, prefix(l)))
}

// ValueAt is the value of key where Guess returned i and key and value stand
// whole in that slot's cell; nil for all else, of which FindAt has to tell.
func (l Leaf) ValueAt(i int, key []byte) []byte {
	if k, v, ok := l.Item(i); ok && string(k) == string(key) {
		return v
	}
	return nil
}

// FindAt is Find where Guess returned i.
func (l Leaf) FindAt(i int, key []byte, ld KeyLoader) (kind CellKind, payload []byte, at int, found bool, err error) {
	if i >= count(l) {
		return 0, nil, i, false, nil
	}
	h := head(key, prefix(l))
	s := slotAt(l, i)
	if s.head() != h {
		return 0, nil, i, false, nil
	}
	if s.large() || !bytes.Equal(leafLayout.key(l, s), key) {
		i, found, err = tie(l, leafLayout, i, key, h, ld)
		if !found {
			return 0, nil, i, false, err
		}
		s = slotAt(l, i)
	}
	return l.kind(s), l.payload(s), i, true, nil
}

// Search returns the first slot whose key is not below key, Count() if there
// is none, and whether it is key. ld is asked only about large keys; its error
// is the only one.
func (l Leaf) Search(key []byte, ld KeyLoader) (i int, found bool, err error) {
	n, h := count(l), head(key, prefix(l))
	i = lowerBound(l, 0, n, h)
	if i < n {
		if s := slotAt(l, i); s.head() == h && !s.large() && bytes.Equal(leafLayout.key(l, s), key) {
			return i, true, nil // the usual case of searchAt
		}
	}
	return searchAt(l, leafLayout, i, h, key, ld)
}

// Key returns the key in slot i, of a large one the first LargeKeyPart bytes.
func (l Leaf) Key(i int) []byte { return leafLayout.key(l, slotAt(l, i)) }

// Large reports whether the key in slot i is large.
func (l Leaf) Large(i int) bool { return slotAt(l, i).large() }

// KeyRef returns where the whole key of slot i stands if it is large, else
// the zero Overflow.
func (l Leaf) KeyRef(i int) Overflow { return leafLayout.ref(l, slotAt(l, i)) }

// StoredKey returns the key of slot i in the form that Insert takes.
func (l Leaf) StoredKey(i int) Key {
	s := slotAt(l, i)
	return Key{Bytes: leafLayout.key(l, s), Large: s.large(), Ref: leafLayout.ref(l, s)}
}

// SetKeyRef changes where the whole key of slot i stands. The key must be
// large.
func (l Leaf) SetKeyRef(i int, o Overflow) { leafLayout.setRef(l, slotAt(l, i), o) }

// Kind returns what the payload of slot i is.
func (l Leaf) Kind(i int) CellKind { return l.kind(slotAt(l, i)) }

// Payload returns the payload of slot i. It aliases the page; where the page
// may be written, so may the payload.
func (l Leaf) Payload(i int) []byte { return l.payload(slotAt(l, i)) }

func (l Leaf) kind(s slot) CellKind {
	if s.large() {
		return CellKind(l[s.cell()+offLeafKind])
	}
	return CellKind(s.flags())
}

func (l Leaf) payload(s slot) []byte {
	o := leafLayout.keyStart(s) + s.keyLen()
	end := o + int(le.Uint16(l[s.cell()+offLeafLength:]))
	return l[o:end:end]
}

// Item returns key and value of slot i where both stand whole in its cell: the usual case, decoded from one load of the slot.
// ok is false for all else, also if there is no slot i.
func (l Leaf) Item(i int) (key, value []byte, ok bool) {
	key, value = l.Pair(l.Slot(i))
	return key, value, key != nil
}

// A LeafSlot is a slot as loaded, or zero, which none is.
type LeafSlot slot

// Slot returns slot i, zero if there is none. Slot and Pair are Item in two parts, each short enough to be compiled into a loop.
func (l Leaf) Slot(i int) LeafSlot {
	if uint(i) < uint(count(l)) {
		return LeafSlot(slotAt(l, i))
	}
	return 0
}

// Pair returns key and value of s where both stand whole in its cell, and nil for all else. A key is never nil.
func (l Leaf) Pair(s LeafSlot) (key, value []byte) {
	n := int(s >> 16 & 0xffff) // slot.size, written out: Pair must stay short enough
	c := slot(s).cell()
	k := c + leafHeader
	v := k + n
	if uint(n-1) < slotKeyMask && v <= len(l) {
		if end := v + int(le.Uint16(l[c:k:k])); end <= len(l) {
			return l[k:v:v], l[v:end:end]
		}
	}
	return nil, nil
}

// Parts returns what l uses of its bytes: its slots, and the cells.
func (l Leaf) Parts() (slots, cells []byte) { return l[:bodyHeader+slotSize*count(l)], l[start(l):] }

// Touch loads the beginnings of the cells of the slots [from, to), for the processor to fetch them all at once. What it returns
// means nothing, but the caller has to use it.
func (l Leaf) Touch(from, to int) (sum byte) {
	for i := max(from, 0); i < min(to, count(l)); i++ {
		o := slotAt(l, i).cell()
		sum += l[o] + l[min(o+64, len(l)-1)]
	}
	return sum
}

// Insert adds a cell with the key k and n bytes of payload at slot i, where
// Search said, and returns the payload for the caller to fill: what it holds
// is not defined. It returns false, and changes nothing, if Free() is too
// small. No other cell moves.
func (l Leaf) Insert(i int, k Key, kind CellKind, n int) (payload []byte, ok bool) {
	checkKey(k)
	part := k.part()
	cell, h, ok := addCell(l, leafLayout, i, LeafCellSize(k, n), part)
	if !ok {
		return nil, false
	}
	le.PutUint16(l[cell+offLeafLength:], uint16(n))
	flags, at := uint8(kind), cell+leafHeader
	if k.Large {
		l[cell+offLeafKind] = uint8(kind)
		l[cell+offLeafReserved] = 0
		k.Ref.Encode(l[cell+offLeafRef:])
		flags, at = flagLarge, cell+leafLargeHeader
	}
	putSlot(l, i, makeSlot(cell, len(part), flags, h))
	at += copy(l[at:], part)
	return l[at : at+n : at+n], true
}

// Remove takes out slot i. Its cell stays where it is, as garbage.
func (l Leaf) Remove(i int) {
	checkSlot(l, i)
	setGarbage(l, garbage(l)+l.CellSize(i))
	dropSlot(l, i)
	if count(l) == 0 {
		setPrefix(l, 0)
	}
}

// LeafCellSize returns the bytes that a cell with the key k and n bytes of
// payload takes, without its slot.
func LeafCellSize(k Key, n int) int {
	if k.Large {
		return leafLargeHeader + LargeKeyPart + n
	}
	return leafHeader + len(k.Bytes) + n
}

// CellSize returns the bytes that the cell of slot i takes, without its slot.
func (l Leaf) CellSize(i int) int { return l.cellSize(slotAt(l, i)) }

func (l Leaf) cellSize(s slot) int {
	size := leafHeader + s.keyLen() + int(le.Uint16(l[s.cell()+offLeafLength:]))
	if s.large() {
		size += leafLargeHeader - leafHeader
	}
	return size
}

// Free returns the contiguous free bytes: a cell fits if its size and eight
// bytes for its slot do.
func (l Leaf) Free() int { return free(l) }

// Garbage returns the bytes of removed cells.
func (l Leaf) Garbage() int { return garbage(l) }

// Used returns the bytes of all slots and live cells.
func (l Leaf) Used() int { return used(l) }

// Capacity returns the most that Used can be.
func (l Leaf) Capacity() int { return len(l) - bodyHeader }

// Plain reports whether all cells are values stored in the page under inline
// keys, so that the page refers to no other.
func (l Leaf) Plain() bool {
	var all slot
	for i := range count(l) {
		all |= slotAt(l, i)
	}
	return all.flags() == 0
}

// AppendFrom copies the cells of the slots [from, to) of src, whose keys are
// all above those of l, behind the slots of l. It panics if there is no room.
func (l Leaf) AppendFrom(src Leaf, from, to int) {
	n, at := count(l), start(l)
	end := n
	for i := from; i < to; i++ {
		s := slotAt(src, i)
		size := src.cellSize(s)
		at = room(at, end, size)
		copy(l[at:at+size], src[s.cell():])
		putSlot(l, end, s.moved(at))
		end++
	}
	setCount(l, end)
	setStart(l, at)
	appended(l, leafLayout, n, prefix(src))
}
