package fuzz

import "math/rand/v2"

// A Source is the stream of decisions that operations are made from: either
// the bytes of a fuzzer, which it may shrink and mutate, or a generator with a
// seed. The same stream gives the same operations.
type Source struct {
	data []byte
	rng  *rand.Rand
	left int // bytes still to be given, for a seeded source
}

// FromBytes returns a source that gives the bytes of data and is then done.
// The slice is kept and must not be changed.
func FromBytes(data []byte) *Source { return &Source{data: data} }

// FromSeed returns a source of n pseudo-random bytes.
func FromSeed(seed uint64, n int) *Source {
	return &Source{rng: rand.New(rand.NewPCG(seed, 0x6d6d6462)), left: n}
}

// Done reports whether the stream has ended. Reading on gives zeros.
func (s *Source) Done() bool {
	if s.rng != nil {
		return s.left <= 0
	}
	return len(s.data) == 0
}

// Byte returns the next byte.
func (s *Source) Byte() byte {
	if s.rng != nil {
		s.left--
		return byte(s.rng.Uint32())
	}
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

// Uint16 returns the next two bytes as a number.
func (s *Source) Uint16() int { return int(s.Byte())<<8 | int(s.Byte()) }

// Intn returns a number below n, which must be positive. It takes one byte
// when n is at most 256, else two.
func (s *Source) Intn(n int) int {
	if n <= 256 {
		return int(s.Byte()) % n
	}
	return s.Uint16() % n
}
