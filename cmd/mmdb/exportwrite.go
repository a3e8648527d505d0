package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"mmdb"
)

// errNotUTF8 and errLineEnd are for bytes that --encoding utf-8 can't carry.
var (
	errNotUTF8 = errors.New("it is not UTF-8 (--encoding base64 or hex carries any bytes)")
	errLineEnd = errors.New("it has a carriage return before a line end, which readers of CSV drop (--encoding base64 or hex keeps it)")
)

// A jsonWriter writes JSON Lines. See jsonRow.
type jsonWriter struct {
	enc      *json.Encoder
	encoding encoding
	path     string
	about    *jsonRow // of a bucket of which no key was written yet
}

func newJSONWriter(w *bufio.Writer, e encoding) *jsonWriter {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &jsonWriter{enc: enc, encoding: e}
}

func (w *jsonWriter) bucket(path string, b *mmdb.Bucket) error {
	if err := w.end(); err != nil {
		return err
	}
	w.path, w.about = path, &jsonRow{Bucket: &path}
	if seq := b.Sequence(); seq != 0 {
		w.about.Sequence = &seq
	}
	return nil
}

func (w *jsonWriter) pair(key, value []byte) error {
	if w.about != nil && w.about.Sequence != nil {
		if err := w.end(); err != nil {
			return err
		}
	}
	w.about = nil
	line := jsonRow{Bucket: &w.path}
	k, form, err := w.form(key)
	if err != nil {
		return err
	}
	*[]**string{&line.Key, &line.KeyHex, &line.KeyBase64}[form] = &k
	v, form, err := w.form(value)
	if err != nil {
		return err
	}
	*[]**string{&line.Value, &line.ValueHex, &line.ValueBase64}[form] = &v
	return w.enc.Encode(line)
}

// form returns b as a string, and which of the fields it goes to: plain, hex or base64.
func (w *jsonWriter) form(b []byte) (s string, form int, err error) {
	switch {
	case w.encoding == encodingHex:
		return encodingHex.encode(b), 1, nil
	case w.encoding == encodingBase64, w.encoding == encodingAuto && !utf8.Valid(b):
		return encodingBase64.encode(b), 2, nil
	case !utf8.Valid(b):
		return "", 0, errNotUTF8
	}
	return string(b), 0, nil
}

// end writes the line about a bucket that has no keys.
func (w *jsonWriter) end() error {
	if w.about == nil {
		return nil
	}
	line := w.about
	w.about = nil
	return w.enc.Encode(line)
}

// A csvWriter writes CSV.
type csvWriter struct {
	w          *csv.Writer
	key, value encoding
	paths      bool // there is a column for them
	record     []string
}

// newCSVWriter writes the header of the CSV for what s has seen. Without a column of paths the bucket has no name there.
func newCSVWriter(w *bufio.Writer, s *surveyor, e encoding, paths bool) *csvWriter {
	c := &csvWriter{w: csv.NewWriter(w), key: e, value: e, paths: paths}
	if e == encodingAuto {
		c.key, c.value = encodingUTF8, encodingUTF8
		if s.binaryKeys {
			c.key = encodingBase64
		}
		if s.binaryValues {
			c.value = encodingBase64
		}
	}
	header := []string{c.key.field("key"), c.value.field("value")}
	if c.paths {
		header = append([]string{"bucket"}, header...)
	}
	_ = c.w.Write(header) // end says what went wrong
	return c
}

func (c *csvWriter) bucket(path string, _ *mmdb.Bucket) error {
	if c.record = c.record[:0]; c.paths {
		c.record = append(c.record, path)
	}
	return nil
}

func (c *csvWriter) pair(key, value []byte) error {
	if err := cmp.Or(c.key.carries(key), c.value.carries(value)); err != nil {
		return err
	}
	return c.w.Write(append(c.record, c.key.encode(key), c.value.encode(value)))
}

// carries returns an error if a cell of CSV in this encoding would not be read back as b.
func (e encoding) carries(b []byte) error {
	switch {
	case e != encodingUTF8:
	case !utf8.Valid(b):
		return errNotUTF8
	case bytes.Contains(b, []byte("\r\n")):
		return errLineEnd
	}
	return nil
}

func (c *csvWriter) end() error {
	c.w.Flush()
	return c.w.Error()
}

// A surveyor looks at everything before it is written as CSV: the header says how cells are to be read.
type surveyor struct {
	buckets                  int
	binaryKeys, binaryValues bool
	sequences                int      // buckets that have one
	empty                    int      // buckets without a key with a value in them, or in those nested in them
	bare                     []string // paths of the buckets around the last one, and its own, that have none so far
}

func (s *surveyor) bucket(path string, b *mmdb.Bucket) error {
	s.buckets++
	if b.Sequence() != 0 {
		s.sequences++
	}
	s.leave(path)
	s.bare = append(s.bare, path)
	return nil
}

// leave counts the buckets that the one at path is not in: nothing more will be found in them.
func (s *surveyor) leave(path string) {
	for n := len(s.bare); n > 0 && !strings.HasPrefix(path, s.bare[n-1]+"/"); n-- {
		s.bare = s.bare[:n-1]
		s.empty++
	}
}

func (s *surveyor) pair(key, value []byte) error {
	s.bare = s.bare[:0] // what is read back makes all of them
	s.binaryKeys = s.binaryKeys || !plainText(key)
	s.binaryValues = s.binaryValues || !plainText(value)
	return nil
}

func (s *surveyor) end() error {
	s.leave("")
	return nil
}

// warn says what CSV can't carry.
func (s *surveyor) warn(a *app) {
	if s.sequences > 0 {
		a.warnf("warning: CSV has no place for the sequence of %s", plural(s.sequences, "bucket", "buckets"))
	}
	if s.empty > 0 {
		a.warnf("warning: CSV has no place for %s", plural(s.empty, "bucket without keys", "buckets without keys"))
	}
}
