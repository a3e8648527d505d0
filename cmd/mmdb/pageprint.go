package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
)

// showPage prints a page as JSON or for a person.
func (a *app) showPage(d pageDetail) error {
	if a.json {
		d.Hex = hex.EncodeToString(d.bytes)
		return a.printJSON(d)
	}
	w := a.list()
	printPageHeader(w, d)
	printMetaRow(w, d.Meta)
	printRecordRow(w, d.Record)
	if s := d.Slotted; s != nil {
		fmt.Fprintf(w, "slots\t%d\n", s.Count)
		fmt.Fprintf(w, "shared prefix\t%s\n", plural(s.Prefix, "byte", "bytes"))
		fmt.Fprintf(w, "free\t%s, and %d of garbage\n", plural(s.Free, "byte", "bytes"), s.Garbage)
	}
	if d.Problem != "" {
		fmt.Fprintf(w, "problem\t%s\n", visible(d.Problem))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if d.Slotted != nil && d.Slotted.Count > 0 {
		if err := a.printSlots(d.Slotted); err != nil {
			return err
		}
	}
	if len(d.bytes) > 0 {
		a.printf("\n")
		hexDump(a.out, d.bytes)
	}
	return nil
}

// printPageHeader prints what the page is, and its header.
func printPageHeader(w io.Writer, d pageDetail) {
	fmt.Fprintf(w, "page\t%d\n", d.Page)
	fmt.Fprintf(w, "kind\t%s\n", d.Kind)
	switch {
	case d.First != nil:
		fmt.Fprintf(w, "part of\t%s from page %d on\n", plural(d.Pages, "page", "pages"), *d.First)
	case d.Pages != 1:
		fmt.Fprintf(w, "pages\t%d\n", d.Pages)
	}
	if d.Checksum != "" {
		fmt.Fprintf(w, "checksum\t%s\n", d.Checksum)
		fmt.Fprintf(w, "tree\t%d\n", d.Tree)
		fmt.Fprintf(w, "level\t%d\n", d.Level)
	}
	if d.Born != 0 {
		fmt.Fprintf(w, "born in commit\t%d\n", d.Born)
	}
	if d.Died != 0 {
		fmt.Fprintf(w, "freed in commit\t%d\n", d.Died)
	}
	if d.Payload != 0 {
		fmt.Fprintf(w, "payload\t%s\n", size(d.Payload))
	}
}

// slotText is how much of a key or value is shown, in columns.
const slotText = 40

// printSlots prints a line for each slot with its cell.
func (a *app) printSlots(s *slotted) error {
	a.printf("\n")
	w := a.table()
	fmt.Fprintf(w, "slot\tcell\tsize\thead\tkind\t  key → holds\n")
	for i := range s.Slots {
		r := &s.Slots[i]
		key := shorten(r.Key, slotText)
		switch {
		case r.Large:
			key += " (first part)"
		case key == "":
			key = "(lowest)"
		}
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%s\t  %s → %s\n", i, r.Cell, r.Size, r.Head, r.Kind, key, r.holds())
	}
	return w.Flush()
}

func printMetaRow(w io.Writer, m *metaRow) {
	if m == nil {
		return
	}
	fmt.Fprintf(w, "meta slot\t%d\n", m.Slot)
	if m.Problem != "" {
		fmt.Fprintf(w, "not valid\t%s\n", visible(m.Problem))
		return
	}
	fmt.Fprintf(w, "format version\t%d\n", m.Version)
	fmt.Fprintf(w, "page size\t%s\n", size(int64(m.PageSize)))
	fmt.Fprintf(w, "salt\t%s\n", m.Salt)
	fmt.Fprintf(w, "commit\t%d, base %d\n", m.Commit, m.Base)
	fmt.Fprintf(w, "settled\t%s\n", yesNo(m.Settled))
	fmt.Fprintf(w, "root\t%s, %s\n", rootPlace(m.Root, "in this meta"), plural(m.RootKeys, "key", "keys"))
	fmt.Fprintf(w, "next tree\t%d\n", m.NextTree)
	fmt.Fprintf(w, "high water\t%s\n", plural(m.HighWater, "page", "pages"))
	fmt.Fprintf(w, "commit record\tpage %d, %s\n", m.RecordPage, plural(m.RecordLen, "byte", "bytes"))
}

// rootPlace says where the root bucket is: in page no, or here if that is zero.
func rootPlace(no uint64, here string) string {
	if no == 0 {
		return here
	}
	return fmt.Sprintf("page %d", no)
}

func printRecordRow(w io.Writer, r *recordRow) {
	if r == nil {
		return
	}
	fmt.Fprintf(w, "commit\t%d, base %d\n", r.Commit, r.Base)
	if r.PrevPage != 0 {
		fmt.Fprintf(w, "record before\tpage %d, commit %d\n", r.PrevPage, r.PrevCommit)
	}
	fmt.Fprintf(w, "root\t%s\n", rootPlace(r.Root, "in this record"))
	fmt.Fprintf(w, "next tree\t%d\n", r.NextTree)
	fmt.Fprintf(w, "high water\t%s\n", plural(r.HighWater, "page", "pages"))
	fmt.Fprintf(w, "checkpoint\t%s\n", yesNo(r.Checkpoint))
	fmt.Fprintf(w, "sections\twritten %d, freed %d, free %d, pending %d, sums %d bytes\n", r.Written, r.Freed, r.Free, r.Pending, r.Sums)
}

// hexDump writes b in rows of 16 bytes; rows that repeat the one before are
// one line with a star.
func hexDump(w io.Writer, b []byte) {
	var last []byte
	starred := false
	for at := 0; at < len(b); at += 16 {
		row := b[at:min(at+16, len(b))]
		if bytes.Equal(row, last) && at+16 < len(b) {
			if !starred {
				fmt.Fprintln(w, "*")
			}
			starred = true
			continue
		}
		starred, last = false, row
		fmt.Fprintf(w, "%08x  %s |%s|\n", at, hexRow(row), asciiRow(row))
	}
}

func hexRow(row []byte) string {
	var out []byte
	for i := range 16 {
		if i == 8 {
			out = append(out, ' ')
		}
		if i < len(row) {
			out = append(out, hexDigits[row[i]>>4], hexDigits[row[i]&15], ' ')
		} else {
			out = append(out, "   "...)
		}
	}
	return string(out)
}

func asciiRow(row []byte) string {
	out := make([]byte, len(row))
	for i, c := range row {
		out[i] = '.'
		if c >= ' ' && c < 0x7f {
			out[i] = c
		}
	}
	return string(out)
}
