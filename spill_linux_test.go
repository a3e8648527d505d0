package mmdb_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"testing"

	"mmdb"
)

// anonymous returns how many bytes of anonymous memory the process has now: heap, stacks and the arena of changed pages, but
// not the mapped file.
func anonymous(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	must(t, err)
	_, rest, ok := bytes.Cut(status, []byte("RssAnon:"))
	if !ok {
		t.Fatal("/proc/self/status has no RssAnon")
	}
	line, _, _ := bytes.Cut(rest, []byte("kB"))
	n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
	must(t, err)
	return n << 10
}

// A hugeLoad writes values of some size in a single transaction.
type hugeLoad struct {
	name  string
	value int  // bytes
	mixed bool // keys in random order
}

func TestTransactionLargerThanMemory(t *testing.T) {
	total, memory := int64(256<<20), int64(32<<20)
	if *long {
		total, memory = 4<<30, 512<<20
	}
	if raceEnabled || testing.Short() {
		total /= 8 // the race detector's own memory grows with what is touched
		memory *= 4
	}
	for _, load := range []hugeLoad{{"values of 1000 bytes", 1000, false}, {"values of 100 kB", 100_000, false}, {"values of 16 MiB", 16 << 20, false}, {"random order", 1000, true}} {
		t.Run(load.name, func(t *testing.T) { load.run(t, total, memory) })
	}
}

func (l hugeLoad) run(t *testing.T, total, memory int64) {
	if l.mixed {
		total /= 8 // every spilled page is written again when a later key falls into it
	}
	opts := quick
	opts.MaxDirty = memory / 4
	db := open(t, opts)
	n := int(total / int64(l.value))
	rng := random(t)
	v := make([]byte, l.value)
	order := func(i int) int { return i }
	if l.mixed {
		perm := rng.Perm(n)
		order = func(i int) int { return perm[i] }
	}
	defer debug.SetGCPercent(debug.SetGCPercent(50)) // on a busy machine the collector comes late
	debug.FreeOSMemory()
	before, peak := anonymous(t), int64(0)
	var spilled uint64
	db.update(func(b *mmdb.Bucket) error {
		for i := range n {
			fillValue(v[:min(len(v), 64)], order(i))
			if err := b.Put(key(order(i)), v); err != nil {
				return err
			}
			if i%max(1, (1<<20)/l.value) == 0 {
				peak = max(peak, anonymous(t)-before)
			}
		}
		spilled = b.Tx().Stats().PagesSpilled
		return nil
	})
	peak = max(peak, anonymous(t)-before)
	t.Logf("%d MiB of values in one transaction: %.1f MiB of anonymous memory at most, %d pages spilled, file %d MiB",
		total>>20, float64(peak)/(1<<20), spilled, db.size()>>20)
	if peak > memory {
		t.Errorf("%.1f MiB of anonymous memory, at most %d are promised", float64(peak)/(1<<20), memory>>20)
	}
	l.compare(t, db, n)
}

// compare makes sure that every value is there.
func (l hugeLoad) compare(t *testing.T, db *testDB, n int) {
	t.Helper()
	want := make([]byte, l.value)
	db.view(func(b *mmdb.Bucket) error {
		if b.Len() != uint64(n) {
			return fmt.Errorf("%d keys, want %d", b.Len(), n)
		}
		i := 0
		for k, got := range b.All() {
			if fillValue(want[:min(len(want), 64)], i); !bytes.Equal(k, key(i)) || !bytes.Equal(got, want) {
				return fmt.Errorf("key %d is wrong", i)
			}
			i++
		}
		return nil
	})
}

// The commonest loop of all: each item is read and replaced. What the transaction handed out must stay (I2), and nothing else.
func TestReadModifyWriteStaysWithinMemory(t *testing.T) {
	opts := quick
	opts.MaxDirty = 8 << 20
	db := open(t, opts)
	n := sized(1_000_000, 100_000)
	db.fill(n, 10_000, 100)
	v := make([]byte, 100)
	for name, loop := range map[string]func(b *mmdb.Bucket) error{
		"All": func(b *mmdb.Bucket) error {
			for k, old := range b.All() {
				v[0] = old[0] + 1
				if err := b.Put(k, v); err != nil {
					return err
				}
			}
			return nil
		},
		"Get": func(b *mmdb.Bucket) error {
			for i := range n {
				v[0] = b.Get(key(i))[0] + 1
				if err := b.Put(key(i), v); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		debug.FreeOSMemory()
		before, most := anonymous(t), opts.MaxDirty*4+int64(n)*5*116
		db.update(func(b *mmdb.Bucket) error {
			err := loop(b)
			used := anonymous(t) - before
			t.Logf("%s: %.1f MiB of anonymous memory for %d items", name, float64(used)/(1<<20), n)
			if used > most {
				t.Errorf("%s: %d bytes of anonymous memory, at most %d were expected", name, used, most)
			}
			return err
		})
	}
}
