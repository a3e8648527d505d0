package main

import (
	"bytes"
	"fmt"

	"mmdb"
)

// mapRows is the height of the picture of the file, at most.
const mapRows = 12

// picture collects which kinds of pages stand in each group of neighbouring pages.
type picture struct {
	perCell uint64           // pages of one character
	cells   [][]uint64       // per character, pages of each kind
	seen    map[int]struct{} // kinds that occur
}

// newPicture makes a picture of pages pages with at most width columns.
func newPicture(pages uint64, width int) *picture {
	room := uint64(width * mapRows)
	p := &picture{perCell: max((pages+room-1)/room, 1), seen: map[int]struct{}{}}
	p.cells = make([][]uint64, (pages+p.perCell-1)/p.perCell)
	for i := range p.cells {
		p.cells[i] = make([]uint64, len(pageKinds))
	}
	return p
}

// add puts a run of n pages of a kind into the picture.
func (p *picture) add(first, n uint64, kind int) {
	p.seen[kind] = struct{}{}
	for n > 0 && first/p.perCell < uint64(len(p.cells)) {
		part := min(n, p.perCell-first%p.perCell)
		p.cells[first/p.perCell][kind] += part
		first += part
		n -= part
	}
}

// lines returns the picture: each character is the kind that most pages of its
// group have.
func (p *picture) lines(width int) []string {
	var out []string
	var line bytes.Buffer
	for i, cell := range p.cells {
		line.WriteByte(mark(cell))
		if line.Len() == width || i == len(p.cells)-1 {
			out = append(out, line.String())
			line.Reset()
		}
	}
	return out
}

func mark(cell []uint64) byte {
	best := -1
	for kind, n := range cell {
		if n > 0 && (best < 0 || n > cell[best]) {
			best = kind
		}
	}
	if best < 0 {
		return ' '
	}
	return pageKinds[best].mark
}

// legend names the characters of the kinds that occur.
func (p *picture) legend() string {
	s := ""
	for i, k := range pageKinds {
		if _, ok := p.seen[i]; ok {
			s += fmt.Sprintf("%c %s  ", k.mark, k.name)
		}
	}
	return s
}

// pageMap prints a picture of the file as wide as the terminal.
func (a *app) pageMap(tx *mmdb.Tx) error {
	width := a.width() - 2
	pic := newPicture(tx.Info().HighWater, width-2)
	err := a.eachPage(tx, func(p mmdb.PageInfo, _ error) error {
		pic.add(p.Number, uint64(p.Run), kindIndex(p.Kind))
		return nil
	})
	for _, line := range pic.lines(width - 2) {
		a.printf("  %s\n", line)
	}
	a.printf("  %s\n", pic.legend())
	if pic.perCell > 1 {
		a.printf("  one character is %d pages, the kind is what most of them are\n", pic.perCell)
	}
	return err
}
