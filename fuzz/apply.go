package fuzz

import (
	"bytes"
	"errors"
	"fmt"

	"mmdb"
)

// sameError compares an error with the one that the model gives. An error
// where none was expected is passed on as it is: it is the database's.
func sameError(what string, got, want error) error {
	switch {
	case want == nil && got != nil:
		return fmt.Errorf("%s: %w", what, got)
	case !errors.Is(got, want):
		return mismatch("%s: error %v, want %v", what, got, want)
	}
	return nil
}

// op runs one operation on both sides.
func (r *Runner) op(tx *mmdb.Tx, m *Model, o Op) error {
	switch o.Kind {
	case OpReader:
		return r.reader(o.N)
	case OpDeleteBucket:
		return deleteBucket(tx, m, o)
	case OpMove:
		return move(tx, m, o)
	}
	b, bm, err := ensure(tx, m, o.Path)
	if err != nil || b == nil {
		return err
	}
	switch o.Kind {
	case OpPut:
		v := Value(o.Seed, o.Size)
		return sameError("Put", b.Put(o.Key, v), bm.Put(o.Key, v))
	case OpGet:
		v := b.Get(o.Key)
		r.hold(v)
		return same("Get", o.Key, v, bm.Get(o.Key))
	case OpDelete:
		return sameError("Delete", b.Delete(o.Key), bm.Delete(o.Key))
	case OpPutReserve:
		return putReserve(b, bm, o)
	case OpFill, OpDrop:
		return r.fill(b, bm, o)
	case OpDeleteRange:
		return deleteRange(b, bm, o)
	case OpCreate, OpEnsure:
		return create(b, bm, o)
	case OpSequence:
		return sequence(b, bm, o.N)
	case OpWalk:
		return r.walk(b, bm, o)
	case OpCount:
		return count(b, bm, o)
	case OpIterate:
		return compareRange(b, bm, o.Key, o.High)
	case OpGetMany:
		return getMany(b, bm, o)
	}
	panic("fuzz: operation invariant: unknown kind " + o.Kind.String())
}

// ensure opens the bucket of a path on both sides and makes what is missing.
// It returns nil when a value is in the way.
func ensure(tx *mmdb.Tx, m *Model, path []string) (*mmdb.Bucket, *Model, error) {
	var b *mmdb.Bucket
	for i, name := range path {
		next := m.Bucket([]byte(name))
		var want error
		if next == nil {
			next, want = m.Create([]byte(name))
		}
		var err error
		if i == 0 {
			b, err = tx.CreateBucketIfNotExists([]byte(name))
		} else {
			b, err = b.CreateBucketIfNotExists([]byte(name))
		}
		if err := sameError("CreateBucketIfNotExists "+name, err, want); err != nil || want != nil {
			return nil, nil, err
		}
		m = next
	}
	return b, m, nil
}

// find opens the bucket of a path on both sides; both are nil when it is not
// there. An empty path gives the root, whose bucket is nil too.
func find(tx *mmdb.Tx, m *Model, path []string) (*mmdb.Bucket, *Model, error) {
	var b *mmdb.Bucket
	for i, name := range path {
		if m = m.Bucket([]byte(name)); i == 0 {
			b = tx.Bucket([]byte(name))
		} else {
			b = b.Bucket([]byte(name))
		}
		if (b == nil) != (m == nil) {
			return nil, nil, mismatch("Bucket %s: found %v, want %v", name, b != nil, m != nil)
		}
		if m == nil {
			return nil, nil, nil
		}
	}
	return b, m, nil
}

func deleteBucket(tx *mmdb.Tx, m *Model, o Op) error {
	last := len(o.Path) - 1
	name := []byte(o.Path[last])
	b, bm, err := find(tx, m, o.Path[:last])
	if err != nil || bm == nil {
		return err
	}
	if b == nil {
		return sameError("DeleteBucket", tx.DeleteBucket(name), bm.DeleteBucket(name))
	}
	return sameError("DeleteBucket", b.DeleteBucket(name), bm.DeleteBucket(name))
}

func move(tx *mmdb.Tx, m *Model, o Op) error {
	last := len(o.Path) - 1
	name := []byte(o.Path[last])
	src, srcModel, err := find(tx, m, o.Path[:last])
	if err != nil || srcModel == nil {
		return err
	}
	dst, dstModel, err := find(tx, m, o.To)
	if err != nil || dstModel == nil {
		return err
	}
	if moved := srcModel.Bucket(name); moved != nil && moved.holds(dstModel) {
		if tx.MoveBucket(name, src, dst) == nil {
			return mismatch("MoveBucket of %s into itself: no error", name)
		}
		return nil
	}
	if src == nil || dst == nil || o.Seed%2 == 0 {
		err = tx.MoveBucket(name, src, dst)
	} else {
		err = src.MoveBucket(name, dst)
	}
	if srcModel == dstModel && errors.Is(err, mmdb.ErrSameBuckets) {
		return nil // whatever else is wrong with it
	}
	return sameError("MoveBucket", err, srcModel.Move(name, dstModel))
}

func putReserve(b *mmdb.Bucket, m *Model, o Op) error {
	v := Value(o.Seed, o.Size)
	want := m.Put(o.Key, v)
	slice, err := b.PutReserve(o.Key, o.Size)
	if err := sameError("PutReserve", err, want); err != nil || want != nil {
		return err
	}
	if len(slice) != o.Size {
		return mismatch("PutReserve gives %d bytes, want %d", len(slice), o.Size)
	}
	copy(slice, v)
	return same("Get after PutReserve", o.Key, b.Get(o.Key), v)
}

// fill puts or deletes a run of keys.
func (r *Runner) fill(b *mmdb.Bucket, m *Model, o Op) error {
	for i := range o.N {
		key := fillKey(o.Key, i)
		if o.Kind == OpDrop {
			r.hold(b.Get(key))
			if err := sameError("Delete", b.Delete(key), m.Delete(key)); err != nil {
				return err
			}
			continue
		}
		v := Value(o.Seed+uint32(i)<<16, o.Size)
		if err := sameError("Put", b.Put(key, v), m.Put(key, v)); err != nil {
			return err
		}
	}
	return nil
}

// create makes a bucket inside b with either verb.
func create(b *mmdb.Bucket, m *Model, o Op) error {
	exists := m.Bucket(o.Key) != nil
	_, want := m.Create(o.Key)
	var err error
	if o.Kind == OpCreate {
		_, err = b.CreateBucket(o.Key)
	} else {
		if exists {
			want = nil
		}
		_, err = b.CreateBucketIfNotExists(o.Key)
	}
	return sameError(o.Kind.String(), err, want)
}

// deleteRange deletes a range. Nested buckets in it must make it refuse, or go
// with it; which, is the constant deleteRangeTakesBuckets.
func deleteRange(b *mmdb.Bucket, m *Model, o Op) error {
	from, to := m.span(o.Key, o.High)
	for _, e := range m.entries[from:to] {
		if e.bucket != nil && !deleteRangeTakesBuckets {
			_, err := b.DeleteRange(o.Key, o.High)
			return sameError("DeleteRange over a bucket", err, mmdb.ErrIncompatibleValue)
		}
	}
	n, err := b.DeleteRange(o.Key, o.High)
	if err != nil {
		return fmt.Errorf("DeleteRange: %w", err)
	}
	if n != uint64(to-from) {
		return mismatch("DeleteRange gives %d, want %d", n, to-from)
	}
	m.entries = append(m.entries[:from:from], m.entries[to:]...)
	return nil
}

func sequence(b *mmdb.Bucket, m *Model, n int) error {
	if n%4 == 0 {
		m.sequence = uint64(n) * 1e9
		if err := b.SetSequence(m.sequence); err != nil {
			return fmt.Errorf("SetSequence: %w", err)
		}
	}
	m.sequence++
	got, err := b.NextSequence()
	if err != nil {
		return fmt.Errorf("NextSequence: %w", err)
	}
	if got != m.sequence || b.Sequence() != m.sequence {
		return mismatch("NextSequence gives %d, Sequence %d, want %d", got, b.Sequence(), m.sequence)
	}
	return nil
}

// walk runs a cursor program.
func (r *Runner) walk(b *mmdb.Bucket, m *Model, o Op) error {
	s := shadow{model: m}
	c := b.Cursor()
	for i, st := range o.Walk {
		if err := s.step(b, c, st, o.Seed+uint32(i)<<16); err != nil {
			return fmt.Errorf("step %d %s at %s: %w", i, st, shortKey(s.at), err)
		}
	}
	return nil
}

func count(b *mmdb.Bucket, m *Model, o Op) error {
	from, to := m.span(o.Key, o.High)
	if n := b.CountRange(o.Key, o.High); n != uint64(to-from) {
		return mismatch("CountRange(%s, %s): %d, want %d", shortKey(o.Key), shortKey(o.High), n, to-from)
	}
	if n := b.Len(); n != uint64(m.Len()) {
		return mismatch("Len: %d, want %d", n, m.Len())
	}
	s := shadow{model: m}
	c := b.Cursor()
	for _, st := range []Step{{Kind: StepSeekIndex, N: o.N}, {Kind: StepRank}, {Kind: StepSeek, Key: bytes.Clone(o.Key)}, {Kind: StepRank}} {
		if err := s.move(c, st); err != nil {
			return err
		}
	}
	return nil
}

// getMany asks for keys that are there and for some that are not, in no order.
func getMany(b *mmdb.Bucket, m *Model, o Op) error {
	var keys [][]byte
	for i := range o.N {
		keys = append(keys, fillKey(o.Key, i))
		if m.Len() > 0 {
			keys = append(keys, []byte(m.entries[i*31%m.Len()].key))
		}
	}
	first := []byte("there before")
	values := b.GetMany(keys, [][]byte{first})
	if len(values) != len(keys)+1 || !bytes.Equal(values[0], first) {
		return mismatch("GetMany gives %d values after one, want %d", len(values), len(keys)+1)
	}
	for i, key := range keys {
		if err := same("GetMany", key, values[i+1], m.Get(key)); err != nil {
			return err
		}
	}
	return nil
}

// deleteRangeTakesBuckets says what DeleteRange does with nested buckets.
const deleteRangeTakesBuckets = false
