package main

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"mmdb"
)

// A canvas is what a map is drawn on. Colors are red, green, blue, a byte each.
type canvas interface {
	rect(x, y, w, h int, color uint32)
	// title names the rectangle before it, where there are such names.
	title(text string)
	text(x, y int, s string) // y is the base line
	encode(w *bufio.Writer) error
}

// Measures of a picture, in pixels.
const (
	mapMargin    = 16
	mapHead      = 28      // the line above the pages
	mapFoot      = 44      // the legend below
	mapSquares   = 250_000 // of a PNG picture, at most
	mapElements  = 30_000  // of an SVG picture
	mapMinWidth  = 560
	mapCharWidth = 7
)

// mapFile draws the map into a file.
func (a *app) mapFile(file string, tx *mmdb.Tx, o mapOptions) error {
	most := uint64(mapSquares)
	if isSVG(o.out) {
		most = mapElements
	}
	cells, perCell, readErr := a.newMapCells(tx, most)
	if errors.Is(readErr, errInterrupted) {
		return readErr // what was read is no picture of the file; of a damaged one it is
	}
	out, err := a.createOut(o.out, o.force, file)
	if err != nil {
		return err
	}
	d := newMapDrawing(cells, perCell, tx.Info().Commit, o)
	d.draw(filepath.Base(file))
	w := bufio.NewWriter(out)
	err = d.on.encode(w)
	if flushErr := w.Flush(); err == nil {
		err = flushErr
	}
	if err := out.finish(err, o.force); err != nil {
		return err
	}
	return readErr
}

func isSVG(name string) bool { return strings.EqualFold(filepath.Ext(name), ".svg") }

// A mapDrawing is one picture.
type mapDrawing struct {
	on      canvas
	cells   []mapCell
	perCell uint64
	commit  uint64
	show    string
	oldest  int // the greatest age that occurs
	columns int
	side    int // of a square
	width   int
	height  int
}

func newMapDrawing(cells []mapCell, perCell, commit uint64, o mapOptions) *mapDrawing {
	d := &mapDrawing{cells: cells, perCell: perCell, commit: commit, show: o.show}
	n := len(cells)
	d.side = 16
	for d.side > 3 && n*d.side*d.side > 1_500_000 {
		d.side--
	}
	d.columns = max(int(math.Ceil(math.Sqrt(float64(n)*1.6))), (mapMinWidth-2*mapMargin)/d.side)
	rows := (n + d.columns - 1) / d.columns
	d.width, d.height = d.columns*d.side+2*mapMargin, rows*d.side+mapHead+mapFoot
	for i := range cells {
		if age, ok := cells[i].age(commit); ok {
			d.oldest = max(d.oldest, age)
		}
	}
	if isSVG(o.out) {
		d.on = newSVGCanvas(d.width, d.height)
	} else {
		d.on = newPNGCanvas(d.width, d.height)
	}
	return d
}

// draw draws everything. name is the file's.
func (d *mapDrawing) draw(name string) {
	pages := uint64(0)
	for i := range d.cells {
		pages += d.cells[i].pages
	}
	head := fmt.Sprintf("%s: %s of %s, commit %d", visible(name), d.show, plural(pages, "page", "pages"), d.commit)
	if d.perCell > 1 {
		head += fmt.Sprintf(", %d in a square", d.perCell)
	}
	d.on.text(mapMargin, 18, shorten(head, (d.width-2*mapMargin)/mapCharWidth))
	for i := range d.cells {
		d.cell(i)
	}
	d.legend()
}

// cell draws one square: the color is the kind or the shade of what is shown; of a kind the lower part is full.
func (d *mapDrawing) cell(i int) {
	c := &d.cells[i]
	x, y := mapMargin+i%d.columns*d.side, mapHead+i/d.columns*d.side
	s := d.side - 1
	if d.side <= 4 {
		s = d.side
	}
	color := pageKinds[c.kind].rgb
	fill, hasFill := c.fill()
	age, hasAge := c.age(d.commit)
	switch {
	case d.show == showFill && hasFill:
		d.on.rect(x, y, s, s, shade(0xf0f0f0, 0x08306b, fill))
	case d.show == showAge && hasAge:
		d.on.rect(x, y, s, s, d.ageColor(age))
	case d.show == showKind && hasFill && s >= 4:
		full := int(math.Round(fill * float64(s)))
		d.on.rect(x, y, s, s, shade(0xffffff, color, 0.35))
		d.on.title(d.describe(c))
		d.on.rect(x, y+s-full, s, full, color)
	default:
		d.on.rect(x, y, s, s, color)
	}
	d.on.title(d.describe(c))
}

func (d *mapDrawing) ageColor(age int) uint32 {
	if d.oldest == 0 {
		return 0x7a0177
	}
	return shade(0x7a0177, 0xfee5d9, float64(age)/float64(d.oldest))
}

// describe says in words what a square shows.
func (d *mapDrawing) describe(c *mapCell) string {
	text := fmt.Sprintf("page %d: %s", c.first, pageKinds[c.kind].name)
	if c.pages > 1 {
		text = fmt.Sprintf("pages %d to %d: mostly %s", c.first, c.first+c.pages-1, pageKinds[c.kind].name)
	}
	if c.pages == 1 && c.tree != 0 {
		text += fmt.Sprintf(", tree %d", c.tree)
	}
	if fill, ok := c.fill(); ok {
		text += fmt.Sprintf(", %.0f%% full", 100*fill)
	}
	if c.born != 0 {
		text += fmt.Sprintf(", of commit %d", c.born)
	}
	return text
}

// shade returns the color between from and to, at t from 0 to 1.
func shade(from, to uint32, t float64) (c uint32) {
	for shift := 0; shift < 24; shift += 8 {
		a, b := float64(from>>shift&0xff), float64(to>>shift&0xff)
		c |= uint32(math.Round(a+(b-a)*t)) << shift
	}
	return c
}

// legend draws what the colors mean.
func (d *mapDrawing) legend() {
	x, y := mapMargin, d.height-mapFoot+20
	seen := make([]bool, len(pageKinds))
	for i := range d.cells {
		c := &d.cells[i]
		_, full := c.fill()
		_, aged := c.age(d.commit)
		if d.show == showKind || d.show == showFill && !full || d.show == showAge && !aged {
			seen[c.kind] = true
		}
	}
	item := func(color uint32, text string) {
		d.on.rect(x, y-10, 12, 12, color)
		d.on.text(x+16, y, text)
		if x += 16 + mapCharWidth*len(text) + 12; x > d.width-100 {
			x, y = mapMargin, y+16
		}
	}
	switch d.show {
	case showFill:
		for _, n := range []int{0, 50, 100} {
			item(shade(0xf0f0f0, 0x08306b, float64(n)/100), fmt.Sprintf("%d%%", n))
		}
	case showAge:
		item(d.ageColor(0), "newest")
		item(d.ageColor(d.oldest), fmt.Sprintf("%s commits ago", count(uint64(1)<<d.oldest-1)))
	}
	for i, k := range pageKinds {
		if seen[i] {
			item(k.rgb, k.name)
		}
	}
}
