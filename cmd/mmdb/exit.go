package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"mmdb"
)

// Exit statuses of the tool.
const (
	exitOK          = 0
	exitError       = 1   // anything that has no status of its own
	exitUsage       = 2   // unknown command or flag, wrong arguments
	exitInUse       = 3   // the file is held by another process
	exitCorrupt     = 4   // the file is damaged
	exitInterrupted = 130 // stopped by a signal
)

var errInterrupted = errors.New("interrupted")

// usageError marks an error in how the tool was called.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// inUseError says that the file could not be locked in time.
type inUseError struct{ path string }

func (e inUseError) Error() string { return e.path + " is in use by another process" }

// foundError says how many problems a command found and has already printed.
type foundError struct{ line string }

func (e foundError) Error() string { return e.line }

// report prints err as one line on standard error and returns the exit status
// that belongs to it.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, syscall.EPIPE) && a.out.unread() {
		return exitOK
	}
	code, hint := exitStatus(err), ""
	if code == exitUsage {
		hint = " (see mmdb --help)"
	}
	fmt.Fprintf(a.err, "mmdb: %s%s\n", oneLine(err), hint)
	return code
}

func exitStatus(err error) int {
	var usage usageError
	var inUse inUseError
	var found foundError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &inUse), errors.Is(err, mmdb.ErrTimeout):
		return exitInUse
	case errors.As(err, &found), errors.Is(err, mmdb.ErrCorrupt):
		return exitCorrupt
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	}
	return exitError
}

// oneLine returns the text of err without line breaks or control characters,
// whatever a file name or a damaged file brought into it. A stack that was asked for
// stays as it is.
func oneLine(err error) string {
	text, stack, _ := strings.Cut(err.Error(), "\ngoroutine ")
	text = visible(strings.TrimSpace(text))
	if stack != "" {
		text += "\ngoroutine " + strings.TrimRight(stack, "\n")
	}
	return text
}

// fileError puts the path before an error of the library or the system, once, and
// names the common cases in the tool's words.
func fileError(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mmdb.ErrTimeout):
		return inUseError{path}
	case errors.Is(err, errInterrupted):
		return errInterrupted
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: no such file%w", path, hidden{err})
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) && pathErr.Path == path {
		return fmt.Errorf("%s: %s: %w", path, pathErr.Op, pathErr.Err)
	}
	if errors.Is(err, mmdb.ErrInvalid) && isBolt(path) {
		return fmt.Errorf("%s: %w, but of bbolt: mmdb import NEW %s --create copies it", path, mmdb.ErrInvalid, path)
	}
	if strings.Contains(err.Error(), path) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// hidden keeps an error for errors.Is without its text.
type hidden struct{ err error }

func (h hidden) Error() string { return "" }
func (h hidden) Unwrap() error { return h.err }

// renamed returns err with another name for the file at path: what the user called it, in place of a temporary one.
func renamed(err error, path, name string) error {
	return fmt.Errorf("%s%w", strings.ReplaceAll(err.Error(), path, name), hidden{err})
}
