package mmapfile

import "sync/atomic"

// Words returns the memory of the mapping as 64-bit words of this machine, to be used with atomic operations by all threads of all
// processes that map the file. The rules of Data hold: the mapping must be Writable, words beyond the end of the file fault,
// and all is valid until Unmap.
func (m *Mapping) Words() []atomic.Uint64 { return memWords(m.data) }

// Words returns the memory of the region as Mapping.Words does. The region must begin on a page: at an offset of zero, or
// anonymous. Otherwise it is nil.
func (r *Region) Words() []atomic.Uint64 {
	if len(r.raw) == 0 || &r.raw[0] != &r.data[0] {
		return nil
	}
	return memWords(r.data)
}
