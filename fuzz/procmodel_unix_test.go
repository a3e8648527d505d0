//go:build unix

package fuzz

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"

	"mmdb"
)

// The processes test has several processes write to one database. What a transaction changes follows from the seed and its number
// alone, so whoever reads the number of the last one knows all that the database must hold.

// procModel is what the database holds after transaction n.
type procModel struct {
	seed uint64
	n    uint64
	keys map[string]map[string]procValue // by bucket
}

// A procValue is a value in short.
type procValue struct {
	by, seed uint64
	size     int
}

func (v procValue) bytes() []byte {
	b := make([]byte, v.size+16)
	binary.BigEndian.PutUint64(b, v.by)
	x := v.seed | 1
	for i := 8; i < v.size; i += 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(b[i:], x)
	}
	return b[:max(8, v.size)]
}

// A procChange puts a value, or deletes a key.
type procChange struct {
	bucket, key string
	remove      bool
	value       procValue
}

var procBuckets = []string{"a", "b", "c"}

const (
	procMark = "mark"
	procKeys = 150 // of a bucket
)

// procChanges returns what transaction n does: phases of growth and of deletion take turns.
func procChanges(seed, n uint64) []procChange {
	rng := rand.New(rand.NewPCG(seed, n))
	many := 1 + rng.IntN(6)
	if n%89 == 0 {
		many = 300
	}
	var all []procChange
	for range many {
		c := procChange{bucket: procBuckets[rng.IntN(len(procBuckets))], key: fmt.Sprintf("key%04d", rng.IntN(procKeys))}
		if rng.IntN(100) < []int{20, 70}[n/200%2] {
			c.remove = true
		} else {
			c.value = procValue{by: n, seed: rng.Uint64(), size: rng.IntN(120)}
			switch p := rng.IntN(200); {
			case p == 0:
				c.value.size = rng.IntN(300_000)
			case p < 20:
				c.value.size = rng.IntN(9000)
			}
		}
		all = append(all, c)
	}
	return all
}

// procApply is transaction n of seed, on top of n-1.
func procApply(tx *mmdb.Tx, seed, n uint64) error {
	for _, c := range procChanges(seed, n) {
		b, err := tx.CreateBucketIfNotExists([]byte(c.bucket))
		if err == nil && c.remove {
			err = b.Delete([]byte(c.key))
		} else if err == nil {
			err = b.Put([]byte(c.key), c.value.bytes())
		}
		if err != nil {
			return err
		}
	}
	b, err := tx.CreateBucketIfNotExists([]byte(procMark))
	if err != nil {
		return err
	}
	return b.Put([]byte(procMark), strconv.AppendUint(nil, n, 10))
}

// procLast returns the number of the last transaction.
func procLast(tx *mmdb.Tx) (uint64, error) {
	b := tx.Bucket([]byte(procMark))
	if b == nil {
		return 0, tx.Err()
	}
	n, err := strconv.ParseUint(string(b.Get([]byte(procMark))), 10, 64)
	if tx.Err() != nil {
		return 0, tx.Err()
	}
	return n, err
}

// advance makes m what transaction n leaves.
func (m *procModel) advance(n uint64) {
	if m.keys == nil {
		m.keys = make(map[string]map[string]procValue)
		for _, b := range procBuckets {
			m.keys[b] = make(map[string]procValue)
		}
	}
	for m.n < n {
		m.n++
		for _, c := range procChanges(m.seed, m.n) {
			if c.remove {
				delete(m.keys[c.bucket], c.key)
			} else {
				m.keys[c.bucket][c.key] = c.value
			}
		}
	}
}

// verify returns an error unless tx holds exactly what one transaction left, not an earlier one than m's. m becomes that transaction.
func (m *procModel) verify(tx *mmdb.Tx) error {
	n, err := procLast(tx)
	if err != nil {
		return err
	}
	if n < m.n {
		return fmt.Errorf("a reader sees transaction %d after %d", n, m.n)
	}
	m.advance(n)
	for name, keys := range m.keys {
		found := 0
		if b := tx.Bucket([]byte(name)); b != nil {
			err := b.ForEach(func(k, v []byte) error {
				found++
				if want, ok := keys[string(k)]; !ok || !bytes.Equal(v, want.bytes()) {
					return fmt.Errorf("transaction %d: bucket %s, key %s: %d bytes, should be %d of transaction %d", n, name, k, len(v), want.size, want.by)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if err := tx.Err(); err != nil {
			return err
		}
		if found != len(keys) {
			return fmt.Errorf("transaction %d: bucket %s has %d keys, should have %d", n, name, found, len(keys))
		}
	}
	return nil
}
