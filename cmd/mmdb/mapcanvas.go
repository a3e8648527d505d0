package main

import (
	"bufio"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// A pngCanvas draws pixels.
type pngCanvas struct{ img *image.RGBA }

func newPNGCanvas(width, height int) *pngCanvas {
	c := &pngCanvas{image.NewRGBA(image.Rect(0, 0, width, height))}
	c.rect(0, 0, width, height, 0xffffff)
	return c
}

func rgb(c uint32) color.Color { return color.RGBA{uint8(c >> 16), uint8(c >> 8), uint8(c), 0xff} }

func (c *pngCanvas) rect(x, y, w, h int, color uint32) {
	draw.Draw(c.img, image.Rect(x, y, x+w, y+h), image.NewUniform(rgb(color)), image.Point{}, draw.Src)
}

func (c *pngCanvas) title(string) {}

func (c *pngCanvas) text(x, y int, s string) {
	d := font.Drawer{Dst: c.img, Src: image.NewUniform(rgb(0x222222)), Face: basicfont.Face7x13, Dot: fixed.P(x, y)}
	d.DrawString(s)
}

func (c *pngCanvas) encode(w *bufio.Writer) error { return png.Encode(w, c.img) }

// An svgCanvas writes elements. The title of a rectangle shows when the mouse is over it.
type svgCanvas struct {
	b    strings.Builder
	open bool // the last rectangle's element is not closed yet
}

func newSVGCanvas(width, height int) *svgCanvas {
	c := &svgCanvas{}
	fmt.Fprintf(&c.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="monospace" font-size="12">`+"\n", width, height)
	c.rect(0, 0, width, height, 0xffffff)
	return c
}

func (c *svgCanvas) rect(x, y, w, h int, color uint32) {
	c.end()
	fmt.Fprintf(&c.b, `<rect x="%d" y="%d" width="%d" height="%d" fill="#%06x"`, x, y, w, h, color)
	c.open = true
}

func (c *svgCanvas) title(text string) {
	fmt.Fprintf(&c.b, "><title>%s</title></rect>\n", html.EscapeString(text))
	c.open = false
}

// end closes a rectangle without a title.
func (c *svgCanvas) end() {
	if c.open {
		c.b.WriteString("/>\n")
		c.open = false
	}
}

func (c *svgCanvas) text(x, y int, s string) {
	c.end()
	fmt.Fprintf(&c.b, `<text x="%d" y="%d" fill="#222222">%s</text>`+"\n", x, y, html.EscapeString(s))
}

func (c *svgCanvas) encode(w *bufio.Writer) error {
	c.end()
	_, err := w.WriteString(c.b.String() + "</svg>\n")
	return err
}
