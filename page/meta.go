package page

import (
	"fmt"

	"github.com/cespare/xxhash/v2"
)

const metaMagic uint64 = 0x1a0a0d00_62646d6d // "mmdb\x00\r\n\x1a"

// Offsets in a meta.
const (
	offMetaChecksum       = 0
	offMetaMagic          = 8
	offMetaVersion        = 16
	offMetaPageSize       = 20
	offMetaIncompatible   = 24
	offMetaCompatible     = 32
	offMetaSalt           = 40
	offMetaCommit         = 48
	offMetaBase           = 56
	offMetaRoot           = 64 // a bucket header
	offMetaNextTree       = 96
	offMetaHighWater      = 104
	offMetaRecord         = 112
	offMetaRecordLength   = 120
	offMetaRecordChecksum = 128
	offMetaFlags          = 136
	offMetaRootLength     = 140
	offMetaRootBody       = 144

	metaSettled = 1
)

// Link tells where a commit record stands, and which one it is. The zero Link
// leads nowhere.
type Link struct {
	Page     No     // first page of its run
	Len      uint64 // bytes of payload; the run has RunPages(Len) pages
	Checksum uint64 // of the run
	Commit   Commit // the record's commit
}

// Meta is the root of everything: the state of the database after a commit.
type Meta struct {
	Version            uint32
	PageSize           uint32 // bytes
	Incompatible       uint64 // feature bits; an unknown one: ErrVersion
	ReadOnlyCompatible uint64 // feature bits; an unknown one: do not write
	Salt               uint64 // of all checksums in the file
	Commit             Commit
	Base               Commit     // newest commit known durable when this was written
	Root               Bucket     // the root bucket
	Body               InlineRoot // its body, if Root.Root is 0
	NextTree           Tree       // number for the next new bucket
	HighWater          No         // pages, counted from the start of the file
	Record             Link       // the commit's record; its Commit is this one
	Settled            bool       // nothing after Base is in doubt
}

// InlineRoot is the body of a root bucket that has no page.
type InlineRoot struct {
	n int
	b [MaxInlineRoot]byte
}

// NewInlineRoot returns a copy of body, which has at most MaxInlineRoot bytes.
func NewInlineRoot(body []byte) (r InlineRoot) {
	if len(body) > MaxInlineRoot {
		panic("page: invariant: root bucket too large for a meta")
	}
	r.n = copy(r.b[:], body)
	return r
}

// Bytes returns the body. It aliases r.
func (r *InlineRoot) Bytes() []byte { return r.b[:r.n:r.n] }

// MetaOffset returns where in the file, in bytes, a meta slot starts.
func MetaOffset(slot int) int64 { return int64(slot) * MetaStride }

// Encode writes the meta with its checksum to the first MetaSize bytes of dst.
func (m *Meta) Encode(dst []byte) {
	dst = dst[:MetaSize]
	le.PutUint64(dst[offMetaMagic:], metaMagic)
	le.PutUint32(dst[offMetaVersion:], m.Version)
	le.PutUint32(dst[offMetaPageSize:], m.PageSize)
	le.PutUint64(dst[offMetaIncompatible:], m.Incompatible)
	le.PutUint64(dst[offMetaCompatible:], m.ReadOnlyCompatible)
	le.PutUint64(dst[offMetaSalt:], m.Salt)
	le.PutUint64(dst[offMetaCommit:], uint64(m.Commit))
	le.PutUint64(dst[offMetaBase:], uint64(m.Base))
	m.Root.Encode(dst[offMetaRoot:])
	le.PutUint64(dst[offMetaNextTree:], uint64(m.NextTree))
	le.PutUint64(dst[offMetaHighWater:], uint64(m.HighWater))
	le.PutUint64(dst[offMetaRecord:], uint64(m.Record.Page))
	le.PutUint64(dst[offMetaRecordLength:], m.Record.Len)
	le.PutUint64(dst[offMetaRecordChecksum:], m.Record.Checksum)
	var flags uint32
	if m.Settled {
		flags |= metaSettled
	}
	le.PutUint32(dst[offMetaFlags:], flags)
	le.PutUint32(dst[offMetaRootLength:], uint32(m.Body.n))
	copy(dst[offMetaRootBody:], m.Body.b[:]) // with the zeros behind it
	le.PutUint64(dst[offMetaChecksum:], xxhash.Sum64(dst[offMetaMagic:]))
}

// Decode reads a meta from the first MetaSize bytes of src and validates it.
// The error wraps ErrInvalid if this is no meta, ErrCorrupt if it is damaged,
// ErrVersion if a newer mmdb wrote it. Unless the error is the first, m is what
// the bytes say.
func (m *Meta) Decode(src []byte) error {
	if len(src) < MetaSize {
		return damaged("meta: %d bytes, want %d", len(src), MetaSize)
	}
	src = src[:MetaSize]
	if le.Uint64(src[offMetaMagic:]) != metaMagic {
		return fmt.Errorf("%w: no magic number in the meta", ErrInvalid)
	}
	commit := Commit(le.Uint64(src[offMetaCommit:]))
	flags, body := le.Uint32(src[offMetaFlags:]), le.Uint32(src[offMetaRootLength:])
	*m = Meta{
		Version:            le.Uint32(src[offMetaVersion:]),
		PageSize:           le.Uint32(src[offMetaPageSize:]),
		Incompatible:       le.Uint64(src[offMetaIncompatible:]),
		ReadOnlyCompatible: le.Uint64(src[offMetaCompatible:]),
		Salt:               le.Uint64(src[offMetaSalt:]),
		Commit:             commit,
		Base:               Commit(le.Uint64(src[offMetaBase:])),
		Root:               DecodeBucket(src[offMetaRoot:]),
		NextTree:           Tree(le.Uint64(src[offMetaNextTree:])),
		HighWater:          No(le.Uint64(src[offMetaHighWater:])),
		Record: Link{
			Page:     No(le.Uint64(src[offMetaRecord:])),
			Len:      le.Uint64(src[offMetaRecordLength:]),
			Checksum: le.Uint64(src[offMetaRecordChecksum:]),
			Commit:   commit,
		},
		Settled: flags&metaSettled != 0,
	}
	m.Body = NewInlineRoot(src[offMetaRootBody:][:min(body, MaxInlineRoot)])
	if le.Uint64(src[offMetaChecksum:]) != xxhash.Sum64(src[offMetaMagic:]) {
		return damaged("meta: checksum does not match")
	}
	if err := m.Validate(); err != nil {
		return err
	}
	if flags&^metaSettled != 0 || body > MaxInlineRoot || !zero(src[offMetaRootBody+body:]) {
		return damaged("meta: reserved bytes are not zero")
	}
	return nil
}

// Validate checks every field that can be checked without the file. The error
// wraps ErrVersion or ErrCorrupt.
func (m *Meta) Validate() error {
	if err := checkVersion(m.Version); err != nil {
		return err
	}
	if unknown := m.Incompatible &^ KnownIncompatible; unknown != 0 {
		return fmt.Errorf("%w: it needs features %#x", ErrVersion, unknown)
	}
	s := state{m.PageSize, m.Commit, m.Base, m.HighWater, m.Root, m.Body.Bytes(), m.NextTree}
	if reason := s.check(); reason != "" {
		return damaged("meta: %s", reason)
	}
	if m.Record.Commit != m.Commit {
		return damaged("meta: record of commit %d in commit %d", m.Record.Commit, m.Commit)
	}
	if reason := s.checkLink(m.Record, m.HighWater); reason != "" {
		return damaged("meta: %s", reason)
	}
	return nil
}

// zero reports whether all of b is zero.
func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
