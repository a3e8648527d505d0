package page

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// slot is one slot of a body, as loaded.
type slot uint64

func (s slot) cell() int    { return int(s & 0xffff) }
func (s slot) keyLen() int  { return int(s >> 16 & slotKeyMask) }
func (s slot) flags() uint8 { return uint8(s>>(16+slotFlagShift)) & 3 }
func (s slot) large() bool  { return s.flags() == flagLarge }
func (s slot) head() uint32 { return uint32(s >> 32) }

// offset is cell for offsets that may be added up without a sign.
func (s slot) offset() uint { return uint(s & 0xffff) }

// size returns the length of the key with the flags above it: it is above slotKeyMask unless these are zero.
func (s slot) size() uint { return uint(s >> 16 & 0xffff) }

// moved returns the slot with its cell elsewhere.
func (s slot) moved(cell int) slot { return s&^0xffff | slot(cell) }

// withHead returns the slot with another head.
func (s slot) withHead(h uint32) slot { return s&0xffffffff | slot(h)<<32 }

func makeSlot(cell, keyLen int, flags uint8, head uint32) slot {
	return slot(cell) | slot(keyLen)<<16 | slot(flags)<<(16+slotFlagShift) | slot(head)<<32
}

func count(b []byte) int   { return int(le.Uint16(b[offCount:])) }
func prefix(b []byte) int  { return int(le.Uint16(b[offPrefix:])) }
func start(b []byte) int   { return int(le.Uint16(b[offStart:])) }
func garbage(b []byte) int { return int(le.Uint16(b[offGarbage:])) }

func setCount(b []byte, n int)   { le.PutUint16(b[offCount:], uint16(n)) }
func setPrefix(b []byte, n int)  { le.PutUint16(b[offPrefix:], uint16(n)) }
func setStart(b []byte, n int)   { le.PutUint16(b[offStart:], uint16(n)) }
func setGarbage(b []byte, n int) { le.PutUint16(b[offGarbage:], uint16(n)) }

// The full slice expressions below save the compiler a mask for empty slices.

func slotAt(b []byte, i int) slot {
	o := bodyHeader + slotSize*i
	return slot(le.Uint64(b[o : o+slotSize : o+slotSize]))
}

func headAt(b []byte, i int) uint32 {
	o := bodyHeader + slotSize*i + offSlotHead
	return le.Uint32(b[o : o+headSize : o+headSize])
}

func putSlot(b []byte, i int, s slot) {
	le.PutUint64(b[bodyHeader+slotSize*i:], uint64(s))
}

// layout tells leaf and branch bodies apart where the code is the same. It is
// packed into one number, so that it folds into the code where it is known.
type layout uint32

const (
	leafLayout   layout = leafHeader | leafLargeHeader<<8 | 0<<16
	branchLayout layout = branchHeader | branchLargeHeader<<8 | 1<<16
)

// header returns the bytes before an inline key.
func (y layout) header() int { return int(y & 0xff) }

// largeHeader returns the bytes before the part of a large key.
func (y layout) largeHeader() int { return int(y >> 8 & 0xff) }

// first returns the first slot that has a key.
func (y layout) first() int { return int(y >> 16) }

// keyStart returns the offset of the key bytes of s.
func (y layout) keyStart(s slot) int {
	if s.large() {
		return s.cell() + y.largeHeader()
	}
	return s.cell() + y.header()
}

// key returns the key bytes that stand in the cell of s.
func (y layout) key(b []byte, s slot) []byte {
	o := y.keyStart(s)
	end := o + s.keyLen()
	return b[o:end:end]
}

// ref returns where the whole of the key of s stands, if it is large.
func (y layout) ref(b []byte, s slot) Overflow {
	if !s.large() {
		return Overflow{}
	}
	return DecodeOverflow(b[s.cell()+y.largeHeader()-OverflowRefSize:])
}

// setRef changes where the whole of the key of s stands.
func (y layout) setRef(b []byte, s slot, o Overflow) {
	if !s.large() {
		panic("page: invariant: reference of a key that is not large")
	}
	o.Encode(b[s.cell()+y.largeHeader()-OverflowRefSize:])
}

// head returns the head of a key in a page with prefix length p.
func head(key []byte, p int) uint32 {
	if len(key) >= p+headSize {
		return binary.BigEndian.Uint32(key[p:])
	}
	return shortHead(key, p)
}

// headNow is head for keys of headSize and more, without a branch: whether a key ends inside its head can't be foretold.
func headNow(key []byte, p uint) uint32 {
	short := int(p) - (len(key) - headSize) // as many bytes of the head are not there
	short &^= short >> (bits.UintSize - 1)
	o := p - uint(short)
	return binary.BigEndian.Uint32(key[o:o+headSize:o+headSize]) << (8 * uint(short))
}

// shortHead is head for keys that end inside their head or before it.
func shortHead(key []byte, p int) uint32 {
	var h uint32
	for i := p; i < len(key); i++ {
		h |= uint32(key[i]) << (24 - 8*(i-p))
	}
	return h
}

// tie finishes a search whose head h was met first at slot lo: among the slots
// with that head it returns the first whose key is not below key, and whether
// it is key.
func tie(b []byte, y layout, lo int, key []byte, h uint32, ld KeyLoader) (int, bool, error) {
	hi := count(b)
	if lo+1 < hi && headAt(b, lo+1) != h {
		hi = lo + 1
	} else if h != 1<<32-1 {
		hi = lowerBound(b, lo+1, hi, h+1)
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		c, err := compare(b, y, slotAt(b, mid), key, ld)
		if err != nil {
			return 0, false, err
		}
		switch {
		case c == 0:
			return mid, true, nil
		case c < 0:
			hi = mid
		default:
			lo = mid + 1
		}
	}
	return lo, false, nil
}

// compare compares key with the key of s.
func compare(b []byte, y layout, s slot, key []byte, ld KeyLoader) (int, error) {
	if !s.large() {
		return bytes.Compare(key, y.key(b, s)), nil
	}
	c := bytes.Compare(key[:min(len(key), LargeKeyPart)], y.key(b, s))
	if c != 0 {
		return c, nil
	}
	if len(key) <= LargeKeyPart {
		return -1, nil // a large key is longer than its part
	}
	whole, err := ld.LoadKey(y.ref(b, s))
	if err != nil {
		return 0, err
	}
	return bytes.Compare(key, whole), nil
}

// searchAt returns the first slot whose key is not below key, and whether it is
// key, where lowerBound returned i for the head h of key. The prefix is compared
// at the end, in a cell that the caller is about to read: that slot's in a leaf,
// the one's before in a branch.
func searchAt(b []byte, y layout, i int, h uint32, key []byte, ld KeyLoader) (int, bool, error) {
	n, p := count(b), prefix(b)
	if i < n && headAt(b, i) == h {
		at, found, err := tie(b, y, i, key, h, ld)
		if found || err != nil {
			return at, found, err
		}
		i = at
	}
	if p == 0 {
		return i, false, nil
	}
	// All keys share the prefix: if key does not, it is below or above them all.
	o := y.keyStart(slotAt(b, max(y.first(), min(i-y.first(), n-1))))
	switch bytes.Compare(key[:min(len(key), p)], b[o:o+p]) {
	case -1:
		i = y.first()
	case 1:
		i = n
	}
	return i, false, nil
}

// initBody makes b an empty body.
func initBody(b []byte) {
	if len(b) < bodyHeader || len(b) > maxBody {
		panic("page: invariant: size of a body")
	}
	clear(b)
	setStart(b, len(b))
}

// free returns the contiguous free bytes.
func free(b []byte) int { return start(b) - bodyHeader - slotSize*count(b) }

// used returns the bytes of slots and live cells.
func used(b []byte) int { return slotSize*count(b) + len(b) - start(b) - garbage(b) }

// addCell makes room for a cell of size bytes and its slot i, which the caller
// has to put. It returns the cell's offset and the head of the key, or false
// if there is no room.
func addCell(b []byte, y layout, i, size int, key []byte) (cell int, h uint32, ok bool) {
	n := count(b)
	if uint(i) > uint(n) {
		panic("page: invariant: slot to insert out of range")
	}
	if size+slotSize > free(b) {
		return 0, 0, false
	}
	if i >= y.first() {
		h = admit(b, y, key)
	}
	o := bodyHeader + slotSize*i
	copy(b[o+slotSize:bodyHeader+slotSize*(n+1)], b[o:])
	cell = start(b) - size
	setStart(b, cell)
	setCount(b, n+1)
	return cell, h, true
}

// dropSlot takes out slot i, and zeroes the space where the last one was.
func dropSlot(b []byte, i int) {
	n := count(b) - 1
	o := bodyHeader + slotSize*i
	copy(b[o:], b[o+slotSize:bodyHeader+slotSize*(n+1)])
	putSlot(b, n, 0)
	setCount(b, n)
}

// checkSlot panics if there is no slot i.
func checkSlot(b []byte, i int) {
	if uint(i) >= uint(count(b)) {
		panic("page: invariant: slot out of range")
	}
}

// checkKey panics if no cell can hold k.
func checkKey(k Key) {
	if k.Large && len(k.Bytes) < LargeKeyPart || !k.Large && len(k.Bytes) > slotKeyMask {
		panic("page: invariant: size of a key")
	}
}

// admit returns the head of key, which is about to be inserted, after it has
// shortened the page's prefix as far as key demands.
func admit(b []byte, y layout, key []byte) uint32 {
	n, p := count(b), prefix(b)
	if n <= y.first() {
		p = min(len(key), MaxPrefix)
		setPrefix(b, p)
		return head(key, p)
	}
	if p > 0 {
		o := y.keyStart(slotAt(b, y.first()))
		if c := common(key, b[o:o+p]); c < p {
			p = c
			setPrefix(b, p)
			rehead(b, y, y.first(), n)
		}
	}
	return head(key, p)
}

// rehead computes the heads of the slots [from, to) for the page's prefix.
func rehead(b []byte, y layout, from, to int) {
	p := prefix(b)
	for i := from; i < to; i++ {
		s := slotAt(b, i)
		putSlot(b, i, s.withHead(head(y.key(b, s), p)))
	}
}

// room returns the offset of a cell of size bytes that is appended below the
// offset at, with slot i.
func room(at, i, size int) int {
	at -= size
	if at < bodyHeader+slotSize*(i+1) {
		panic("page: invariant: no room to append")
	}
	return at
}

// appended sets prefix and heads after the slots from n on were appended. Their
// heads are for the prefix length q.
func appended(b []byte, y layout, n, q int) {
	end := count(b)
	if end <= y.first() {
		return
	}
	a := y.key(b, slotAt(b, y.first()))
	z := y.key(b, slotAt(b, end-1))
	p := min(common(a, z), MaxPrefix)
	if p != prefix(b) {
		setPrefix(b, p)
		rehead(b, y, y.first(), n)
	}
	if p != q {
		rehead(b, y, max(n, y.first()), end)
	}
}

// common returns how many first bytes a and b share.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for n-i >= 8 && le.Uint64(a[i:]) == le.Uint64(b[i:]) {
		i += 8
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// Separator returns the shortest prefix of right that is above left. It
// aliases right. left must be below right.
func Separator(left, right []byte) []byte {
	n := common(left, right) + 1
	return right[:n:n]
}
