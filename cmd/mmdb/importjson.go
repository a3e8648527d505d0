package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A jsonRow is one line of what "mmdb export" writes. A line without a key is about its bucket.
type jsonRow struct {
	Bucket      *string `json:"bucket,omitempty"`
	Sequence    *uint64 `json:"sequence,omitempty"`
	Key         *string `json:"key,omitempty"`
	KeyHex      *string `json:"key:hex,omitempty"`
	KeyBase64   *string `json:"key:base64,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueHex    *string `json:"value:hex,omitempty"`
	ValueBase64 *string `json:"value:base64,omitempty"`
}

// jsonRows returns the rows of the JSON Lines that r reads.
func jsonRows(r io.Reader, o *importOptions) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		in := bufio.NewReaderSize(withoutMark(r), 256<<10)
		for n := 1; ; n++ {
			line, err := readObject(in)
			if errors.Is(err, io.EOF) {
				return
			}
			r := row{where: fmt.Sprintf("line %d", n)}
			if err == nil && len(line) == 0 {
				continue
			}
			if err == nil && o.key == "" {
				err = r.fromOwn(line, o)
			} else if err == nil {
				err = r.fromAny(line, o)
			}
			if !yield(r, atRow(&r, err)) || err != nil {
				return
			}
		}
	}
}

// readObject returns the next line without the space around it, io.EOF at the end. What does not start like an object
// is refused before its end is looked for.
func readObject(in *bufio.Reader) ([]byte, error) {
	for {
		c, err := in.ReadByte()
		switch {
		case err != nil:
			return nil, err
		case c == '\n':
			return nil, nil
		case c == ' ' || c == '\t' || c == '\r':
			continue
		case c != '{':
			return nil, errors.New("not a JSON object")
		}
		break
	}
	_ = in.UnreadByte()
	line, err := in.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	line = bytes.TrimSpace(line)
	if !utf8.Valid(line) {
		return nil, errors.New("not UTF-8")
	}
	return line, nil
}

// fromOwn reads a line as mmdb export writes it.
func (r *row) fromOwn(line []byte, o *importOptions) error {
	var v jsonRow
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		return jsonError(err, " (name the field that is the key by --key)")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON object, or something behind it")
	}
	if halfCharacter(line) {
		return errHalfCharacter
	}
	if v.Bucket != nil {
		r.bucket = *v.Bucket
	}
	key, err := oneOf("key", o.encoding, v.Key, v.KeyHex, v.KeyBase64)
	if err != nil {
		return err
	}
	value, err := oneOf("value", o.encoding, v.Value, v.ValueHex, v.ValueBase64)
	switch {
	case err != nil:
		return err
	case key == nil && value == nil && v.Bucket != nil:
		if v.Sequence != nil {
			r.sequence = *v.Sequence
		}
	case key == nil || value == nil:
		return errors.New("a key and a value are needed (name the field that is the key by --key)")
	case v.Sequence != nil:
		return errors.New("a sequence is that of a bucket, and stands on a line without key and value")
	}
	r.key, r.value = key, value
	return nil
}

// oneOf decodes the one of the fields that is there, nil if none is.
func oneOf(name string, e encoding, plain, hex, base64 *string) (b []byte, err error) {
	found := 0
	for i, s := range []*string{plain, hex, base64} {
		if s == nil {
			continue
		}
		found++
		form := e
		if e == encodingAuto {
			form = []encoding{encodingUTF8, encodingHex, encodingBase64}[i]
		}
		if b, err = form.decode(*s); err != nil {
			return nil, err
		}
		if b == nil {
			b = []byte{}
		}
	}
	if found > 1 {
		return nil, fmt.Errorf("the %s is there %d times", name, found)
	}
	return b, nil
}

// fromAny reads any object: one field is the key.
func (r *row) fromAny(line []byte, o *importOptions) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return jsonError(err, "")
	}
	key, err := field(fields, o.key, o.encoding)
	if err != nil {
		return err
	}
	r.key, r.value = key, line
	if len(key) == 0 {
		return fmt.Errorf("the field %s is empty", visible(o.key))
	}
	if o.value != "" {
		r.value, err = field(fields, o.value, o.encoding)
	}
	return err
}

// field returns the bytes of a field: what a string says, anything else as it is written.
func field(fields map[string]json.RawMessage, name string, e encoding) ([]byte, error) {
	raw, ok := fields[name]
	if !ok {
		return nil, fmt.Errorf("there is no field %s", visible(name))
	}
	if len(raw) == 0 || raw[0] != '"' {
		return raw, nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, jsonError(err, "")
	}
	if halfCharacter(raw) {
		return nil, errHalfCharacter
	}
	return e.decode(s)
}

// errHalfCharacter is for an escape that the JSON reader would replace: several of them would become one key.
var errHalfCharacter = errors.New("half a character: an escape from ud800 to udfff without the one that goes with it")

// halfCharacter reports whether in a piece of JSON one half of a surrogate pair is without the other.
func halfCharacter(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 || len(text) < i+2 {
			return false
		}
		first := escapedRune(text[i:])
		if !utf16.IsSurrogate(first) {
			text = text[i+2:] // behind the character after the backslash
			continue
		}
		text = text[i+6:]
		if utf16.DecodeRune(first, escapedRune(text)) == utf8.RuneError {
			return true
		}
		text = text[6:]
	}
}

// escapedRune returns what \uXXXX stands for at the start of text, 0 if there is no such escape.
func escapedRune(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// jsonError puts an error of the JSON reader in the tool's words.
func jsonError(err error, hint string) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("not a JSON object: %w", err)
	}
	return fmt.Errorf("%s%s%w", strings.TrimPrefix(err.Error(), "json: "), hint, hidden{err})
}
