package main

import (
	"fmt"

	"mmdb"
)

// mapRows is the height of the picture of the file, at most.
const mapRows = 12

// picture collects which kinds of pages stand in each group of neighbouring pages.
type picture struct {
	perCell uint64     // pages of one character
	cells   [][]uint64 // per character, pages of each kind
	pages   []uint64   // of each kind
}

// newPicture makes a picture of pages pages with at most width columns.
func newPicture(pages uint64, width int) *picture {
	room := uint64(width * mapRows)
	p := &picture{perCell: max((pages+room-1)/room, 1), pages: make([]uint64, len(pageKinds))}
	p.cells = make([][]uint64, (pages+p.perCell-1)/p.perCell)
	for i := range p.cells {
		p.cells[i] = make([]uint64, len(pageKinds))
	}
	return p
}

// add puts a run of n pages of a kind into the picture.
func (p *picture) add(first, n uint64, kind int) {
	p.pages[kind] += n
	for n > 0 && first/p.perCell < uint64(len(p.cells)) {
		part := min(n, p.perCell-first%p.perCell)
		p.cells[first/p.perCell][kind] += part
		first += part
		n -= part
	}
}

// kinds returns the kind that stands for each cell, -1 for none: one that occurs in its group. What a group has of other
// kinds is credited to the groups that follow, so all in all each kind has the share of cells that it
// has of the pages.
func (p *picture) kinds() []int {
	out := make([]int, len(p.cells))
	credit := make([]float64, len(pageKinds))
	for i, cell := range p.cells {
		best := -1
		for kind, n := range cell {
			credit[kind] += float64(n) / float64(p.perCell)
			if n > 0 && (best < 0 || credit[kind] > credit[best]) {
				best = kind
			}
		}
		if out[i] = best; best >= 0 {
			credit[best]--
		}
	}
	return out
}

// lines returns the picture as characters.
func (p *picture) lines(width int) []string {
	var out []string
	var line []byte
	for i, kind := range p.kinds() {
		if kind < 0 {
			line = append(line, ' ')
		} else {
			line = append(line, pageKinds[kind].mark)
		}
		if len(line) == width || i == len(p.cells)-1 {
			out = append(out, string(line))
			line = nil
		}
	}
	return out
}

// legend names the characters of the kinds that occur, with their pages, in lines of at most width columns.
func (p *picture) legend(width int) []string {
	var out []string
	for i, k := range pageKinds {
		if p.pages[i] == 0 {
			continue
		}
		item := fmt.Sprintf("%c %s %s", k.mark, k.name, count(p.pages[i]))
		if n := len(out); n > 0 && len(out[n-1])+3+len(item) <= width {
			out[n-1] += "   " + item
		} else {
			out = append(out, item)
		}
	}
	return out
}

// pageMap prints a picture of the file as wide as the terminal.
func (a *app) pageMap(tx *mmdb.Tx) error {
	width := a.width() - 4
	pic := newPicture(tx.Info().HighWater, width)
	err := a.eachPage(tx, func(p mmdb.PageInfo) error {
		pic.add(p.Number, uint64(p.Run), kindIndex(p.Kind))
		return nil
	})
	for _, line := range pic.lines(width) {
		a.printf("  %s\n", line)
	}
	a.printf("\n")
	for _, line := range pic.legend(width) {
		a.printf("  %s\n", line)
	}
	if pic.perCell > 1 {
		a.printf("  one character is %d pages\n", pic.perCell)
	}
	return err
}
