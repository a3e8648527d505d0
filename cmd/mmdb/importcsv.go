package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// A csvTable reads the rows of a CSV file.
type csvTable struct {
	r      *csv.Reader
	o      *importOptions
	header []string
	bucket int // column of the bucket, -1 is none
	key    column
	value  column // its index is -1 for the whole row
	names  [][]byte
}

// A column is one that holds a key or value.
type column struct {
	index int
	form  encoding
}

// csvRows returns the rows of the CSV that r reads.
func csvRows(r io.Reader, o *importOptions) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		t := csvTable{r: csv.NewReader(withoutMark(r)), o: o, bucket: -1}
		t.r.ReuseRecord = true
		t.r.Comma = ','
		if o.comma == `\t` {
			t.r.Comma = '\t'
		} else if c, _ := utf8.DecodeRuneInString(o.comma); c != 0 {
			t.r.Comma = c
		}
		if err := t.readHeader(); err != nil {
			yield(row{}, err)
			return
		}
		for {
			r, err := t.next()
			if errors.Is(err, io.EOF) || !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// withoutMark skips the byte order mark that some programs put before UTF-8.
func withoutMark(r io.Reader) io.Reader {
	b := bufio.NewReaderSize(r, 256<<10)
	if head, _ := b.Peek(3); string(head) == "\xef\xbb\xbf" {
		_, _ = b.Discard(3)
	}
	return b
}

// readHeader finds the columns.
func (t *csvTable) readHeader() error {
	record, err := t.r.Read()
	if errors.Is(err, io.EOF) {
		return errEmptySource
	}
	if err != nil {
		return csvError(err)
	}
	t.header = slices.Clone(record)
	for i, name := range t.header {
		if j := slices.Index(t.header, name); j < i {
			return fmt.Errorf("line 1: two columns are named %s", visible(name))
		}
	}
	if t.o.key == "" {
		return t.ownHeader()
	}
	if t.key, err = t.find(t.o.key); err != nil {
		return err
	}
	if t.o.value == "" {
		t.value.index = -1
		return t.quoteNames()
	}
	t.value, err = t.find(t.o.value)
	return err
}

// ownHeader finds the columns that mmdb export writes.
func (t *csvTable) ownHeader() (err error) {
	t.bucket = slices.Index(t.header, "bucket")
	if t.key, err = t.find("key"); err == nil {
		t.value, err = t.find("value")
	}
	if err != nil {
		return fmt.Errorf("%w: name the column that is the key by --key", err)
	}
	return nil
}

// find returns the column of a name, which may have the encoding behind it.
func (t *csvTable) find(name string) (column, error) {
	for i, field := range t.header {
		base, form := splitField(field)
		if field != name && base != name {
			continue
		}
		if t.o.encoding != encodingAuto {
			form = t.o.encoding
		}
		return column{i, form}, nil
	}
	return column{}, fmt.Errorf("line 1: there is no column %s, but %s", visible(name), shorten(visible(strings.Join(t.header, ", ")), 80))
}

// quoteNames makes the names of the columns strings of JSON.
func (t *csvTable) quoteNames() error {
	for _, name := range t.header {
		if !utf8.ValidString(name) {
			return fmt.Errorf("line 1: the name of column %s is not UTF-8", visible(name))
		}
		t.names = append(t.names, jsonString(name))
	}
	return nil
}

// next returns the next row.
func (t *csvTable) next() (row, error) {
	record, err := t.r.Read()
	if err != nil {
		return row{}, csvError(err)
	}
	line, _ := t.r.FieldPos(0)
	r := row{where: fmt.Sprintf("line %d", line)}
	if t.bucket >= 0 {
		r.bucket = record[t.bucket]
	}
	if r.key, err = t.key.form.decode(record[t.key.index]); err != nil {
		return r, atRow(&r, err)
	}
	if t.value.index < 0 {
		r.value, err = t.object(record)
	} else {
		r.value, err = t.value.form.decode(record[t.value.index])
	}
	return r, atRow(&r, err)
}

// object returns a row as a JSON object, in the order of the columns.
func (t *csvTable) object(record []string) ([]byte, error) {
	var b bytes.Buffer
	for i, cell := range record {
		if !utf8.ValidString(cell) {
			return nil, fmt.Errorf("column %s is not UTF-8", visible(t.header[i]))
		}
		b.WriteByte("{,"[min(i, 1)])
		b.Write(t.names[i])
		b.WriteByte(':')
		b.Write(jsonString(cell))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// jsonString returns s as a string of JSON.
func jsonString(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can be encoded, and a buffer takes it
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// csvError puts an error of the CSV reader in the tool's words.
func csvError(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("line %d: %w", p.StartLine, p.Err)
	}
	return err
}
