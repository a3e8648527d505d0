package main

import (
	"os/signal"
	"syscall"
	"testing"
)

// withoutRoom calls fn while no file can get larger than a page, as if the disk were full.
func withoutRoom(t *testing.T, fn func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // else the limit ends the process
	defer signal.Reset(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			panic(err) // the tests after this one would fail for no reason
		}
	}()
	fn()
}
