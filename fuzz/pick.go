package fuzz

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/cespare/xxhash/v2"
)

const (
	sector    = 512  // bytes that a device writes whole
	block     = 4096 // bytes that most devices and caches move at once
	allBelow  = 8    // units up to which every subset is taken
	tornMarks = 6    // places at which a long write is torn
	eachBelow = 20   // writes up to which each is left out, alone, and the end of a prefix
)

// A pick is one choice of what of the pending changes has reached the device.
type pick struct {
	label  string
	pieces []piece // in order of change and offset
	sizes  int     // sizes up to this sequence number are in effect
	names  int     // so many pending names are in effect
	all    bool    // everything is: what the next process finds if only this one dies
}

// A piece is a part of a pending write: bytes [lo, hi) of it.
type piece struct{ change, lo, hi int }

// A chooser makes the picks for one crash point.
type chooser struct {
	disk   *Disk
	writes []int // the pending changes that are writes
	sizes  []int // the sequence numbers of pending sizes
	rng    *rand.Rand
	picks  []pick
}

// picks returns what a crash now may leave: first the plain choices, always
// all of them, then at most extra of the torn and mixed ones.
func (d *Disk) picks(rng *rand.Rand, extra int) []pick {
	c := &chooser{disk: d, rng: rng, sizes: []int{0}}
	for i := range d.pending {
		if d.pending[i].isSize() {
			c.sizes = append(c.sizes, d.pending[i].seq)
		} else {
			c.writes = append(c.writes, i)
		}
	}
	c.plain()
	plain := len(c.picks)
	c.torn()
	c.subsets("calls", c.units(1<<30))
	c.blocks(c.units(block))
	c.random("sectors", c.units(sector), extra/2)
	mixed := c.picks[plain:]
	rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	return c.picks[:plain+min(extra, len(mixed))]
}

func (c *chooser) lastSize() int { return c.sizes[len(c.sizes)-1] }

func (c *chooser) add(label string, sizes int, pieces []piece) {
	c.picks = append(c.picks, pick{label: label, sizes: sizes, pieces: pieces, names: len(c.disk.renames)})
}

// mixed adds a pick with the newest size, or now and then an older one.
func (c *chooser) mixed(label string, pieces []piece) {
	sizes := c.lastSize()
	if len(c.sizes) > 1 && c.rng.IntN(4) == 0 {
		sizes = c.sizes[c.rng.IntN(len(c.sizes))]
	}
	c.add(label, sizes, pieces)
}

func (c *chooser) whole(i int) piece { return piece{i, 0, len(c.disk.pending[i].data)} }

// plain adds none, all, each prefix, each write missing and each alone, with
// and without the new sizes; and the old names.
func (c *chooser) plain() {
	var all []piece
	for _, i := range c.writes {
		all = append(all, c.whole(i))
	}
	for _, sizes := range c.sizes {
		c.add("none", sizes, nil)
		if len(all) > 0 {
			c.add("all", sizes, all)
		}
		c.picks[len(c.picks)-1].all = sizes == c.lastSize()
	}
	for n := range c.disk.renames {
		c.picks = append(c.picks, pick{label: fmt.Sprintf("names %d", n), sizes: c.lastSize(), pieces: all, names: n})
	}
	some := c.some(len(all))
	for _, n := range some {
		if n == 0 {
			continue
		}
		sizes := 0
		for _, s := range c.sizes {
			if s < c.disk.pending[c.writes[n]].seq {
				sizes = s
			}
		}
		c.add(fmt.Sprintf("prefix %d", n), sizes, all[:n])
	}
	if len(all) < 2 {
		return
	}
	for _, n := range some {
		c.add(fmt.Sprintf("missing %d", n), c.lastSize(), without(all, n))
		c.add(fmt.Sprintf("alone %d", n), c.lastSize(), all[n:n+1])
	}
}

// some returns the numbers below n, or a choice of them if there are many: the last ones always.
func (c *chooser) some(n int) []int {
	var some []int
	for i := range n {
		if n-i <= eachBelow/4 || c.rng.IntN(n) < eachBelow {
			some = append(some, i)
		}
	}
	return some
}

func without(all []piece, n int) []piece {
	return append(append([]piece{}, all[:n]...), all[n+1:]...)
}

// torn adds, for each of some writes, a part of it together with all the others.
func (c *chooser) torn() {
	for _, n := range c.some(len(c.writes)) {
		i := c.writes[n]
		size := len(c.disk.pending[i].data)
		marks := (size - 1) / sector
		for m := range min(marks, tornMarks) {
			at := (m + 1) * sector
			if marks > tornMarks {
				at = (1 + c.rng.IntN(marks)) * sector
			}
			c.tear(fmt.Sprintf("torn %d prefix %d", n, at), n, piece{i, 0, at})
			c.tear(fmt.Sprintf("torn %d suffix %d", n, at), n, piece{i, at, size})
			c.tear(fmt.Sprintf("torn %d hole %d", n, at), n, piece{i, 0, at}, piece{i, min(at+sector, size), size})
			c.tear(fmt.Sprintf("torn %d page hole %d", n, at), n, piece{i, 0, at}, piece{i, min(at+block, size), size})
		}
	}
}

// tear adds a pick with all writes whole but the n-th, of which it has parts.
func (c *chooser) tear(label string, n int, parts ...piece) {
	var pieces []piece
	for k, i := range c.writes {
		if k != n {
			pieces = append(pieces, c.whole(i))
			continue
		}
		for _, p := range parts {
			if p.lo < p.hi {
				pieces = append(pieces, p)
			}
		}
	}
	c.mixed(label, pieces)
}

// units cuts all pending writes at multiples of n bytes of the file.
func (c *chooser) units(n int) []piece {
	var out []piece
	for _, i := range c.writes {
		w := &c.disk.pending[i]
		for lo := 0; lo < len(w.data); {
			hi := min(len(w.data), lo+n-int((w.off+int64(lo))%int64(n)))
			out = append(out, piece{i, lo, hi})
			lo = hi
		}
	}
	return out
}

// subsets adds every subset of the units when they are few, else some.
func (c *chooser) subsets(label string, units []piece) {
	if len(units) > allBelow {
		c.random(label, units, 12)
		return
	}
	for set := 1; set < 1<<len(units)-1; set++ {
		var pieces []piece
		for i, u := range units {
			if set>>i&1 == 1 {
				pieces = append(pieces, u)
			}
		}
		c.mixed(fmt.Sprintf("%s subset %b", label, set), pieces)
	}
}

// blocks adds subsets of the 4 KiB blocks, and for many of them each alone
// and each missing.
func (c *chooser) blocks(units []piece) {
	c.subsets("blocks", units)
	if len(units) <= allBelow {
		return
	}
	for range min(len(units), 24) {
		i := c.rng.IntN(len(units))
		c.mixed(fmt.Sprintf("block %d missing", i), without(units, i))
		c.mixed(fmt.Sprintf("block %d alone", i), units[i:i+1])
	}
}

// random adds n random subsets, from nearly nothing to nearly everything.
func (c *chooser) random(label string, units []piece, n int) {
	if len(units) < 2 {
		return
	}
	for k := range n {
		keep := []float64{0.5, 0.9, 0.1, 0.98}[k%4]
		var pieces []piece
		for _, u := range units {
			if c.rng.Float64() < keep {
				pieces = append(pieces, u)
			}
		}
		c.mixed(fmt.Sprintf("%s random %d of %d", label, len(pieces), len(units)), pieces)
	}
}

// key identifies what p leaves on this disk, so that the same image is not
// tried twice for the same promises.
func (d *Disk) key(p *pick, accept []int, absent bool) uint64 {
	var h xxhash.Digest
	h.Reset()
	var b []byte
	put := func(v int) { b = binary.AppendVarint(b, int64(v)) }
	put(d.generation)
	put(p.sizes)
	put(p.names)
	for _, s := range accept {
		put(s)
	}
	put(-1)
	if absent {
		put(-2)
	}
	last, end := -1, int64(-1)
	for _, pc := range p.pieces { // joined pieces are one
		c := &d.pending[pc.change]
		if pc.change != last || c.off+int64(pc.lo) != end {
			put(int(end))
			put(c.seq)
			put(int(c.off) + pc.lo)
		}
		last, end = pc.change, c.off+int64(pc.hi)
	}
	put(int(end))
	h.Write(b)
	return h.Sum64()
}
