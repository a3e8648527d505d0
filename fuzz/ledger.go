package fuzz

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"mmdb"
)

// A Ledger is a workload of numbered transactions that describe themselves: what number n changes follows from n and a
// seed, so that whoever knows the ledger knows all that a database must hold after n, and two processes need to share no
// more than it. Its transactions run one after the other.
type Ledger struct {
	// Slots is how many keys there are. Every LargeEvery-th transaction is larger than one flush may cover; 0 is none.
	Slots, LargeEvery int
	// Forks are the seeds, ascending by From. A database that lost unacknowledged transactions goes on with a new one.
	Forks []Fork

	states [][]uint64 // by transaction: which one wrote each slot, 0 for an empty slot
}

// A Fork is the seed of the transactions from a number on.
type Fork struct{ From, Seed uint64 }

// The large slots come before the others. Together their values are larger than a commit with one flush may be (16 MiB).
const (
	largeSlots = 5
	largeValue = 4 << 20
)

// NewLedger returns an empty ledger.
func NewLedger(slots, largeEvery int) *Ledger { return &Ledger{Slots: slots, LargeEvery: largeEvery} }

// Fork makes the transactions after number n those of another seed.
func (l *Ledger) Fork(n, seed uint64) {
	for len(l.Forks) > 0 && l.Forks[len(l.Forks)-1].From > n {
		l.Forks = l.Forks[:len(l.Forks)-1]
	}
	l.Forks = append(l.Forks, Fork{n + 1, seed})
	l.states = l.states[:min(uint64(len(l.states)), n+1)]
}

// Clone returns a copy, for another goroutine.
func (l *Ledger) Clone() *Ledger {
	return &Ledger{Slots: l.Slots, LargeEvery: l.LargeEvery, Forks: slices.Clone(l.Forks)}
}

// seed returns the seed of transaction n, or false if there is none.
func (l *Ledger) seed(n uint64) (uint64, bool) {
	for i := len(l.Forks) - 1; i >= 0; i-- {
		if l.Forks[i].From <= n {
			return l.Forks[i].Seed, true
		}
	}
	return 0, false
}

// A step is what a transaction does to one slot, or, if drop, to all slots of its bucket.
type step struct {
	slot    int
	present bool
	drop    bool
}

// plan returns what transaction n does.
func (l *Ledger) plan(n uint64) []step {
	if l.LargeEvery > 0 && n%uint64(l.LargeEvery) == 0 {
		all := make([]step, largeSlots)
		for i := range all {
			all[i] = step{slot: i, present: true}
		}
		return all
	}
	seed, _ := l.seed(n)
	r := mix(seed ^ mix(n))
	all := make([]step, 1+r%12)
	for i := range all {
		r = mix(r)
		s := step{slot: largeSlots + int(r>>8%uint64(l.Slots)), present: r%5 != 0}
		if bucketOf(s.slot) >= 2 && r%64 == 63 {
			s.drop, s.present = true, false
		}
		all[i] = s
	}
	return all
}

// state returns which transaction wrote each slot as of number n.
func (l *Ledger) state(n uint64) []uint64 {
	if len(l.states) == 0 {
		l.states = append(l.states, make([]uint64, largeSlots+l.Slots))
	}
	for k := uint64(len(l.states)); k <= n; k++ {
		s := slices.Clone(l.states[k-1])
		for _, c := range l.plan(k) {
			for i := range s {
				if i == c.slot || c.drop && bucketOf(i) == bucketOf(c.slot) {
					s[i] = 0
				}
			}
			if c.present {
				s[c.slot] = k
			}
		}
		l.states = append(l.states, s)
	}
	return l.states[n]
}

// ledgerBuckets are the paths of the buckets; the last two, which are nested, come and go.
var ledgerBuckets = [4][]string{{"a"}, {"b"}, {"a", "in"}, {"b", "in", "deep"}}

func bucketOf(slot int) int { return slot % len(ledgerBuckets) }

// slotKey returns the key of a slot: some are too long for a page, and live in pages of their own.
func slotKey(slot int) []byte {
	key := fmt.Appendf(nil, "%06d", slot)
	if slot%17 == 16 {
		key = append(key, bytes.Repeat([]byte{'k'}, 600+slot)...)
	}
	return key
}

// slotValue returns what transaction n puts into a slot: its number and the slot's, and bytes that follow from both.
func (l *Ledger) slotValue(n uint64, slot int) []byte {
	seed, _ := l.seed(n)
	r := mix(seed + mix(n+mix(uint64(slot))))
	size := 16 + int(r>>16%300)
	switch {
	case slot < largeSlots:
		size = largeValue - 4096*slot
	case r%29 == 0:
		size = 20000
	case r%5 == 0:
		size = 16 + int(r>>16%3000)
	}
	value := make([]byte, (size+7)&^7)
	binary.BigEndian.PutUint64(value, n)
	binary.BigEndian.PutUint64(value[8:], uint64(slot))
	for i := 16; i < len(value); i += 8 {
		r = mix(r)
		binary.LittleEndian.PutUint64(value[i:], r)
	}
	return value[:size]
}

// mix is the output function of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// ledgerMark and ledgerLast are where a database says which transaction it holds.
var ledgerMark, ledgerLast = []byte("ledger"), []byte("last")

// Write makes the changes of transaction n.
func (l *Ledger) Write(tx *mmdb.Tx, n uint64) error {
	seed, ok := l.seed(n)
	if !ok {
		return fmt.Errorf("fuzz: transaction %d has no seed", n)
	}
	for _, s := range l.plan(n) {
		if err := l.write(tx, n, s); err != nil {
			return err
		}
	}
	b, err := tx.CreateBucketIfNotExists(ledgerMark)
	if err != nil {
		return err
	}
	return b.Put(ledgerLast, binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, n), seed))
}

func (l *Ledger) write(tx *mmdb.Tx, n uint64, s step) error {
	path := ledgerBuckets[bucketOf(s.slot)]
	if s.drop {
		return dropBucket(tx, path)
	}
	b, err := tx.CreateBucketIfNotExists([]byte(path[0]))
	for _, name := range path[1:] {
		if err != nil {
			return err
		}
		b, err = b.CreateBucketIfNotExists([]byte(name))
	}
	switch {
	case err != nil:
		return err
	case s.present:
		return b.Put(slotKey(s.slot), l.slotValue(n, s.slot))
	}
	return b.Delete(slotKey(s.slot))
}

func dropBucket(tx *mmdb.Tx, path []string) error {
	parent := findBucket(tx, path[:len(path)-1])
	name := []byte(path[len(path)-1])
	if parent == nil || parent.Bucket(name) == nil {
		return tx.Err()
	}
	return parent.DeleteBucket(name)
}

func findBucket(tx *mmdb.Tx, path []string) *mmdb.Bucket {
	b := tx.Bucket([]byte(path[0]))
	for _, name := range path[1:] {
		if b != nil {
			b = b.Bucket([]byte(name))
		}
	}
	return b
}

// Last returns the number of the transaction that tx sees, and its seed; both are 0 in a new database.
func (l *Ledger) Last(tx *mmdb.Tx) (n, seed uint64, err error) {
	b := tx.Bucket(ledgerMark)
	if b == nil {
		return 0, 0, tx.Err()
	}
	v := b.Get(ledgerLast)
	switch {
	case tx.Err() != nil:
		return 0, 0, tx.Err()
	case len(v) != 16:
		return 0, 0, mismatch("the ledger's mark has %d bytes", len(v))
	}
	return binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:]), nil
}

// Verify checks the whole of the database, and that it holds exactly what it must after a transaction from lo to hi, whose
// number it returns.
func (l *Ledger) Verify(tx *mmdb.Tx, lo, hi uint64) (uint64, error) {
	for err := range tx.Check() {
		return 0, fmt.Errorf("check: %w", err)
	}
	n, seed, err := l.Last(tx)
	switch want, _ := l.seed(n); {
	case err != nil:
		return 0, err
	case n < lo:
		return n, mismatch("transaction %d was acknowledged, the database holds %d", lo, n)
	case n > hi:
		return n, mismatch("only %d transactions were begun, the database holds %d", hi, n)
	case n > 0 && seed != want:
		return n, mismatch("transaction %d has the seed %x, not %x: it was lost before", n, seed, want)
	}
	s := l.state(n)
	for i, path := range ledgerBuckets {
		if err := l.compareBucket(findBucket(tx, path), i, s); err != nil {
			return n, fmt.Errorf("at transaction %d: bucket %v: %w", n, path, err)
		}
	}
	return n, tx.Err()
}

// compareBucket compares a bucket with the slots of s that belong to it.
func (l *Ledger) compareBucket(b *mmdb.Bucket, which int, s []uint64) error {
	want := 0
	for slot, n := range s {
		if bucketOf(slot) == which && n > 0 {
			want++
		}
	}
	if b == nil {
		if want > 0 {
			return mismatch("it is missing, and should have %d keys", want)
		}
		return nil
	}
	got := 0
	for k, v := range b.All() {
		if v == nil {
			continue // a nested bucket
		}
		slot, err := strconv.Atoi(string(k[:min(6, len(k))]))
		if err != nil || slot >= len(s) || bucketOf(slot) != which || !bytes.Equal(k, slotKey(slot)) {
			return mismatch("unexpected key %.40q", k)
		}
		if s[slot] == 0 || !bytes.Equal(v, l.slotValue(s[slot], slot)) {
			return mismatch("slot %d is not what transaction %d made of it", slot, s[slot])
		}
		got++
	}
	if got != want {
		return mismatch("%d keys, %d expected", got, want)
	}
	return nil
}
