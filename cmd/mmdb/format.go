package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// format is how keys and values are written in the output and read from the
// command line. It is the value of the --format flag.
type format string

const (
	formatText   format = "text"   // printable characters, the rest escaped
	formatHex    format = "hex"    // two digits a byte
	formatBase64 format = "base64" // standard alphabet with padding
	formatRaw    format = "raw"    // the bytes themselves
)

func formatNames() []string {
	return []string{string(formatText), string(formatHex), string(formatBase64), string(formatRaw)}
}

// String, Set and Type make format a flag.
func (f *format) String() string { return string(*f) }

func (f *format) Set(s string) error {
	for _, name := range formatNames() {
		if s == name {
			*f = format(s)
			return nil
		}
	}
	return fmt.Errorf("must be one of %s", strings.Join(formatNames(), ", "))
}

func (f *format) Type() string { return "form" }

// encode returns b in this form.
func (f format) encode(b []byte) string {
	switch f {
	case formatHex:
		return hex.EncodeToString(b)
	case formatBase64:
		return base64.StdEncoding.EncodeToString(b)
	case formatRaw:
		return string(b)
	}
	return textForm(b)
}

// decode reads s, which is in this form. what names it in the error, which is
// one of usage.
func (f format) decode(what, s string) (b []byte, err error) {
	switch f {
	case formatHex:
		b, err = hex.DecodeString(s)
	case formatBase64:
		b, err = base64.StdEncoding.DecodeString(s)
	case formatRaw:
		return []byte(s), nil
	default:
		b, err = parseText(s)
	}
	if err != nil {
		return nil, usagef("%s is not %s: %w", what, f, err)
	}
	return b, nil
}
