package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"strings"

	"mmdb"
)

// ErrMismatch is wrapped by every error that says that the database answered
// otherwise than the model.
var ErrMismatch = errors.New("differs from the model")

// mismatch returns an error that wraps ErrMismatch.
func mismatch(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMismatch, fmt.Sprintf(format, args...))
}

// shortValue prints a value; of a long one its beginning and its length.
func shortValue(v []byte) string {
	switch {
	case v == nil:
		return "nil"
	case len(v) > 16:
		return fmt.Sprintf("%x…(%d)", v[:16], len(v))
	}
	return fmt.Sprintf("%x(%d)", v, len(v))
}

// same compares a value that was read with the expected one. Absent is nil,
// empty is not.
func same(what string, key, got, want []byte) error {
	if !bytes.Equal(got, want) || (got == nil) != (want == nil) {
		return mismatch("%s %s: got %s, want %s", what, shortKey(key), shortValue(got), shortValue(want))
	}
	if cap(got) != len(got) {
		return mismatch("%s %s: capacity %d of a slice of %d bytes", what, shortKey(key), cap(got), len(got))
	}
	return nil
}

// samePair compares a key and a value; a nil key means that nothing is there.
func samePair(what string, k, v, wantKey, wantValue []byte) error {
	if !bytes.Equal(k, wantKey) || (k == nil) != (wantKey == nil) {
		return mismatch("%s: got key %s, want %s", what, shortKey(k), shortKey(wantKey))
	}
	return same(what, k, v, wantValue)
}

// databaseSum hashes everything that tx can see, as Model.Sum does.
func databaseSum(tx *mmdb.Tx) (uint64, error) {
	var s summer
	err := tx.ForEach(func(name []byte, b *mmdb.Bucket) error {
		s.open(name)
		return s.bucket(b, 1)
	})
	s.close(0)
	return s.h.Sum64(), errors.Join(err, tx.Err())
}

// maxDepth bounds the nesting of buckets that a walk follows: a damaged file
// must not lead it round in circles.
const maxDepth = 100

func (s *summer) bucket(b *mmdb.Bucket, depth int) error {
	if b == nil {
		return mismatch("a bucket that was listed is nil")
	}
	if depth > maxDepth {
		return mismatch("buckets are nested more than %d deep", maxDepth)
	}
	err := b.ForEach(func(k, v []byte) error {
		if v != nil {
			s.value(k, v)
			return nil
		}
		s.open(k)
		child := b.Bucket(k)
		if err := b.Tx().Err(); err != nil {
			return err // damage, not a bucket that is gone
		}
		return s.bucket(child, depth+1)
	})
	s.close(b.Sequence())
	return err
}

// Compare compares everything that tx can see with the model, through every
// way to read it. The result wraps ErrMismatch, or is the transaction's error.
func Compare(tx *mmdb.Tx, m *Model) error {
	if err := compareRoot(tx, m); err != nil {
		return errors.Join(err, tx.Err())
	}
	return tx.Err()
}

func compareRoot(tx *mmdb.Tx, m *Model) error {
	i := 0
	err := tx.ForEach(func(name []byte, b *mmdb.Bucket) error {
		if i >= len(m.entries) || m.entries[i].key != string(name) {
			return mismatch("root: bucket %s is not expected at position %d", shortKey(name), i)
		}
		i++
		if b == nil {
			return mismatch("root: ForEach gives a nil bucket for %s", shortKey(name))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if i != len(m.entries) {
		return mismatch("root: %d buckets, want %d", i, len(m.entries))
	}
	for _, e := range m.entries {
		if err := compareBucket(tx.Bucket([]byte(e.key)), e.bucket, e.key); err != nil {
			return err
		}
	}
	if tx.Bucket([]byte("no such bucket")) != nil {
		return mismatch("root: a bucket that is not there was found")
	}
	return compareCursor(tx.Cursor(), m, "root")
}

// compareBucket compares one bucket and those below it.
func compareBucket(b *mmdb.Bucket, m *Model, path string) error {
	if b == nil {
		return mismatch("%s: no such bucket", path)
	}
	if n := b.Len(); n != uint64(m.Len()) {
		return mismatch("%s: Len %d, want %d", path, n, m.Len())
	}
	if n := b.Sequence(); n != m.sequence {
		return mismatch("%s: Sequence %d, want %d", path, n, m.sequence)
	}
	for _, check := range []func(*mmdb.Bucket, *Model) error{compareForEach, compareGet, compareIterators, compareCounts, compareStats} {
		if err := check(b, m); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := compareCursor(b.Cursor(), m, path); err != nil {
		return err
	}
	for _, e := range m.entries {
		if e.bucket == nil {
			continue
		}
		if err := compareBucket(b.Bucket([]byte(e.key)), e.bucket, strings.Join([]string{path, e.key}, "/")); err != nil {
			return err
		}
	}
	return nil
}

func compareForEach(b *mmdb.Bucket, m *Model) error {
	i := 0
	err := b.ForEach(func(k, v []byte) error {
		if i == len(m.entries) {
			return mismatch("ForEach gives %s after the last key", shortKey(k))
		}
		e := m.entries[i]
		i++
		return samePair("ForEach", k, v, []byte(e.key), e.value)
	})
	if err == nil && i != len(m.entries) {
		err = mismatch("ForEach gives %d keys, want %d", i, len(m.entries))
	}
	if err != nil {
		return err
	}
	var names []string
	err = b.ForEachBucket(func(k []byte) error {
		names = append(names, string(k))
		return nil
	})
	for _, e := range m.entries {
		if e.bucket == nil {
			continue
		}
		if len(names) == 0 || names[0] != e.key {
			return mismatch("ForEachBucket gives %q, want next %q", names, e.key)
		}
		names = names[1:]
	}
	if len(names) != 0 {
		return mismatch("ForEachBucket gives %q after the last bucket", names)
	}
	return err
}

// compareGet looks for every key, and for one beside each.
func compareGet(b *mmdb.Bucket, m *Model) error {
	var keys [][]byte
	for _, e := range m.entries {
		key := []byte(e.key)
		keys = append(keys, key)
		if err := same("Get", key, b.Get(key), e.value); err != nil {
			return err
		}
		if (b.Bucket(key) != nil) != (e.bucket != nil) {
			return mismatch("Bucket %s: found %v, want %v", shortKey(key), b.Bucket(key) != nil, e.bucket != nil)
		}
		beside := append(bytes.Clone(key), 0)
		if err := same("Get", beside, b.Get(beside), m.Get(beside)); err != nil {
			return err
		}
	}
	values := b.GetMany(keys, nil)
	if len(values) != len(keys) {
		return mismatch("GetMany gives %d values for %d keys", len(values), len(keys))
	}
	for i, v := range values {
		if err := same("GetMany", keys[i], v, m.entries[i].value); err != nil {
			return err
		}
	}
	return nil
}

func compareIterators(b *mmdb.Bucket, m *Model) error {
	if err := compareSeq("All", b.All(), m.entries, false); err != nil {
		return err
	}
	if err := compareSeq("Backward", b.Backward(nil, nil), m.entries, true); err != nil {
		return err
	}
	if len(m.entries) < 3 {
		return nil
	}
	lo, hi := []byte(m.entries[len(m.entries)/3].key), []byte(m.entries[len(m.entries)*2/3].key)
	return compareRange(b, m, lo, hi)
}

// compareRange compares every way to read one range.
func compareRange(b *mmdb.Bucket, m *Model, lo, hi []byte) error {
	from, to := m.span(lo, hi)
	want := m.entries[from:to]
	if err := compareSeq("Range", b.Range(lo, hi), want, false); err != nil {
		return err
	}
	if err := compareSeq("Backward", b.Backward(lo, hi), want, true); err != nil {
		return err
	}
	if n := b.CountRange(lo, hi); n != uint64(len(want)) {
		return mismatch("CountRange(%s, %s): %d, want %d", shortKey(lo), shortKey(hi), n, len(want))
	}
	prefix := lo[:min(len(lo), 3)]
	from = m.lower(append([]byte{}, prefix...))
	for to = from; to < len(m.entries) && strings.HasPrefix(m.entries[to].key, string(prefix)); {
		to++
	}
	return compareSeq("Prefix", b.Prefix(prefix), m.entries[from:to], false)
}

func compareSeq(what string, got iter.Seq2[[]byte, []byte], want []entry, backward bool) error {
	i := 0
	for k, v := range got {
		if i == len(want) {
			return mismatch("%s gives %s after the end", what, shortKey(k))
		}
		e := want[i]
		if backward {
			e = want[len(want)-1-i]
		}
		i++
		if err := samePair(what, k, v, []byte(e.key), e.value); err != nil {
			return err
		}
	}
	if i != len(want) {
		return mismatch("%s gives %d keys, want %d", what, i, len(want))
	}
	return nil
}

// compareCursor walks in both directions, seeks every key and its neighbours,
// and asks for ranks and positions.
func compareCursor(c *mmdb.Cursor, m *Model, path string) error {
	s := shadow{model: m}
	for _, run := range [][2]StepKind{{StepFirst, StepNext}, {StepLast, StepPrev}} {
		step := Step{Kind: run[0]}
		for range len(m.entries) + 2 {
			if err := s.move(c, step); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			step.Kind = run[1]
		}
	}
	for i, e := range m.entries {
		key := []byte(e.key)
		steps := []Step{
			{Kind: StepSeek, Key: key}, {Kind: StepRank}, {Kind: StepNext}, {Kind: StepSeekLE, Key: key}, {Kind: StepPrev},
			{Kind: StepSeek, Key: append(bytes.Clone(key), 0)}, {Kind: StepSeekLE, Key: append(bytes.Clone(key), 0)},
			{Kind: StepSeekLE, Key: key[:len(key)-1]}, {Kind: StepSeekIndex, N: i}, {Kind: StepRank},
		}
		for _, step := range steps {
			if err := s.move(c, step); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	if err := s.move(c, Step{Kind: StepSeekIndex, N: len(m.entries)}); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func compareCounts(b *mmdb.Bucket, m *Model) error {
	for i, e := range m.entries {
		key := []byte(e.key)
		if n := b.CountRange(nil, key); n != uint64(i) {
			return mismatch("CountRange(nil, %s): %d, want %d", shortKey(key), n, i)
		}
		if n := b.CountRange(key, nil); n != uint64(len(m.entries)-i) {
			return mismatch("CountRange(%s, nil): %d, want %d", shortKey(key), n, len(m.entries)-i)
		}
	}
	return nil
}

func compareStats(b *mmdb.Bucket, m *Model) error {
	st := b.Stats()
	if st.Keys < m.Len() {
		return mismatch("Stats gives %d keys, want at least %d", st.Keys, m.Len())
	}
	return nil
}

// checkClean runs Tx.Check and returns the first problems that it found.
func checkClean(tx *mmdb.Tx) error {
	var all []error
	for err := range tx.Check() {
		if all = append(all, err); len(all) == 5 {
			break
		}
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("check: %w", errors.Join(all...))
}
