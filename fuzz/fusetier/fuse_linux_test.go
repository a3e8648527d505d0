package fusetier

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mmdb"
	"mmdb/fuzz"
	"mmdb/tx"

	"github.com/hanwen/go-fuse/v2/fuse"
)

func init() { fuzz.BeWorker(func(o *mmdb.Options, bugs uint32) { tx.Sabotage(o, tx.Bug(bugs)) }) }

// TestTierFuse holds the library to invariant I7 on a device that fails: after a failed flush every write is refused, readers go
// on with the last published transaction, and the next open recovers to a state that is true and stays true when the
// power fails then.
func TestTierFuse(t *testing.T) {
	fuzz.RunTier(t, "fuse", []string{"mkfs.ext4"}, func(tier *fuzz.Tier) { (&bench{t: t, tier: tier}).run() })
}

// A bench is a device, a file system on it, and a worker with a database.
type bench struct {
	t       *testing.T
	tier    *fuzz.Tier
	rng     *rand.Rand
	bugs    tx.Bug
	empty   []byte // a device with an empty file system
	device  *Device
	server  *fuse.Server
	vol     *fuzz.Volume
	worker  *fuzz.WorkerProcess
	path    string
	ledger  *fuzz.Ledger
	exists  bool
	lo, hi  uint64 // the transactions that the database may hold
	last    uint64 // the newest one that readers see
	setup   fuzz.Setup
	initial int64 // bytes of the file that were written before it became a database

	story []string // what happened in this cycle and the one before
	counts
}

type counts struct {
	cycles, devices, acknowledged                                     int
	failedFlushes, died, failedOtherwise, reopened, gaveUp, powerLost int
}

const (
	deviceSize  = 32 << 20
	writtenSize = 12 << 20
	perDevice   = 20 // cycles
)

func (b *bench) run() {
	started := time.Now()
	b.rng = rand.New(rand.NewPCG(uint64(started.UnixNano()), 0))
	if err := b.format(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(b.release)
	if err := b.newDevice(); err != nil {
		b.tier.Cannot(err)
	}
	if err := b.flushesTellTheTruth(); err != nil {
		b.t.Fatal(err)
	}
	teeth := ""
	for _, bug := range []struct {
		name string
		bug  tx.Bug
	}{{"its flush", tx.BugNoFlush}, {"writing again what it adopts", tx.BugAdoptUnwritten}} {
		teeth += fmt.Sprintf("; without %s it goes wrong in cycle %d", bug.name, b.finds(bug.bug))
	}
	for b.tier.Left() {
		if err := b.cycle(); err != nil {
			b.t.Fatalf("cycle %d: %v\n%s", b.cycles, err, strings.Join(b.story, "\n"))
		}
	}
	b.tier.Ran("%d cycles in %.0f s: %d transactions acknowledged, %d failed flushes, %d of which ended the process, %d other failures, %d times reopened after a failure and %d times after ext4 had given up, %d power failures%s",
		b.cycles, time.Since(started).Seconds(), b.acknowledged, b.failedFlushes, b.died, b.failedOtherwise, b.reopened, b.gaveUp, b.powerLost, teeth)
}

// finds shows that the tier can fail: with a mistake switched on something must go wrong. It returns in which cycle.
func (b *bench) finds(bug tx.Bug) int {
	defer func() { b.bugs, b.counts = 0, counts{} }()
	b.bugs, b.counts = bug, counts{}
	for range 400 {
		err := b.cycle()
		if err == nil {
			continue
		}
		b.t.Logf("with bug %#x: %v", bug, err)
		if !errors.Is(err, errWrong) {
			b.t.Fatal(err)
		}
		return b.cycles
	}
	b.t.Errorf("bug %#x was not found", bug)
	return 0
}

// note adds a line to the story.
func (b *bench) note(format string, args ...any) {
	b.story = append(b.story, fmt.Sprintf(format, args...))
	if len(b.story) > 60 {
		b.story = b.story[20:]
	}
}

// errWrong is wrapped by errors that say that the database is not what was promised.
var errWrong = errors.New("promise broken")

// wrong returns an error that wraps errWrong.
func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errWrong, fmt.Sprintf(format, args...))
}

// format makes the image of an empty file system.
func (b *bench) format() error {
	v := fuzz.Volume{Kind: "ext4", File: filepath.Join(b.tier.Dir, "empty")}
	err := v.Format(deviceSize)
	if err == nil {
		b.empty, err = os.ReadFile(v.File)
	}
	return err
}

// newDevice takes the place of the old one; it is mounted, and has no database.
func (b *bench) newDevice() error {
	b.release()
	b.devices++
	dir, err := os.MkdirTemp(b.tier.Dir, "fuse")
	if err != nil {
		return err
	}
	b.device = NewDevice(slices.Clone(b.empty))
	if b.server, err = Serve(dir, b.device); err != nil {
		return err
	}
	b.vol = &fuzz.Volume{Kind: "ext4", File: filepath.Join(dir, deviceName), Dir: dir + "-mnt"}
	b.path = filepath.Join(b.vol.Dir, "db")
	b.ledger = fuzz.NewLedger(120, 0)
	b.lo, b.hi, b.last, b.exists, b.initial = 0, 0, 0, false, 0
	if err := b.vol.Mount(); err != nil || b.devices%2 == 0 {
		return err
	}
	b.initial = writtenSize
	return b.writeZeros()
}

// writeZeros makes the file of the database, and writes all its blocks.
func (b *bench) writeZeros() error {
	f, err := os.Create(b.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, b.initial)); err != nil {
		return err
	}
	return f.Sync()
}

// release gives everything back.
func (b *bench) release() {
	if err := b.endWorker(); err != nil {
		b.t.Log(err)
	}
	if b.vol != nil {
		b.device.PowerOn()
		b.vol.Release()
	}
	if b.server != nil {
		if err := b.server.Unmount(); err != nil {
			b.t.Log(err)
		}
		b.server = nil
	}
}

// open starts a worker, if there is none, and opens the database in it. It returns an error of the library apart.
func (b *bench) open() (failed string, err error) {
	if b.worker == nil {
		if b.worker, err = fuzz.StartWorker(); err != nil {
			return "", err
		}
	}
	if _, err := os.Stat(b.path); err != nil && (b.exists || !errors.Is(err, fs.ErrNotExist)) {
		return "", wrong("the database was created: %v", err)
	}
	setup := fuzz.SetupOf(b.rng.Uint64())
	setup.Bugs, setup.Die, setup.Initial = uint32(b.bugs), !setup.Lazy && b.rng.IntN(3) == 0, b.initial
	b.setup = setup
	r, err := b.worker.Do(fuzz.Command{Do: "open", Path: b.path, Setup: setup, Ledger: b.ledger})
	b.note("open %+v: %s %d %s, %v", setup, r.Event, r.N, r.Error, err)
	if err != nil || r.Event != "opened" {
		return r.Error, err
	}
	if r.N < b.lo || r.N > b.hi {
		return "", wrong("transaction %d was found, from %d to %d are possible", r.N, b.lo, b.hi)
	}
	b.lo, b.hi, b.last, b.exists = r.N, r.N, r.N, true
	return "", nil
}

// mustOpen opens the database and compares all of it.
func (b *bench) mustOpen() error {
	failed, err := b.open()
	if err == nil && failed != "" {
		err = wrong("open: %s", failed)
	}
	if err != nil {
		return err
	}
	return b.verify()
}

func (b *bench) verify() error {
	r, err := b.worker.Do(fuzz.Command{Do: "verify", Lo: b.lo, Hi: b.hi})
	if err == nil && r.Event != "verified" {
		err = wrong("transactions %d to %d: %s", b.lo, b.hi, r.Error)
	}
	return err
}

// commit does one more transaction, or one of each client at once, and reports whether that worked.
func (b *bench) commit() (fuzz.Report, error) {
	seed := b.rng.Uint64()
	b.ledger.Fork(b.last, seed)
	do := "commit"
	b.hi = b.last + 1
	if b.setup.Clients > 1 && b.rng.IntN(3) > 0 {
		do, b.hi = "together", b.last+uint64(b.setup.Clients)
	}
	r, err := b.worker.Do(fuzz.Command{Do: do, Seed: seed})
	b.note("%s: %s %d %s, %v", do, r.Event, r.N, r.Error, err)
	switch {
	case err != nil:
	case r.Event == "acknowledged" && r.N != b.hi:
		return r, wrong("transaction %d was acknowledged, all up to %d should be", r.N, b.hi)
	case r.Event == "acknowledged", r.Event == "failed" && r.N > b.last: // before some failed others may have landed
		b.acknowledged += int(r.N - b.last)
		b.last, b.lo = r.N, max(b.lo, r.Durable)
	}
	return r, err
}

// cycle opens the database, commits while the device goes bad, and looks at what the database makes of it.
func (b *bench) cycle() error {
	if b.cycles%perDevice == 0 {
		if err := b.newDevice(); err != nil {
			return err
		}
	}
	b.cycles++
	if err := b.mustOpen(); err != nil {
		return err
	}
	for range b.rng.IntN(4) {
		if r, err := b.commit(); err != nil || r.Event != "acknowledged" {
			return errors.Join(fmt.Errorf("a transaction on a good device: %s", r.Error), err)
		}
	}
	if r, err := b.worker.Do(fuzz.Command{Do: "hold"}); err != nil || r.Event != "held" {
		return errors.Join(fmt.Errorf("begin: %s", r.Error), err)
	}
	if b.rng.IntN(5) > 0 {
		if err := b.goBad(); err != nil {
			return err
		}
	}
	return b.loseDevice()
}

// goBad commits until the device fails, and may reopen the database on it.
func (b *bench) goBad() error {
	f := Fault{Writes: b.rng.IntN(3) == 0, After: b.rng.IntN(8), Times: 1 + b.rng.IntN(4)*b.rng.IntN(4), Forget: b.rng.IntN(3) == 0}
	others := b.rng.IntN(4) == 0
	f.Forget = f.Forget && !others // who asked for the flush that failed is told, and nobody else
	b.device.SetFault(f)
	b.note("fault %+v, others flush: %v", f, others)
	stop := func() {}
	if others {
		stop = b.othersFlush()
	}
	var r fuzz.Report
	var err error
	for i := 0; i < 12 && err == nil && (i == 0 || r.Event == "acknowledged"); i++ {
		r, err = b.commit()
	}
	if stop(); err != nil {
		return err
	}
	switch r.Event {
	case "acknowledged":
		return nil // the fault did not show: it was a write in the background, perhaps
	case "died":
		b.failedFlushes++
		b.died++
		err = b.endWorker()
	case "failed":
		err = b.afterFailure(r, f.Forget || others && b.setup.Lazy)
	default:
		err = fmt.Errorf("unexpected report %+v", r)
	}
	if err != nil || b.rng.IntN(3) == 0 {
		return err
	}
	return b.reopen()
}

// othersFlush flushes the file system again and again, as other processes may, until stop is called.
func (b *bench) othersFlush() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case <-time.After(rand.N(time.Millisecond)):
				_ = b.vol.Sync() // its error is the library's to find out
			}
		}
	}()
	return func() { close(end); <-ended }
}

// afterFailure holds the library to what it promises after a failed transaction. lost says that published pages may be gone: the
// device has forgotten them, or somebody made ext4 flush them after it had failed: it drops them then.
func (b *bench) afterFailure(r fuzz.Report, lost bool) error {
	if r.Failed {
		b.failedFlushes++
	} else {
		b.failedOtherwise++
	}
	switch {
	case r.Failed && !r.Refused:
		return wrong("after a failed flush the next transaction was not refused: %s", r.Error)
	case lost:
		return nil
	case r.ReaderError != "":
		return wrong("after %q a reader got %q", r.Error, r.ReaderError)
	}
	defer func(lo, hi uint64) { b.lo, b.hi = lo, hi }(b.lo, b.hi)
	b.lo, b.hi = b.last, b.last // readers go on with what was published
	return b.verify()
}

// reopen opens the database again on the same file system, whose cache may show what the device lacks.
func (b *bench) reopen() error {
	b.device.SetFault(Fault{})
	b.note("no fault any more")
	if b.worker != nil {
		if _, err := b.worker.Do(fuzz.Command{Do: "close"}); err != nil { // an error of the library is all right
			return err
		}
	}
	failed, err := b.open()
	if err != nil {
		return err
	}
	if strings.Contains(failed, mmdb.ErrCorrupt.Error()) {
		return wrong("after a failure: open: %s", failed)
	}
	if failed != "" { // ext4 has given up
		b.gaveUp++
		if err := b.remount(); err != nil {
			return err
		}
		return b.mustOpen()
	}
	b.reopened++
	if err := b.verify(); err != nil {
		return err
	}
	for range b.rng.IntN(3) {
		if r, err := b.commit(); err != nil || r.Event != "acknowledged" {
			return err // ext4 may give up now
		}
	}
	return nil
}

// loseDevice lets the power fail, and mounts what is left.
func (b *bench) loseDevice() error {
	b.powerLost++
	b.note("power off")
	b.device.PowerOff(b.rng)
	return b.remount()
}

// remount ends the worker, and mounts the device again, with the power on.
func (b *bench) remount() error {
	if err := errors.Join(b.endWorker(), b.vol.Unmount()); err != nil {
		return err
	}
	b.device.PowerOn()
	b.note("remount")
	return b.vol.Mount()
}

// endWorker waits for the worker to end. Its trouble with the device is no error.
func (b *bench) endWorker() error {
	if b.worker == nil {
		return nil
	}
	w := b.worker
	b.worker = nil
	return w.End()
}
