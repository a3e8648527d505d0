package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mmdb"
)

// A model is the content of the database after some transaction, for every key the number of the transaction that wrote it and the length
// of the value: all else follows from these.
type model map[string]entry

type entry struct{ by, size int }

// mark is the key of the number of the last transaction.
const mark = "mark"

// bucket is the bucket of all keys; those that begin with nested are in a bucket inside it.
const (
	bucket = "data"
	nested = "nested/"
)

// steps says what transaction i does: which keys it puts, with how many bytes, and which it deletes. Eight in a row need every kind of
// system call: scattered and long writes, room for large values, growth and the cut of the file.
func steps(i int, put func(key string, size int), del func(key string)) {
	small := func(n, size int) {
		for k := range n {
			put(fmt.Sprintf("small %03d", (i*37+k*11)%200), size+k*7)
		}
	}
	switch i % 8 {
	case 1:
		small(30, 50)
	case 2:
		put(fmt.Sprintf("large %d", i%3), 100_000)
		small(10, 400)
	case 3:
		put("huge", 5<<18)
	case 4:
		for k := range 60 {
			del(fmt.Sprintf("small %03d", (i*13+k*3)%200))
		}
		put(nested+"a", 20)
		put(nested+"b", 200)
	case 5:
		put("huger", 5<<19)
		small(5, 20)
	case 6:
		small(20, 1200)
	case 7:
		del("huge")
		del("huger")
	case 0:
		for k := range 40 {
			put(fmt.Sprintf("%s%03d", nested, k), 30+i)
		}
		del(nested + "a")
	}
}

// change is transaction i.
func (m model) change(i int) {
	steps(i, func(key string, size int) { m[key] = entry{i, size} }, func(key string) { delete(m, key) })
	m[mark] = entry{i, 0}
}

func (m model) number() int { return m[mark].by }

func (m model) clone() model { return maps.Clone(m) }

// value returns what transaction i writes to a key.
func value(key string, e entry) []byte {
	if key == mark {
		return fmt.Appendf(nil, "transaction %d", e.by)
	}
	v := make([]byte, e.size+8)
	x := uint64(e.by)<<32 ^ uint64(len(key))<<16 ^ uint64(key[len(key)-1]) | 1
	for j := 0; j < e.size; j += 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(v[j:], x)
	}
	return v[:e.size]
}

// apply is transaction i on the database.
func apply(tx *mmdb.Tx, i int) error {
	top, err := tx.CreateBucketIfNotExists([]byte(bucket))
	if err != nil {
		return err
	}
	in, err := top.CreateBucketIfNotExists([]byte(nested))
	if err != nil {
		return err
	}
	first := func(e error) {
		if err == nil {
			err = e
		}
	}
	at := func(key string) (*mmdb.Bucket, []byte) {
		if rest, ok := strings.CutPrefix(key, nested); ok {
			return in, []byte(rest)
		}
		return top, []byte(key)
	}
	put := func(key string, size int) {
		b, k := at(key)
		first(b.Put(k, value(key, entry{i, size})))
	}
	steps(i, put, func(key string) {
		b, k := at(key)
		first(b.Delete(k))
	})
	put(mark, 0)
	return err
}

// found returns the number of the last transaction.
func found(db *mmdb.DB) (n int) {
	err := db.View(func(tx *mmdb.Tx) error {
		if b := tx.Bucket([]byte(bucket)); b != nil {
			if _, err := fmt.Sscanf(string(b.Get([]byte(mark))), "transaction %d", &n); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		bad("the number of the last transaction: %v", err)
	}
	return n
}

// compare returns an error unless tx sees exactly m, which is the state of transaction n.
func (m model) compare(tx *mmdb.Tx, n int) error {
	top := tx.Bucket([]byte(bucket))
	if top == nil {
		if n > 0 || tx.Err() != nil {
			return fmt.Errorf("nothing there: %w", tx.Err())
		}
		return nil
	}
	var keys []string
	if err := m.compareBucket(top, "", &keys); err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(keys, k) {
			return fmt.Errorf("key %q is missing", k)
		}
	}
	return tx.Err()
}

// compareBucket compares the values of a bucket, and lists its keys.
func (m model) compareBucket(b *mmdb.Bucket, prefix string, keys *[]string) error {
	for k, v := range b.All() {
		key := prefix + string(k)
		if v == nil {
			if err := m.compareBucket(b.Bucket(k), key, keys); err != nil {
				return err
			}
			continue
		}
		e, ok := m[key]
		if !ok {
			return fmt.Errorf("key %q should not be there", key)
		}
		if !bytes.Equal(v, value(key, e)) {
			return fmt.Errorf("key %q does not have the %d bytes of transaction %d", key, len(v), e.by)
		}
		*keys = append(*keys, key)
	}
	return nil
}
