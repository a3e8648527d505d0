package page

import "github.com/cespare/xxhash/v2"

// Sum returns the checksum that the page or run b should carry: the hash of
// all but the checksum field, salted so that a page of another file does not
// pass.
func Sum(b []byte, salt uint64) uint64 {
	return xxhash.Sum64(b[offChecksum+8:]) ^ salt
}

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

// Digest is a running hash over the checksums of pages. The order counts.
// The zero value is ready for use, and a copy is an independent digest.
type Digest struct{ state uint64 }

// Add takes one checksum into the digest.
func (d *Digest) Add(checksum uint64) {
	var b [16]byte
	le.PutUint64(b[:8], d.state)
	le.PutUint64(b[8:], checksum)
	d.state = xxhash.Sum64(b[:])
}

// Sum returns the hash of all checksums added so far, 0 if there were none.
func (d *Digest) Sum() uint64 { return d.state }
