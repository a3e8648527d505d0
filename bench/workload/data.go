package workload

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"

	"mmdb/bench/engine"
)

// keySize is the length of a key: 16 hexadecimal digits.
const keySize = 16

// putKey makes dst[:16] the key of item i. Items are numbered in the order of their keys. Even numbers are spelt, so that a miss can be
// looked for between any two.
func putKey(dst []byte, i int) { putHex(dst, uint64(i)*2) }

// putMiss makes dst[:16] a key that follows item i's and is never stored.
func putMiss(dst []byte, i int) { putHex(dst, uint64(i)*2+1) }

// putHex spells x, eight digits at a time. The C program in package native does the same.
func putHex(dst []byte, x uint64) {
	_ = dst[keySize-1]
	binary.BigEndian.PutUint64(dst, spell(uint32(x>>32)))
	binary.BigEndian.PutUint64(dst[8:], spell(uint32(x)))
}

// spell returns the eight hexadecimal digits of x as eight bytes, the first one on top.
func spell(x uint32) uint64 {
	v := uint64(x)
	v = (v | v<<16) & 0x0000ffff0000ffff
	v = (v | v<<8) & 0x00ff00ff00ff00ff
	v = (v | v<<4) & 0x0f0f0f0f0f0f0f0f
	letters := ((v + 0x0606060606060606) >> 4) & 0x0101010101010101 // digits above 9
	return v + 0x3030303030303030 + letters*('a'-'0'-10)
}

// mix is a bijection that scatters its argument.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// stride is the step of counters that are mixed into random numbers.
const stride = 0x9e3779b97f4a7c15

// random is a sequence of random numbers; the C program in package native makes the same.
type random struct{ state uint64 }

// next returns the next number.
func (r *random) next() uint64 {
	r.state += stride
	return mix(r.state)
}

// below returns a number from 0 to n-1.
func (r *random) below(n int) int {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int(hi)
}

// permutation returns the numbers from 0 to n-1 in random order.
func permutation(n int, seed uint64) []uint32 {
	r := random{seed}
	p := make([]uint32, n)
	for i := range p {
		j := r.below(i + 1)
		p[i] = p[j]
		p[j] = uint32(i)
	}
	return p
}

// firstByte is the first byte of item i's value in that version.
func firstByte(i int, version uint32) byte { return byte(valueSeed(i, version)) }

// valueSeed is what an item's value is made from.
func valueSeed(i int, version uint32) uint64 { return mix(uint64(i)<<24 + uint64(version)) }

// putValue fills dst with the value of item i in that version: bytes that don't compress.
func putValue(dst []byte, i int, version uint32) { fill(dst, valueSeed(i, version)) }

// fill fills dst with bytes that follow from seed.
func fill(dst []byte, seed uint64) {
	for len(dst) >= 8 {
		binary.LittleEndian.PutUint64(dst, seed)
		seed = seed*6364136223846793005 + 1442695040888963407
		dst = dst[8:]
	}
	for j := range dst {
		dst[j] = byte(seed >> (8 * j))
	}
}

// A model is what a store must hold: the version of each item's value, 0 for an item that is not there.
type model struct {
	versions  []uint32
	valueSize int
}

// newModel is a model of capacity items, of which the first live ones are there in version 1.
func newModel(live, capacity, valueSize int) *model {
	m := &model{make([]uint32, capacity), valueSize}
	for i := range live {
		m.versions[i] = 1
	}
	return m
}

// live returns the number of items.
func (m *model) live() (n int) {
	for _, v := range m.versions {
		if v != 0 {
			n++
		}
	}
	return n
}

// touch returns what a scan of all items must have read.
func (m *model) touch() (t engine.Touch) {
	var key [keySize]byte
	for i, v := range m.versions {
		if v != 0 {
			putKey(key[:], i)
			t.Item(key[:], []byte{firstByte(i, v)})
		}
	}
	return t
}

// check compares every byte of the store with the model.
func (m *model) check(s engine.Session) error {
	key, value := make([]byte, keySize), make([]byte, m.valueSize)
	i := 0
	advance := func() {
		for i < len(m.versions) && m.versions[i] == 0 {
			i++
		}
	}
	err := s.View(func(r engine.Reader) error {
		i = 0
		return r.Each(func(k, v []byte) error {
			if advance(); i == len(m.versions) {
				return fmt.Errorf("content: key %q should not be there", k)
			}
			putKey(key, i)
			putValue(value, i, m.versions[i])
			if !bytes.Equal(k, key) || !bytes.Equal(v, value) {
				return fmt.Errorf("content: item %d: key %q where %q should be, %d bytes of value", i, k, key, len(v))
			}
			i++
			return nil
		})
	})
	if err != nil {
		return err
	}
	if advance(); i != len(m.versions) {
		return fmt.Errorf("content: item %d is missing", i)
	}
	return nil
}

// same compares what was read with what should have been.
func same(got, want engine.Touch) error {
	if got != want {
		return fmt.Errorf("read %d items with sum %d, expected %d with sum %d", got.Items, got.Sum, want.Items, want.Sum)
	}
	return nil
}
