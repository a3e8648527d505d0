package page

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// InitRunHead writes the first RunHeaderSize bytes of a run to head, for a run that is written in parts.
func InitRunHead(head []byte, h Header, payloadLen int) {
	h.Encode(head)
	binary.LittleEndian.PutUint32(head[offRunLength:], uint32(payloadLen))
	binary.LittleEndian.PutUint32(head[offRunReserved:], 0)
}

// SealRun computes the checksum of a run that is written in parts: head is its first RunHeaderSize bytes,
// payload what follows, pad the zero bytes after that to the end of the run. The checksum is stored in head
// and returned; it is the one that Seal gives for the same bytes in one piece.
func SealRun(head, payload, pad []byte, salt uint64) uint64 {
	var d xxhash.Digest
	d.Reset()
	d.Write(head[8:RunHeaderSize])
	d.Write(payload)
	d.Write(pad)
	sum := d.Sum64() ^ salt
	binary.LittleEndian.PutUint64(head, sum)
	return sum
}
