package page

import "github.com/cespare/xxhash/v2"

// Sum returns the checksum that the page or run b should carry: the hash of
// all but the checksum field, salted so that a page of another file does not
// pass.
func Sum(b []byte, salt uint64) uint64 {
	return xxhash.Sum64(b[offChecksum+8:]) ^ salt
}

// Digest computes Sum of a page or run that is read in parts: all of its bytes
// but the checksum field are written to it, in order.
type Digest struct{ d xxhash.Digest }

// NewDigest returns a digest of no bytes.
func NewDigest() *Digest {
	d := new(Digest)
	d.d.Reset()
	return d
}

// Write adds bytes. It never fails.
func (d *Digest) Write(b []byte) (int, error) { return d.d.Write(b) }

// Sum returns the checksum of what was written.
func (d *Digest) Sum(salt uint64) uint64 { return d.d.Sum64() ^ salt }

// Seal stores the checksum of the page or run b in it, and returns it.
func Seal(b []byte, salt uint64) uint64 {
	s := Sum(b, salt)
	le.PutUint64(b[offChecksum:], s)
	return s
}

// SealRun is Seal for a run that is written in parts: head is its first
// RunHeaderSize bytes, payload what follows, pad the zeros after that to the
// end of the run. It stores the checksum in head and returns it.
func SealRun(head, payload, pad []byte, salt uint64) uint64 {
	var d xxhash.Digest
	d.Reset()
	d.Write(head[offChecksum+8 : RunHeaderSize])
	d.Write(payload)
	d.Write(pad)
	s := d.Sum64() ^ salt
	le.PutUint64(head[offChecksum:], s)
	return s
}

// ChecksumSize is the bytes that a checksum takes.
const ChecksumSize = 8

// AppendChecksum appends a checksum to a list of them.
func AppendChecksum(list []byte, sum uint64) []byte { return le.AppendUint64(list, sum) }

// ListedChecksum returns checksum i of a list.
func ListedChecksum(list []byte, i int) uint64 { return le.Uint64(list[i*ChecksumSize:]) }
