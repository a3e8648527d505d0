package page

import "fmt"

// No is the number of a page: its offset in the file divided by the page size.
type No uint64

// Commit is the number of a commit. Numbers ascend; 0 is no commit.
type Commit uint64

// Tree is the number of a bucket's tree, the same for the bucket's whole life.
// 0 belongs to commit records, 1 to the root bucket.
type Tree uint64

// Kind says what a page is.
type Kind uint8

// The kinds of pages.
const (
	KindBranch   Kind = 1
	KindLeaf     Kind = 2
	KindOverflow Kind = 3
	KindRecord   Kind = 4
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case KindBranch:
		return "branch"
	case KindLeaf:
		return "leaf"
	case KindOverflow:
		return "overflow"
	case KindRecord:
		return "record"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// CellKind says what the payload of a leaf cell is.
type CellKind uint8

// The kinds of leaf cells.
const (
	CellValue    CellKind = 0 // the value itself
	CellOverflow CellKind = 1 // an Overflow that leads to the value
	CellBucket   CellKind = 2 // a Bucket, and its body if it is inline
)

// String returns the cell kind's name.
func (k CellKind) String() string {
	switch k {
	case CellValue:
		return "value"
	case CellOverflow:
		return "overflow"
	case CellBucket:
		return "bucket"
	}
	return fmt.Sprintf("cell kind %d", uint8(k))
}

// Ref refers to a page: by number in a file, or by arena index while the page
// is dirty. Dirty references exist only in memory.
type Ref uint64

const dirtyBit Ref = 1 << 63

// DirtyRef returns the reference to the dirty page with arena index i.
func DirtyRef(i uint32) Ref { return dirtyBit | Ref(i) }

// PageRef returns the reference to the page with number no.
func PageRef(no No) Ref { return Ref(no) }

// Dirty reports whether r is an arena index.
func (r Ref) Dirty() bool { return r&dirtyBit != 0 }

// Index returns the arena index of a dirty reference.
func (r Ref) Index() uint32 { return uint32(r) }

// Page returns the page number of a reference that is not dirty.
func (r Ref) Page() No { return No(r) }

// String returns the number, or "dirty" and the index.
func (r Ref) String() string {
	if r.Dirty() {
		return fmt.Sprintf("dirty %d", r.Index())
	}
	return fmt.Sprintf("page %d", r.Page())
}

// Key is a key as a cell stores it.
type Key struct {
	// Bytes is the full key; of a large one, at least the first LargeKeyPart
	// bytes. Editing functions copy it.
	Bytes []byte
	// Large says that the key stands in the overflow run Ref.
	Large bool
	Ref   Overflow
}

// part returns the bytes of the key that go into a cell.
func (k Key) part() []byte {
	if k.Large {
		return k.Bytes[:LargeKeyPart]
	}
	return k.Bytes
}

// KeyLoader reads large keys. A search calls it when the first LargeKeyPart
// bytes do not decide.
type KeyLoader interface {
	// LoadKey returns the whole key that o refers to. The search does not
	// keep it.
	LoadKey(o Overflow) ([]byte, error)
}
