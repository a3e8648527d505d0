package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"mmdb"
)

// tortureStep is one change. What is changed where follows from the seed and the number of the transaction alone, so that the
// content of the database follows from the number of its last transaction.
type tortureStep struct {
	kind  tortureKind
	path  []string // the bucket
	key   string   // of the value, or the first of a range; the name of the bucket that moves
	end   string   // the end of the range
	to    []string // the bucket that gets the one that moves
	value tortureValue
}

type tortureKind uint8

const (
	torturePut          tortureKind = iota // the buckets are made when they are missing
	tortureDelete                          // a key
	tortureDeleteRange                     // keys from key up to end
	tortureDeleteBucket                    // with all in it
	tortureMove                            // a nested bucket, when there is one and the other place is empty
	tortureSequence                        // a bucket's counter
)

// tortureValue is a value in short: its bytes follow from it.
type tortureValue struct {
	by   uint64 // the transaction that wrote it
	seed uint64
	size int // bytes
}

// bytes returns the value: the number of its transaction as far as it has room, then what the seed gives.
func (v tortureValue) bytes() []byte {
	b := make([]byte, v.size+8)
	binary.BigEndian.PutUint64(b, v.by)
	x := v.seed | 1
	for i := 8; i < v.size; i += 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(b[i:], x)
	}
	return b[:v.size]
}

// Buckets and keys of a torture run.
const (
	tortureTops   = 6   // top-level buckets, each with
	tortureNested = 3   // nested ones, the first of which has one more inside
	tortureKeys   = 500 // different keys of a top-level bucket
	tortureFew    = 80  // and of a nested one
	tortureSpan   = 300 // transactions of a phase
)

// tortureSteps returns what transaction n does. Phases of growth and of deletion take turns; most transactions are small, some are large,
// and some write values of megabytes.
func tortureSteps(seed, n uint64) []tortureStep {
	rng := rand.New(rand.NewPCG(seed, n))
	many := 1 + rng.IntN(12)
	if n%97 == 0 {
		many = 500
	}
	steps := make([]tortureStep, 0, many+1)
	if n%61 == 0 {
		huge := tortureStep{path: []string{"b0"}, key: "huge", value: tortureValue{n, rng.Uint64(), 1<<20 + rng.IntN(2<<20)}}
		if n%122 == 0 {
			huge.kind = tortureDelete
		}
		steps = append(steps, huge)
	}
	phase := n / tortureSpan % 4
	for range many {
		steps = append(steps, tortureOne(rng, n, phase))
	}
	return steps
}

// tortureOne draws one change of transaction n.
func tortureOne(rng *rand.Rand, n, phase uint64) tortureStep {
	s := tortureStep{path: torturePath(rng)}
	keys := tortureKeys
	if len(s.path) > 1 {
		keys = tortureFew
	}
	i := rng.IntN(keys)
	s.key = tortureKey(i)
	deletes := []int{10, 40, 70, 40}[phase] // in a hundred
	switch p := rng.IntN(100); {
	case p == 0:
		s.kind = tortureSequence
	case p == 1:
		s.kind, s.path, s.key, s.to = tortureMove, tortureTop(rng), fmt.Sprintf("n%d", rng.IntN(tortureNested)), tortureTop(rng)
	case p == 2 && (phase == 2 || len(s.path) > 1):
		s.kind = tortureDeleteBucket
	case p < 5:
		s.kind, s.end = tortureDeleteRange, tortureKey(i+rng.IntN(keys/10))
	case p < deletes:
		s.kind = tortureDelete
	default:
		s.kind, s.value = torturePut, tortureValue{n, rng.Uint64(), tortureSize(rng)}
	}
	return s
}

func tortureTop(rng *rand.Rand) []string { return []string{fmt.Sprintf("b%d", rng.IntN(tortureTops))} }

// torturePath draws a bucket: mostly a top-level one.
func torturePath(rng *rand.Rand) []string {
	path := tortureTop(rng)
	if rng.IntN(3) == 0 {
		i := rng.IntN(tortureNested)
		path = append(path, fmt.Sprintf("n%d", i))
		if i == 0 && rng.IntN(3) == 0 {
			path = append(path, "m")
		}
	}
	return path
}

// tortureKey returns the i-th key. Every twentieth is long, some of these too long for a page.
func tortureKey(i int) string {
	key := fmt.Sprintf("k%04d", i)
	if i%20 == 0 {
		key = fmt.Sprintf("%s%0*d", key, 10+5*i, i)
	}
	return key
}

// tortureSize draws the length of a value in bytes: mostly small, some of many pages.
func tortureSize(rng *rand.Rand) int {
	switch p := rng.IntN(100); {
	case p < 70:
		return rng.IntN(200)
	case p < 92:
		return rng.IntN(2000)
	case p < 99:
		return rng.IntN(20000)
	}
	return rng.IntN(200000)
}

// The mark is where a transaction leaves its number.
const (
	tortureMarkBucket = "mark"
	tortureMarkKey    = "last"
)

// tortureNumber returns the number of the last transaction, from its mark; 0 when there is none.
func tortureNumber(tx *mmdb.Tx, seed uint64) (n uint64, err error) {
	b := tx.Bucket([]byte(tortureMarkBucket))
	if b == nil {
		return 0, tx.Err()
	}
	mark := b.Get([]byte(tortureMarkKey))
	if err := tx.Err(); err != nil {
		return 0, err
	}
	if _, err := fmt.Sscanf(string(mark), "transaction %d of ", &n); err != nil || string(mark) != tortureMark(seed, n) {
		return 0, lossf("the mark of the last transaction is %q", mark)
	}
	return n, nil
}

func tortureMark(seed, n uint64) string { return fmt.Sprintf("transaction %d of seed %d", n, seed) }

// tortureApply makes the changes of transaction n, and leaves its mark.
func tortureApply(tx *mmdb.Tx, seed, n uint64) error {
	for _, s := range tortureSteps(seed, n) {
		if err := s.apply(tx); err != nil {
			return err
		}
	}
	b, err := tx.CreateBucketIfNotExists([]byte(tortureMarkBucket))
	if err != nil {
		return err
	}
	return b.Put([]byte(tortureMarkKey), []byte(tortureMark(seed, n)))
}
