package page

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// benchLeaves returns full leaves of sorted keys, enough of them that branch
// predictors do not learn them by heart, and the keys of each.
func benchLeaves(form string, pages, value int) ([]Leaf, [][][]byte) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var leaves []Leaf
	var keys [][][]byte
	for p := range pages {
		var ks [][]byte
		for i := range 400 {
			ks = append(ks, benchKey(form, rnd, p, i))
		}
		n := (DefaultSize - HeaderSize - bodyHeader) / (slotSize + leafHeader + len(ks[0]) + value)
		ks = ks[:n]
		slices.SortFunc(ks, slices.Compare)
		l := InitLeaf(make([]byte, DefaultSize-HeaderSize))
		for i, k := range ks {
			if v, ok := l.Insert(i, Key{Bytes: k}, CellValue, value); ok {
				clear(v)
			}
		}
		leaves, keys = append(leaves, l), append(keys, ks)
	}
	return leaves, keys
}

func benchKey(form string, rnd *rand.Rand, page, i int) []byte {
	k := make([]byte, 16)
	switch form {
	case "random":
		binary.BigEndian.PutUint64(k, rnd.Uint64())
		binary.BigEndian.PutUint64(k[8:], rnd.Uint64())
	case "counter":
		binary.BigEndian.PutUint64(k[8:], uint64(page*400+i))
	case "text":
		copy(k, fmt.Sprintf("user:%011d", rnd.IntN(1e6)+page*1e6))
	case "ties":
		copy(k, fmt.Sprintf("%c-same-%09d", 'a'+i%4, rnd.IntN(1e9)))
	}
	return k
}

var benchForms = []string{"random", "counter", "text", "ties"}

func BenchmarkLeafFind(b *testing.B) {
	for _, form := range benchForms {
		b.Run(form, func(b *testing.B) {
			leaves, keys := benchLeaves(form, 64, 100)
			order := benchOrder(keys)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				o := order[i&(len(order)-1)]
				i++
				if _, v, _, _, _ := leaves[o.page].Find(o.key, nil); len(v) != 100 {
					b.Fatal("not found")
				}
			}
		})
	}
}

func BenchmarkLeafSearch(b *testing.B) {
	for _, form := range benchForms {
		b.Run(form, func(b *testing.B) {
			leaves, keys := benchLeaves(form, 64, 100)
			order := benchOrder(keys)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				o := order[i&(len(order)-1)]
				i++
				if _, found, _ := leaves[o.page].Search(o.key, nil); !found {
					b.Fatal("not found")
				}
			}
		})
	}
}

type benchProbe struct {
	page int
	key  []byte
}

func benchOrder(keys [][][]byte) []benchProbe {
	rnd := rand.New(rand.NewPCG(3, 4))
	order := make([]benchProbe, 1<<14)
	for i := range order {
		p := rnd.IntN(len(keys))
		order[i] = benchProbe{p, keys[p][rnd.IntN(len(keys[p]))]}
	}
	return order
}

// benchBranch returns a full branch whose separators divide keys.
func benchBranch(form string, pageSize int) (Branch, [][]byte) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var keys [][]byte
	for i := range pageSize / 2 {
		keys = append(keys, benchKey(form, rnd, i/40, i))
	}
	slices.SortFunc(keys, slices.Compare)
	keys = slices.CompactFunc(keys, slices.Equal)
	r := InitBranch(make([]byte, pageSize-HeaderSize))
	r.Insert(0, Key{}, 100, 1)
	for i := 4; i < len(keys); i += 4 {
		if !r.Insert(r.Count(), Key{Bytes: Separator(keys[i-1], keys[i])}, Ref(i+100), 4) {
			break
		}
	}
	return r, keys[:r.Count()*4]
}

func BenchmarkBranchSearch(b *testing.B) {
	for _, form := range benchForms {
		b.Run(form, func(b *testing.B) {
			r, keys := benchBranch(form, DefaultSize)
			rnd := rand.New(rand.NewPCG(3, 4))
			order := make([][]byte, 1<<14)
			for i := range order {
				order[i] = keys[rnd.IntN(len(keys))]
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				key := order[i&(len(order)-1)]
				i++
				c, _ := r.Search(key, nil)
				if r.Child(c) == 0 {
					b.Fatal("no child")
				}
			}
		})
	}
}

// BenchmarkLeafInsert fills pages; a round is one insertion.
func BenchmarkLeafInsert(b *testing.B) {
	for _, form := range []string{"random", "counter"} {
		b.Run(form, func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(1, 2))
			keys := make([][]byte, 1<<14)
			for i := range keys {
				keys[i] = benchKey(form, rnd, 0, i)
			}
			l := InitLeaf(make([]byte, DefaultSize-HeaderSize))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				k := Key{Bytes: keys[i&(len(keys)-1)]}
				i++
				at, _, _ := l.Search(k.Bytes, nil)
				v, ok := l.Insert(at, k, CellValue, 100)
				if !ok {
					InitLeaf(l)
					continue
				}
				v[0] = 1
			}
		})
	}
}

func BenchmarkAppendFrom(b *testing.B) {
	leaves, _ := benchLeaves("random", 1, 100)
	l := InitLeaf(make([]byte, DefaultSize-HeaderSize))
	b.ReportAllocs()
	for b.Loop() {
		InitLeaf(l)
		l.AppendFrom(leaves[0], 0, leaves[0].Count())
	}
}

func BenchmarkValidate(b *testing.B) {
	for _, form := range benchForms {
		ordered, _ := benchLeaves(form, 64, 100)
		mixed := slices.Clone(ordered)
		rnd := rand.New(rand.NewPCG(7, 8))
		for i, l := range mixed {
			mixed[i] = shuffledLeaf(l, rnd)
		}
		for name, leaves := range map[string][]Leaf{"ordered": ordered, "mixed": mixed} {
			b.Run("leaf/"+form+"/"+name, func(b *testing.B) {
				b.SetBytes(DefaultSize)
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if err := ValidateLeaf(leaves[i&63], DefaultSize, false); err != nil {
						b.Fatal(err)
					}
					i++
				}
			})
		}
	}
	r, _ := benchBranch("random", DefaultSize)
	b.Run("branch", func(b *testing.B) {
		b.SetBytes(DefaultSize)
		b.ReportAllocs()
		for b.Loop() {
			if err := ValidateBranch(r, DefaultSize); err != nil {
				b.Fatal(err)
			}
		}
	})
	full := make([]byte, DefaultSize)
	h := Header{Number: 100, Born: 1, Tree: 1, Kind: KindLeaf, Run: 1}
	h.Encode(full)
	leaves, _ := benchLeaves("random", 1, 100)
	copy(Body(full), leaves[0])
	Seal(full, 1)
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(DefaultSize)
		for b.Loop() {
			if err := Verify(full, DefaultSize, 100, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("checksum", func(b *testing.B) {
		b.SetBytes(DefaultSize)
		for b.Loop() {
			Sum(full, 1)
		}
	})
}

// shuffledLeaf returns a leaf with the cells of l, inserted in random order.
func shuffledLeaf(l Leaf, rnd *rand.Rand) Leaf {
	out := InitLeaf(make([]byte, len(l)))
	for _, i := range rnd.Perm(l.Count()) {
		at, _, _ := out.Search(l.Key(i), nil)
		p, _ := out.Insert(at, l.StoredKey(i), l.Kind(i), len(l.Payload(i)))
		copy(p, l.Payload(i))
	}
	return out
}
