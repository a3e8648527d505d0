package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// encoding is how the bytes of keys and values stand in CSV and JSON. It is the value of --encoding.
type encoding string

const (
	encodingAuto   encoding = "auto"   // UTF-8 where that gives the same bytes again, else base64
	encodingUTF8   encoding = "utf-8"  // the bytes themselves
	encodingHex    encoding = "hex"    // two digits a byte
	encodingBase64 encoding = "base64" // standard alphabet with padding
)

func encodingNames() []string {
	return []string{string(encodingAuto), string(encodingUTF8), string(encodingHex), string(encodingBase64)}
}

// String, Set and Type make encoding a flag.
func (e *encoding) String() string { return string(*e) }

func (e *encoding) Set(s string) error {
	for _, name := range encodingNames() {
		if s == name {
			*e = encoding(s)
			return nil
		}
	}
	return fmt.Errorf("must be one of %s", strings.Join(encodingNames(), ", "))
}

func (e *encoding) Type() string { return "form" }

// encode returns b in this encoding, which is not auto.
func (e encoding) encode(b []byte) string {
	switch e {
	case encodingHex:
		return hex.EncodeToString(b)
	case encodingBase64:
		return base64.StdEncoding.EncodeToString(b)
	}
	return string(b)
}

// decode reads s, which is in this encoding.
func (e encoding) decode(s string) (b []byte, err error) {
	switch e {
	case encodingHex:
		b, err = hex.DecodeString(s)
	case encodingBase64:
		b, err = base64.StdEncoding.DecodeString(s)
	default:
		return []byte(s), nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not %s", shorten(visible(s), 40), e)
	}
	return b, nil
}

// field returns the name under which what is written in this encoding stands: key, key:hex or key:base64.
func (e encoding) field(name string) string {
	if e == encodingHex || e == encodingBase64 {
		return name + ":" + string(e)
	}
	return name
}

// splitField is the inverse of field.
func splitField(field string) (name string, e encoding) {
	name, suffix, _ := strings.Cut(field, ":")
	switch e = encoding(suffix); e {
	case encodingHex, encodingBase64:
		return name, e
	}
	return field, encodingUTF8
}

// plainText reports whether b survives as the text of a cell: it is UTF-8 without control characters, but for tabs and ends of
// lines that readers of CSV leave alone.
func plainText(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
