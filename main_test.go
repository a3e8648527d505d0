package mmdb_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"mmdb"
	"mmdb/mmapfile"
)

var (
	long = flag.Bool("long", false, "run the tests of promised figures at their full size (minutes, and 10 GB of disk)")
	seed = flag.Uint64("seed", 1, "seed of the random tests")
)

// scaled returns n, or a tenth of it where tests must be brief.
func scaled(n int) int {
	if raceEnabled || testing.Short() {
		return n / 10
	}
	return n
}

// sized returns full with -long, and else small, or a tenth of it where tests must be brief.
func sized(full, small int) int {
	if *long {
		return full
	}
	return scaled(small)
}

// random returns the source of randomness of a test. Each test has its own, so that one can be run alone.
func random(t testing.TB) *rand.Rand {
	t.Helper()
	t.Logf("-seed=%d", *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// randomBytes returns n random bytes.
func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// noFlush is a seam that skips the flushes, for tests that make many commits and don't crash.
func noFlush(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	switch op.Kind {
	case mmapfile.OpSync, mmapfile.OpMsync, mmapfile.OpSyncDir, mmapfile.OpStart:
		return 0, nil
	}
	return do(op)
}

// quick are options for tests that don't measure flushes.
var quick = mmdb.Options{Seam: noFlush}

// A testDB is a database of one test, in a folder that goes with it. When the test ends the whole database is checked, as
// it is and once more after it was closed and opened again; a file that fails is kept.
type testDB struct {
	*mmdb.DB
	t    testing.TB
	opts mmdb.Options
}

// open makes a new database.
func open(t testing.TB, opts mmdb.Options) *testDB {
	t.Helper()
	d := &testDB{t: t, opts: opts}
	d.DB = d.openFile(filepath.Join(t.TempDir(), "test.mmdb"))
	t.Cleanup(d.finish)
	return d
}

func (d *testDB) openFile(path string) *mmdb.DB {
	d.t.Helper()
	db, err := mmdb.Open(path, 0o600, &d.opts)
	if err != nil {
		d.t.Fatal(err)
	}
	return db
}

// finish is what every test ends with.
func (d *testDB) finish() {
	d.check()
	d.reopen()
	d.check()
	d.close()
}

// check examines the whole database.
func (d *testDB) check() {
	d.t.Helper()
	problems := 0
	err := d.View(func(tx *mmdb.Tx) error {
		for e := range tx.Check() {
			d.t.Errorf("check: %v", e)
			if problems++; problems == 10 {
				break
			}
		}
		return nil
	})
	if errors.Is(err, mmdb.ErrDatabaseNotOpen) {
		d.DB = d.openFile(d.Path())
		d.check()
		return
	}
	if err != nil || problems > 0 {
		d.t.Errorf("check: %v, the file is kept as %s", err, d.keep())
	}
}

// keep copies the file to where it outlives the test.
func (d *testDB) keep() string {
	dir, err := os.MkdirTemp("", "mmdb-failed-")
	if err != nil {
		return err.Error()
	}
	data, err := os.ReadFile(d.Path())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "test.mmdb"), data, 0o600)
	}
	if err != nil {
		return err.Error()
	}
	return filepath.Join(dir, "test.mmdb")
}

// close closes the database.
func (d *testDB) close() {
	d.t.Helper()
	must(d.t, d.Close())
}

// reopen closes the database and opens it again.
func (d *testDB) reopen() {
	d.t.Helper()
	d.close()
	d.DB = d.openFile(d.Path())
}

// size returns the apparent size of the file in bytes.
func (d *testDB) size() int64 {
	d.t.Helper()
	fi, err := os.Stat(d.Path())
	must(d.t, err)
	return fi.Size()
}

// update calls fn in an Update with the bucket "b", which is made if need be.
func (d *testDB) update(fn func(b *mmdb.Bucket) error) {
	d.t.Helper()
	must(d.t, d.Update(func(tx *mmdb.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("b"))
		if err != nil {
			return err
		}
		return fn(b)
	}))
}

// view calls fn in a View with the bucket "b".
func (d *testDB) view(fn func(b *mmdb.Bucket) error) {
	d.t.Helper()
	must(d.t, d.View(func(tx *mmdb.Tx) error { return fn(tx.Bucket([]byte("b"))) }))
}

// put stores one pair.
func (d *testDB) put(key, value string) {
	d.t.Helper()
	d.update(func(b *mmdb.Bucket) error { return b.Put([]byte(key), []byte(value)) })
}

// fill puts n pairs in order, perTx in a transaction: key(0) … key(n-1), with values of the given length.
func (d *testDB) fill(n, perTx, value int) {
	d.t.Helper()
	v := make([]byte, value)
	for i := 0; i < n; i += perTx {
		d.update(func(b *mmdb.Bucket) error {
			for j := i; j < min(i+perTx, n); j++ {
				fillValue(v, j)
				if err := b.Put(key(j), v); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// key returns the 16 bytes of the i-th key.
func key(i int) []byte { return fmt.Appendf(nil, "%016d", i) }

// fillValue fills v with bytes that depend on i and the place.
func fillValue(v []byte, i int) {
	x := uint64(i)*0x9e3779b97f4a7c15 + 1
	for j := range v {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		v[j] = byte(x)
	}
}

// must ends the test when err is not nil.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr ends the test when err is not want.
func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want %v", what, err, want)
	}
}
