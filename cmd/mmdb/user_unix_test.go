//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// asNobody calls fn, in the current folder, which is one of the test's, as a user who may not write everywhere.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		fn()
		return
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Seteuid(65534); err != nil {
		t.Skipf("no other user can be had: %v", err)
	}
	defer func() {
		if err := syscall.Seteuid(0); err != nil {
			panic(err) // the tests after this one would fail for no reason
		}
	}()
	fn()
}
