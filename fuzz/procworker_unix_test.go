//go:build unix

package fuzz

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"mmdb"
)

// procVariable makes the test binary one of the processes of the processes test: path, seed, kind and number.
const procVariable = "MMDB_PROCESS_WORKER"

// procPatience is how long a worker waits for a lock. Longer is a hang.
const procPatience = 60 * time.Second

func init() {
	var seed, number uint64
	var kind, path string
	if n, _ := fmt.Sscanf(os.Getenv(procVariable), "%d %d %s %s", &seed, &number, &kind, &path); n != 4 {
		return
	}
	w := procWorker{seed: seed, path: path, kind: kind, lazy: number%3 == 0, rng: rand.New(rand.NewPCG(seed, number))}
	if err := w.run(); err != nil {
		w.say("failed: %v", err)
		os.Exit(1)
	}
	w.say("done")
	os.Exit(0)
}

// A procWorker is a process with writers and readers, or with readers only.
type procWorker struct {
	seed uint64
	path string
	kind string // write, or read: opened read-only
	lazy bool   // its commits are: a death of the process loses none of them
	rng  *rand.Rand
	db   *mmdb.DB
	stop atomic.Bool
	mu   sync.Mutex
	err  error
}

// say tells the parent, with one call: a line is whole or not there.
func (w *procWorker) say(format string, args ...any) {
	_, _ = os.Stdout.Write(append(bytes.ReplaceAll(fmt.Appendf(nil, format, args...), []byte("\n"), []byte("; ")), '\n'))
}

func (w *procWorker) run() (err error) {
	o := &mmdb.Options{Timeout: procPatience, ReadOnly: w.kind == "read"}
	if w.lazy {
		o.Durability, o.SyncInterval = mmdb.Lazy, 20*time.Millisecond
	}
	w.db, err = mmdb.Open(w.path, 0o600, o)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	w.say("open")
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		w.stop.Store(true)
	}()
	var wg sync.WaitGroup
	work := func(f func(rng *rand.Rand) error) {
		rng := rand.New(rand.NewPCG(w.rng.Uint64(), 1))
		wg.Go(func() {
			for !w.stop.Load() {
				if err := f(rng); err != nil {
					w.fail(err)
				}
			}
		})
	}
	for range 2 {
		m := &procModel{seed: w.seed}
		work(func(rng *rand.Rand) error { return w.read(m, rng) })
		if w.kind == "write" {
			work(w.write)
		}
	}
	wg.Wait()
	if w.err != nil {
		return w.err
	}
	return w.db.Close()
}

func (w *procWorker) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	w.stop.Store(true)
}

// read looks at a snapshot twice, with a while in between.
func (w *procWorker) read(m *procModel, rng *rand.Rand) error {
	pause := time.Duration(rng.IntN(3000)) * time.Microsecond
	if rng.IntN(20) == 0 {
		pause *= 100
	}
	err := w.db.View(func(tx *mmdb.Tx) error {
		if err := m.verify(tx); err != nil {
			return err
		}
		n := m.n
		time.Sleep(pause)
		if err := m.verify(tx); err != nil || m.n != n {
			return fmt.Errorf("a snapshot of transaction %d has changed to %d: %v", n, m.n, err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reader: %w", err)
	}
	return nil
}

var errProcGaveUp = errors.New("gave up")

// write makes the next transaction, or does something else and rolls back, or compacts.
func (w *procWorker) write(rng *rand.Rand) error {
	if rng.IntN(100) == 0 {
		if _, err := w.db.Compact(context.Background(), mmdb.CompactOptions{}); err != nil {
			return fmt.Errorf("compact: %w", err)
		}
	}
	var n uint64
	giveUp := rng.IntN(10) == 0
	err := w.db.Update(func(tx *mmdb.Tx) error {
		last, err := procLast(tx)
		if err != nil {
			return err
		}
		if n = last + 1; giveUp {
			return errors.Join(procApply(tx, w.seed, n+1+rng.Uint64N(100)), errProcGaveUp)
		}
		return procApply(tx, w.seed, n)
	})
	switch {
	case giveUp && err == errProcGaveUp || giveUp && errors.Is(err, errProcGaveUp) && !errors.Is(err, mmdb.ErrFailed):
		return nil
	case err != nil:
		return fmt.Errorf("transaction %d: %w", n, err)
	}
	w.say("ack %s", strconv.FormatUint(n, 10))
	return w.db.View(func(tx *mmdb.Tx) error {
		last, err := procLast(tx)
		if err == nil && last < n {
			err = fmt.Errorf("transaction %d was acknowledged, and a later reader sees %d", n, last)
		}
		return err
	})
}
