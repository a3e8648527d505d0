package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"mmdb/page"
)

// dumpReader reads the portable text format that dumpWriter writes. All its
// errors but those of the stream name the line.
type dumpReader struct {
	r     *bufio.Reader
	line  int    // number of the last line read, from 1
	buf   []byte // a line that is longer than the buffer of r
	key   []byte
	value []byte
	print bool
}

// section is the header of one database in a dump.
type section struct {
	name    string // from database=, empty when there is none
	line    int    // of the name, or of the first line
	unknown []string
}

// Lines longer than these can't be right.
const (
	maxFirstLine  = 128 << 10
	maxHeaderLine = maxValueLine // the path of a bucket may have any number of names, each of MaxKeySize bytes
	maxKeyLine    = 3*page.MaxKeySize + 3
	maxValueLine  = 3*int64(page.MaxValueSize) + 3
)

func newDumpReader(r io.Reader) *dumpReader {
	return &dumpReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// errorf makes an error that names the last line read.
func (d *dumpReader) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %w", d.line, fmt.Errorf(format, args...))
}

// readLine returns the next line without its end, or io.EOF. It is valid
// until the next call.
func (d *dumpReader) readLine(limit int64) ([]byte, error) {
	d.line++
	d.buf = d.buf[:0]
	for {
		part, err := d.r.ReadSlice('\n')
		if int64(len(d.buf)+len(part)) > limit {
			return nil, d.errorf("longer than any that can stand here")
		}
		switch {
		case err == nil && len(d.buf) == 0:
			return trimEnd(part), nil
		case err == nil:
			d.buf = append(d.buf, part...)
			return trimEnd(d.buf), nil
		case errors.Is(err, bufio.ErrBufferFull):
			d.buf = append(d.buf, part...)
		case errors.Is(err, io.EOF) && len(d.buf)+len(part) > 0:
			d.buf = append(d.buf, part...)
			return d.buf, nil
		default:
			return nil, err
		}
	}
}

func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// version reads the first line of a header; io.EOF when the dump is at its end.
func (d *dumpReader) version() error {
	line, err := d.readLine(maxFirstLine)
	for err == nil && len(line) == 0 {
		line, err = d.readLine(maxFirstLine)
	}
	switch text := string(line); {
	case err != nil:
		return err
	case !strings.HasPrefix(text, "VERSION="):
		return d.errorf("VERSION=3 expected: this is not a dump")
	case text != "VERSION=3":
		return d.errorf("%s: only version 3 is known", shorten(text, 40))
	}
	return nil
}

// section reads the next header; io.EOF when the dump is at its end.
func (d *dumpReader) section() (section, error) {
	if err := d.version(); err != nil {
		return section{}, err
	}
	s := section{line: d.line}
	format := ""
	for {
		line, err := d.readLine(maxHeaderLine)
		if err != nil {
			return s, d.cutOff(err, "the header has no HEADER=END")
		}
		name, value, ok := strings.Cut(string(line), "=")
		if !ok {
			return s, d.errorf("%s: not a header line (NAME=VALUE)", shorten(name, 40))
		}
		if name == "HEADER" && value == "END" {
			break
		}
		if name == "format" {
			format = value
		}
		if err := d.header(&s, name, value); err != nil {
			return s, err
		}
	}
	d.print = format == "print"
	if format == "" {
		return s, d.errorf("the header names no format")
	}
	return s, nil
}

// header takes one line of a header.
func (d *dumpReader) header(s *section, name, value string) error {
	switch name {
	case "format":
		if value != "bytevalue" && value != "print" {
			return d.errorf("format %s is not known (bytevalue or print)", shorten(value, 40))
		}
	case "type":
		if value != "btree" && value != "hash" {
			return d.errorf("type %s can't be loaded, only btree and hash", shorten(value, 40))
		}
	case "database", "subdatabase":
		if value == "" {
			return d.errorf("the name of the database is empty")
		}
		s.name, s.line = value, d.line
	case "duplicates", "dupsort", "dupfixed", "integerdup", "reversedup":
		if value != "0" {
			return d.errorf("%s=%s: several values of one key can't be loaded", name, shorten(value, 40))
		}
	case "keys":
		if value == "0" {
			return d.errorf("a dump without keys can't be loaded")
		}
	case "mapsize", "mapaddr", "maxreaders", "db_pagesize", "db_lorder", "bt_minkey", "h_ffactor", "h_nelem",
		"chksum", "checksum", "extentsize", "integerkey", "reversekey", "recnum":
		// Properties of the other store: they don't change what the data is.
	default:
		s.unknown = append(s.unknown, fmt.Sprintf("line %d: %s", d.line, shorten(name, 40)))
	}
	return nil
}

// cutOff makes an end of the stream in the wrong place an error.
func (d *dumpReader) cutOff(err error, what string) error {
	if errors.Is(err, io.EOF) {
		return d.errorf("the dump is cut off: %s", what)
	}
	return err
}

// pair returns the next key and value of the section, io.EOF after the last.
// They are valid until the next call.
func (d *dumpReader) pair() (key, value []byte, err error) {
	line, err := d.readLine(maxKeyLine)
	if err != nil {
		return nil, nil, d.cutOff(err, "there is no DATA=END")
	}
	if string(line) == "DATA=END" {
		return nil, nil, io.EOF
	}
	if d.key, err = d.data(d.key[:0], line); err != nil {
		return nil, nil, err
	}
	if len(d.key) == 0 || len(d.key) > page.MaxKeySize {
		return nil, nil, d.errorf("a key of %d bytes, it must have 1 to %d", len(d.key), page.MaxKeySize)
	}
	line, err = d.readLine(maxValueLine)
	if err != nil {
		return nil, nil, d.cutOff(err, "the last key has no value")
	}
	if string(line) == "DATA=END" {
		return nil, nil, d.errorf("the last key has no value")
	}
	if d.value, err = d.data(d.value[:0], line); err != nil {
		return nil, nil, err
	}
	if len(d.value) > page.MaxValueSize {
		return nil, nil, d.errorf("a value of %d bytes, the most is %d", len(d.value), page.MaxValueSize)
	}
	return d.key, d.value, nil
}

// data appends what a data line stands for to dst.
func (d *dumpReader) data(dst, line []byte) ([]byte, error) {
	if len(line) == 0 || line[0] != ' ' {
		return dst, d.errorf("a data line starts with a space, this one with %q", shorten(string(line), 20))
	}
	if d.print {
		return d.parsePrint(dst, line[1:])
	}
	dst, err := hex.AppendDecode(dst, line[1:])
	if err != nil {
		return dst, d.errorf("not hexadecimal: %w", err)
	}
	return dst, nil
}

// parsePrint is the inverse of appendPrint.
func (d *dumpReader) parsePrint(dst, s []byte) ([]byte, error) {
	for len(s) > 0 {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return append(dst, s...), nil
		}
		dst, s = append(dst, s[:i]...), s[i+1:]
		switch {
		case len(s) > 0 && s[0] == '\\':
			dst, s = append(dst, '\\'), s[1:]
			continue
		case len(s) >= 2:
			if out, err := hex.AppendDecode(dst, s[:2]); err == nil {
				dst, s = out, s[2:]
				continue
			}
		}
		return dst, d.errorf(`neither \\ nor two hexadecimal digits after a backslash (mdb_dump -p of LMDB 0.9 writes this: dump without -p)`)
	}
	return dst, nil
}
