package fuzz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"mmdb"
	"mmdb/mmapfile"
	"mmdb/tx"
)

// A watch lets writers change a database all the time, with pages used again as fast as can be, while readers of all ages look at
// the whole of their snapshots again and again. Each commit has a number, and the sum of its whole content is known; a reader that sees
// anything but one commit, entire, finds another sum.
type watch struct {
	db   *mmdb.DB
	dir  string
	stop chan struct{}

	// What the commits have, only touched inside the functions of write transactions that then succeed.
	content map[string]uint64 // sum of each entry, by bucket and key
	total   uint64            // of all of them, in any order

	mu   sync.Mutex
	sums map[uint64]uint64 // total by number of commit
	err  error

	passes, lives, copies atomic.Uint64
}

// watchBuckets are the buckets that writers fill and empty, nested ones under their parent.
var watchBuckets = []string{"a", "b", "c", "a/x", "a/y", "b/x"}

const watchNumber = "number" // the key, in a bucket of the same name, of the commit's own number

func (w *watch) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

// done reports whether the time is over, or something went wrong.
func (w *watch) done() bool {
	select {
	case <-w.stop:
		return true
	default:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err != nil
}

// entrySum is the sum of one entry. Sums of entries are xored.
func entrySum(bucket string, key, value []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	var n [8]byte
	binary.LittleEndian.PutUint32(n[:], uint32(len(bucket)))
	binary.LittleEndian.PutUint32(n[4:], uint32(len(key)))
	_, _ = d.Write(n[:])
	_, _ = d.WriteString(bucket)
	_, _ = d.Write(key)
	_, _ = d.Write(value)
	return d.Sum64()
}

// set notes an entry; sum 0 takes it away.
func (w *watch) set(name string, sum uint64) {
	w.total ^= w.content[name] ^ sum
	if sum == 0 {
		delete(w.content, name)
		return
	}
	w.content[name] = sum
}

// watchBucket returns the bucket at a path of one or two names.
func watchBucket(tx *mmdb.Tx, path string) (*mmdb.Bucket, error) {
	b, err := tx.CreateBucketIfNotExists([]byte(path[:1]))
	if err == nil && len(path) > 1 {
		b, err = b.CreateBucketIfNotExists([]byte(path[2:]))
	}
	return b, err
}

// writer commits until the time is over. A quarter of its transactions give up.
func (w *watch) writer(rng *rand.Rand) {
	for !w.done() {
		n := 1 + rng.IntN(30)
		if rng.IntN(20) == 0 {
			n = 400
		}
		giveUp := rng.IntN(4) == 0
		err := w.db.Update(func(tx *mmdb.Tx) error {
			changes := map[string]uint64{}
			for range n {
				if err := w.change(tx, rng, changes); err != nil {
					return err
				}
			}
			if giveUp {
				return errGaveUp
			}
			return w.number(tx, changes)
		})
		if err != nil && !errors.Is(err, errGaveUp) {
			w.fail(fmt.Errorf("update: %w", err))
		}
	}
}

// number gives the transaction its number, and notes its content.
func (w *watch) number(tx *mmdb.Tx, changes map[string]uint64) error {
	b, err := tx.CreateBucketIfNotExists([]byte(watchNumber))
	if err != nil {
		return err
	}
	no, err := b.NextSequence()
	if err != nil {
		return err
	}
	v := binary.BigEndian.AppendUint64(nil, no)
	if err := b.Put([]byte(watchNumber), v); err != nil {
		return err
	}
	for name, sum := range changes {
		w.set(name, sum)
	}
	w.set(watchNumber, entrySum(watchNumber, []byte(watchNumber), v))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sums[no] = w.total
	return nil
}

// change makes one change and notes it in changes.
func (w *watch) change(tx *mmdb.Tx, rng *rand.Rand, changes map[string]uint64) error {
	path := watchBuckets[rng.IntN(len(watchBuckets))]
	b, err := watchBucket(tx, path)
	if err != nil {
		return err
	}
	key := fmt.Appendf(nil, "key %04d", rng.IntN(500))
	switch rng.IntN(12) {
	case 0, 1, 2, 3:
		changes[path+" "+string(key)] = 0
		return b.Delete(key)
	case 4:
		lo := rng.IntN(500)
		hi := lo + rng.IntN(50)
		for i := lo; i < hi; i++ {
			changes[fmt.Sprintf("%s key %04d", path, i)] = 0
		}
		_, err := b.DeleteRange(fmt.Appendf(nil, "key %04d", lo), fmt.Appendf(nil, "key %04d", hi))
		return err
	}
	size := rng.IntN(200)
	switch rng.IntN(40) {
	case 0:
		size = 4000 + rng.IntN(40000)
	case 1, 2:
		size = rng.IntN(3000)
	}
	value := bytes.Repeat(binary.LittleEndian.AppendUint64(nil, rng.Uint64()), size/8+1)
	changes[path+" "+string(key)] = entrySum(path, key, value)
	return b.Put(key, value)
}

// sumOf is the sum of the whole database as tx sees it, read forwards or backwards, and its number.
func sumOf(tx *mmdb.Tx, backwards bool) (sum, no uint64) {
	for name := range rootNames(tx) {
		sum ^= bucketSum(tx.Bucket([]byte(name)), name, backwards)
	}
	if b := tx.Bucket([]byte(watchNumber)); b != nil {
		if v := b.Get([]byte(watchNumber)); len(v) == 8 {
			no = binary.BigEndian.Uint64(v)
		}
	}
	return sum, no
}

func rootNames(tx *mmdb.Tx) func(func(string) bool) {
	return func(yield func(string) bool) {
		c := tx.Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			if !yield(string(k)) {
				return
			}
		}
	}
}

func bucketSum(b *mmdb.Bucket, path string, backwards bool) (sum uint64) {
	if b == nil { // damage: tx.Err says so
		return 0
	}
	seq := b.All()
	if backwards {
		seq = b.Backward(nil, nil)
	}
	for k, v := range seq {
		if v == nil {
			sum ^= bucketSum(b.Bucket(k), path+"/"+string(k), backwards)
			continue
		}
		sum ^= entrySum(path, k, v)
	}
	return sum
}

// look reads the whole of tx so many times, with pauses, and reports what is not its commit.
func (w *watch) look(tx *mmdb.Tx, rng *rand.Rand, times int, pause time.Duration) error {
	sum, no := sumOf(tx, false)
	w.mu.Lock()
	want, known := w.sums[no]
	w.mu.Unlock()
	if err := tx.Err(); err != nil {
		return fmt.Errorf("commit %d: %w", no, err)
	}
	if !known || sum != want {
		return fmt.Errorf("commit %d (%v): the content has sum %x, want %x", no, known, sum, want)
	}
	held := watchSlices(tx, rng)
	for i := range times {
		time.Sleep(pause)
		again, number := sumOf(tx, i%2 == 0)
		if err := tx.Err(); err != nil {
			return fmt.Errorf("commit %d, pass %d: %w", no, i, err)
		}
		if again != sum || number != no {
			return fmt.Errorf("commit %d has become commit %d, or a mix, in pass %d: sum %x, want %x", no, number, i, again, sum)
		}
		w.passes.Add(1)
		for _, h := range held {
			if !bytes.Equal(h.slice, h.copy) {
				return fmt.Errorf("commit %d, pass %d: a slice from it has changed", no, i)
			}
		}
		if w.done() {
			break
		}
	}
	return nil
}

// A watchedSlice is a slice of the database and what it had.
type watchedSlice struct{ slice, copy []byte }

func watchSlices(tx *mmdb.Tx, rng *rand.Rand) (held []watchedSlice) {
	for _, path := range []string{"a", "b", "c"} {
		b := tx.Bucket([]byte(path))
		if b == nil {
			continue
		}
		for range 5 {
			k, v := b.Cursor().Seek(fmt.Appendf(nil, "key %04d", rng.IntN(500)))
			held = append(held, watchedSlice{k, bytes.Clone(k)}, watchedSlice{v, bytes.Clone(v)})
		}
	}
	return held
}

// reader opens one snapshot after another, most for a moment, some for hundreds of commits.
func (w *watch) reader(rng *rand.Rand) {
	for !w.done() {
		times, pause := 1, time.Duration(0)
		if rng.IntN(3) == 0 {
			times, pause = 30, time.Duration(rng.IntN(2000))*time.Microsecond
		}
		err := w.db.View(func(tx *mmdb.Tx) error { return w.look(tx, rng, times, pause) })
		if err != nil {
			w.fail(err)
		}
		w.lives.Add(1)
	}
}

// elder keeps one snapshot open to the end.
func (w *watch) elder(rng *rand.Rand) {
	tx, err := w.db.Begin(false)
	if err != nil {
		w.fail(err)
		return
	}
	defer func() { _ = tx.Rollback() }()
	if err := w.look(tx, rng, 1<<30, 3*time.Millisecond); err != nil {
		w.fail(fmt.Errorf("the oldest reader: %w", err))
	}
	w.lives.Add(1)
}

// copier copies snapshots to files, and looks at these.
func (w *watch) copier(rng *rand.Rand) {
	for i := 0; !w.done(); i++ {
		path := filepath.Join(w.dir, fmt.Sprintf("copy %d", i))
		err := w.db.View(func(tx *mmdb.Tx) error { return tx.CopyFile(path, 0o600) })
		if err == nil {
			err = w.lookAt(path, rng)
		}
		if err != nil {
			w.fail(fmt.Errorf("copy: %w", err))
		}
		_ = os.Remove(path)
		w.copies.Add(1)
		time.Sleep(20 * time.Millisecond)
	}
}

func (w *watch) lookAt(path string, rng *rand.Rand) error {
	db, err := mmdb.Open(path, 0o600, &mmdb.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	err = db.View(func(tx *mmdb.Tx) error { return w.look(tx, rng, 0, 0) })
	return errors.Join(err, checkAll(db), db.Close())
}

// silent is a seam without flushes: nothing crashes here, and more commits are made.
func silent(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	switch op.Kind {
	case mmapfile.OpSync, mmapfile.OpMsync, mmapfile.OpSyncDir:
		return 0, nil
	}
	return do(op)
}

// reuse returns how many times each page was written.
func (w *watch) reuse() float64 {
	var info mmdb.Info
	if err := w.db.View(func(tx *mmdb.Tx) error { info = tx.Info(); return nil }); err != nil {
		w.fail(err)
	}
	return float64(w.db.Stats().PagesWritten) / float64(info.HighWater)
}

// runWatch watches a new database for a while, or much longer until pages were written so many times, and returns the first
// thing that was wrong.
func runWatch(t *testing.T, seed uint64, o mmdb.Options, d time.Duration, reuse float64) (*watch, error) {
	t.Helper()
	o.Seam = silent
	w := &watch{dir: imageDir(t), stop: make(chan struct{}), content: map[string]uint64{}, sums: map[uint64]uint64{0: 0}}
	var err error
	if w.db, err = mmdb.Open(filepath.Join(w.dir, "db"), 0o600, &o); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, f := range []func(*rand.Rand){w.writer, w.writer, w.reader, w.reader, w.reader, w.elder, w.copier} {
		wg.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					w.fail(fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
				}
			}()
			f(rand.New(rand.NewPCG(seed, uint64(i))))
		})
		if i == 1 {
			time.Sleep(10 * time.Millisecond) // the oldest reader is to see something
		}
	}
	wg.Go(func() {
		defer close(w.stop)
		for began := time.Now(); !w.done() && (time.Since(began) < d || time.Since(began) < 60*d && w.reuse() < reuse); {
			time.Sleep(10 * time.Millisecond)
		}
	})
	wg.Wait()
	return w, w.err
}

// TestSnapshotsStand: a reader sees one commit, entire, for its whole life, while writers overwrite and delete and the pages are used again.
func TestSnapshotsStand(t *testing.T) {
	variants := []mmdb.Options{{}, {MaxDirty: 64 << 10}, {PageSize: 16384, TwoPhase: true}}
	repeat(t, 3*time.Second, func(t *testing.T, seed uint64) {
		enough := 2.0
		if brief() {
			enough = 0
		}
		w, err := runWatch(t, seed, variants[seed%uint64(len(variants))], time.Second, enough)
		if err == nil {
			err = checkAll(w.db)
		}
		commits, reuse := w.db.Stats().Commits, w.reuse()
		err = errors.Join(err, w.db.View(func(tx *mmdb.Tx) error { return w.look(tx, rand.New(rand.NewPCG(seed, 9)), 1, 0) }), w.db.Close())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d commits, %d snapshots, read %d times, %d copies; each page was written %.1f times",
			commits, w.lives.Load(), w.passes.Load(), w.copies.Load(), reuse)
		if reuse < enough {
			t.Errorf("pages were hardly used again (%.1f times): nothing was tested", reuse)
		}
	})
}

// TestSnapshotsFindReuse: the watch finds it when pages are used again too soon.
func TestSnapshotsFindReuse(t *testing.T) {
	for _, bug := range []struct {
		name string
		bug  tx.Bug
	}{{"pages that a reader needs", tx.BugIgnoreReaders}, {"pages that the commit itself frees", tx.BugReuseEarly}} {
		t.Run(bug.name, func(t *testing.T) {
			var o mmdb.Options
			tx.Sabotage(&o, bug.bug)
			started := time.Now()
			w, err := runWatch(t, 1, o, time.Minute, 0)
			if err == nil {
				t.Fatal("it was not found within a minute")
			}
			first, _, _ := strings.Cut(err.Error(), "\n")
			t.Logf("found after %v: %s", time.Since(started).Round(time.Millisecond), first)
			_ = w.db.Close()
		})
	}
}
