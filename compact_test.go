package mmdb_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"mmdb"
)

// digest returns a hash of all that tx sees: keys, values, buckets and their sequences.
func digest(t testing.TB, tx *mmdb.Tx) [sha256.Size]byte {
	t.Helper()
	h := sha256.New()
	must(t, tx.ForEach(func(name []byte, b *mmdb.Bucket) error {
		fmt.Fprintf(h, "bucket %q ", name)
		return digestBucket(h, b)
	}))
	must(t, tx.Err())
	return [sha256.Size]byte(h.Sum(nil))
}

func digestBucket(h hash.Hash, b *mmdb.Bucket) error {
	fmt.Fprintf(h, "%d keys, sequence %d\n", b.Len(), b.Sequence())
	return b.ForEach(func(k, v []byte) error {
		fmt.Fprintf(h, "%q %d %x ", k, len(v), v)
		if v == nil {
			return digestBucket(h, b.Bucket(k))
		}
		return nil
	})
}

// digest is that of a new read transaction.
func (d *testDB) digest() (sum [sha256.Size]byte) {
	d.t.Helper()
	must(d.t, d.View(func(tx *mmdb.Tx) error { sum = digest(d.t, tx); return nil }))
	return sum
}

// compact compacts the database and makes sure that it holds the same afterwards, and that its size is as reported.
func (d *testDB) compact() mmdb.CompactReport {
	d.t.Helper()
	before := d.digest()
	r, err := d.Compact(context.Background(), mmdb.CompactOptions{})
	must(d.t, err)
	if d.digest() != before {
		d.t.Error("it holds something else after Compact")
	}
	if d.size() != r.After {
		d.t.Errorf("the file has %d bytes, reported are %d", d.size(), r.After)
	}
	return r
}

// free returns the bytes of the file that hold nothing.
func (d *testDB) free() (n int64) {
	d.t.Helper()
	must(d.t, d.View(func(tx *mmdb.Tx) error {
		i := tx.Info()
		n = i.FileSize - int64(i.HighWater-i.FreePages-i.PendingPages)*int64(i.PageSize)
		return nil
	}))
	return n
}

// sparse fills a database with everything that there is, in buckets inside each other, and deletes most of it here and there.
func sparse(db *testDB, rng *rand.Rand, n int) {
	db.t.Helper()
	b := func(tx *mmdb.Tx, i int) (*mmdb.Bucket, error) {
		b, err := tx.CreateBucketIfNotExists(fmt.Appendf(nil, "top %d", i%3))
		for d := 0; err == nil && d < i%7; d++ {
			if err = b.SetSequence(uint64(i)); err == nil {
				b, err = b.CreateBucketIfNotExists(fmt.Appendf(nil, "in %d of %d", d, i%5))
			}
		}
		return b, err
	}
	for round := range 2 {
		for i := range 40 {
			must(db.t, db.Update(func(tx *mmdb.Tx) error {
				b, err := b(tx, i)
				if err != nil || round == 1 && i%4 == 0 {
					return err
				}
				if round == 1 {
					return deleteMost(b)
				}
				fillMixed(db.t.(*testing.T), rng, b, n/40)
				return nil
			}))
		}
	}
}

// deleteMost deletes seven eighths of b's keys, in long ranges.
func deleteMost(b *mmdb.Bucket) error {
	n := 0
	for k, v := range b.All() {
		if n++; v != nil && n%400 < 350 {
			if err := b.Delete(bytes.Clone(k)); err != nil {
				return err
			}
		}
	}
	return b.Tx().Err()
}

// TestCompactLeavesNothingFree: after it the file is as long as what is in it, but for some pages, with the same contents, in every page size.
func TestCompactLeavesNothingFree(t *testing.T) {
	for _, o := range []mmdb.Options{{}, {PageSize: 8192}, {PageSize: 65536}, {Durability: mmdb.Lazy}, {TwoPhase: true}, {MaxDirty: 64 << 10}, {Exclusive: true}, {Carry: true}} {
		t.Run(fmt.Sprintf("%d %v %v %d %v %v", o.PageSize, o.Durability, o.TwoPhase, o.MaxDirty, o.Exclusive, o.Carry), func(t *testing.T) {
			o.Seam = noFlush
			db := open(t, o)
			sparse(db, random(t), scaled(20000))
			r := db.compact()
			t.Logf("%+v, %d bytes free", r, db.free())
			size := int64(max(o.PageSize, 4096))
			if r.Before != r.After && r.Moved == 0 || r.After > r.Before {
				t.Errorf("%+v", r)
			}
			if most := 64*size + r.After/50; db.free() > most {
				t.Errorf("%d bytes of %d are free, at most %d were expected", db.free(), r.After, most)
			}
			db.reopen()
			if again := db.compact(); again.After > again.Before || again.Moved > 64 {
				t.Errorf("once more: %+v", again)
			}
			sparse(db, random(t), scaled(2000)) // it goes on as any other
			db.compact()
		})
	}
}

// TestCompactShrinksWhatWasDeleted: of a database of which a tenth is left, scattered over the file, a tenth of the file is.
func TestCompactShrinksWhatWasDeleted(t *testing.T) {
	db := open(t, quick)
	n := scaled(200_000)
	db.fill(n, 1000, 100)
	for i := 0; i < n; i += 1000 {
		db.update(func(b *mmdb.Bucket) error {
			_, err := b.DeleteRange(key(i), key(i+900))
			return err
		})
	}
	r := db.compact()
	t.Logf("%+v", r)
	if r.After > r.Before/8+256<<10 {
		t.Errorf("%+v", r)
	}
}

// TestCompactLeavesWhatReadersSee: a reader keeps its snapshot, and the file keeps that; when it has ended another call gives it back.
func TestCompactLeavesWhatReadersSee(t *testing.T) {
	db := open(t, quick)
	n := scaled(50_000)
	db.fill(n, 1000, 100)
	old, err := db.Begin(false)
	must(t, err)
	db.update(func(b *mmdb.Bucket) error {
		_, err := b.DeleteRange(key(n/10), nil)
		return err
	})
	held := db.compact()
	checkOld(t, old, n)
	must(t, old.Rollback())
	r := db.compact()
	t.Logf("with a reader %+v, without %+v", held, r)
	if r.After > held.Before/5 {
		t.Errorf("with a reader %+v, without %+v", held, r)
	}
}

// ownBucket puts or deletes a key in the bucket of writer i, and in want.
func ownBucket(tx *mmdb.Tx, i int, want map[string]string, rng *rand.Rand) error {
	b, err := tx.CreateBucketIfNotExists(fmt.Appendf(nil, "mine %d", i))
	if err != nil {
		return err
	}
	k := fmt.Sprint(rng.IntN(200))
	if rng.IntN(3) == 0 {
		delete(want, k)
		return b.Delete([]byte(k))
	}
	want[k] = string(randomBytes(rng, rng.IntN(9000)))
	return b.Put([]byte(k), []byte(want[k]))
}

// TestCompactBesideWritersAndReaders: others go on, nothing of theirs is lost, and no snapshot changes.
func TestCompactBesideWritersAndReaders(t *testing.T) {
	for _, d := range []mmdb.Durability{mmdb.Durable, mmdb.Lazy} {
		db := open(t, mmdb.Options{Seam: noFlush, Durability: d})
		n := scaled(20_000)
		db.fill(n, 1000, 300)
		rng := random(t)
		done := make(chan struct{})
		var wg sync.WaitGroup
		want := make([]map[string]string, 3)
		for i := range want {
			want[i] = map[string]string{}
			rng := rand.New(rand.NewPCG(*seed, uint64(i)))
			wg.Go(func() {
				for k := 0; ; k++ {
					select {
					case <-done:
						return
					default:
					}
					if err := errors.Join(db.Update(func(tx *mmdb.Tx) error { return ownBucket(tx, i, want[i], rng) }), db.View(func(tx *mmdb.Tx) error {
						if first := digest(t, tx); k%8 == 0 && digest(t, tx) != first {
							return errors.New("a snapshot has changed")
						}
						return nil
					})); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 5 {
			db.update(func(b *mmdb.Bucket) error {
				at := rng.IntN(n)
				_, err := b.DeleteRange(key(at), key(at+n/10))
				return err
			})
			_, err := db.Compact(context.Background(), mmdb.CompactOptions{})
			must(t, err)
		}
		close(done)
		wg.Wait()
		must(t, db.View(func(tx *mmdb.Tx) error {
			for i := range want {
				b := tx.Bucket(fmt.Appendf(nil, "mine %d", i))
				if b == nil {
					if len(want[i]) > 0 {
						t.Errorf("the bucket of writer %d is gone", i)
					}
					continue
				}
				for k, v := range want[i] {
					if got := b.Get([]byte(k)); !bytes.Equal(got, []byte(v)) {
						t.Fatalf("key %s of writer %d has %d bytes, not its %d", k, i, len(got), len(v))
					}
				}
				if int(b.Len()) != len(want[i]) {
					t.Errorf("writer %d has %d keys, not its %d", i, b.Len(), len(want[i]))
				}
			}
			return nil
		}))
	}
}

// TestCompactStopsWhenToldTo, and leaves a sound database with the same contents.
func TestCompactStopsWhenToldTo(t *testing.T) {
	db := open(t, quick)
	sparse(db, random(t), scaled(20_000))
	before := db.digest()
	ctx, cancel := context.WithCancel(context.Background())
	stop := errors.New("stop")
	steps := 0
	_, err := db.Compact(ctx, mmdb.CompactOptions{Progress: func(phase string, done, total uint64) error {
		if steps++; done > total || phase == "" {
			t.Errorf("%s %d of %d", phase, done, total)
		}
		return stop
	}})
	wantErr(t, "a Progress that fails", err, stop)
	cancel()
	_, err = db.Compact(ctx, mmdb.CompactOptions{})
	wantErr(t, "a context that has ended", err, context.Canceled)
	if db.digest() != before || steps != 1 {
		t.Errorf("it holds something else, after %d steps", steps)
	}
	must(t, db.Close())
	_, err = db.Compact(context.Background(), mmdb.CompactOptions{})
	wantErr(t, "a closed database", err, mmdb.ErrDatabaseNotOpen)
	reader, err := mmdb.Open(db.Path(), 0o600, &mmdb.Options{ReadOnly: true})
	must(t, err)
	_, err = reader.Compact(context.Background(), mmdb.CompactOptions{})
	wantErr(t, "a read-only database", err, mmdb.ErrDatabaseReadOnly)
	must(t, reader.Close())
}

// TestCompactKeepsToSizes: to the least and the greatest that the options ask for, also in a database that is full.
func TestCompactKeepsToSizes(t *testing.T) {
	db := open(t, mmdb.Options{Seam: noFlush, InitialSize: 1 << 20, MaxSize: 2 << 20})
	rng := random(t)
	var err error
	for i := 0; err == nil; i++ {
		err = db.Update(func(tx *mmdb.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			if err != nil {
				return err
			}
			return b.Put(key(rng.IntN(1000)), make([]byte, rng.IntN(20000)))
		})
	}
	wantErr(t, "a put to a full database", err, mmdb.ErrMaxSizeReached)
	if r := db.compact(); r.After > 2<<20 {
		t.Errorf("full: %+v", r)
	}
	db.update(func(b *mmdb.Bucket) error {
		_, err := b.DeleteRange(nil, nil)
		return err
	})
	if r := db.compact(); r.After != 1<<20 {
		t.Errorf("empty: %+v", r)
	}
}

// TestCompactFailsWhereAPageIsDamaged: it tells of the page, and moves no copy of it.
func TestCompactFailsWhereAPageIsDamaged(t *testing.T) {
	db := open(t, quick)
	db.fill(20_000, 1000, 100)
	db.update(func(b *mmdb.Bucket) error {
		_, err := b.DeleteRange(nil, key(10_000))
		return err
	})
	path, leaf := db.Path(), uint64(0)
	must(t, db.View(func(tx *mmdb.Tx) error {
		for leaf = tx.Info().HighWater / 2; ; leaf++ {
			if p, err := tx.Page(leaf); err != nil || p.Kind == "leaf" {
				return err
			}
		}
	}))
	must(t, db.Close())
	data, err := os.ReadFile(path)
	must(t, err)
	data[leaf*4096+3000] ^= 1
	copied := filepath.Join(t.TempDir(), "copy")
	must(t, os.WriteFile(copied, data, 0o600))
	bad, err := mmdb.Open(copied, 0o600, &quick)
	must(t, err)
	defer bad.Close()
	must(t, bad.Update(func(tx *mmdb.Tx) error { return tx.Bucket([]byte("b")).Put([]byte("new"), nil) }))
	_, err = bad.Compact(context.Background(), mmdb.CompactOptions{})
	wantErr(t, "a damaged page", err, mmdb.ErrCorrupt)
}
