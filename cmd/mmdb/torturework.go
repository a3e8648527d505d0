package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"mmdb"
)

// tortureWork is a child of a torture run. It says on standard output, each line with one call: "open N" (the number of the last
// transaction that it found), "ack N" when transaction N is durable, "gaveup N", "done" when it has closed the database, "error …" or
// "loss …". It ends when standard input does, so also when its parent dies.
type tortureWork struct {
	a       *app
	file    string
	seed    uint64
	writers int
	round   int
	opts    mmdb.Options
	db      *mmdb.DB
	stop    atomic.Bool
	failed  atomic.Bool
}

func newTortureWorker(a *app) *cobra.Command {
	w := &tortureWork{a: a}
	cmd := &cobra.Command{
		Use:    tortureWorker + " FILE",
		Hidden: true,
		Args:   exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			w.file = args[0]
			return w.run()
		},
	}
	flags := cmd.Flags()
	flags.Uint64Var(&w.seed, "seed", 0, "")
	flags.IntVar(&w.writers, "writers", 1, "")
	flags.IntVar(&w.round, "round", 0, "")
	flags.BoolVar(&w.opts.TwoPhase, "two-phase", false, "")
	flags.Int64Var(&w.opts.MaxDirty, "max-dirty", 0, "")
	return cmd
}

// run opens the database and works until it is asked to end.
func (w *tortureWork) run() (err error) {
	w.opts.Timeout = torturePatience // the locks of the one before may take a moment to go
	if w.db, err = mmdb.Open(w.file, fileMode, &w.opts); err != nil {
		w.fail("open", err)
		return err
	}
	var found uint64
	err = w.db.View(func(tx *mmdb.Tx) error {
		found, err = tortureNumber(tx, w.seed)
		return err
	})
	if err != nil {
		w.fail("the last transaction", err)
		return err
	}
	w.say("open %d", found)
	go func() {
		_, _ = io.Copy(io.Discard, w.a.in)
		w.stop.Store(true)
	}()
	var wg sync.WaitGroup
	for i := range w.writers {
		wg.Go(func() { w.write(w.random(i)) })
	}
	wg.Go(func() { w.read(w.random(-1)) })
	wg.Wait()
	if err := w.db.Close(); err != nil {
		w.fail("close", err)
		return err
	}
	if !w.failed.Load() {
		w.say("done")
	}
	return nil
}

// random returns the source of randomness of one goroutine.
func (w *tortureWork) random(i int) *rand.Rand {
	return rand.New(rand.NewPCG(w.seed, uint64(w.round)<<16|uint64(i+1)))
}

// say tells the parent. A line is one call, short enough for the pipe to take it as a whole.
func (w *tortureWork) say(format string, args ...any) {
	if _, err := fmt.Fprintf(w.a.out.file, format+"\n", args...); err != nil {
		w.stop.Store(true) // the parent is gone
	}
}

// fail tells the parent what went wrong, and ends the work. A damaged database is a loss.
func (w *tortureWork) fail(what string, err error) {
	w.stop.Store(true)
	if w.failed.Swap(true) {
		return
	}
	kind := "error"
	var loss lossError
	if errors.Is(err, mmdb.ErrCorrupt) || errors.As(err, &loss) {
		kind = "loss"
	}
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	w.say("%s %s: %s", kind, what, text[:min(len(text), 2000)])
}

var errTortureGaveUp = errors.New("gave up")

// write makes transactions. One in eight does something else than its number says, and is rolled back.
func (w *tortureWork) write(rng *rand.Rand) {
	for !w.stop.Load() {
		var n uint64
		giveUp, manual := rng.IntN(8) == 0, rng.IntN(8) == 0
		err := w.transact(manual, func(tx *mmdb.Tx) error {
			last, err := tortureNumber(tx, w.seed)
			if err != nil {
				return err
			}
			if n = last + 1; giveUp {
				return errors.Join(tortureApply(tx, w.seed, n+1+rng.Uint64N(1000)), errTortureGaveUp)
			}
			return tortureApply(tx, w.seed, n)
		})
		switch {
		case err == nil:
			w.say("ack %d", n)
		case err == errTortureGaveUp || giveUp && errors.Is(err, errTortureGaveUp):
			w.say("gaveup %d", n)
		default:
			w.fail(fmt.Sprintf("transaction %d", n), err)
		}
	}
}

// transact runs fn in a write transaction.
func (w *tortureWork) transact(manual bool, fn func(*mmdb.Tx) error) error {
	if !manual {
		return w.db.Update(fn)
	}
	tx, err := w.db.Begin(true)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// read keeps one snapshot after the other for a while, and makes sure that it stays what it is.
func (w *tortureWork) read(rng *rand.Rand) {
	for !w.stop.Load() {
		err := w.db.View(func(tx *mmdb.Tx) error {
			before, err := tortureNumber(tx, w.seed)
			if err != nil {
				return err
			}
			keys := tortureCount(torturePart{tx: tx})
			time.Sleep(time.Duration(rng.Int64N(int64(50 * time.Millisecond))))
			after, err := tortureNumber(tx, w.seed)
			if again := tortureCount(torturePart{tx: tx}); err == nil && (after != before || again != keys) {
				err = lossf("a reader saw transaction %d with %d keys become %d with %d", before, keys, after, again)
			}
			return err
		})
		if err != nil {
			w.fail("a reader", err)
		}
	}
}
