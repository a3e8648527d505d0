package fuzz

import (
	"encoding/binary"
	"slices"
	"sort"

	"github.com/cespare/xxhash/v2"

	"mmdb"
)

// maxKey is the documented limit of a key, in bytes.
const maxKey = 32768

// A Model is what a bucket should hold: its entries in key order, as plain as
// it can be said. The root of a database is a Model whose entries are buckets.
// Values are never changed after they were stored, so that copies share them.
type Model struct {
	entries  []entry
	sequence uint64
}

// An entry is a value, or a bucket when bucket is not nil.
type entry struct {
	key    string
	value  []byte
	bucket *Model
}

// find returns the position of key, or where it would be.
func (m *Model) find(key []byte) (int, bool) {
	i := sort.Search(len(m.entries), func(i int) bool { return m.entries[i].key >= string(key) })
	return i, i < len(m.entries) && m.entries[i].key == string(key)
}

// lower returns the number of entries before key; all of them for nil, which
// is the open end of a range.
func (m *Model) lower(key []byte) int {
	if key == nil {
		return len(m.entries)
	}
	i, _ := m.find(key)
	return i
}

// span returns the positions of the range [lo, hi), nil being open.
func (m *Model) span(lo, hi []byte) (from, to int) {
	if lo != nil {
		from = m.lower(lo)
	}
	return from, max(from, m.lower(hi))
}

// Len returns the number of entries, nested buckets included.
func (m *Model) Len() int { return len(m.entries) }

// Get returns the value of key: nil when it is absent or a bucket.
func (m *Model) Get(key []byte) []byte {
	if i, ok := m.find(key); ok {
		return m.entries[i].value
	}
	return nil
}

// Put stores a value and returns the error that the database should return.
// The value is kept.
func (m *Model) Put(key, value []byte) error {
	switch {
	case len(key) == 0:
		return mmdb.ErrKeyRequired
	case len(key) > maxKey:
		return mmdb.ErrKeyTooLarge
	}
	i, ok := m.find(key)
	switch {
	case !ok:
		m.entries = slices.Insert(m.entries, i, entry{key: string(key), value: value})
	case m.entries[i].bucket != nil:
		return mmdb.ErrIncompatibleValue
	default:
		m.entries[i].value = value
	}
	return nil
}

// Delete removes a value.
func (m *Model) Delete(key []byte) error {
	i, ok := m.find(key)
	switch {
	case !ok:
		return nil
	case m.entries[i].bucket != nil:
		return mmdb.ErrIncompatibleValue
	}
	m.entries = slices.Delete(m.entries, i, i+1)
	return nil
}

// Bucket returns the nested bucket, nil when there is none.
func (m *Model) Bucket(name []byte) *Model {
	if i, ok := m.find(name); ok {
		return m.entries[i].bucket
	}
	return nil
}

// Create makes a nested bucket.
func (m *Model) Create(name []byte) (*Model, error) {
	switch {
	case len(name) == 0:
		return nil, mmdb.ErrBucketNameRequired
	case len(name) > maxKey:
		return nil, mmdb.ErrKeyTooLarge
	}
	i, ok := m.find(name)
	if ok {
		if m.entries[i].bucket != nil {
			return nil, mmdb.ErrBucketExists
		}
		return nil, mmdb.ErrIncompatibleValue
	}
	b := &Model{}
	m.entries = slices.Insert(m.entries, i, entry{key: string(name), bucket: b})
	return b, nil
}

// take finds a nested bucket for deletion or a move.
func (m *Model) take(name []byte) (int, error) {
	i, ok := m.find(name)
	switch {
	case !ok:
		return 0, mmdb.ErrBucketNotFound
	case m.entries[i].bucket == nil:
		return 0, mmdb.ErrIncompatibleValue
	}
	return i, nil
}

// DeleteBucket removes a nested bucket and all in it.
func (m *Model) DeleteBucket(name []byte) error {
	i, err := m.take(name)
	if err == nil {
		m.entries = slices.Delete(m.entries, i, i+1)
	}
	return err
}

// Move moves the nested bucket name of m into dst, which must not be the
// bucket itself or lie in it.
func (m *Model) Move(name []byte, dst *Model) error {
	i, err := m.take(name)
	if err != nil {
		return err
	}
	if m == dst {
		return mmdb.ErrSameBuckets
	}
	j, ok := dst.find(name)
	if ok {
		if dst.entries[j].bucket != nil {
			return mmdb.ErrBucketExists
		}
		return mmdb.ErrIncompatibleValue
	}
	e := m.entries[i]
	m.entries = slices.Delete(m.entries, i, i+1)
	dst.entries = slices.Insert(dst.entries, j, e)
	return nil
}

// holds reports whether b is m or lies somewhere in it.
func (m *Model) holds(b *Model) bool {
	if m == b {
		return true
	}
	for _, e := range m.entries {
		if e.bucket != nil && e.bucket.holds(b) {
			return true
		}
	}
	return false
}

// Clone returns a deep copy that shares only the bytes of values.
func (m *Model) Clone() *Model {
	c := &Model{entries: slices.Clone(m.entries), sequence: m.sequence}
	for i := range c.entries {
		if b := c.entries[i].bucket; b != nil {
			c.entries[i].bucket = b.Clone()
		}
	}
	return c
}

// Sum returns a hash of everything in m; databaseSum gives the same for the
// same content of a database.
func (m *Model) Sum() uint64 {
	var s summer
	s.model(m)
	return s.h.Sum64()
}

// A summer hashes the content of buckets in key order, lengths included.
type summer struct {
	h   xxhash.Digest
	on  bool
	buf [17]byte
}

func (s *summer) init() {
	if !s.on {
		s.h.Reset()
		s.on = true
	}
}

// item adds the head of an entry: what it is, and two numbers.
func (s *summer) item(what byte, a, b uint64) {
	s.init()
	s.buf[0] = what
	binary.LittleEndian.PutUint64(s.buf[1:], a)
	binary.LittleEndian.PutUint64(s.buf[9:], b)
	s.h.Write(s.buf[:])
}

func (s *summer) value(key, value []byte) {
	s.item('v', uint64(len(key)), uint64(len(value)))
	s.h.Write(key)
	s.h.Write(value)
}

func (s *summer) open(key []byte) {
	s.item('b', uint64(len(key)), 0)
	s.h.Write(key)
}

func (s *summer) close(sequence uint64) { s.item('e', sequence, 0) }

func (s *summer) model(m *Model) {
	for _, e := range m.entries {
		if e.bucket == nil {
			s.value([]byte(e.key), e.value)
			continue
		}
		s.open([]byte(e.key))
		s.model(e.bucket)
	}
	s.close(m.sequence)
}
