package main

import (
	"fmt"

	"mmdb/page"
)

// recordRow is a decoded commit record.
type recordRow struct {
	Commit     uint64 `json:"commit"`
	Base       uint64 `json:"base"`
	PrevPage   uint64 `json:"prevPage"` // 0 is none
	PrevCommit uint64 `json:"prevCommit"`
	HighWater  uint64 `json:"highWater"` // pages
	Root       uint64 `json:"root"`      // page, 0 if the root bucket is in the record
	NextTree   uint64 `json:"nextTree"`
	Checkpoint bool   `json:"checkpoint"`
	Written    int    `json:"written"` // bytes of each section
	Freed      int    `json:"freed"`
	Free       int    `json:"free"`
	Pending    int    `json:"pending"`
	Sums       int    `json:"sums"`
}

// metaRow is a decoded meta slot.
type metaRow struct {
	Slot       int    `json:"slot"`
	Problem    string `json:"problem,omitempty"` // why it is not valid; the rest is missing then
	Version    uint32 `json:"version,omitempty"`
	PageSize   uint32 `json:"pageSize,omitempty"`
	Salt       string `json:"salt,omitempty"`
	Commit     uint64 `json:"commit,omitempty"`
	Base       uint64 `json:"base,omitempty"`
	Root       uint64 `json:"root,omitempty"` // page, 0 if the root bucket is in the meta
	RootKeys   uint64 `json:"rootKeys,omitempty"`
	NextTree   uint64 `json:"nextTree,omitempty"`
	HighWater  uint64 `json:"highWater,omitempty"`
	RecordPage uint64 `json:"recordPage,omitempty"`
	RecordLen  uint64 `json:"recordLen,omitempty"`
	Settled    bool   `json:"settled,omitempty"`
}

// decodeInline decodes the root of a bucket that has no page.
func decodeInline(b page.Bucket, body []byte, f format) *slotted {
	kind := page.KindLeaf
	if b.Level > 0 {
		kind = page.KindBranch
	}
	return decodeSlotted(body, kind, f)
}

// decodeRecord decodes a commit record and the root bucket, if that is in it.
func decodeRecord(payload []byte, f format) (row *recordRow, root *slotted, problem string) {
	var r page.Record
	if err := r.Decode(payload); err != nil {
		return nil, nil, err.Error()
	}
	if r.Root.Root == 0 {
		root = decodeInline(r.Root, r.Body, f)
	}
	return &recordRow{
		Commit: uint64(r.Commit), Base: uint64(r.Base), PrevPage: uint64(r.Prev.Page), PrevCommit: uint64(r.Prev.Commit),
		HighWater: uint64(r.HighWater), Root: uint64(r.Root.Root), NextTree: uint64(r.NextTree),
		Checkpoint: r.Checkpoint,
		Written:    len(r.Written), Freed: len(r.Freed), Free: len(r.Free), Pending: len(r.Pending), Sums: len(r.Sums),
	}, root, ""
}

// decodeMeta decodes the meta slot at the start of page no, and the root bucket,
// if that is in it; nil when no slot starts there.
func decodeMeta(b []byte, no uint64, pageSize int, f format) (*metaRow, *slotted) {
	for slot := range page.MetaSlots {
		at := page.MetaOffset(slot) - int64(no)*int64(pageSize)
		if at < 0 || at+page.MetaSize > int64(len(b)) {
			continue
		}
		return newMetaRow(slot, b[at:], f)
	}
	return nil, nil
}

func newMetaRow(slot int, b []byte, f format) (row *metaRow, root *slotted) {
	var m page.Meta
	if err := m.Decode(b); err != nil {
		return &metaRow{Slot: slot, Problem: err.Error()}, nil
	}
	if m.Root.Root == 0 {
		root = decodeInline(m.Root, m.Body.Bytes(), f)
	}
	return &metaRow{
		Slot: slot, Version: m.Version, PageSize: m.PageSize, Salt: fmt.Sprintf("%016x", m.Salt),
		Commit: uint64(m.Commit), Base: uint64(m.Base), Root: uint64(m.Root.Root), RootKeys: m.Root.Keys,
		NextTree: uint64(m.NextTree), HighWater: uint64(m.HighWater),
		RecordPage: uint64(m.Record.Page), RecordLen: m.Record.Len, Settled: m.Settled,
	}, root
}
