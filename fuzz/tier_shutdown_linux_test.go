package fuzz

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mmdb"
	"mmdb/tx"
)

func init() { BeWorker(func(o *mmdb.Options, bugs uint32) { tx.Sabotage(o, tx.Bug(bugs)) }) }

// TestTierShutdownExt4 and its twin shut a real file system down under a process that commits, and look at what is there after
// the journal was replayed. This finds what was acknowledged without fdatasync or msync, and what the
// file system makes of size changes and new files. The device is not lost, so a missing flush of it goes unnoticed.
func TestTierShutdownExt4(t *testing.T) {
	RunTier(t, "shutdown-ext4", []string{"mkfs.ext4"}, func(tier *Tier) { tierShutdown(t, tier, "ext4", 192<<20) })
}

func TestTierShutdownXFS(t *testing.T) {
	RunTier(t, "shutdown-xfs", []string{"mkfs.xfs"}, func(tier *Tier) { tierShutdown(t, tier, "xfs", 320<<20) })
}

// A shutdown is a volume with a database that is cut off again and again.
type shutdown struct {
	vol    *Volume
	rng    *rand.Rand
	bugs   tx.Bug
	path   string  // of the database
	ledger *Ledger // what it holds
	exists bool    // its creation was acknowledged
	lo, hi uint64  // the transactions that it may hold after a power loss
	kept   uint64  // the least that it may hold now: more than lo if only a process died

	cycles, databases, acknowledged, lost, cutOff, killed int
}

// perDatabase is how many cycles a database lives.
const perDatabase = 12

func tierShutdown(t *testing.T, tier *Tier, kind string, size int64) {
	started := time.Now()
	s := &shutdown{vol: &Volume{Kind: kind, File: filepath.Join(tier.Dir, "disk"), Dir: filepath.Join(tier.Dir, "mnt")}}
	if err := s.vol.Format(size); err != nil {
		t.Fatal(err)
	}
	if err := s.vol.Mount(); err != nil {
		tier.Cannot(err)
	}
	t.Cleanup(s.vol.Release)
	seed := uint64(started.UnixNano())
	s.rng = rand.New(rand.NewPCG(seed, 0))
	if err := s.vol.Shutdown(); err != nil {
		tier.Cannot(err)
	}
	if err := errors.Join(s.vol.Unmount(), s.vol.Mount()); err != nil {
		t.Fatal(err)
	}
	found := s.finds(t, tx.BugNoFlush)
	for tier.Left() {
		if err := s.cycle(); err != nil {
			t.Fatalf("cycle %d (database %s): %v", s.cycles, filepath.Base(s.path), err)
		}
	}
	tier.Ran("%d cycles in %.0f s: %d databases, %d transactions acknowledged, %d unacknowledged ones gone, %d opens cut off; %d times only the process died; without its flush a loss shows after %d",
		s.cycles, time.Since(started).Seconds(), s.databases, s.acknowledged, s.lost, s.cutOff, s.killed, found)
}

// finds shows that the tier can fail: with a mistake switched on it must find a loss. It returns after how many cycles.
func (s *shutdown) finds(t *testing.T, bug tx.Bug) int {
	clean := *s
	defer func() { *s = clean }()
	s.bugs = bug
	for range 100 {
		switch err := s.cycle(); {
		case errors.Is(err, ErrMismatch), errors.Is(err, mmdb.ErrCorrupt), errors.Is(err, mmdb.ErrInvalid):
			t.Logf("with bug %#x: %v", bug, err)
			// A worker that finds it leaves the file system as the shutdown did.
			if err := errors.Join(s.vol.Unmount(), s.vol.Mount()); err != nil {
				t.Fatal(err)
			}
			return s.cycles
		case err != nil:
			t.Fatalf("with bug %#x: %v", bug, err)
		}
	}
	t.Errorf("bug %#x was not found", bug)
	return 0
}

// cycle lets a worker commit, shuts the file system down, and looks.
func (s *shutdown) cycle() error {
	if s.cycles%perDatabase == 0 {
		if err := s.newDatabase(); err != nil {
			return err
		}
	}
	s.cycles++
	kill := s.rng.IntN(4) == 0
	if err := s.interrupt(s.rng.Uint64(), kill); err != nil {
		return err
	}
	if !kill {
		s.kept = s.lo
		if err := errors.Join(s.vol.Unmount(), s.vol.Mount()); err != nil {
			return err
		}
	}
	if s.rng.IntN(4) == 0 && s.cycles%perDatabase != 0 {
		return nil // the next worker does the recovery, and may be interrupted in it
	}
	return s.verify()
}

// newDatabase takes the place of the old one, and of whatever else is on the volume.
func (s *shutdown) newDatabase() error {
	if err := s.empty(); err != nil {
		return err
	}
	s.databases++
	s.path = filepath.Join(s.vol.Dir, fmt.Sprintf("db%d-%x", s.databases, s.bugs))
	s.ledger = NewLedger(200, 0)
	if s.databases%3 == 0 {
		s.ledger = NewLedger(200, 9)
	}
	s.lo, s.hi, s.kept, s.exists = 0, 0, 0, false
	return nil
}

// empty removes all databases, for good: after a shutdown a removed file is back if the journal did not get to know of it,
// and in time such files fill the volume.
func (s *shutdown) empty() error {
	all, err := filepath.Glob(filepath.Join(s.vol.Dir, "db*"))
	for _, path := range all {
		err = errors.Join(err, os.Remove(path))
	}
	return errors.Join(err, s.vol.Sync())
}

// interrupt starts a worker and shuts the file system down, or kills the worker, at a random moment of its life.
func (s *shutdown) interrupt(seed uint64, kill bool) error {
	p, err := StartWorker()
	if err != nil {
		return err
	}
	setup := SetupOf(s.rng.Uint64())
	setup.Bugs = uint32(s.bugs)
	if _, err := p.Next(); err != nil { // it is ready
		p.Kill()
		return err
	}
	p.Send(Command{Do: "open", Path: s.path, Setup: setup, Ledger: s.ledger})
	p.Send(Command{Do: "run", Seed: seed})
	seen, err := s.wait(p)
	if kill && err == nil {
		s.killed++
		return s.followKilled(p, seen, seed)
	}
	if err == nil {
		err = s.vol.Shutdown()
	}
	if err != nil {
		p.Kill()
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.follow(p, seen, seed) }()
	select {
	case err = <-ended:
		return errors.Join(err, p.End())
	case <-time.After(reportTimeout):
		p.Kill()
		return errors.New("the worker hangs after the file system was shut down")
	}
}

// wait waits for a random moment, and returns the reports until then: in the first milliseconds, when the worker opens or
// creates its database, or after some transactions.
func (s *shutdown) wait(p *WorkerProcess) (seen []Report, err error) {
	acknowledged, longest := 0, 1.0 // longest: milliseconds
	if s.rng.IntN(3) > 0 {
		acknowledged, longest = 1+s.rng.IntN(20), 4
	}
	for acknowledged > 0 {
		r, err := p.Next()
		if err != nil {
			return seen, err
		}
		if err := early(r); err != nil {
			return seen, err
		}
		if r.Event == "acknowledged" {
			acknowledged--
		}
		seen = append(seen, r)
	}
	time.Sleep(time.Duration(s.rng.Float64() * s.rng.Float64() * longest * float64(time.Millisecond)))
	for { // all that was heard before
		select {
		case r, ok := <-p.Reports:
			if !ok {
				return seen, errors.New("the worker ended")
			}
			if err := early(r); err != nil {
				return seen, err
			}
			seen = append(seen, r)
		default:
			return seen, nil
		}
	}
}

// early returns an error if a worker failed on a file system that had not: what it found there is wrong, or the library is.
func early(r Report) error {
	if r.Event == "failed" {
		return mismatch("the worker failed before the file system did: %s", r.Error)
	}
	return nil
}

// follow learns from the worker's reports what the database may hold. It has two commands: open and run.
//
// Only what was heard before the file system was shut down is a promise: after a power failure there is nobody to hear more. This is
// not pedantry: fdatasync of any program can report success while ext4 or xfs is being shut down, and the data is gone (half
// of such calls, measured).
func (s *shutdown) follow(p *WorkerProcess, seen []Report, seed uint64) error {
	opened := false
	for ended := 0; ended < 2; {
		var r Report
		var err error
		promise := len(seen) > 0
		if promise {
			r, seen = seen[0], seen[1:]
		} else if r, err = p.Next(); err != nil {
			return err
		}
		if err := s.learn(r, seed, promise); err != nil {
			return err
		}
		opened = opened || r.Event == "opened"
		if r.Event == "opened" || r.Event == "failed" {
			ended++
		}
	}
	if !opened {
		s.cutOff++
	}
	return nil
}

// followKilled kills the worker, and learns from all that it has said: each acknowledgement is a promise to the next process.
func (s *shutdown) followKilled(p *WorkerProcess, seen []Report, seed uint64) error {
	_ = p.cmd.Process.Kill()
	for r := range p.Reports {
		if err := early(r); err != nil {
			return err
		}
		seen = append(seen, r)
	}
	_ = p.End() // it was killed
	for _, r := range seen {
		if err := s.learn(r, seed, true); err != nil {
			return err
		}
	}
	return nil
}

func (s *shutdown) learn(r Report, seed uint64, promise bool) error {
	switch r.Event {
	case "opened":
		if r.N < s.kept || r.N > s.hi {
			return mismatch("the worker found transaction %d, from %d to %d are possible", r.N, s.kept, s.hi)
		}
		s.lost += int(s.hi - r.N)
		s.ledger.Fork(r.N, seed)
		s.lo, s.hi, s.kept = r.N, r.N, r.N // it was read from the device, or flushed
		s.exists = s.exists || promise
	case "begun":
		s.hi = max(s.hi, r.N)
	case "acknowledged":
		if promise {
			s.lo = max(s.lo, r.Durable) // of several clients some hear later
			s.kept = max(s.kept, r.N)
			s.acknowledged++
		}
	case "failed":
		if r.Failed && !r.Refused {
			return fmt.Errorf("after a failed flush the next transaction was not refused: %s", r.Error)
		}
	}
	return nil
}

// verify opens the database as the next process would, and compares all of it.
func (s *shutdown) verify() error {
	switch _, err := os.Stat(s.path); {
	case err == nil:
	case s.exists:
		return mismatch("the database was created: %v", err)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	db, err := mmdb.Open(s.path, 0o600, SetupOf(s.rng.Uint64()).Options())
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *mmdb.Tx) error {
		n, err := s.ledger.Verify(tx, s.kept, s.hi)
		if err == nil {
			s.lost += int(s.hi - n)
			s.lo, s.hi, s.kept, s.exists = n, n, n, true
		}
		return err
	})
}
