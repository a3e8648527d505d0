package page

import "encoding/binary"

// Version is the format version that this package writes and reads.
const Version = 1

// Features that this package knows. Another bit in a meta's Incompatible word
// means ErrVersion, one in its ReadOnlyCompatible word that the file may only
// be read.
const (
	KnownIncompatible       uint64 = 0
	KnownReadOnlyCompatible uint64 = 0
)

// Sizes of pages, in bytes. A page size is a power of two.
const (
	MinSize     = 4096
	MaxSize     = 65536
	DefaultSize = 4096
)

// Limits of keys and values, in bytes.
const (
	MaxKeySize   = 32768
	MaxValueSize = 1<<31 - 2
	// LargeKeyPart is how much of a large key stands in its cell.
	LargeKeyPart = 256
	// MaxPrefix keeps every head of a large key inside that part.
	MaxPrefix = LargeKeyPart - headSize
)

// Sizes of encoded structures, in bytes.
const (
	HeaderSize       = 40
	RunHeaderSize    = 48
	OverflowRefSize  = 20
	BucketHeaderSize = 32
	RecordHeaderSize = 144
	MetaSize         = 512
	// MaxInlineRoot is the largest body of a root bucket that is stored in
	// the meta.
	MaxInlineRoot = MetaSize - offMetaRootBody
)

// Where metas stand.
const (
	MetaSlots  = 3
	MetaStride = 16384 // bytes from one slot to the next
	MetaBlock  = 4096  // bytes written for one meta, all but MetaSize zero
)

// RootTree is the tree number of the root bucket.
const RootTree Tree = 1

// MaxPages is the largest high water: 256 TiB at 4096 bytes a page, which is
// more than a process can map. With it no sum of page numbers overflows.
const MaxPages No = 1 << 36

// MaxNumber is the largest number of a commit, and of the next tree: more than
// anybody can count up to, and far from where a word ends.
const MaxNumber = 1<<62 - 1

// MaxDepth bounds the levels of a tree. A branch of 4 KiB pages has at least
// three children on average, so no real tree comes near it.
const MaxDepth = 24

// MaxChildKeys is the largest number of keys that a branch cell can tell.
const MaxChildKeys = 1<<48 - 1

// Offsets in the page header, and in the header of a run.
const (
	offChecksum = 0
	offNumber   = 8
	offBorn     = 16
	offTree     = 24
	offKind     = 32
	offLevel    = 33
	offFlags    = 34
	offRun      = 36

	offRunLength   = 40
	offRunReserved = 44
)

// Offsets in a slotted body, and in a slot.
const (
	offCount   = 0
	offPrefix  = 2
	offStart   = 4
	offGarbage = 6
	bodyHeader = 8

	offSlotCell = 0
	offSlotKey  = 2
	offSlotHead = 4
	slotSize    = 8
	headSize    = 4

	maxBody       = MaxSize - HeaderSize
	slotKeyMask   = 1<<14 - 1
	slotFlagShift = 14
	flagLarge     = 3
)

// Offsets in cells. A key starts at the end of its cell's header.
const (
	offLeafLength   = 0
	leafHeader      = 2
	offLeafKind     = 2
	offLeafReserved = 3
	offLeafRef      = 4
	leafLargeHeader = offLeafRef + OverflowRefSize

	offBranchChild    = 0
	offBranchKeys     = 8
	branchHeader      = 14
	offBranchRef      = branchHeader
	branchLargeHeader = offBranchRef + OverflowRefSize
)

// ValidSize reports whether n can be a page size.
func ValidSize(n int) bool {
	return n >= MinSize && n <= MaxSize && n&(n-1) == 0
}

// FirstPage returns the number of the first page behind the metas.
func FirstPage(pageSize int) No {
	return No((MetaSlots*MetaStride + pageSize - 1) / pageSize)
}

// MaxInlineKey returns the longest key, in bytes, that a cell holds whole.
// Longer ones are large. (A separator may be stored inline at any length up
// to this.)
func MaxInlineKey(pageSize int) int { return pageSize/8 - 8 }

// MaxCell returns the largest cell, in bytes without its slot: two of them
// always fit a page. A value that would make its cell larger goes to an
// overflow run.
func MaxCell(pageSize int) int { return (pageSize-HeaderSize-bodyHeader)/2 - slotSize }

// MaxInlineBucket returns the largest body, in bytes, of a bucket that is
// stored in its parent's leaf.
func MaxInlineBucket(pageSize int) int { return pageSize / 4 }

// MaxInlineBranch returns the largest body, in bytes, of a branch that is the
// root of a bucket and is stored in its parent's leaf or the meta.
func MaxInlineBranch(pageSize int) int { return pageSize / 8 }

// The one byte order of the format.
var le = binary.LittleEndian
