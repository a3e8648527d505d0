package fuzz

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"mmdb"
)

// A BlockRecording is a run of a ledger on a real file system, whose device's writes were logged.
type BlockRecording struct {
	Ledger  *Ledger
	Base    []byte // the device before
	Entries []BlockEntry

	database string // in the file system
	created  int    // entries after which the database must exist
	marks    []blockMarks
}

// blockMarks are positions in the log: at least so many entries were there when transaction i+1 was begun, and
// at most so many when its flush returned, if it or a Sync was waited for.
type blockMarks struct{ begun, acknowledged int }

// loggedDevice is a device that logs what is written to it: qemu's driver, exported as a file through FUSE, for a loop
// device to show.
type loggedDevice struct {
	file string // shows the device
	log  *os.File
	cmd  *exec.Cmd
}

// maxBlockLog bounds the log's file, which is sparse.
const maxBlockLog = 4 << 30

// logDevice starts to log what is written to disk, a file of so many bytes.
func logDevice(dir, disk string, size int64) (*loggedDevice, error) {
	d := &loggedDevice{file: filepath.Join(dir, "export")}
	log := filepath.Join(dir, "log")
	for _, f := range []string{d.file, log} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			return nil, err
		}
	}
	if err := os.Truncate(log, maxBlockLog); err != nil {
		return nil, err
	}
	d.cmd = exec.Command("qemu-storage-daemon",
		"--blockdev", "driver=file,node-name=disk,filename="+disk,
		"--blockdev", "driver=file,node-name=log,filename="+log,
		"--blockdev", "driver=blklogwrites,node-name=logged,file=disk,log=log",
		"--export", "type=fuse,id=export,node-name=logged,writable=on,mountpoint="+d.file)
	d.cmd.Stderr = os.Stderr
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	for range 1000 {
		if s, err := os.Stat(d.file); err == nil && s.Size() == size {
			d.log, err = os.Open(log)
			return d, err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil, errors.Join(errors.New("qemu-storage-daemon exports no device"), d.stop())
}

// length returns how many entries the log has, up to the last flush.
func (d *loggedDevice) length() (int, error) {
	n, _, err := BlockLogLength(d.log)
	return int(n), err
}

// stop ends the export.
func (d *loggedDevice) stop() error {
	if d.log != nil {
		d.log.Close()
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	return d.cmd.Wait()
}

// RecordBlocks runs n transactions of l, by so many clients at once, on a new ext4 of so many bytes in dir, from the creation of the
// database to Close. If o makes them lazy, some are durable all the same, and some are followed by a Sync. The error is of the
// set-up if there is no recording.
func RecordBlocks(dir string, size int64, l *Ledger, o *mmdb.Options, clients, n int) (rec *BlockRecording, err error) {
	disk := &Volume{Kind: "ext4", File: filepath.Join(dir, "disk")}
	if err := disk.Format(size); err != nil {
		return nil, err
	}
	base, err := os.ReadFile(disk.File)
	if err != nil {
		return nil, err
	}
	dev, err := logDevice(dir, disk.File, size)
	if err != nil {
		return nil, err
	}
	defer func() {
		if stopped := dev.stop(); err == nil && stopped != nil {
			err = fmt.Errorf("qemu-storage-daemon: %w", stopped)
		}
	}()
	vol := &Volume{Kind: "ext4", File: dev.file, Dir: filepath.Join(dir, "logged")}
	if err := vol.Mount(); err != nil {
		return nil, err
	}
	defer vol.Release()
	rec = &BlockRecording{Ledger: l, Base: base, database: "db"}
	if err := rec.run(dev, filepath.Join(vol.Dir, rec.database), o, clients, n); err != nil {
		return rec, err
	}
	if err := vol.Unmount(); err != nil {
		return rec, err
	}
	rec.Entries, err = ReadBlockLog(dev.log)
	return rec, err
}

func (rec *BlockRecording) run(dev *loggedDevice, path string, o *mmdb.Options, clients, n int) error {
	db, err := mmdb.Open(path, 0o600, o)
	if err != nil {
		return err
	}
	defer db.Close()
	if rec.created, err = dev.length(); err != nil {
		return err
	}
	rec.marks = make([]blockMarks, n)
	errs := make([]error, max(1, clients))
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for errs[i] == nil {
				errs[i] = rec.commit(dev, db, o.Durability == mmdb.Lazy)
			}
			if errs[i] == errEnough {
				errs[i] = nil
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs, db.Close())...)
}

// errEnough says that all transactions were made.
var errEnough = errors.New("fuzz: enough transactions")

// commit makes the next transaction, and notes when it was begun and acknowledged.
func (rec *BlockRecording) commit(dev *loggedDevice, db *mmdb.DB, lazy bool) error {
	n := uint64(0)
	err := db.Update(func(tx *mmdb.Tx) error {
		last, _, err := rec.Ledger.Last(tx)
		if err != nil {
			return err
		}
		if last == uint64(len(rec.marks)) {
			return errEnough
		}
		n = last + 1
		if n%8 == 0 {
			tx.SetDurability(mmdb.Durable)
		}
		m := &rec.marks[last]
		m.acknowledged = math.MaxInt
		if m.begun, err = dev.length(); err != nil {
			return err
		}
		return rec.Ledger.Write(tx, n)
	})
	if err != nil || lazy && n%8 != 0 && n%5 != 0 {
		return err
	}
	if lazy && n%8 != 0 {
		if err := db.Sync(); err != nil {
			return err
		}
	}
	rec.marks[n-1].acknowledged, err = dev.length()
	return err
}

// expect returns the transactions that a device may hold to which only so many entries were done, and whether the database
// must be there.
func (rec *BlockRecording) expect(entries int) (lo, hi uint64, exists bool) {
	for i, m := range rec.marks {
		if m.acknowledged <= entries {
			lo = uint64(i + 1)
		}
		if m.begun <= entries {
			hi = uint64(i + 1)
		}
	}
	return lo, hi, rec.created <= entries
}

// Crashes builds images of what n power failures, at random moments, leave of the recorded device, and calls verify with each.
// The image is also vol.File, and not yet mounted. Several goroutines may call it, with a volume and an rng each.
func (rec *BlockRecording) Crashes(vol *Volume, rng *rand.Rand, n int, verify func(at int, image []byte) error) error {
	count := make([]int, len(rec.Entries)+1) // of images after so many entries
	for i := range n {
		at := rng.IntN(len(count))
		for i%2 == 0 && at < len(rec.Entries) && rec.Entries[at].Flags&blockFlush == 0 {
			at++ // to where most is pending
		}
		count[at]++
	}
	file, err := os.OpenFile(vol.File, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Truncate(int64(len(rec.Base))); err != nil {
		return err
	}
	dev := &BlockDevice{Durable: slices.Clone(rec.Base), Untorn: blockSize}
	var want, have []byte
	for at := range count {
		if at > 0 {
			if err := dev.Apply(&rec.Entries[at-1]); err != nil {
				return err
			}
		}
		for range count[at] {
			want = dev.Crash(want, rng)
			if have, err = become(file, have, want); err != nil {
				return err
			}
			if err := verify(at, want); err != nil {
				return fmt.Errorf("after %d of %d writes and flushes, %d blocks pending: %w", at, len(rec.Entries), len(dev.Pending), err)
			}
		}
	}
	return nil
}

// become makes the content of f that of want, and writes only what differs. buf is room to read f into, and is returned.
func become(f *os.File, buf, want []byte) ([]byte, error) {
	if len(buf) != len(want) {
		buf = make([]byte, len(want))
	}
	if _, err := f.ReadAt(buf, 0); err != nil {
		return buf, err
	}
	for at := 0; at < len(want); {
		n := min(blockSize, len(want)-at)
		from := at
		for at < len(want) && string(buf[at:at+n]) != string(want[at:at+n]) {
			at += n
		}
		if at > from {
			if _, err := f.WriteAt(want[from:at], int64(from)); err != nil {
				return buf, err
			}
		} else {
			at += n
		}
	}
	return buf, nil
}
