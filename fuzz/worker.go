package fuzz

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mmdb"
	"mmdb/mmapfile"
)

// A Command tells a Worker what to do next.
type Command struct {
	Do     string // open, run, commit, together, hold, verify, close
	Path   string // open
	Setup  Setup  // open
	Ledger *Ledger
	Seed   uint64 // run, commit and together: of the transactions from here on
	Lo, Hi uint64 // verify: the transactions that the database may hold
}

// A Setup says how a worker opens its database.
type Setup struct {
	TwoPhase bool
	MaxDirty int64
	Initial  int64  // Options.InitialSize
	Clients  int    // how many goroutines commit at once; 0 is one
	Lazy     bool   // most transactions are lazy, and some are followed by Sync
	Die      bool   // the process ends when a flush fails, before anything else happens
	Bugs     uint32 // deliberate mistakes: see Worker.Sabotage
}

// SetupOf returns one of the ways to open a database by number: with one flush a commit, with two, or
// spilling changes before they are committed; with one client, or with several, whose transactions share commits; durable or lazy.
func SetupOf(n uint64) Setup {
	var s Setup
	switch n % 4 {
	case 1:
		s.TwoPhase = true
	case 3:
		s.MaxDirty = 32 << 10
	}
	if n/4%2 == 1 {
		s.Clients = 5
	}
	s.Lazy = n/8%3 == 0
	return s
}

// Options returns the options that s describes, without its mistakes.
func (s Setup) Options() *mmdb.Options {
	o := &mmdb.Options{TwoPhase: s.TwoPhase, MaxDirty: s.MaxDirty, InitialSize: s.Initial, Timeout: lockTimeout}
	if s.Lazy {
		o.Durability, o.SyncInterval = mmdb.Lazy, 5*time.Millisecond
	}
	return o
}

// A Report is what a Worker says: at least one for each command, and two for each transaction, but for those that are done
// together: they are acknowledged by one report, with the last of them.
type Report struct {
	Event   string // ready, opened, begun, acknowledged, held, verified, closed, failed, died
	N       uint64 // a transaction
	Durable uint64 // acknowledged, failed: the newest transaction that was promised to survive a power loss
	Error   string // failed: the error

	// After an error of an open database: whether it was ErrFailed, whether the next transaction was refused with it too, and what
	// readers see, which must be the last published transaction.
	Failed, Refused bool
	ReaderError     string
}

// A Worker, in a process of its own, commits the transactions of a Ledger as it is told.
type Worker struct {
	// Sabotage makes the mistakes of Setup.Bugs.
	Sabotage func(o *mmdb.Options, bugs uint32)

	db     *mmdb.DB
	ledger *Ledger
	setup  Setup
	held   *mmdb.Tx // a reader
	heldN  uint64

	mu      sync.Mutex
	last    uint64 // the newest transaction that was acknowledged
	durable uint64 // the newest one that was promised to survive a power loss
	out     *json.Encoder
}

// Serve does what the commands from in say and reports to out, until in ends.
func (w *Worker) Serve(in io.Reader, out io.Writer) error {
	w.out = json.NewEncoder(out)
	w.say(Report{Event: "ready"})
	for dec := json.NewDecoder(in); ; {
		var c Command
		if err := dec.Decode(&c); err == io.EOF {
			_ = w.close() // the device may be gone
			return nil
		} else if err != nil {
			return err
		}
		if err := w.do(&c); err != nil {
			w.fail(err)
		}
	}
}

// say reports r. That nobody listens any more shows when the commands end.
func (w *Worker) say(r Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.out.Encode(r)
}

func (w *Worker) do(c *Command) error {
	if w.db == nil && c.Do != "open" {
		return errors.New("no database is open")
	}
	switch c.Do {
	case "open":
		return w.open(c)
	case "run":
		w.ledger.Fork(w.last, c.Seed)
		return w.crowd(max(1, w.setup.Clients), math.MaxInt, true)
	case "commit":
		w.ledger.Fork(w.last, c.Seed)
		return w.crowd(1, 1, true)
	case "together":
		w.ledger.Fork(w.last, c.Seed)
		err := w.crowd(max(1, w.setup.Clients), 1, false)
		if err == nil {
			w.say(Report{Event: "acknowledged", N: w.last, Durable: w.durable})
		}
		return err
	case "hold":
		return w.hold()
	case "verify":
		return w.verify(c)
	case "close":
		err := w.close()
		if err == nil {
			w.say(Report{Event: "closed"})
		}
		return err
	}
	return fmt.Errorf("unknown command %q", c.Do)
}

func (w *Worker) open(c *Command) error {
	o := c.Setup.Options()
	if c.Setup.Bugs != 0 {
		w.Sabotage(o, c.Setup.Bugs)
	}
	if c.Setup.Die {
		o.Seam = w.dieOnFailure
	}
	db, err := mmdb.Open(c.Path, 0o600, o)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	w.db, w.ledger, w.setup = db, c.Ledger, c.Setup
	return db.View(func(tx *mmdb.Tx) error {
		w.last, _, err = w.ledger.Last(tx)
		if w.durable = w.last; err == nil {
			w.say(Report{Event: "opened", N: w.last})
		}
		return err
	})
}

// dieOnFailure is a seam that ends the process when a flush fails.
func (w *Worker) dieOnFailure(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	n, err := do(op)
	if err != nil && (op.Kind == mmapfile.OpMsync || op.Kind == mmapfile.OpSync) {
		w.say(Report{Event: "died", Error: err.Error()})
		os.Exit(0)
	}
	return n, err
}

// crowd makes n transactions in each of some goroutines, until one fails.
func (w *Worker) crowd(clients, n int, tell bool) error {
	var wg sync.WaitGroup
	var stop atomic.Bool
	errs := make([]error, clients)
	for i := range errs {
		wg.Go(func() {
			for k := 0; k < n && !stop.Load(); k++ {
				// Among several clients some functions fail: what others did must stand, and what these did must not.
				if errs[i] = w.commit(tell, clients > 1 && n > 1 && k%5 == i); errs[i] != nil {
					stop.Store(true)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// commit makes the next transaction, or undoes it.
func (w *Worker) commit(tell, undo bool) error {
	var n uint64
	lazy := false
	err := w.db.Update(func(tx *mmdb.Tx) error {
		last, _, err := w.ledger.Last(tx)
		if err != nil {
			return err
		}
		n = last + 1
		if lazy = w.setup.Lazy && n%8 != 0; w.setup.Lazy && !lazy {
			tx.SetDurability(mmdb.Durable)
		}
		w.say(Report{Event: "begun", N: n})
		if err := w.ledger.Write(tx, n); err != nil || !undo {
			return err
		}
		return errUndo
	})
	switch {
	case err == errUndo:
		n--                 // what it has read
		lazy = w.setup.Lazy // and whoever made that
	case err != nil:
		return fmt.Errorf("transaction %d: %w", n, err)
	}
	durable := w.acknowledged(n, !lazy)
	if lazy && n%5 == 0 {
		if err := w.db.Sync(); err != nil {
			return fmt.Errorf("sync after transaction %d: %w", n, err)
		}
		durable = w.acknowledged(n, true)
	}
	if tell {
		w.say(Report{Event: "acknowledged", N: n, Durable: durable})
	}
	return nil
}

// acknowledged notes a promise of transaction n, and returns the newest that was promised to survive a power loss.
func (w *Worker) acknowledged(n uint64, durable bool) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = max(w.last, n)
	if durable {
		w.durable = max(w.durable, n)
	}
	return w.durable
}

// hold begins a read transaction that stays open until the database is closed.
func (w *Worker) hold() (err error) {
	if w.held != nil {
		return errors.New("a reader is held already")
	}
	if w.held, err = w.db.Begin(false); err != nil {
		return err
	}
	if w.heldN, _, err = w.ledger.Last(w.held); err == nil {
		w.say(Report{Event: "held", N: w.heldN})
	}
	return err
}

// verify checks what the database holds, and what the held reader sees.
func (w *Worker) verify(c *Command) error {
	if w.held != nil {
		if _, err := w.ledger.Verify(w.held, w.heldN, w.heldN); err != nil {
			return fmt.Errorf("a reader of transaction %d: %w", w.heldN, err)
		}
	}
	return w.db.View(func(tx *mmdb.Tx) error {
		n, err := w.ledger.Verify(tx, c.Lo, c.Hi)
		if err == nil {
			w.say(Report{Event: "verified", N: n})
		}
		return err
	})
}

func (w *Worker) close() error {
	if w.held != nil {
		_ = w.held.Rollback()
		w.held = nil
	}
	if w.db == nil {
		return nil
	}
	db := w.db
	w.db = nil
	return db.Close()
}

// fail reports err, what the next transaction gets, and what readers see.
func (w *Worker) fail(err error) {
	r := Report{Event: "failed", N: w.last, Durable: w.durable, Error: err.Error(), Failed: errors.Is(err, mmdb.ErrFailed)}
	if w.db != nil {
		r.Refused = errors.Is(w.db.Update(func(*mmdb.Tx) error { return nil }), mmdb.ErrFailed)
		err := w.db.View(func(tx *mmdb.Tx) error {
			n, _, err := w.ledger.Last(tx)
			if err == nil && n != w.last {
				err = mismatch("readers see transaction %d, the last published one is %d", n, w.last)
			}
			return err
		})
		if err != nil {
			r.ReaderError = err.Error()
		}
	}
	w.say(r)
}
