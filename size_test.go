package mmdb_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"mmdb"
)

var pageSizes = []int{4096, 8192, 16384, 32768, 65536}

// A model is what a bucket should hold.
type model map[string][]byte

// compare makes sure that b holds the pairs of m, in order, and nothing else.
func (m model) compare(t *testing.T, b *mmdb.Bucket) {
	t.Helper()
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	i := 0
	for k, v := range b.All() {
		if i == len(keys) || string(k) != keys[i] || !bytes.Equal(v, m[keys[i]]) {
			t.Fatalf("pair %d is wrong: key of %d bytes, value of %d bytes", i, len(k), len(v))
		}
		i++
	}
	if i != len(keys) || b.Len() != uint64(i) {
		t.Fatalf("%d pairs, Len %d, want %d", i, b.Len(), len(keys))
	}
	i = len(keys)
	for k := range b.Backward(nil, nil) {
		if i--; string(k) != keys[i] {
			t.Fatalf("pair %d is wrong backward", i)
		}
	}
	for _, k := range keys {
		if !bytes.Equal(b.Get([]byte(k)), m[k]) {
			t.Fatalf("Get of a key of %d bytes is wrong", len(k))
		}
	}
}

// put stores a pair in b and in m.
func (m model) put(t *testing.T, b *mmdb.Bucket, k, v []byte) {
	t.Helper()
	must(t, b.Put(k, v))
	m[string(k)] = v
}

// Every size of a value around the borders between leaf, one page of overflow and several.
func TestValuesAtTheBordersOfPages(t *testing.T) {
	for _, pageSize := range pageSizes {
		t.Run(fmt.Sprint(pageSize), func(t *testing.T) {
			opts := quick
			opts.PageSize = pageSize
			db := open(t, opts)
			m := model{}
			rng := random(t)
			var sizes []int
			for _, border := range []int{0, pageSize / 8, pageSize / 4, (pageSize-48)/2 - 24, pageSize / 2, pageSize - 48, pageSize, 2*pageSize - 48, 16*pageSize - 48} {
				for d := -12; d <= 12; d++ {
					sizes = append(sizes, max(0, border+d))
				}
			}
			db.update(func(b *mmdb.Bucket) error {
				for i, n := range sizes {
					m.put(t, b, fmt.Appendf(nil, "%04d/%d", i, n), randomBytes(rng, n))
				}
				m.compare(t, b)
				return nil
			})
			db.view(func(b *mmdb.Bucket) error { m.compare(t, b); return nil })
			db.update(func(b *mmdb.Bucket) error { // each gets another's size
				for i, n := range sizes {
					m.put(t, b, fmt.Appendf(nil, "%04d/%d", i, n), randomBytes(rng, sizes[rng.IntN(len(sizes))]))
				}
				return nil
			})
			db.view(func(b *mmdb.Bucket) error { m.compare(t, b); return nil })
			if got := db.pageSize(); got != pageSize {
				t.Errorf("page size %d", got)
			}
		})
	}
}

func (d *testDB) pageSize() (n int) {
	d.t.Helper()
	must(d.t, d.View(func(tx *mmdb.Tx) error { n = tx.Info().PageSize; return tx.Err() }))
	return n
}

// largeKeys returns keys of up to 32768 bytes, many with long common prefixes, so that separators are large too.
func largeKeys(rng *rand.Rand, n int) [][]byte {
	prefixes := [][]byte{nil, bytes.Repeat([]byte("p"), 300), bytes.Repeat([]byte("p"), 10_000), bytes.Repeat([]byte("p"), 32_700), bytes.Repeat([]byte("q"), 600)}
	lengths := []int{1, 4, 200, 250, 256, 260, 480, 495, 504, 505, 520, 1000, 4096, 8184, 32_768}
	seen := map[string]bool{}
	var keys [][]byte
	for len(keys) < n {
		k := append([]byte(nil), prefixes[rng.IntN(len(prefixes))]...)
		k = append(k, randomBytes(rng, 3)...)
		if more := lengths[rng.IntN(len(lengths))] - len(k); more > 0 {
			k = append(k, bytes.Repeat([]byte{byte(rng.IntN(3))}, more)...)
		}
		if len(k) > mmdb.MaxKeySize {
			k = k[:mmdb.MaxKeySize]
		}
		if !seen[string(k)] {
			seen[string(k)] = true
			keys = append(keys, k)
		}
	}
	return keys
}

func TestLargeKeys(t *testing.T) {
	for _, pageSize := range []int{4096, 16384, 65536} {
		t.Run(fmt.Sprint(pageSize), func(t *testing.T) {
			opts := quick
			opts.PageSize = pageSize
			db := open(t, opts)
			rng := random(t)
			keys := largeKeys(rng, scaled(3000))
			m := model{}
			for from := 0; from < len(keys); from += 500 {
				db.update(func(b *mmdb.Bucket) error {
					for _, k := range keys[from:min(from+500, len(keys))] {
						m.put(t, b, k, randomBytes(rng, rng.IntN(50)))
					}
					return nil
				})
			}
			db.view(func(b *mmdb.Bucket) error {
				m.compare(t, b)
				c := b.Cursor()
				for i := range 200 {
					k := keys[rng.IntN(len(keys))]
					if got, _ := c.Seek(k); !bytes.Equal(got, k) {
						t.Fatalf("Seek %d of a key of %d bytes found another", i, len(k))
					}
					if rank := c.Rank(); b.CountRange(nil, k) != rank {
						t.Fatalf("Rank %d, CountRange %d", rank, b.CountRange(nil, k))
					}
				}
				return nil
			})
			for round := 0; len(m) > 0; round++ {
				db.update(func(b *mmdb.Bucket) error {
					for k := range m {
						if rng.IntN(4) == 0 || len(m) < 10 {
							must(t, b.Delete([]byte(k)))
							delete(m, k)
						}
					}
					m.compare(t, b)
					return nil
				})
				if round == 3 {
					db.update(func(b *mmdb.Bucket) error {
						lo, hi := keys[0], keys[1]
						if bytes.Compare(lo, hi) > 0 {
							lo, hi = hi, lo
						}
						_, err := b.DeleteRange(lo, hi)
						for k := range m {
							if k >= string(lo) && k < string(hi) {
								delete(m, k)
							}
						}
						m.compare(t, b)
						return err
					})
				}
			}
		})
	}
}

// Neighbours that differ in their last byte only: each separator is as long as the keys.
func TestSeparatorsAsLongAsTheLongestKeys(t *testing.T) {
	for _, length := range []int{255, 256, 257, 503, 504, 505, 506, 5000, mmdb.MaxKeySize} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			db := open(t, quick)
			n := scaled(600)
			longKey := func(i int) []byte { return fmt.Appendf(bytes.Repeat([]byte("s"), length-6), "%06d", i) }
			m := model{}
			perm := random(t).Perm(n)
			db.update(func(b *mmdb.Bucket) error {
				for _, i := range perm {
					m.put(t, b, longKey(i), make([]byte, 600))
				}
				return nil
			})
			db.view(func(b *mmdb.Bucket) error { m.compare(t, b); return nil })
			db.update(func(b *mmdb.Bucket) error {
				for _, i := range perm[:n*9/10] {
					must(t, b.Delete(longKey(i)))
					delete(m, string(longKey(i)))
				}
				return nil
			})
			db.view(func(b *mmdb.Bucket) error { m.compare(t, b); return nil })
		})
	}
}

func TestLargeBucketNames(t *testing.T) {
	db := open(t, quick)
	name := func(i int) []byte { return fmt.Appendf(bytes.Repeat([]byte("n"), mmdb.MaxKeySize-6), "%06d", i) }
	for round := range 3 {
		db.update(func(b *mmdb.Bucket) error {
			for i := range 50 {
				c, err := b.CreateBucketIfNotExists(name(i))
				must(t, err)
				for j := range 20 * i {
					must(t, c.Put(key(round*10_000+j), make([]byte, 10)))
				}
			}
			return nil
		})
	}
	db.update(func(b *mmdb.Bucket) error {
		for i := range 50 {
			if n := b.Bucket(name(i)).Len(); n != uint64(60*i) {
				t.Fatalf("bucket %d has %d keys", i, n)
			}
			if i%2 == 0 {
				must(t, b.DeleteBucket(name(i)))
			} else {
				must(t, b.Tx().MoveBucket(name(i), b, nil))
			}
		}
		return nil
	})
}

func TestRandomInsertsAndDeletes(t *testing.T) {
	for _, pageSize := range []int{4096, 65536} {
		t.Run(fmt.Sprint(pageSize), func(t *testing.T) {
			opts := quick
			opts.PageSize = pageSize
			db := open(t, opts)
			n := scaled(100_000)
			rng := random(t)
			m := model{}
			for round := range 20 {
				db.update(func(b *mmdb.Bucket) error {
					for range n / 10 {
						k := key(rng.IntN(n))
						if rng.IntN(20) < 8+round%10/2 {
							must(t, b.Delete(k))
							delete(m, string(k))
							continue
						}
						v := make([]byte, rng.IntN(150))
						fillValue(v, round)
						if rng.IntN(500) == 0 {
							v = make([]byte, rng.IntN(50_000))
						}
						m.put(t, b, k, v)
					}
					return nil
				})
				if round == 10 {
					db.reopen()
				}
			}
			db.view(func(b *mmdb.Bucket) error { m.compare(t, b); return nil })
		})
	}
}

// The largest values have their room, or are refused where there is not so much memory. Nothing is written of them.
func TestPutReserveUpToTheLargestValue(t *testing.T) {
	for _, pageSize := range []int{4096, 65536} {
		opts := quick
		opts.PageSize = pageSize
		db := open(t, opts)
		for _, less := range []int{0, 1, 47, 100, 5000, 70000} {
			tx, err := db.Begin(true)
			must(t, err)
			b, err := tx.CreateBucket([]byte("b"))
			must(t, err)
			n := mmdb.MaxValueSize - less
			if v, err := b.PutReserve(key(1), n); err == nil && len(v) != n {
				t.Errorf("%d bytes, not %d", len(v), n)
			} else if err == nil {
				v[0], v[n-1] = 1, 1
			}
			must(t, tx.Rollback())
		}
	}
}

func TestPageSizesThatAreNone(t *testing.T) {
	for _, n := range []int{1, 512, 2048, 4095, 5000, 131072, -4096} {
		_, err := mmdb.Open(t.TempDir()+"/db", 0o600, &mmdb.Options{PageSize: n})
		wantErr(t, fmt.Sprint(n), err, mmdb.ErrPageSize)
	}
}
