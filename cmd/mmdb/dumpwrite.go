package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
)

// dumpWriter writes the portable text format of mdb_dump and db_dump: per
// database a header, then a line for each key and each value in turn, each after one space.
type dumpWriter struct {
	w     *bufio.Writer
	print bool  // printable bytes as they are, in place of hexadecimal only
	size  int64 // for mapsize, bytes
	line  []byte
}

// begin starts a section. An empty name gives one without a database= line.
func (d *dumpWriter) begin(name string) {
	format := "bytevalue"
	if d.print {
		format = "print"
	}
	fmt.Fprintf(d.w, "VERSION=3\nformat=%s\n", format)
	if name != "" {
		fmt.Fprintf(d.w, "database=%s\n", name)
	}
	fmt.Fprintf(d.w, "type=btree\nmapsize=%d\nmaxreaders=126\nHEADER=END\n", d.size)
}

// pair writes a key and its value.
func (d *dumpWriter) pair(key, value []byte) error {
	if err := d.bytes(key); err != nil {
		return err
	}
	return d.bytes(value)
}

// bytes writes one data line, in pieces so that a huge value needs no huge line in memory.
func (d *dumpWriter) bytes(b []byte) error {
	d.w.WriteByte(' ')
	const piece = 16 << 10
	for len(b) > 0 {
		part := b[:min(len(b), piece)]
		b = b[len(part):]
		if d.print {
			d.line = appendPrint(d.line[:0], part)
		} else {
			d.line = hex.AppendEncode(d.line[:0], part)
		}
		if _, err := d.w.Write(d.line); err != nil {
			return err
		}
	}
	return d.w.WriteByte('\n')
}

// end closes the section.
func (d *dumpWriter) end() error {
	_, err := d.w.WriteString("DATA=END\n")
	return err
}

// appendPrint appends b in the print form: ASCII as it is, any other byte and the backslash as a backslash and two
// hexadecimal digits. A doubled backslash is in the format too, but mdb_load of LMDB 0.9 loses it behind another escape.
func appendPrint(dst, b []byte) []byte {
	for _, c := range b {
		if c >= ' ' && c < 0x7f && c != '\\' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '\\', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}
