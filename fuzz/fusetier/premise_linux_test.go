package fusetier

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"mmdb/mmapfile"
)

// flushesTellTheTruth makes sure of what this tier rests on: whichever write the device refuses, of a file or of the journal, a flush of the file
// reports it, or all is there after a power loss. Where the kernel kept that to itself, no library could keep its promises. That holds too
// if somebody else has flushed the file system before, and was told: mmapfile finds that out.
func (b *bench) flushesTellTheTruth() error {
	for _, other := range []bool{false, true} {
		for n := 0; ; n++ {
			left, err := b.refuseOne(n, other)
			if err != nil {
				return fmt.Errorf("the device refuses write %d, somebody else flushes before: %v: %w", n, other, err)
			}
			if left > 0 && n < 3 { // the file alone takes as many
				return fmt.Errorf("the device saw only %d writes", n)
			}
			if left > 0 {
				break
			}
		}
	}
	return nil
}

// refuseOne writes to a file in three places while the device refuses its write n, and compares what is left after a power loss if a
// flush has reported success. It returns how many writes are still to be refused.
func (b *bench) refuseOne(n int, other bool) (left int, err error) {
	if err := b.newDevice(); err != nil {
		return 0, err
	}
	name := filepath.Join(b.vol.Dir, "plain")
	f, err := mmapfile.Open(name, mmapfile.Options{Create: true, Mode: 0o600})
	if err != nil {
		return 0, err
	}
	err = errors.Join(f.Allocate(0, writtenSize), f.Sync(), f.SyncDir())
	b.device.SetFault(Fault{Writes: true, After: n, Times: 1})
	content := make([]byte, writtenSize)
	for i, size := range []int{4096, maxWrite, 4*maxWrite + 4096} {
		part := content[i<<20:][:size]
		for k := range part {
			part[k] = byte(i + 1)
		}
		err = errors.Join(err, f.WriteAt([][]byte{part}, int64(i)<<20))
	}
	if err != nil {
		return 0, err
	}
	if other {
		_ = b.vol.Sync()
	}
	flushed := f.Sync()
	left = b.device.Left()
	b.device.PowerOff(rand.New(rand.NewPCG(uint64(n), 0)))
	if err := errors.Join(f.Close(), b.remount()); err != nil {
		return 0, err
	}
	got, err := os.ReadFile(name)
	if err == nil && flushed == nil && !bytes.Equal(got, content) {
		err = wrong("a flush reported success, and after a power loss not all is there")
	}
	return left, err
}
