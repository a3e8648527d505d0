package fusetier

import (
	"errors"
	"fmt"
	"os"
)

// failuresAreReported makes sure of what this tier rests on: whichever write the device refuses, of the file or of the journal, the file's next
// flush reports it. Where the kernel kept that to itself, no library could keep its promises.
func (b *bench) failuresAreReported() error {
	for n := 0; ; n++ {
		left, err := b.refuseOne(n)
		switch {
		case left > 0 && n < 3: // the file alone takes as many
			return errors.Join(fmt.Errorf("the device saw only %d writes", n), err)
		case left > 0:
			return err
		case err == nil:
			return fmt.Errorf("the device refused write %d, and no flush has reported it: what follows would prove nothing", n)
		}
	}
}

// refuseOne writes to a file in three places while the device refuses its write n, and returns how many writes are still to be refused and what the flush said.
func (b *bench) refuseOne(n int) (left int, err error) {
	if err := b.newDevice(); err != nil {
		return 1, err
	}
	if b.initial = writtenSize; b.devices%2 == 0 {
		if err := b.writeZeros(); err != nil {
			return 1, err
		}
	}
	f, err := os.OpenFile(b.path, os.O_RDWR, 0)
	if err != nil {
		return 1, err
	}
	defer f.Close()
	b.device.SetFault(Fault{Writes: true, After: n, Times: 1})
	for i, size := range []int{4096, maxWrite, 4*maxWrite + 4096} {
		_, e := f.WriteAt(make([]byte, size), int64(i)<<20)
		err = errors.Join(err, e)
	}
	err = errors.Join(err, f.Sync())
	return b.device.Left(), err
}
