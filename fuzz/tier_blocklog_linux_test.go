package fuzz

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mmdb"
	"mmdb/tx"
)

// TestTierBlocklog logs every write and flush that a real ext4 makes of a database's transactions, and builds
// devices from it on which blocks that were not flushed are missing, torn or alone. Each is mounted, which replays the journal, and
// the database in it opened and compared. This finds a missing flush, and what the file system makes of the order of writes.
func TestTierBlocklog(t *testing.T) {
	RunTier(t, "blocklog", []string{"mkfs.ext4", "qemu-storage-daemon"}, func(tier *Tier) { (&blocklog{t: t, tier: tier}).run() })
}

type blocklog struct {
	t      *testing.T
	tier   *Tier
	rng    *rand.Rand
	shards []*blockShard

	logs, entries int
}

// A blockShard verifies a part of the images. Most of the time it waits for mounts, so there are several.
type blockShard struct {
	tier   *Tier
	rng    *rand.Rand
	vol    *Volume
	ledger *Ledger

	images, missing, older, again int
}

const blockShards = 3

func (b *blocklog) run() {
	started := time.Now()
	b.rng = rand.New(rand.NewPCG(uint64(started.UnixNano()), 0))
	teeth := ""
	for _, bug := range []struct {
		name  string
		bug   tx.Bug
		setup Setup
	}{
		{"no flush at all", tx.BugNoFlush, Setup{}},
		{"two phases without the first flush", tx.BugOneFlushSpill, Setup{TwoPhase: true}},
		{"spilled and flushed once", tx.BugOneFlushSpill, Setup{MaxDirty: 32 << 10}},
	} {
		bug.setup.Bugs = uint32(bug.bug)
		b.newShards()
		teeth += fmt.Sprintf("; with %s, an image of %d is wrong", bug.name, b.finds(bug.setup))
	}
	b.newShards()
	for n := uint64(0); b.tier.Left(); n++ {
		if err := b.log(SetupOf(n), n%5 == 4, 120); err != nil {
			b.t.Fatal(err)
		}
	}
	var sum blockShard
	for _, s := range b.shards {
		sum.images += s.images
		sum.missing += s.missing
		sum.older += s.older
		sum.again += s.again
	}
	b.tier.Ran("%d images in %.0f s, of %d logs with %d writes and flushes; %d before the database was there, %d without the newest transaction, %d opened twice%s",
		sum.images, time.Since(started).Seconds(), b.logs, b.entries, sum.missing, sum.older, sum.again, teeth)
}

func (b *blocklog) newShards() {
	b.shards, b.logs, b.entries = nil, 0, 0
	for i := range blockShards {
		dir := filepath.Join(b.tier.Dir, fmt.Sprint(i))
		s := &blockShard{tier: b.tier, rng: rand.New(rand.NewPCG(b.rng.Uint64(), 0)),
			vol: &Volume{Kind: "ext4", File: dir + ".image", Dir: dir}}
		b.t.Cleanup(s.vol.Release)
		b.shards = append(b.shards, s)
	}
}

// finds shows that the tier can fail. It returns how many images it built until it did.
func (b *blocklog) finds(s Setup) int {
	err := b.log(s, false, 300)
	switch {
	case err == nil:
		b.t.Errorf("bug %#x was not found", s.Bugs)
	case !errors.Is(err, ErrMismatch) && !errors.Is(err, mmdb.ErrCorrupt) && !errors.Is(err, mmdb.ErrInvalid):
		b.t.Fatal(err)
	}
	b.t.Logf("with bug %#x: %v", s.Bugs, err)
	images := 0
	for _, s := range b.shards {
		images += s.images
		s.vol.Release()
	}
	return images
}

// log records a run and crashes it n times.
func (b *blocklog) log(s Setup, large bool, n int) error {
	size, l, commits := int64(24<<20), NewLedger(120, 0), 40
	if large {
		size, l, commits, n = 96<<20, NewLedger(120, 4), 6, n/4
	}
	l.Fork(0, b.rng.Uint64())
	o := s.Options()
	tx.Sabotage(o, tx.Bug(s.Bugs))
	rec, err := RecordBlocks(b.tier.Dir, size, l, o, s.Clients, commits)
	if rec == nil && b.logs == 0 {
		b.tier.Cannot(err)
	}
	if err != nil {
		return err
	}
	b.logs++
	b.entries += len(rec.Entries)
	var wg sync.WaitGroup
	var failed atomic.Bool
	errs := make([]error, len(b.shards))
	for i, shard := range b.shards {
		shard.ledger = l.Clone()
		wg.Go(func() {
			errs[i] = rec.Crashes(shard.vol, shard.rng, n/len(b.shards), func(at int, image []byte) error {
				if failed.Load() || s.Bugs == 0 && !b.tier.Left() {
					return nil
				}
				err := shard.verify(rec, at)
				if err != nil && s.Bugs == 0 {
					b.t.Log(keepImage(image))
				}
				return err
			})
			if errs[i] != nil {
				failed.Store(true)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%+v, large %v: %w", s, large, err)
	}
	return nil
}

// verify mounts the image and opens the database in it.
func (s *blockShard) verify(rec *BlockRecording, at int) error {
	s.images++
	if err := s.vol.Mount(); err != nil {
		return err
	}
	path := filepath.Join(s.vol.Dir, rec.database)
	lo, hi, exists := rec.expect(at)
	switch _, err := os.Stat(path); {
	case err == nil:
	case exists:
		return mismatch("the database was created: %v", err)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		s.missing++
	}
	n, err := s.open(path, lo, hi)
	if err == nil && n < hi {
		s.older++
	}
	if err == nil && s.images%8 == 0 { // what was found is there to stay
		s.again++
		_, err = s.open(path, n, n)
	}
	if err != nil {
		return err
	}
	return s.vol.Unmount()
}

// open opens the database, compares all of it, and makes sure that the next transaction works.
func (s *blockShard) open(path string, lo, hi uint64) (n uint64, err error) {
	db, err := mmdb.Open(path, 0o600, SetupOf(s.rng.Uint64()).Options())
	if err != nil {
		return 0, fmt.Errorf("transactions %d to %d: open: %w", lo, hi, err)
	}
	defer db.Close()
	err = db.View(func(tx *mmdb.Tx) error {
		n, err = s.ledger.Verify(tx, lo, hi)
		return err
	})
	if err == nil {
		err = db.Update(func(tx *mmdb.Tx) error { return touchAfter(tx, n) })
	}
	return n, err
}

// touchAfter makes a change that the ledger does not know.
func touchAfter(tx *mmdb.Tx, n uint64) error {
	b, err := tx.CreateBucketIfNotExists([]byte(afterBucket))
	if err != nil {
		return err
	}
	return b.Put(fmt.Appendf(nil, "%d", n), make([]byte, 9000))
}

// keepImage saves an image that failed, as it was before the file system saw it, and says where.
func keepImage(image []byte) string {
	f, err := os.CreateTemp("", "mmdb-blocklog-*.ext4")
	if err != nil {
		return err.Error()
	}
	if _, err := f.Write(image); err != nil {
		return err.Error()
	}
	return "the image is kept: " + f.Name()
}
