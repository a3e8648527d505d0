package main

import (
	"bytes"
	"fmt"
	"slices"
)

// tortureBucket is what a bucket must hold.
type tortureBucket struct {
	values   map[string]tortureValue
	buckets  map[string]*tortureBucket
	sequence uint64
}

func newTortureBucket() *tortureBucket {
	return &tortureBucket{values: map[string]tortureValue{}, buckets: map[string]*tortureBucket{}}
}

// find returns the bucket at path below m, made if create is given, and nil if there is none.
func (m *tortureBucket) find(path []string, create bool) *tortureBucket {
	for _, name := range path {
		next := m.buckets[name]
		if next == nil {
			if !create {
				return nil
			}
			next = newTortureBucket()
			m.buckets[name] = next
		}
		m = next
	}
	return m
}

// model makes the change in the model root. It is apply's twin.
func (s *tortureStep) model(root *tortureBucket) {
	b := root.find(s.path, s.kind == torturePut || s.kind == tortureSequence)
	if b == nil {
		return
	}
	switch s.kind {
	case torturePut:
		b.values[s.key] = s.value
	case tortureDelete:
		delete(b.values, s.key)
	case tortureDeleteRange:
		for k := range b.values {
			if k >= s.key && k < s.end {
				delete(b.values, k)
			}
		}
	case tortureDeleteBucket:
		n := len(s.path) - 1
		delete(root.find(s.path[:n], false).buckets, s.path[n])
	case tortureSequence:
		b.sequence++
	case tortureMove:
		if b.buckets[s.key] == nil {
			return
		}
		to := root.find(s.to, true)
		if to.buckets[s.key] == nil {
			to.buckets[s.key] = b.buckets[s.key]
			delete(b.buckets, s.key)
		}
	}
}

// count returns the number of keys in m and below.
func (m *tortureBucket) count() int {
	n := len(m.values)
	for _, b := range m.buckets {
		n += b.count()
	}
	return n
}

// compare returns an error unless p, at path, holds exactly what m does. The bucket of the mark is left out.
func (m *tortureBucket) compare(p torturePart, path bucketPath) error {
	items := 0
	err := p.each(func(key, value []byte) error {
		if path == nil && string(key) == tortureMarkBucket {
			return nil
		}
		items++
		if value == nil {
			return m.compareNested(p, path, key)
		}
		want, ok := m.values[string(key)]
		switch {
		case !ok:
			return fmt.Errorf("bucket %s has key %.40q, which was deleted or never made", path, key)
		case !bytes.Equal(value, want.bytes()):
			return fmt.Errorf("bucket %s, key %.40q: %d bytes differ from the %d that transaction %d wrote", path, key, len(value), want.size, want.by)
		}
		return nil
	})
	if err == nil {
		err = p.tx.Err()
	}
	if err != nil {
		return err
	}
	if want := len(m.values) + len(m.buckets); items != want {
		return fmt.Errorf("bucket %s has %d items, want %d", path, items, want)
	}
	if p.b != nil && (p.b.Len() != uint64(items) || p.b.Sequence() != m.sequence) {
		return fmt.Errorf("bucket %s counts %d items, want %d, and its sequence is %d, want %d", path, p.b.Len(), items, p.b.Sequence(), m.sequence)
	}
	return nil
}

func (m *tortureBucket) compareNested(p torturePart, path bucketPath, name []byte) error {
	path = append(slices.Clone(path), bytes.Clone(name))
	in, ok := p.bucket(string(name))
	want := m.buckets[string(name)]
	switch {
	case want == nil:
		return fmt.Errorf("bucket %s was deleted or never made", path)
	case !ok:
		return fmt.Errorf("bucket %s can't be read: %v", path, p.tx.Err())
	}
	return want.compare(in, path)
}
