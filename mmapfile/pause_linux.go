package mmapfile

import (
	"time"

	"golang.org/x/sys/unix"
)

// Pause sleeps for d, and for less when a signal comes. Use it to wait for another process for less than a millisecond: the Go runtime, when
// it has nothing else to do, sleeps for whole ones. It takes a thread meanwhile.
func Pause(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil)
}
