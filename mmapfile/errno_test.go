package mmapfile

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

func TestErrorsSayWhatTheNumberMeans(t *testing.T) {
	for _, c := range []struct {
		op    string
		errno syscall.Errno
		want  string
	}{
		{opOpen, syscall.EACCES, "no permission"},
		{opMap, syscall.EACCES, "open for reading"},
		{opMap, syscall.EAGAIN, "too much memory is locked"},
		{opPin, syscall.EAGAIN, "ulimit -l"},
		{opMap, syscall.EBADF, "closed, or not open"},
		{opWriter, syscall.EBADF, "open for writing"},
		{opMap, syscall.EINVAL, "out of range"},
		{opOpen, syscall.ENFILE, "system's limit of open files"},
		{opMap, syscall.ENODEV, "can't map files"},
		{opMap, syscall.ENOMEM, "address space"},
		{opPin, syscall.ENOMEM, "ulimit -l"},
		{opPin, syscall.EPERM, "may not lock memory"},
		{opMap, syscall.EPERM, "sealed"},
		{opMap, syscall.ETXTBSY, "running program"},
	} {
		err := wrap(c.op, "some/file", fmt.Errorf("12 bytes: %w", c.errno))
		text := err.Error()
		if !errors.Is(err, c.errno) || !strings.Contains(text, c.want) || !strings.HasPrefix(text, c.op+" some/file: 12 bytes: ") {
			t.Errorf("%s, %d: %s", c.op, c.errno, text)
		}
	}
	if err := wrap(opOpen, "x", syscall.ENOENT); !errors.Is(err, fs.ErrNotExist) || err.Error() != "open x: "+syscall.ENOENT.Error() {
		t.Error(err)
	}
	if wrap(opOpen, "x", nil) != nil {
		t.Error("no error became one")
	}
}

func TestOpKindsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for k := OpCreate; k <= OpRemove; k++ {
		if seen[k.String()] || strings.HasPrefix(k.String(), "op") {
			t.Errorf("kind %d is %q", k, k)
		}
		seen[k.String()] = true
	}
	if s := OpKind(99).String(); s != "op99" {
		t.Error(s)
	}
}
