package page

// Header is the decoded page header.
type Header struct {
	Checksum uint64 // see Sum
	Number   No     // the page's own number
	Born     Commit // the commit that wrote it
	Tree     Tree   // 0 for commit records
	Kind     Kind
	Level    uint8  // height above the leaves
	Flags    uint16 // zero
	Run      uint32 // pages in this run
}

// Decode reads the header from the first HeaderSize bytes of b. It checks
// nothing; Verify does.
func (h *Header) Decode(b []byte) {
	_ = b[HeaderSize-1]
	*h = Header{
		Checksum: Stored(b),
		Number:   Number(b),
		Born:     Born(b),
		Tree:     TreeNo(b),
		Kind:     KindOf(b),
		Level:    Level(b),
		Flags:    le.Uint16(b[offFlags:]),
		Run:      Run(b),
	}
}

// Encode writes the header to the first HeaderSize bytes of b.
func (h *Header) Encode(b []byte) {
	_ = b[HeaderSize-1]
	le.PutUint64(b[offChecksum:], h.Checksum)
	le.PutUint64(b[offNumber:], uint64(h.Number))
	le.PutUint64(b[offBorn:], uint64(h.Born))
	le.PutUint64(b[offTree:], uint64(h.Tree))
	b[offKind] = uint8(h.Kind)
	b[offLevel] = h.Level
	le.PutUint16(b[offFlags:], h.Flags)
	le.PutUint32(b[offRun:], h.Run)
}

// Stored returns the checksum that stands in the page b.
func Stored(b []byte) uint64 { return le.Uint64(b[offChecksum:]) }

// Number returns the number that stands in the page b.
func Number(b []byte) No { return No(le.Uint64(b[offNumber:])) }

// Born returns the commit that wrote the page b.
func Born(b []byte) Commit { return Commit(le.Uint64(b[offBorn:])) }

// SetPlace writes the page's number and the commit that writes it into the header of the page or run b.
func SetPlace(b []byte, no No, born Commit) {
	le.PutUint64(b[offNumber:], uint64(no))
	le.PutUint64(b[offBorn:], uint64(born))
}

// TreeNo returns the number of the tree that the page b belongs to.
func TreeNo(b []byte) Tree { return Tree(le.Uint64(b[offTree:])) }

// KindOf returns the kind of the page b.
func KindOf(b []byte) Kind { return Kind(b[offKind]) }

// Level returns the height of the page b above the leaves.
func Level(b []byte) uint8 { return b[offLevel] }

// Run returns the length, in pages, of the run that starts with the page b.
func Run(b []byte) uint32 { return le.Uint32(b[offRun:]) }

// Body returns the slotted body of the branch or leaf page b. It aliases b.
func Body(b []byte) []byte { return b[HeaderSize:len(b):len(b)] }
