//go:build !linux

package mmapfile

import "time"

// Pause sleeps for d.
func Pause(d time.Duration) { time.Sleep(d) }
