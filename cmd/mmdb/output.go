package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"text/tabwriter"

	"golang.org/x/term"
)

// output is standard output, buffered. Its first write error stays, so loops
// may print without looking and ask for the error later.
type output struct {
	*bufio.Writer
	file  *os.File // the stream itself when it is a file, else nil
	whole bool     // what is written is of use as a whole only
}

func newOutput(w io.Writer) *output {
	f, _ := w.(*os.File)
	return &output{Writer: bufio.NewWriterSize(w, 64<<10), file: f}
}

// unread reports whether the reader of standard output has gone away, and may: it has seen what it wanted. That of another file,
// as of -o, may not.
func (o *output) unread() bool { return !o.whole && errors.Is(o.Flush(), syscall.EPIPE) }

// printf prints to standard output; see output for its errors.
func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.out, format, args...) }

// warnf prints one line on standard error.
func (a *app) warnf(format string, args ...any) {
	fmt.Fprintln(a.err, "mmdb: "+visible(fmt.Sprintf(format, args...)))
}

// printJSON prints v as one line.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// table starts a table whose columns are right-aligned, except the last one
// of a row, which is not ended by a tab.
func (a *app) table() *tabwriter.Writer {
	return tabwriter.NewWriter(a.out, 0, 8, 2, ' ', tabwriter.AlignRight)
}

// list starts a table of two left-aligned columns: label and value.
func (a *app) list() *tabwriter.Writer { return tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0) }

// isTerminal reports whether the stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && f != nil && term.IsTerminal(int(f.Fd()))
}

// isRegular reports whether f is a regular file.
func isRegular(f *os.File) bool {
	if f == nil {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// width returns the columns of the terminal on standard output, 80 when it is none.
func (a *app) width() int {
	if a.out.file != nil {
		if w, _, err := term.GetSize(int(a.out.file.Fd())); err == nil && w >= 20 {
			return w
		}
	}
	return 80
}

// count writes n with a comma every three digits.
func count[T ~int | ~int32 | ~int64 | ~uint32 | ~uint64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	start := 0
	if s[0] == '-' {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size writes a number of bytes exactly and, when it is large, in a binary unit.
func size[T ~int | ~int64 | ~uint64](n T) string {
	if n < 1024 {
		return count(n) + " bytes"
	}
	return count(n) + " bytes (" + shortSize(n) + ")"
}

// shortSize writes a number of bytes in a binary unit.
func shortSize[T ~int | ~int64 | ~uint64](n T) string {
	f, unit := float64(n), 0
	for f >= 1024 && unit < 5 {
		f /= 1024
		unit++
	}
	if unit == 0 {
		return count(n) + " B"
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + "KMGTP"[unit-1:unit] + "iB"
}

// percent writes part of whole, or a dash when there is no whole.
func percent[T ~int | ~int64 | ~uint64](part, whole T) string {
	if whole == 0 {
		return "-"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 1, 64) + "%"
}

// plural returns "1 key" or "2 keys".
func plural[T ~int | ~int64 | ~uint64](n T, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}
