package main

import (
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// appendText appends the text form of b: printable characters as they are, a
// backslash doubled, everything else escaped. The result holds no control
// characters and reads back as exactly b. Bytes in also are escaped by a backslash too.
func appendText(dst, b []byte, also string) []byte {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			dst = appendHex(dst, b[:1])
		case r == '\\':
			dst = append(dst, '\\', '\\')
		case n == 1 && also != "" && b[0] == also[0]:
			dst = append(dst, '\\', b[0])
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case strconv.IsPrint(r):
			dst = append(dst, b[:n]...)
		default:
			dst = appendHex(dst, b[:n])
		}
		b = b[n:]
	}
	return dst
}

// appendHex appends every byte of b as \xNN.
func appendHex(dst, b []byte) []byte {
	for _, c := range b {
		dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}

// textForm returns the text form of b.
func textForm(b []byte) string { return string(appendText(nil, b, "")) }

// visible returns s with control characters and broken UTF-8 escaped, for
// messages. Unlike the text form it leaves backslashes alone.
func visible(s string) string {
	var out []byte
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == '\\' || strconv.IsPrint(r) && !(r == utf8.RuneError && n == 1) {
			out = append(out, s[:n]...)
		} else {
			out = appendText(out, []byte(s[:n]), "")
		}
		s = s[n:]
	}
	return string(out)
}

// shorten cuts s to at most n columns of a terminal and marks the cut.
func shorten(s string, n int) string {
	used, fits := 0, 0
	for i, r := range s {
		if used += columns(r); used < n {
			fits = i + utf8.RuneLen(r)
		}
		if used > n {
			return s[:fits] + "…"
		}
	}
	return s
}

// columns returns how many columns of a terminal a printable character takes, as nearly as its script tells.
func columns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul),
		r >= 0x3000 && r < 0x3040, r >= 0xff01 && r <= 0xff60, r >= 0x1f300 && r < 0x1fb00:
		return 2
	}
	return 1
}

// textColumns returns how many columns of a terminal s takes.
func textColumns(s string) (n int) {
	for _, r := range s {
		n += columns(r)
	}
	return n
}

// parseText reads the text form: the inverse of appendText. \/ is a slash, so
// that the name of a bucket can be copied from a path.
func parseText(s string) ([]byte, error) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			out = append(out, s[i])
			i++
			continue
		}
		c, n, err := parseEscape(s[i:])
		if err != nil {
			return nil, err
		}
		out = append(out, c)
		i += n
	}
	return out, nil
}

// parseEscape reads the escape at the start of s and returns its byte and its
// length in s.
func parseEscape(s string) (c byte, n int, err error) {
	if len(s) < 2 {
		return 0, 0, fmt.Errorf(`a backslash at the end of %q (write \\ for a backslash)`, s)
	}
	switch s[1] {
	case '\\', '/':
		return s[1], 2, nil
	case 'n':
		return '\n', 2, nil
	case 'r':
		return '\r', 2, nil
	case 't':
		return '\t', 2, nil
	case 'x':
		if len(s) >= 4 {
			if v, err := strconv.ParseUint(s[2:4], 16, 8); err == nil {
				return byte(v), 4, nil
			}
		}
		return 0, 0, fmt.Errorf(`\x needs two hexadecimal digits in %s`, visible(s))
	}
	return 0, 0, fmt.Errorf(`unknown escape at %s (known: \\ \/ \n \r \t \xNN)`, visible(s))
}
