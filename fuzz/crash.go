package fuzz

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mmdb"
)

// A CrashConfig says how many images to build and where.
type CrashConfig struct {
	Seed    uint64       // of the random choices
	Extra   int          // torn and mixed images per crash point, beyond the plain ones
	Recrash int          // crash every n-th recovery again, by power loss and by process death; 0: none
	Shard   int          // this process's share of the images: those whose
	Shards  int          // number leaves Shard modulo Shards; 0: all
	Only    int          // verify nothing but this image; 0: all
	Until   time.Time    // stop then; zero: go to the end
	Dir     string       // folder for the images
	Keep    string       // where a failing image goes; "": nowhere
	Options mmdb.Options // for opening images; Seam and Timeout are overwritten
}

// A CrashReport counts what was done.
type CrashReport struct {
	Points    int // crash points
	Images    int // images that were verified
	Recrashes int // images of crashes during recovery, and after it
}

// A CrashError is an image that failed.
type CrashError struct {
	Image  int    // its number, counted over all shards
	Event  int    // it was made after this event of the trace
	Last   Event  // which is this one, without the data
	Label  string // what of the pending changes it holds
	Accept []int  // the states that it might hold
	Kept   string // file that holds the image; "" if it was not kept
	Err    error  // what was wrong
}

// Error tells where the crash was and what it left.
func (e *CrashError) Error() string {
	s := fmt.Sprintf("image %d, after event %d (%s), pending %s: %v", e.Image, e.Event, e.Last, e.Label, e.Err)
	if e.Kept != "" {
		s += "\nkept as " + e.Kept
	}
	return s
}

// Unwrap returns what was wrong.
func (e *CrashError) Unwrap() error { return e.Err }

// errStop ends a simulation whose time is up.
var errStop = errors.New("fuzz: time is up")

// A crasher runs the simulation of one trace.
type crasher struct {
	cfg    CrashConfig
	trace  *Trace
	disk   *Disk
	image  *image
	verify *verifier
	rng    *rand.Rand
	seen   map[uint64]struct{}
	report CrashReport
	number int   // of the last image, over all shards
	mark   Event // the newest mark
	event  int
	name   string // of the image file
}

// Crash builds the images of a crash after every event of the trace and
// verifies each. It stops at the first that fails and returns a *CrashError.
func Crash(t *Trace, cfg CrashConfig) (CrashReport, error) {
	return crash(t, cfg, "image")
}

func crash(t *Trace, cfg CrashConfig, name string) (report CrashReport, err error) {
	c := &crasher{
		cfg: cfg, trace: t, disk: NewDisk(t), verify: newVerifier(t.States, cfg.Options), name: name,
		rng: rand.New(rand.NewPCG(cfg.Seed, 1)), seen: map[uint64]struct{}{},
		mark: Event{Kind: EventMark, Accept: []int{0}, Absent: t.Base == nil, Copy: -1},
	}
	if c.image, err = newImage(cfg.Dir, fmt.Sprintf("%s-%d", name, cfg.Shard)); err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, c.image.close(), os.Remove(c.image.path)) }()
	if t.Cached != nil {
		c.lose()
	}
	for i := range t.Events {
		e := &t.Events[i]
		c.event = i
		if e.Kind == EventMark {
			c.mark = *e
		} else if !c.disk.Apply(e) {
			continue
		}
		if err := c.point(e); err != nil {
			if err == errStop {
				err = nil
			}
			return c.report, err
		}
	}
	return c.report, nil
}

// lose makes everything that the run saw and the disk lacks a write in limbo.
func (c *crasher) lose() {
	base, cached, f := c.trace.Base, c.trace.Cached, c.disk.names[c.trace.DB]
	for lo := 0; lo < len(cached); lo += block {
		hi := min(lo+block, len(cached))
		if hi > len(base) || !slices.Equal(base[lo:hi], cached[lo:hi]) {
			c.disk.add(change{file: f, off: int64(lo), data: cached[lo:hi], limbo: true})
		}
	}
}

// point tries the images of a crash right after event e.
func (c *crasher) point(e *Event) error {
	c.report.Points++
	for _, p := range c.disk.picks(c.rng, c.cfg.Extra) {
		k := c.disk.key(&p, c.accept(&p), c.mark.Absent)
		if _, ok := c.seen[k]; ok {
			continue
		}
		c.seen[k] = struct{}{}
		c.number++
		if c.cfg.Shards > 1 && c.number%c.cfg.Shards != c.cfg.Shard || c.cfg.Only > 0 && c.number != c.cfg.Only {
			continue
		}
		if !c.cfg.Until.IsZero() && time.Now().After(c.cfg.Until) {
			return errStop
		}
		if err := c.try(&p, e); err != nil {
			return err
		}
	}
	return nil
}

// accept returns the states that p may hold.
func (c *crasher) accept(p *pick) []int {
	if p.all {
		return c.mark.alive()
	}
	return c.mark.Accept
}

// try builds one image and verifies it. The copies that CopyFile made stand
// beside it while anything of them is pending, or was just promised.
func (c *crasher) try(p *pick, e *Event) error {
	c.report.Images++
	err := c.copies(p, e)
	f := c.disk.named(c.trace.DB, p.names)
	switch {
	case err != nil:
	case f == nil && !c.mark.Absent:
		err = mismatch("the database's name is not durable")
	case f == nil:
		err = c.image.hide(func() error {
			_, err := c.verify.verify(c.image.path, c.mark.Accept, c.mark.Accept, NewRecorder(nil))
			return err
		})
	default:
		if err = c.image.take(f); err == nil {
			err = c.tryImage(p)
		}
	}
	if err == nil {
		return nil
	}
	failed := &CrashError{Image: c.number, Event: c.event, Last: *e, Label: p.label, Accept: c.accept(p), Err: err}
	failed.Last.Data = nil
	if c.cfg.Keep != "" && f != nil {
		failed.Kept = filepath.Join(c.cfg.Keep, fmt.Sprintf("%s-%d.mmdb", c.name, c.number))
		failed.Err = errors.Join(err, os.WriteFile(failed.Kept, c.disk.content(f, p), 0o600))
	}
	return failed
}

// tryImage verifies the image with what p adds, and for a sample what further
// crashes leave of the recovery.
func (c *crasher) tryImage(p *pick) error {
	if err := c.image.overlay(c.disk, p); err != nil {
		return err
	}
	again := c.cfg.Recrash > 0 && c.number%c.cfg.Recrash == 0
	before, err := c.image.bytes(again)
	if err != nil {
		return err
	}
	rec := NewRecorder(nil).Knows(c.image.path, c.image.size)
	after, err := c.verify.verify(c.image.path, c.mark.Accept, c.accept(p), rec)
	c.image.changed(rec.Events())
	if err == nil && again {
		err = c.recrash(&Trace{DB: c.image.path, Base: before, Events: rec.Events()}, after, "recovery")
	}
	if err == nil && again {
		err = c.kill(before)
	}
	if r := c.image.restore(); r != nil {
		return errors.Join(err, r)
	}
	if again || c.report.Images%64 == 1 {
		return errors.Join(err, c.image.holds())
	}
	return err
}

// recrash runs the crash simulation on a recovery.
func (c *crasher) recrash(t *Trace, after *Model, name string) error {
	t.States = append(slices.Clone(c.trace.States), after)
	cfg := c.cfg
	cfg.Seed, cfg.Extra, cfg.Recrash, cfg.Shards, cfg.Only = c.cfg.Seed+uint64(c.number), 6, 0, 0, 0
	t.Events = t.Events[1:] // the recorder's first mark is for a file that is created
	report, err := crash(t, cfg, fmt.Sprintf("%s-%s-of-%d", c.name, name, c.number))
	c.report.Recrashes += report.Images
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// kill plays the death of the process instead of a power loss: the next one
// finds everything that was written in the page cache. But the last flush
// failed, so the kernel will not write these pages again, and the device has
// only base. What the next process then shows must survive the power loss
// that follows (invariant I5).
func (c *crasher) kill(base []byte) error {
	all := pick{sizes: c.disk.seq}
	for i := range c.disk.pending {
		if !c.disk.pending[i].isSize() {
			all.pieces = append(all.pieces, piece{i, 0, len(c.disk.pending[i].data)})
		}
	}
	cached := append([]byte{}, c.disk.content(c.image.of, &all)...)
	path := c.image.path + ".killed"
	if err := os.WriteFile(path, cached, 0o600); err != nil {
		return err
	}
	defer os.Remove(path)
	rec := NewRecorder(nil).Knows(path, int64(len(cached)))
	after, err := c.verify.verify(path, c.mark.Accept, c.mark.alive(), rec)
	if err != nil {
		return fmt.Errorf("process death: %w", err)
	}
	return c.recrash(&Trace{DB: path, Base: base, Cached: cached, Events: rec.Events()}, after, "process death")
}

// copies verifies what is left of the files that CopyFile made.
func (c *crasher) copies(p *pick, e *Event) error {
	for path, f := range c.disk.names {
		promised := e.Kind == EventMark && e.Copy >= 0 && e.Path == path
		if path == c.trace.DB || !promised && !c.disk.changing(f) {
			continue
		}
		got := c.disk.named(path, p.names)
		if got == nil {
			if promised {
				return mismatch("the name of the copy %s is not durable", path)
			}
			continue
		}
		name := c.image.path + ".copy"
		if err := os.WriteFile(name, c.disk.content(got, p), 0o600); err != nil {
			return err
		}
		_, err := c.verify.open(name, c.mark.Accept)
		if rm := os.Remove(name); rm != nil {
			return rm
		}
		if err != nil && (promised || errors.Is(err, ErrMismatch)) {
			return fmt.Errorf("copy %s: %w", path, err)
		}
	}
	return nil
}

// changing reports whether anything of f is pending.
func (d *Disk) changing(f *file) bool {
	for _, c := range d.pending {
		if c.file == f {
			return true
		}
	}
	return slices.ContainsFunc(d.renames, func(n naming) bool { return n.file == f })
}
