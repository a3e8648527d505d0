package tx

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"mmdb/mmapfile"
)

// A gate is a seam that holds flushes of commits up until it is told how they end.
type gate struct {
	held chan struct{} // a flush has come to the closed gate
	open chan error    // how that flush ends: nil goes on to the device

	mu     sync.Mutex
	closed bool
}

func newGate() *gate { return &gate{held: make(chan struct{}), open: make(chan error)} }

func (g *gate) seam(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	g.mu.Lock()
	hold := g.closed && op.Kind == mmapfile.OpMsync
	g.mu.Unlock()
	if hold {
		g.held <- struct{}{}
		if err := <-g.open; err != nil {
			return 0, err
		}
	}
	return do(op)
}

func (g *gate) close(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = on
}

// let ends the flush that is held, and leaves the gate open.
func (g *gate) let(err error) {
	g.close(false)
	g.open <- err
}

// gated returns a database with a gate, in which an Update of keys 0 to 10 has come as far as its flush. first is its end.
func gated(t *testing.T, o Options) (st *Store, g *gate, first chan error) {
	t.Helper()
	g = newGate()
	o.Seam = g.seam
	st = openStore(t, newPath(t), &o)
	noError(t, putKeys(st, 0, 1))
	g.close(true)
	first = later(func() error { return putKeys(st, 1, 10) })
	<-g.held
	return st, g, first
}

// later runs f in a goroutine of its own.
func later(f func() error) chan error {
	end := make(chan error, 1)
	go func() { end <- f() }()
	return end
}

// joinGroup runs fn in an Update, and returns its end when it is part of the open group.
func joinGroup(t *testing.T, st *Store, fn func(*Tx) error) chan error {
	t.Helper()
	size := openSize(st)
	end := later(func() error { return st.Update(fn) })
	for openSize(st) == size {
		select {
		case err := <-end:
			t.Fatalf("the Update ended: %v", err)
		case <-time.After(50 * time.Microsecond):
		}
	}
	return end
}

func openSize(st *Store) int {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.w.group == nil {
		return 0
	}
	return st.w.group.size
}

// finished runs fn in an Update that does not join, and returns its end once fn has run. A panic's error is the end too.
func finished(st *Store, fn func(*Tx) error) chan error {
	ran := make(chan struct{})
	end := later(func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = r.(error)
			}
		}()
		return st.Update(func(tx *Tx) error {
			defer close(ran)
			return fn(tx)
		})
	})
	<-ran
	return end
}

// stillRuns ends the test if what end tells of has ended.
func stillRuns(t *testing.T, end chan error) {
	t.Helper()
	select {
	case err := <-end:
		t.Fatalf("it ended before what it has read was published: %v", err)
	case <-time.After(5 * time.Millisecond):
	}
}

func TestUpdatesDuringAFlushShareTheNext(t *testing.T) {
	st, g, first := gated(t, Options{})
	before := st.Stats()
	var ends []chan error
	for i := 10; i < 30; i++ {
		ends = append(ends, joinGroup(t, st, func(tx *Tx) error {
			if id := tx.ID(); id != i-6 {
				t.Errorf("function %d has the id %d", i, id)
			}
			return errors.Join(keysAre(tx, i), putInto(tx, i, i+1))
		}))
	}
	wantKeys(t, st, 1) // a reader sees only what is durable
	g.let(nil)
	for _, end := range append(ends, first) {
		noError(t, <-end)
	}
	wantKeys(t, st, 30)
	after := st.Stats()
	if n := after.Commits - before.Commits; n != 2 {
		t.Errorf("%d commits, want 2", n)
	}
	if n := after.Flushes - before.Flushes; n > 2 {
		t.Errorf("%d flushes, want at most 2", n)
	}
	if after.Updates-before.Updates != 21 || after.LargestGroup != 20 {
		t.Errorf("%d updates, the largest group %d", after.Updates-before.Updates, after.LargestGroup)
	}
}

func TestAFailedUpdateLeavesTheOthersOfItsGroup(t *testing.T) {
	errOops := errors.New("oops")
	spoil := func(tx *Tx) error {
		b := tx.Bucket([]byte("b"))
		for i := range 20 {
			if err := errors.Join(b.Delete(testKey(i)), b.Put(testKey(100+i), make([]byte, 3000*i))); err != nil {
				return err
			}
		}
		_, err := b.DeleteRange(testKey(5), testKey(12))
		return errors.Join(err, tx.DeleteBucket([]byte("z")))
	}
	ways := map[string]func(tx *Tx) error{
		"error": func(tx *Tx) error { return errors.Join(spoil(tx), errOops) },
		"panic": func(tx *Tx) error { panic(errors.Join(spoil(tx), errOops)) },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			st, g, first := gated(t, Options{})
			a := joinGroup(t, st, func(tx *Tx) error { return errors.Join(largeInto(tx, "x", 20000), putInto(tx, 10, 40)) })
			b := finished(st, way)
			stillRuns(t, b)
			c := joinGroup(t, st, func(tx *Tx) error { return errors.Join(keysAre(tx, 40), putInto(tx, 40, 50)) })
			stillRuns(t, b)
			g.let(nil)
			noError(t, errors.Join(<-first, <-a, <-c))
			wantError(t, <-b, errOops)
			wantKeys(t, st, 50)
			noError(t, st.View(func(tx *Tx) error {
				if n := len(tx.Bucket([]byte("z")).Get([]byte("x"))); n != 20000 {
					t.Errorf("the large value has %d bytes", n)
				}
				return nil
			}))
		})
	}
}

func TestAnUpdateThatOnlyReadsWaitsForWhatItHasRead(t *testing.T) {
	st, g, first := gated(t, Options{})
	a := finished(st, func(tx *Tx) error { return keysAre(tx, 10) })
	stillRuns(t, a)
	b := joinGroup(t, st, func(tx *Tx) error { return putInto(tx, 10, 20) })
	c := finished(st, func(tx *Tx) error { return keysAre(tx, 20) })
	stillRuns(t, a)
	stillRuns(t, c)
	g.let(nil)
	noError(t, errors.Join(<-first, <-a, <-b, <-c))
	wantKeys(t, st, 20)
}

func TestAFailedFlushFailsAllThatStoodOnIt(t *testing.T) {
	g := newGate()
	path := newPath(t)
	st, err := Open(path, 0o600, &Options{Seam: g.seam})
	noError(t, err)
	noError(t, putKeys(st, 0, 1))
	g.close(true)
	first := later(func() error { return putKeys(st, 1, 10) })
	<-g.held
	a := joinGroup(t, st, func(tx *Tx) error { return putInto(tx, 10, 20) })
	errOops := errors.New("oops")
	b := finished(st, func(*Tx) error { return errOops })
	c := finished(st, func(tx *Tx) error { return keysAre(tx, 20) })
	g.let(syscall.EIO)
	for _, end := range []chan error{first, a, c} {
		wantError(t, <-end, ErrFailed)
	}
	if err := <-b; !errors.Is(err, errOops) || !errors.Is(err, ErrFailed) {
		t.Errorf("a function that failed by itself: %v", err)
	}
	wantError(t, putKeys(st, 20, 30), ErrFailed)
	wantKeys(t, st, 1)
	noError(t, st.Close())
	st = openStore(t, path, nil)
	noError(t, st.View(func(tx *Tx) error {
		if keysAre(tx, 1) == nil || keysAre(tx, 10) == nil {
			return nil
		}
		return errors.New("neither the state before the failed flush nor the one that it was to make durable")
	}))
}

// A function that spills writes pages of others too; these must stand when it fails.
func TestASpillLeavesTheGroupAlone(t *testing.T) {
	st, g, first := gated(t, Options{MaxDirty: 64 << 10})
	a := joinGroup(t, st, func(tx *Tx) error { return errors.Join(largeInto(tx, "x", 5000), putInto(tx, 10, 40)) })
	spill := func(tx *Tx) error {
		for i := range 1000 {
			if err := errors.Join(largeInto(tx, fmt.Sprint("s", i), i), putInto(tx, i%40, i%40+1)); err != nil {
				return err
			}
		}
		if tx.Stats().PagesSpilled == 0 {
			return errors.New("nothing was spilled")
		}
		return nil
	}
	errOops := errors.New("oops")
	b := finished(st, func(tx *Tx) error { return errors.Join(spill(tx), errOops) })
	c := joinGroup(t, st, func(tx *Tx) error { return errors.Join(keysAre(tx, 40), putInto(tx, 40, 50)) })
	d := later(func() error { return st.Update(spill) })
	g.let(nil)
	noError(t, errors.Join(<-first, <-a, <-c, <-d))
	if err := <-b; !errors.Is(err, errOops) || errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	wantKeys(t, st, 50)
	noError(t, st.View(func(tx *Tx) error {
		if z := tx.Bucket([]byte("z")); z.Len() != 1001 || len(z.Get([]byte("x"))) != 5000 || len(z.Get([]byte("s999"))) != 999 {
			t.Errorf("%d values in z", z.Len())
		}
		return nil
	}))
}

// A function that spilled is the last of its group, even while those who are about to come back are waited for.
func TestASpillWaitsForNobody(t *testing.T) {
	st := openStore(t, newPath(t), &Options{MaxDirty: 64 << 10})
	noError(t, putKeys(st, 0, 10))
	st.flushMu.Lock()
	st.reunion = reunion{target: 100, timer: time.NewTimer(time.Hour)}
	st.flushMu.Unlock()
	commits := st.Stats().Commits
	noError(t, st.Update(func(tx *Tx) error { return largeInto(tx, "large", 200<<10) }))
	if n := st.Stats().Commits; n != commits+1 {
		t.Errorf("%d commits, want 1", n-commits)
	}
}

func TestAFullDatabaseFailsOnlyTheUpdateThatIsTooMuch(t *testing.T) {
	st, g, first := gated(t, Options{MaxSize: 1 << 20})
	a := joinGroup(t, st, func(tx *Tx) error { return putInto(tx, 10, 20) })
	b := finished(st, func(tx *Tx) error { return largeInto(tx, "large", 1<<20) })
	c := later(func() error {
		return st.Update(func(tx *Tx) error { return errors.Join(keysAre(tx, 20), putInto(tx, 20, 30)) })
	})
	g.let(nil) // the second waits for it, because what it makes free may do
	noError(t, errors.Join(<-first, <-a, <-c))
	wantError(t, <-b, ErrMaxSizeReached)
	wantKeys(t, st, 30)
}

func TestUpdateContextGivesUpWaiting(t *testing.T) {
	st := openStore(t, newPath(t), nil)
	tx, err := st.Begin(true)
	noError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	never := func(*Tx) error { t.Error("the function ran"); return nil }
	end := later(func() error { return st.UpdateContext(ctx, never) })
	stillRuns(t, end)
	cancel()
	wantError(t, <-end, context.Canceled)
	wantError(t, st.UpdateContext(ctx, never), context.Canceled)
	noError(t, putInto(tx, 0, 10))
	noError(t, tx.Commit())
	live, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	noError(t, st.UpdateContext(live, func(tx *Tx) error { return putInto(tx, 10, 20) }))
	wantKeys(t, st, 20)
}

// UpdateContext gives up waiting for a flush too: when the open group is full, and after the flush that it has to wait for has become one that it
// leads. What it has begun for others goes on without it.
func TestUpdateContextGivesUpWaitingForAFlush(t *testing.T) {
	for _, leads := range []bool{false, true} {
		st, g, first := gated(t, Options{})
		a := joinGroup(t, st, func(tx *Tx) error { return errors.Join(putInto(tx, 10, 20), largeInto(tx, "x", groupMax)) })
		ctx, cancel := context.WithCancel(t.Context())
		end := later(func() error {
			return st.UpdateContext(ctx, func(*Tx) error { t.Error("the function ran"); return nil })
		})
		stillRuns(t, end)
		if leads {
			g.open <- nil
			noError(t, <-first)
			<-g.held
			stillRuns(t, end)
		}
		cancel()
		select {
		case err := <-end:
			wantError(t, err, context.Canceled)
		case <-time.After(10 * time.Second):
			t.Error("it waits for the flush")
		}
		stillRuns(t, a)
		g.let(nil)
		noError(t, <-a)
		live, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		noError(t, st.UpdateContext(live, func(tx *Tx) error { return putInto(tx, 20, 30) }))
		wantKeys(t, st, 30)
	}
}

func TestBeginWaitsForTheGroupAndCommitsAlone(t *testing.T) {
	st, g, first := gated(t, Options{})
	a := joinGroup(t, st, func(tx *Tx) error { return putInto(tx, 10, 20) })
	var tx *Tx
	begun := later(func() (err error) { tx, err = st.Begin(true); return err })
	stillRuns(t, begun)
	g.let(nil)
	noError(t, errors.Join(<-begun, <-first, <-a))
	noError(t, keysAre(tx, 20))
	wantKeys(t, st, 20)
	commits := st.Stats().Commits
	noError(t, errors.Join(putInto(tx, 20, 30), tx.Commit()))
	if n := st.Stats().Commits; n != commits+1 {
		t.Errorf("%d commits, want 1", n-commits)
	}
	wantKeys(t, st, 30)
}

// What looks at the whole database inside an Update sees what earlier functions of the open group did.
func TestCheckInsideAnUpdateSeesTheGroup(t *testing.T) {
	st, g, first := gated(t, Options{})
	a := joinGroup(t, st, func(tx *Tx) error { return putInto(tx, 10, 40) })
	b := later(func() error {
		return st.Update(func(tx *Tx) error {
			bucket := tx.Bucket([]byte("b"))
			k, v := bucket.Cursor().Last()
			for err := range tx.Check() {
				return err
			}
			if !bytes.Equal(k, testKey(39)) || !bytes.Equal(v, testValue(39)) {
				t.Error("slices that were handed out before the check have changed")
			}
			var copied bytes.Buffer
			if _, err := tx.WriteTo(&copied); err != nil {
				return err
			}
			path := writeFile(t, copied.Bytes())
			checkFile(t, path, 40)
			if bucket.Len() != 40 {
				t.Errorf("%d keys", bucket.Len())
			}
			return putInto(tx, 40, 50)
		})
	})
	stillRuns(t, b)
	g.let(nil)
	noError(t, errors.Join(<-first, <-a, <-b))
	wantKeys(t, st, 50)
}

func TestCloseWaitsForTheGroup(t *testing.T) {
	g := newGate()
	path := newPath(t)
	st, err := Open(path, 0o600, &Options{Seam: g.seam})
	noError(t, err)
	g.close(true)
	first := later(func() error { return putKeys(st, 0, 10) })
	<-g.held
	a := joinGroup(t, st, func(tx *Tx) error { return putInto(tx, 10, 20) })
	closed := later(st.Close)
	stillRuns(t, closed)
	g.let(nil)
	noError(t, errors.Join(<-first, <-a, <-closed))
	wantError(t, putKeys(st, 20, 30), ErrDatabaseNotOpen)
	checkFile(t, path, 20)
}

// A deed is a change that a function of the test below makes, and makes to a map.
type deed struct {
	bucket, key string
	value       []byte // nil deletes
	end         string // not empty: deletes up to it
}

func (d *deed) do(tx *Tx) error {
	b, err := tx.CreateBucketIfNotExists([]byte(d.bucket[:1]))
	for _, c := range d.bucket[1:] {
		if err == nil {
			b, err = b.CreateBucketIfNotExists([]byte{byte(c)})
		}
	}
	switch {
	case err != nil:
	case d.end != "":
		_, err = b.DeleteRange([]byte(d.key), []byte(d.end))
	case d.value == nil:
		err = b.Delete([]byte(d.key))
	default:
		err = b.Put([]byte(d.key), d.value)
	}
	if errors.Is(err, ErrIncompatibleValue) {
		return nil // a range with a bucket in it
	}
	return err
}

func (d *deed) imitate(m map[string]string) {
	at := d.bucket + "/" + d.key
	switch {
	case d.end != "":
		maps.DeleteFunc(m, func(k, _ string) bool { return k >= at && k < d.bucket+"/"+d.end })
	case d.value == nil:
		delete(m, at)
	default:
		m[at] = string(d.value)
	}
}

func randomDeeds(rng *rand.Rand) []deed {
	var deeds []deed
	for range 1 + rng.IntN(30) {
		d := deed{bucket: []string{"a", "bb", "bcd", "e"}[rng.IntN(4)], key: fmt.Sprintf("k%05d", rng.IntN(3000))}
		switch rng.IntN(12) {
		case 0, 1, 2:
		case 3:
			d.end = d.key + "5"
			if rng.IntN(4) == 0 {
				d.end = "k" + fmt.Sprintf("%05d", rng.IntN(3000))
			}
		case 4:
			d.value = make([]byte, rng.IntN(30000))
		default:
			d.value = make([]byte, rng.IntN(300))
		}
		for i := range d.value {
			d.value[i] = byte(rng.Uint32())
		}
		deeds = append(deeds, d)
	}
	return append(deeds, deed{bucket: "e", key: "always", value: binary.LittleEndian.AppendUint64(nil, rng.Uint64())})
}

// TestConcurrentUpdatesAreOneAfterTheOther: the database holds what the functions that succeeded did, in the order of
// their ids, whatever others failed between them.
func TestConcurrentUpdatesAreOneAfterTheOther(t *testing.T) {
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			o := Options{Seam: slowFlush, MaxDirty: 64 << 10 << (seed % 3 * 5)}
			st := openStore(t, memoryPath(t), &o)
			var mu sync.Mutex
			done := map[int][]deed{}
			var wg sync.WaitGroup
			for id := range 8 {
				rng := rand.New(rand.NewPCG(seed, uint64(id)))
				wg.Go(func() {
					for range 60 {
						concurrentUpdate(t, st, rng, func(id int, deeds []deed) {
							mu.Lock()
							defer mu.Unlock()
							if done[id] != nil {
								t.Errorf("two functions have the id %d", id)
							}
							done[id] = deeds
						})
					}
				})
			}
			wg.Wait()
			want := map[string]string{}
			for _, id := range slices.Sorted(maps.Keys(done)) {
				for _, d := range done[id] {
					d.imitate(want)
				}
			}
			noError(t, st.View(func(tx *Tx) error { return sameAs(tx, want) }))
			if s := st.Stats(); s.LargestGroup < 2 || s.Updates != uint64(len(done)) {
				t.Errorf("%d updates, the largest group of %d", s.Updates, s.LargestGroup)
			}
		})
	}
}

// slowFlush makes flushes take a while, so that groups form.
func slowFlush(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	if op.Kind == mmapfile.OpMsync {
		time.Sleep(100 * time.Microsecond)
	}
	return do(op)
}

// concurrentUpdate does random deeds in one transaction, and tells of them if it succeeds.
func concurrentUpdate(t *testing.T, st *Store, rng *rand.Rand, tell func(id int, deeds []deed)) {
	errOops := errors.New("oops")
	deeds := randomDeeds(rng)
	fail := rng.IntN(4) == 0
	id := 0
	work := func(tx *Tx) error {
		id = tx.ID()
		for i := range deeds {
			if err := deeds[i].do(tx); err != nil {
				return err
			}
		}
		if fail {
			return errOops
		}
		return nil
	}
	err := error(nil)
	if rng.IntN(10) > 0 {
		err = st.Update(work)
	} else if tx, e := st.Begin(true); e != nil {
		err = e
	} else if err = work(tx); err != nil {
		err = errors.Join(err, tx.Rollback())
	} else {
		err = tx.Commit()
	}
	switch {
	case fail && errors.Is(err, errOops):
	case err != nil:
		t.Error(err)
	default:
		tell(id, deeds)
	}
}

// sameAs compares the database with bucket/key pairs.
func sameAs(tx *Tx, want map[string]string) error {
	n := 0
	var walk func(path string, b *Bucket) error
	walk = func(path string, b *Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			if v == nil {
				return walk(path+string(k), b.Bucket(k))
			}
			n++
			if w, ok := want[path+"/"+string(k)]; !ok || w != string(v) {
				return fmt.Errorf("%s/%s: %d bytes, want %d (%v)", path, k, len(v), len(w), ok)
			}
			return nil
		})
	}
	if err := walk("", &tx.root); err != nil {
		return err
	}
	if n != len(want) {
		return fmt.Errorf("%d keys, want %d", n, len(want))
	}
	return nil
}
