package page

import (
	"errors"
	"fmt"
)

// ErrCorrupt is what every error about damaged bytes wraps.
var ErrCorrupt = errors.New("database is damaged")

// ErrVersion means that the file was written by a newer mmdb: its version is
// newer, or it needs a feature that this one does not know.
var ErrVersion = errors.New("database has a newer format")

// ErrInvalid means that the bytes are no mmdb database at all.
var ErrInvalid = errors.New("not an mmdb database")

// CorruptError tells where a database is damaged, and how. It wraps
// ErrCorrupt.
type CorruptError struct {
	Page   No     // number of the page, 0 if none is known
	Path   string // where in the tree of buckets, empty if not known
	Reason string // what is wrong
}

// Error returns all that is known, in one line.
func (e *CorruptError) Error() string {
	s := ErrCorrupt.Error()
	if e.Page != 0 {
		s = fmt.Sprintf("%s: page %d", s, e.Page)
	}
	if e.Path != "" {
		s = fmt.Sprintf("%s (in %s)", s, e.Path)
	}
	return s + ": " + e.Reason
}

// Unwrap returns ErrCorrupt.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

// Corruptf returns a *CorruptError about the page no, 0 if none is known.
func Corruptf(no No, format string, args ...any) error {
	return &CorruptError{Page: no, Reason: fmt.Sprintf(format, args...)}
}

// damaged is Corruptf for bytes whose page the caller fills in.
func damaged(format string, args ...any) error { return Corruptf(0, format, args...) }

// onPage fills the page number into an error of this package.
func onPage(no No, err error) error {
	var c *CorruptError
	if errors.As(err, &c) && c.Page == 0 {
		c.Page = no
	}
	return err
}
