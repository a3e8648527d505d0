package fuzz

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"mmdb"
	"mmdb/mmapfile"
)

var (
	historyFor  = flag.Duration("history.for", 0, "record and check histories, and watch snapshots, for this long each")
	historySeed = flag.Uint64("history.seed", 1, "seed of the first history")
)

// A history is what concurrent clients asked of a database and got, with the times of the calls. The database is a few
// registers; every transaction but the blind ones reads them all, so that a history has hardly more than one order.
const historyKeys = 6

// registers is a state of the database: a number for each key, 0 when it is absent.
type registers [historyKeys]uint32

// An outcome says whether the changes of a transaction are in effect.
type outcome uint8

const (
	changed   outcome = iota // they must be
	unchanged                // they must not be: it only read, gave up, or failed without harm
	unknown                  // a flush failed: only the next open decides
)

// A historyInput is the transaction that a client asked for.
type historyInput struct {
	kind  string
	write map[int]uint32 // 0 deletes
}

// A historyOutput is what the client got.
type historyOutput struct {
	blind   bool // it read nothing
	read    registers
	outcome outcome
}

// historyModel is the specification: transactions happen one at a time.
var historyModel = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{registers{}} },
	Step: func(state, input, output any) []any {
		s, in, out := state.(registers), input.(historyInput), output.(historyOutput)
		if !out.blind && s != out.read {
			return nil
		}
		next := s
		for k, v := range in.write {
			next[k] = v
		}
		switch out.outcome {
		case changed:
			return []any{next}
		case unknown:
			return []any{s, next}
		}
		return []any{s}
	},
	DescribeOperation: func(input, output any) string {
		in, out := input.(historyInput), output.(historyOutput)
		return fmt.Sprintf("%s%v read %v: %s", in.kind, in.write, out.read, [...]string{"changed", "unchanged", "unknown"}[out.outcome])
	},
}).ToModel()

// historyPatience is how long the check of a history may take. Most take milliseconds.
const historyPatience = 2 * time.Minute

// checkHistory fails the test unless the operations could have happened one at a time, each between its call and its return.
func checkHistory(t *testing.T, ops []porcupine.Operation) {
	t.Helper()
	switch porcupine.CheckOperationsTimeout(historyModel, ops, historyPatience) {
	case porcupine.Ok:
		return
	case porcupine.Unknown:
		t.Fatalf("no answer within %v about %d operations", historyPatience, len(ops))
	}
	_, info := porcupine.CheckOperationsVerbose(historyModel, ops, historyPatience)
	path := filepath.Join(keepDir(t), "history.html")
	err := porcupine.VisualizePath(historyModel, info, path)
	t.Fatalf("the history is not linearizable; it is drawn in %s (%v)", path, err)
}

// A slowDisk is a seam on which some flushes take a while, so that clients overlap, and on which a few calls fail.
type slowDisk struct {
	mu       sync.Mutex
	rng      *rand.Rand
	off      bool // nothing fails
	fullOnce int  // one in so many writes of pages finds the disk full
	failAt   int  // so many flushes of commits later, one fails; 0 is never
	injected int  // calls that failed
	broke    bool // a flush has failed: nothing is committed until the next open
}

// failures returns how many calls have failed so far, and whether a flush was among them since the open.
func (d *slowDisk) failures() (n int, broke bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.injected, d.broke
}

func (d *slowDisk) seam(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	d.mu.Lock()
	full := !d.off && op.Kind == mmapfile.OpWrite && op.Offset >= metaEnd && d.rng.IntN(d.fullOnce) == 0
	bad := false
	if op.Kind == mmapfile.OpMsync && d.failAt > 0 {
		d.failAt--
		bad = d.failAt == 0
	}
	if full || bad {
		d.injected++
	}
	d.broke = d.broke || bad
	pause := time.Duration(0)
	if op.Kind == mmapfile.OpMsync && d.rng.IntN(4) == 0 {
		pause = time.Duration(d.rng.IntN(200)) * time.Microsecond
	}
	d.mu.Unlock()
	time.Sleep(pause)
	switch {
	case full:
		return 0, syscall.ENOSPC
	case bad:
		return 0, syscall.EIO
	}
	return do(op)
}

// failFlush makes the n-th flush from now on fail.
func (d *slowDisk) failFlush(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failAt = n
}

// quiet says whether anything fails.
func (d *slowDisk) quiet(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off, d.failAt, d.broke = on, 0, false
}

// A historian runs clients and writes down what they do.
type historian struct {
	db     *mmdb.DB
	disk   *slowDisk
	start  time.Time
	serial atomic.Uint32 // gives each write a number of its own

	mu   sync.Mutex
	ops  []porcupine.Operation
	open []int // of ops, those whose outcome the next open decides
	err  error // the first answer that is wrong by itself
}

func (h *historian) now() int64 { return int64(time.Since(h.start)) }

func (h *historian) wrong(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.err = fmt.Errorf(format, args...)
	}
}

func (h *historian) record(client int, in historyInput, out historyOutput, call, ret int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if out.outcome == unknown {
		h.open = append(h.open, len(h.ops))
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: ret})
}

// reopened ends the operations that waited for it.
func (h *historian) reopened() {
	for _, i := range h.open {
		h.ops[i].Return = h.now()
	}
	h.open = nil
}

// historyPlaces are where the registers are kept: buckets of each depth, small and large values.
var historyPlaces = [historyKeys]struct {
	path []string
	size int
}{{[]string{"a"}, 4}, {[]string{"a"}, 2000}, {[]string{"a", "nested"}, 4}, {[]string{"b"}, 30000}, {[]string{"b"}, 4}, {[]string{"c", "d", "e"}, 500}}

func historyBucket(tx *mmdb.Tx, key int, create bool) (b *mmdb.Bucket, err error) {
	for i, name := range historyPlaces[key].path {
		switch {
		case i == 0 && create:
			b, err = tx.CreateBucketIfNotExists([]byte(name))
		case i == 0:
			b = tx.Bucket([]byte(name))
		case create:
			b, err = b.CreateBucketIfNotExists([]byte(name))
		default:
			b = b.Bucket([]byte(name))
		}
		if b == nil || err != nil {
			return nil, err
		}
	}
	return b, nil
}

// readAll returns the registers. A value that is not one number all through is wrong.
func (h *historian) readAll(tx *mmdb.Tx) (r registers) {
	for i := range r {
		b, _ := historyBucket(tx, i, false)
		if b == nil {
			continue
		}
		v := b.Get([]byte{byte(i)})
		if v == nil {
			continue
		}
		r[i] = binary.LittleEndian.Uint32(v)
		if len(v) != historyPlaces[i].size {
			h.wrong("register %d has %d bytes", i, len(v))
		}
		for j := 0; j+4 <= len(v); j += 4 {
			if got := binary.LittleEndian.Uint32(v[j:]); got != r[i] {
				h.wrong("register %d is %d and, at byte %d, %d", i, r[i], j, got)
			}
		}
	}
	if err := tx.Err(); err != nil {
		h.wrong("read: %v", err)
	}
	return r
}

// writeAll makes the changes, and reads them back.
func (h *historian) writeAll(tx *mmdb.Tx, write map[int]uint32) error {
	if h.serial.Load()%3 == 0 { // whatever others are
		tx.SetDurability(mmdb.Durable)
	}
	for key, number := range write {
		b, err := historyBucket(tx, key, true)
		if err != nil {
			return err
		}
		if number == 0 {
			err = b.Delete([]byte{byte(key)})
		} else {
			v := make([]byte, historyPlaces[key].size)
			for j := 0; j+4 <= len(v); j += 4 {
				binary.LittleEndian.PutUint32(v[j:], number)
			}
			err = b.Put([]byte{byte(key)}, v)
		}
		if err != nil {
			return err
		}
	}
	r := h.readAll(tx)
	for key, number := range write {
		if r[key] != number {
			h.wrong("a transaction reads %d where it wrote %d", r[key], number)
		}
	}
	return nil
}

// historyKinds are the transactions of the clients, some more than once, so that they come more often.
var historyKinds = []string{"view", "view", "view", "begin read", "update", "update", "update", "batch", "begin write", "blind",
	"error", "misuse", "panic", "exit", "rollback", "context", "nothing"}

var errGaveUp = errors.New("gave up")

// client makes n transactions, and stops early when writes are refused.
func (h *historian) client(id int, rng *rand.Rand, n int) {
	for range n {
		in := historyInput{kind: historyKinds[rng.IntN(len(historyKinds))]}
		if in.kind == "view" || in.kind == "begin read" {
			h.reader(id, in, rng)
			continue
		}
		in.write = map[int]uint32{}
		for range 1 + rng.IntN(3) {
			in.write[rng.IntN(historyKeys)] = h.serial.Add(1)
		}
		if rng.IntN(3) == 0 {
			in.write[rng.IntN(historyKeys)] = 0
		}
		if !h.writer(id, in) {
			return
		}
	}
}

// reader makes a read transaction. It happened between its call and the first line of its function, however long that takes.
func (h *historian) reader(id int, in historyInput, rng *rand.Rand) {
	var began int64
	var out historyOutput
	look := func(tx *mmdb.Tx) error {
		began = h.now()
		out = historyOutput{read: h.readAll(tx), outcome: unchanged}
		for range rng.IntN(3) {
			runtime.Gosched()
			if again := h.readAll(tx); again != out.read {
				h.wrong("a read transaction sees %v and later %v", out.read, again)
			}
		}
		return nil
	}
	call := h.now()
	var err error
	if in.kind == "view" {
		err = h.db.View(look)
	} else {
		var tx *mmdb.Tx
		if tx, err = h.db.Begin(false); err == nil {
			err = errors.Join(look(tx), tx.Rollback())
		}
	}
	if err != nil {
		h.wrong("%s: %v", in.kind, err)
		return
	}
	h.record(id, in, out, call, began)
}

// writer makes a write transaction. It returns false when writes are refused.
func (h *historian) writer(id int, in historyInput) bool {
	out := historyOutput{blind: true, outcome: unchanged}
	ran := false
	work := func(tx *mmdb.Tx) error {
		ran = true
		if in.kind != "blind" {
			out.blind, out.read = false, h.readAll(tx)
		}
		if in.kind == "nothing" { // it waits all the same until what it has read is published
			return nil
		}
		return h.writeAll(tx, in.write)
	}
	before, _ := h.disk.failures()
	call := h.now()
	err := h.transact(in.kind, work)
	ret := h.now()
	if n, broke := h.disk.failures(); err != nil && (broke || n != before) {
		out.blind = true // what it has read may have been lost with a group that failed
	}
	switch {
	case err == nil && in.kind != "nothing":
		out.outcome = changed
	case errors.Is(err, mmdb.ErrFailed) && !ran:
		return false
	case errors.Is(err, mmdb.ErrFailed):
		out.outcome = unknown
	case in.kind == "nothing" && err == nil, errors.Is(err, context.DeadlineExceeded) && !ran:
	case errors.Is(err, errGaveUp), errors.Is(err, syscall.ENOSPC), errors.Is(err, mmdb.ErrBucketNameRequired):
	default:
		h.wrong("%s: %v", in.kind, err)
	}
	h.record(id, in, out, call, ret)
	return out.outcome != unknown
}

// transact runs work in a write transaction of a kind. Those that give up return errGaveUp.
func (h *historian) transact(kind string, work func(*mmdb.Tx) error) (err error) {
	then := func(end func(*mmdb.Tx) error) func(*mmdb.Tx) error {
		return func(tx *mmdb.Tx) error {
			if err := work(tx); err != nil {
				return err
			}
			return end(tx)
		}
	}
	switch kind {
	case "batch":
		return h.db.Batch(work)
	case "begin write", "rollback":
		tx, err := h.db.Begin(true)
		if err != nil {
			return err
		}
		if err := work(tx); err != nil || kind == "rollback" {
			return errors.Join(err, errGaveUp, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		return nil
	case "context":
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Microsecond)
		defer cancel()
		return h.db.UpdateContext(ctx, work)
	case "error":
		return h.db.Update(then(func(*mmdb.Tx) error { return errGaveUp }))
	case "misuse":
		return h.db.Update(then(func(tx *mmdb.Tx) error { _, err := tx.CreateBucket(nil); return err }))
	case "panic":
		defer func() {
			if r := recover(); r != nil {
				err = r.(error)
			}
		}()
		return h.db.Update(then(func(*mmdb.Tx) error { panic(errGaveUp) }))
	case "exit":
		done := make(chan error, 1)
		go func() {
			err := errGaveUp
			defer func() { done <- err }()
			err = h.db.Update(then(func(*mmdb.Tx) error { err = errGaveUp; runtime.Goexit(); return nil }))
		}()
		return <-done
	}
	return h.db.Update(work)
}

// recordHistory runs clients on a new database, with epochs that end in a failed flush and an open, and returns the history.
func recordHistory(t *testing.T, seed uint64, epochs, clients, n int) []porcupine.Operation {
	t.Helper()
	disk := &slowDisk{rng: rand.New(rand.NewPCG(seed, 0)), fullOnce: 40}
	path := filepath.Join(imageDir(t), "db")
	h := &historian{start: time.Now(), disk: disk}
	for epoch := range epochs {
		disk.quiet(true)
		o := mmdb.Options{Seam: disk.seam, TwoPhase: seed%3 == 2, MaxDirty: 16 << 10 << (seed % 4 * 8)}
		if seed%2 == 0 {
			o.Durability, o.SyncInterval = mmdb.Lazy, time.Millisecond
		}
		db, err := mmdb.Open(path, 0o600, &o)
		if err != nil {
			t.Fatal(err)
		}
		disk.quiet(false)
		if epoch%2 == 0 && epoch < epochs-1 {
			disk.failFlush(1 + int(mix(seed^uint64(epoch))%uint64(max(1, n/3))))
		}
		h.db = db
		var wg sync.WaitGroup
		for id := range clients {
			wg.Go(func() { h.client(id, rand.New(rand.NewPCG(seed, uint64(epoch*clients+id+1))), n) })
		}
		wg.Wait()
		h.reader(0, historyInput{kind: "view"}, rand.New(rand.NewPCG(seed, 0)))
		disk.quiet(true)
		if err := errors.Join(db.Close(), h.err); err != nil {
			t.Fatal(err)
		}
		if db, err = mmdb.Open(path, 0o600, &mmdb.Options{Seam: disk.seam}); err != nil {
			t.Fatal(err)
		}
		h.reopened()
		h.db = db
		h.reader(0, historyInput{kind: "view"}, rand.New(rand.NewPCG(seed, 0)))
		if err := errors.Join(checkAll(db), db.Close(), h.err); err != nil {
			t.Fatal(err)
		}
	}
	return h.ops
}

// checkAll examines every page.
func checkAll(db *mmdb.DB) error {
	return db.View(func(tx *mmdb.Tx) error {
		var all []error
		for err := range tx.Check() {
			if all = append(all, err); len(all) == 10 {
				break
			}
		}
		return errors.Join(all...)
	})
}

// repeat runs f with new seeds for a while: at least twice, and as long as normal, or -history.for, says.
func repeat(t *testing.T, normal time.Duration, f func(t *testing.T, seed uint64)) {
	t.Helper()
	if *historyFor > 0 {
		normal = *historyFor
	} else if raceEnabled || testing.Short() {
		normal /= 4
	}
	started := time.Now()
	for seed := *historySeed; ; seed++ {
		if !t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { f(t, seed) }) {
			t.Fatalf("to try it again: -history.seed=%d (clients run as the scheduler lets them, so it may pass)", seed)
		}
		if seed > *historySeed && time.Since(started) >= normal {
			return
		}
	}
}

// TestHistoriesAreLinearizable: whatever clients do at once, reading, writing, giving up, panicking, finding the disk full or
// failing, the answers are those of some order in which each transaction happens at once, between its call and its return.
func TestHistoriesAreLinearizable(t *testing.T) {
	total, kinds := 0, map[string]int{}
	repeat(t, 4*time.Second, func(t *testing.T, seed uint64) {
		ops := recordHistory(t, seed, 7, 8, scaled(150))
		checkHistory(t, ops)
		total += len(ops)
		for _, op := range ops {
			kinds[[...]string{"changed", "unchanged", "unknown"}[op.Output.(historyOutput).outcome]]++
		}
	})
	t.Logf("%d transactions: %v", total, kinds)
	if kinds["changed"] == 0 || kinds["unchanged"] == 0 || kinds["unknown"] == 0 {
		t.Errorf("some kind of outcome never came up: %v", kinds)
	}
}
