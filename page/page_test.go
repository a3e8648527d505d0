package page

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
)

var (
	seed    = flag.Uint64("seed", 1, "seed of the random tests")
	rewrite = flag.Bool("rewrite", false, "write the golden files anew")
)

// random returns a source that the flag -seed changes, another for each test.
func random(t testing.TB, stream uint64) *rand.Rand {
	t.Logf("-seed=%d stream %d", *seed, stream)
	return rand.New(rand.NewPCG(*seed, stream))
}

// memory is a KeyLoader that keeps large keys in a map.
type memory struct {
	keys  map[Ref][]byte
	loads int
	fail  error
}

func newMemory() *memory { return &memory{keys: map[Ref][]byte{}} }

func (m *memory) LoadKey(o Overflow) ([]byte, error) {
	m.loads++
	if m.fail != nil {
		return nil, m.fail
	}
	k, ok := m.keys[o.Page]
	if !ok || len(k) != int(o.Len) {
		return nil, fmt.Errorf("no key at %s", o.Page)
	}
	return k, nil
}

// key returns key in the form that a page of that size stores.
func (m *memory) key(key []byte, pageSize int) Key {
	if len(key) <= MaxInlineKey(pageSize) {
		return Key{Bytes: key}
	}
	ref := Overflow{Page: Ref(len(m.keys)) + 1000, Len: uint32(len(key)), Born: 7}
	m.keys[ref.Page] = bytes.Clone(key)
	return Key{Bytes: key, Large: true, Ref: ref}
}

// prefixes that random keys of one body share.
var prefixes = []int{0, 1, 3, 8, 11, 16, 17, 40, 251, 252, 253, 256, 260, 300}

// keySource makes keys with a common prefix and short tails from few letters,
// so that heads often are equal; some of them are large.
type keySource struct {
	rnd      *rand.Rand
	prefix   []byte
	letters  []byte
	pageSize int
	large    bool
}

func newKeySource(rnd *rand.Rand, pageSize int, large bool) *keySource {
	s := &keySource{rnd: rnd, pageSize: pageSize, large: large}
	s.prefix = bytes.Repeat([]byte{'p'}, prefixes[rnd.IntN(len(prefixes))])
	if rnd.IntN(2) == 0 {
		s.letters = []byte{0, 1, 'a', 255}
	} else {
		for c := range 256 {
			s.letters = append(s.letters, byte(c))
		}
	}
	return s
}

func (s *keySource) key() []byte {
	k := bytes.Clone(s.prefix)
	if s.rnd.IntN(20) == 0 {
		k = k[:s.rnd.IntN(len(k)+1)] // breaks the prefix
	}
	for range s.rnd.IntN(9) {
		k = append(k, s.letters[s.rnd.IntN(len(s.letters))])
	}
	if s.large && s.rnd.IntN(6) == 0 {
		if s.rnd.IntN(2) == 0 {
			k = append(k, bytes.Repeat([]byte{'x'}, LargeKeyPart)...)
		}
		k = append(k, bytes.Repeat([]byte{'y'}, MaxInlineKey(s.pageSize))...)
		k = append(k, s.letters[s.rnd.IntN(len(s.letters))])
	}
	if len(k) == 0 {
		k = append(k, s.letters[0])
	}
	return k
}

// changed returns key with one byte changed, which often breaks the prefix and keeps the head.
func (s *keySource) changed(key []byte) []byte {
	k := bytes.Clone(key)
	if len(k) > 0 {
		k[s.rnd.IntN(len(k))] ^= 1 << s.rnd.IntN(8)
	}
	return k
}

// kept is a slice of a page, and what it held when it was taken.
type kept struct{ alias, bytes []byte }

func keep(p []byte) kept { return kept{p, bytes.Clone(p)} }

// mustCorrupt fails the test if err is no *CorruptError.
func mustCorrupt(t testing.TB, err error) {
	t.Helper()
	var c *CorruptError
	if !errors.Is(err, ErrCorrupt) || !errors.As(err, &c) {
		t.Fatalf("error is %v, want a *CorruptError", err)
	}
}

// mustPanic fails the test if f does not panic.
func mustPanic(t testing.TB, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}
