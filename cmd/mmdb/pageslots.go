package main

import (
	"encoding/binary"
	"fmt"

	"mmdb/page"
)

// slotted is the decoded body of a branch or leaf.
type slotted struct {
	Count   int       `json:"count"`
	Prefix  int       `json:"prefix"`  // bytes that all keys share
	Free    int       `json:"free"`    // bytes between slots and cells
	Garbage int       `json:"garbage"` // bytes of dropped cells
	Slots   []slotRow `json:"slots"`
}

// slotRow is one slot with its cell.
type slotRow struct {
	Cell  int     `json:"cell"` // offset in the body
	Size  int     `json:"size"` // bytes of the cell
	Head  string  `json:"head"` // hexadecimal
	Key   string  `json:"key"`
	Large bool    `json:"large,omitempty"` // Key is only its first part
	Kind  string  `json:"kind"`            // value, overflow, bucket or child
	Value *string `json:"value,omitempty"` // inline value
	Page  uint64  `json:"page,omitempty"`  // child, overflow run or root of a bucket
	Len   uint32  `json:"len,omitempty"`   // bytes in the overflow run
	Keys  uint64  `json:"keys,omitempty"`  // below a child or in a bucket
	Tree  uint64  `json:"tree,omitempty"`  // of a bucket
	Level int     `json:"level,omitempty"` // of the inline root of a bucket, if that is a branch
}

// decodeSlotted decodes a body that was verified.
func decodeSlotted(body []byte, kind page.Kind, f format) *slotted {
	s := &slotted{Prefix: int(binary.LittleEndian.Uint16(body[2:]))}
	if kind == page.KindBranch {
		r := page.Branch(body)
		s.Count, s.Free, s.Garbage = r.Count(), r.Free(), r.Garbage()
		for i := range r.Count() {
			row := newSlotRow(body, i, r.CellSize(i), f.encode(r.Key(i)), r.Large(i))
			row.Kind, row.Page, row.Keys = "child", uint64(r.Child(i)), r.Keys(i)
			s.Slots = append(s.Slots, row)
		}
		return s
	}
	l := page.Leaf(body)
	s.Count, s.Free, s.Garbage = l.Count(), l.Free(), l.Garbage()
	for i := range l.Count() {
		row := newSlotRow(body, i, l.CellSize(i), f.encode(l.Key(i)), l.Large(i))
		row.setPayload(l.Kind(i), l.Payload(i), f)
		s.Slots = append(s.Slots, row)
	}
	return s
}

// newSlotRow reads slot i of body: 8 bytes from offset 8 on, the cell's offset
// first and the head last.
func newSlotRow(body []byte, i, size int, key string, large bool) slotRow {
	slot := body[8+8*i:]
	return slotRow{
		Cell: int(binary.LittleEndian.Uint16(slot)), Size: size,
		Head: fmt.Sprintf("%08x", binary.LittleEndian.Uint32(slot[4:])), Key: key, Large: large,
	}
}

func (r *slotRow) setPayload(kind page.CellKind, payload []byte, f format) {
	switch kind {
	case page.CellValue:
		text := f.encode(payload)
		r.Kind, r.Value = "value", &text
	case page.CellOverflow:
		o := page.DecodeOverflow(payload)
		r.Kind, r.Page, r.Len = "overflow", uint64(o.Page), o.Len
	case page.CellBucket:
		b := page.DecodeBucket(payload)
		r.Kind, r.Page, r.Keys, r.Tree = "bucket", uint64(b.Root), b.Keys, uint64(b.Tree)
		r.Level = int(b.Level)
	}
}

// holds says in words what the cell leads to.
func (r *slotRow) holds() string {
	switch r.Kind {
	case "child":
		return fmt.Sprintf("page %d, %s", r.Page, plural(r.Keys, "key", "keys"))
	case "overflow":
		return fmt.Sprintf("%s in the run at page %d", plural(uint64(r.Len), "byte", "bytes"), r.Page)
	case "bucket":
		where := "inline"
		switch {
		case r.Page != 0:
			where = fmt.Sprintf("root page %d", r.Page)
		case r.Level > 0:
			where = fmt.Sprintf("root inline, level %d", r.Level)
		}
		return fmt.Sprintf("%s, tree %d, %s", where, r.Tree, plural(r.Keys, "key", "keys"))
	}
	return shorten(*r.Value, slotText)
}
