package page

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
)

func TestMetaRoundTrip(t *testing.T) {
	m := goldenMeta()
	b := bytes.Repeat([]byte{0xff}, MetaSize+1)
	m.Encode(b)
	var got Meta
	if err := got.Decode(b); err != nil || got != m {
		t.Errorf("%v\n%+v", err, got)
	}
	if b[MetaSize] != 0xff {
		t.Error("wrote behind the meta")
	}
	if MetaOffset(2) != 32768 {
		t.Errorf("slot 2 at %d", MetaOffset(2))
	}
}

func TestMetaFlippedBitsAreFound(t *testing.T) {
	m := goldenMeta()
	b := make([]byte, MetaSize)
	m.Encode(b)
	for bit := range MetaSize * 8 {
		b[bit/8] ^= 1 << (bit % 8)
		var got Meta
		err := got.Decode(b)
		if inMagic := bit/8 >= offMetaMagic && bit/8 < offMetaVersion; inMagic != errors.Is(err, ErrInvalid) ||
			inMagic == errors.Is(err, ErrCorrupt) {
			t.Fatalf("bit %d: %v", bit, err)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
}

func TestMetaBadFields(t *testing.T) {
	for _, c := range []struct {
		change func(*Meta)
		want   error
		text   string
	}{
		{func(m *Meta) { m.Version = 2 }, ErrVersion, "version 2"},
		{func(m *Meta) { m.Version = 0 }, ErrCorrupt, "version 0"},
		{func(m *Meta) { m.Incompatible = 4 }, ErrVersion, "0x4"},
		{func(m *Meta) { m.PageSize = 5000 }, ErrCorrupt, "page size"},
		{func(m *Meta) { m.PageSize = 1 << 31 }, ErrCorrupt, "page size"},
		{func(m *Meta) { m.Commit, m.Base, m.Record.Commit = 0, 0, 0 }, ErrCorrupt, "commit 0"},
		{func(m *Meta) { m.Base = 10 }, ErrCorrupt, "base 10"},
		{func(m *Meta) { m.HighWater = 11 }, ErrCorrupt, "high water"},
		{func(m *Meta) { m.Commit, m.Record.Commit = MaxNumber+1, MaxNumber+1 }, ErrCorrupt, "commit 4611686018427387904"},
		{func(m *Meta) { m.HighWater = MaxPages + 1 }, ErrCorrupt, "high water"},
		{func(m *Meta) { m.Root.Root = 11 }, ErrCorrupt, "root"},
		{func(m *Meta) { m.Root.Root = 40 }, ErrCorrupt, "root"},
		{func(m *Meta) { m.Root.Root = DirtyRef(20) }, ErrCorrupt, "root dirty"},
		{func(m *Meta) { m.Root.Tree = 2 }, ErrCorrupt, "tree number"},
		{func(m *Meta) { m.Root.Root = 0 }, ErrCorrupt, "root bucket: body of 0 bytes"},
		{func(m *Meta) { m.Body = goldenRootMeta().Body }, ErrCorrupt, "root page 21 and 200 bytes of level 0 inline"},
		{func(m *Meta) { m.NextTree = 1 }, ErrCorrupt, "next tree"},
		{func(m *Meta) { m.NextTree = MaxNumber + 1 }, ErrCorrupt, "next tree"},
		{func(m *Meta) { m.Record.Page = 0 }, ErrCorrupt, "record in page 0"},
		{func(m *Meta) { m.Record.Page = 40 }, ErrCorrupt, "record in page 40"},
		{func(m *Meta) { m.Record.Page = 1 << 63 }, ErrCorrupt, "record in page"},
		{func(m *Meta) { m.Record.Len = 100 }, ErrCorrupt, "record of 100"},
		{func(m *Meta) { m.Record.Len = 1 << 40 }, ErrCorrupt, "record of"},
		{func(m *Meta) { m.Record.Len = 100000 }, ErrCorrupt, "record in"},
	} {
		m := goldenMeta()
		c.change(&m)
		b := make([]byte, MetaSize)
		m.Encode(b)
		var got Meta
		err := got.Decode(b)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.text, err)
		}
		if got != m {
			t.Errorf("%s: decoded %+v", c.text, got)
		}
	}
}

// TestBadInlineRoot: what is wrong with a root bucket in the meta is found before anybody reads it.
func TestBadInlineRoot(t *testing.T) {
	set := func(b Leaf, slot int, change func(*Bucket)) {
		k := DecodeBucket(b.Payload(slot))
		change(&k)
		k.Encode(b.Payload(slot))
	}
	for _, c := range []struct {
		text   string
		change func(m *Meta, b Leaf)
	}{
		{"of 2 keys says 3", func(m *Meta, _ Leaf) { m.Root.Keys = 3 }},
		{"bucket with root page 40", func(_ *Meta, b Leaf) { set(b, 0, func(k *Bucket) { k.Root = 40 }) }},
		{"bucket with root page 11", func(_ *Meta, b Leaf) { set(b, 0, func(k *Bucket) { k.Root = 11 }) }},
		{"bucket with root dirty", func(_ *Meta, b Leaf) { set(b, 0, func(k *Bucket) { k.Root = DirtyRef(20) }) }},
		{"tree number 7", func(_ *Meta, b Leaf) { set(b, 0, func(k *Bucket) { k.Tree = 7 }) }},
		{"tree number 1", func(_ *Meta, b Leaf) { set(b, 1, func(k *Bucket) { k.Tree = RootTree }) }},
		{"inline bucket of 1 keys says 9", func(_ *Meta, b Leaf) { set(b, 1, func(k *Bucket) { k.Keys = 9 }) }},
		{"not above the one before", func(_ *Meta, b Leaf) { copy(b.Key(0), "tttttt"); rehead(b, leafLayout, 0, 1) }},
		{"not a bucket", func(_ *Meta, b Leaf) { b[bodyHeader+offSlotKey+1] &= 0x3f }},
		{"not a bucket", func(_ *Meta, b Leaf) { b[bodyHeader+offSlotKey+1] = uint8(CellOverflow) << 6 }},
		{"large key", func(_ *Meta, b Leaf) { b[bodyHeader+offSlotKey+1] |= 0xc0 }},
		{"cells from", func(_ *Meta, b Leaf) { b[offStart] = 1 }},
		{"outside", func(_ *Meta, b Leaf) { b[bodyHeader+offSlotCell+1] = 1 }},
	} {
		m := goldenRootMeta()
		body := bytes.Clone(m.Body.Bytes())
		c.change(&m, body)
		m.Body = NewInlineRoot(body)
		b := make([]byte, MetaSize)
		m.Encode(b)
		var got Meta
		if err := got.Decode(b); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.text, err)
		}
		r := goldenRecord()
		r.Root, r.Body = m.Root, body
		b = make([]byte, r.Size())
		r.Encode(b)
		if err := r.Decode(b); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("record: %s: %v", c.text, err)
		}
	}
	m := goldenRootMeta()
	b := make([]byte, MetaSize)
	for _, n := range []uint32{0, 7, 199, 201, MaxInlineRoot, MaxInlineRoot + 1, 1 << 31} { // 200 is right
		m.Encode(b)
		le.PutUint32(b[offMetaRootLength:], n)
		le.PutUint64(b, xxhash.Sum64(b[offMetaMagic:]))
		mustCorrupt(t, m.Decode(b))
		m = goldenRootMeta()
	}
}

func TestMetaReservedBytesAreZero(t *testing.T) {
	for _, o := range []int{offMetaFlags + 1, offMetaRootBody, MetaSize - 1} {
		m := goldenMeta()
		b := make([]byte, MetaSize)
		m.Encode(b)
		b[o] = 2
		le.PutUint64(b, xxhash.Sum64(b[offMetaMagic:]))
		mustCorrupt(t, m.Decode(b))
	}
	var m Meta
	mustCorrupt(t, m.Decode(make([]byte, 100)))
	m = goldenMeta()
	m.Record.Commit = 3
	mustCorrupt(t, m.Validate())
}

func TestRecordRoundTrip(t *testing.T) {
	r := goldenRecord()
	b := bytes.Repeat([]byte{0xff}, r.Size())
	r.Encode(b)
	var got Record
	if err := got.Decode(b); err != nil || fmt.Sprint(got) != fmt.Sprint(r) {
		t.Errorf("%v\n%+v", err, got)
	}
	for _, s := range got.sections() {
		if cap(*s) != len(*s) {
			t.Error("a section has more room than bytes")
		}
	}
	if err := got.Decode(append(b, 0, 0)); err != nil || string(got.Pending) != "pending" {
		t.Errorf("padded: %v", err)
	}
	r.Prev = Link{}
	r.Encode(b)
	if err := got.Decode(b); err != nil || got.Prev != (Link{}) {
		t.Errorf("first record: %v", err)
	}
}

func TestRecordBadBytes(t *testing.T) {
	for _, c := range []struct {
		change func(r *Record)
		edit   func(b []byte) []byte
		want   error
		text   string
	}{
		{text: "want at least", edit: func(b []byte) []byte { return b[:RecordHeaderSize-1] }},
		{text: "longer than the record", edit: func(b []byte) []byte { return b[:len(b)-1] }},
		{text: "behind the sections", edit: func(b []byte) []byte { return append(b, 0, 1) }},
		{text: "reserved", edit: func(b []byte) []byte { b[offRecordFlags+3] = 1; return b }},
		{text: "version 3", edit: func(b []byte) []byte { b[offRecordVersion] = 3; return b }, want: ErrVersion},
		{text: "page size", change: func(r *Record) { r.PageSize = 0 }},
		{text: "high water", change: func(r *Record) { r.HighWater = MaxPages + 1 }},
		{text: "commit 4611686018427387904", change: func(r *Record) { r.Commit = MaxNumber + 1 }},
		{text: "next tree", change: func(r *Record) { r.NextTree = MaxNumber + 1 }},
		{text: "without a checkpoint", change: func(r *Record) { r.Checkpoint = false }},
		{text: "follows commit", change: func(r *Record) { r.Prev.Commit = 9 }},
		{text: "follows commit", change: func(r *Record) { r.Prev.Commit = 0 }},
		{text: "previous: record in", change: func(r *Record) { r.Prev.Page = 3 }},
		{text: "previous: record of", change: func(r *Record) { r.Prev.Len = 0 }},
		{text: "root bucket: body of 0 bytes", change: func(r *Record) { r.Root.Root = 0 }},
		{text: "root page 21 and 4 bytes of level 0 inline", change: func(r *Record) { r.Body = []byte("body") }},
	} {
		r := goldenRecord()
		if c.change != nil {
			c.change(&r)
		}
		b := make([]byte, r.Size())
		r.Encode(b)
		if c.edit != nil {
			b = c.edit(b)
		}
		if c.want == nil {
			c.want = ErrCorrupt
		}
		if err := r.Decode(b); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}
