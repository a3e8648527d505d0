package tx

import (
	"bytes"
	"testing"

	"mmdb/page"
)

// forgeRun writes an overflow run of one page of tree 2, and returns the reference to it.
func forgeRun(f *forge, no page.No, payload []byte) page.Overflow {
	b := f.page(no)[:forgeSize]
	page.InitRun(b, page.Header{Number: no, Born: 1, Tree: 2, Kind: page.KindOverflow, Run: 1}, len(payload))
	copy(page.RunPayload(b), payload)
	page.Seal(b, forgeSalt)
	return page.Overflow{Page: page.PageRef(no), Len: uint32(len(payload)), Born: 1}
}

// forgePage writes a leaf or branch of tree 2 that fill fills.
func forgePage(f *forge, no page.No, level int, fill func(body []byte)) {
	b := f.page(no)[:forgeSize]
	h := page.Header{Number: no, Born: 1, Tree: 2, Kind: page.KindLeaf, Run: 1, Level: uint8(level)}
	if level > 0 {
		h.Kind = page.KindBranch
	}
	h.Encode(b)
	fill(page.Body(b))
	page.Seal(b, forgeSalt)
}

// forgeBranch writes a branch with two children of n keys each.
func forgeBranch(f *forge, no, left, right page.No, sep string, n uint64) {
	forgePage(f, no, 1, func(body []byte) {
		br := page.InitBranch(body)
		br.Insert(0, page.Key{}, page.PageRef(left), n)
		br.Insert(1, page.Key{Bytes: []byte(sep)}, page.PageRef(right), n)
	})
}

// A page that was read as a large value is not taken for a leaf: what verified it looked for something else.
func TestARunIsNoLeaf(t *testing.T) {
	f := newForge(16)
	o := forgeRun(f, 14, bytes.Repeat([]byte{0xff}, 3000))
	forgePage(f, 13, 0, func(body []byte) {
		ref := make([]byte, page.OverflowRefSize)
		o.Encode(ref)
		forgeCell(page.InitLeaf(body), "a", page.CellOverflow, ref)
	})
	forgeBranch(f, 12, 13, 14, "m", 1)
	f.commit(15, 1, forgeBody(forgedLeaf("b", 12, 2, 2)), nil)
	st := forged(t, f)
	for name, read := range map[string]func(b *Bucket){
		"Get":  func(b *Bucket) { b.Get([]byte("z")) },
		"Prev": func(b *Bucket) { b.Cursor().Last() },
		"Next": func(b *Bucket) {
			for range b.All() {
			}
		},
		"Stats": func(b *Bucket) { b.Stats() },
	} {
		wantError(t, st.View(func(tx *Tx) error {
			b := tx.Bucket([]byte("b"))
			if v := b.Get([]byte("a")); len(v) != 3000 {
				t.Errorf("%s: a value of %d bytes", name, len(v))
			}
			read(b)
			return nil
		}), ErrCorrupt, "kind 3")
	}
}

// Leaves whose ranges overlap, and a large key that is another than its cell says, are damage when a split meets them.
func TestASplitBetweenKeysOutOfOrder(t *testing.T) {
	big := make([]byte, 1900)
	for name, fill := range map[string]func(f *forge) (keys int){
		"leaves overlap": func(f *forge) int {
			forgePage(f, 13, 0, func(body []byte) {
				l := page.InitLeaf(body)
				forgeCell(l, "a", page.CellValue, big)
				forgeCell(l, "mmmm", page.CellValue, big) // above the separator
			})
			f.leaf(14, 2, "mm", "n")
			forgeBranch(f, 12, 13, 14, "mm", 2)
			return 4
		},
		"a large key differs from its cell": func(f *forge) int {
			o := forgeRun(f, 14, bytes.Repeat([]byte("z"), 600))
			forgePage(f, 13, 0, func(body []byte) {
				l := page.InitLeaf(body)
				forgeCell(l, "a", page.CellValue, big)
				forgeCell(l, "b", page.CellValue, big[:1700])
				l.Insert(2, page.Key{Bytes: bytes.Repeat([]byte("k"), 256), Large: true, Ref: o}, page.CellValue, 40)
			})
			f.leaf(15, 2, "zz", "zzz", "zzzz")
			forgeBranch(f, 12, 13, 15, "zz", 3)
			return 6
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForge(17)
			f.commit(16, 1, forgeBody(forgedLeaf("b", 12, 2, fill(f))), nil)
			found := 0
			for n := 100; n <= 1900; n += 300 {
				st := forged(t, f)
				err := st.Update(func(tx *Tx) error {
					b := tx.Bucket([]byte("b"))
					for _, k := range []string{"b1", "c", "mm1", "mm2", "l", "z"} {
						if err := b.Put([]byte(k), big[:n]); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					wantError(t, err, ErrCorrupt)
					found++
				}
			}
			if found == 0 {
				t.Error("no split met it")
			}
		})
	}
}
