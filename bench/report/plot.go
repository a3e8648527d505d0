package report

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Sizes of the plot.
const (
	plotWidth  = 9 * vg.Inch
	plotRow    = 0.24 * vg.Inch
	plotMargin = 1.6 * vg.Inch
)

// colours of engines, which can be told apart without seeing red and green.
var colours = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff},
	color.RGBA{0xcc, 0x79, 0xa7, 0xff}, color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0x56, 0xb4, 0xe9, 0xff},
	color.RGBA{0x55, 0x55, 0x55, 0xff}, color.RGBA{0x00, 0x00, 0x00, 0xff},
}

// shapes of engines' points.
var shapes = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{},
	draw.CrossGlyph{}, draw.PlusGlyph{},
}

// Plot draws a line for each row and a point for each engine: its median divided by base's, on a logarithmic scale, with a bar from least
// to greatest. Left of 1 is better than base. The path's ending chooses the format: .svg, .png, .pdf.
func (r *Report) Plot(path, base string) error {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("time or space compared with %s (left is better)", base)
	p.X.Label.Text = fmt.Sprintf("%s, %d cores; %d items; median, least and greatest of %d", r.Machine.CPU, r.Machine.Cores, r.Settings.Items,
		r.Settings.Repeat)
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ratioTicks{}
	p.Legend.Top, p.Legend.Left = true, false
	p.Add(plotter.NewGrid())
	rows := r.plotRows(base)
	if len(rows) == 0 {
		return fmt.Errorf("nothing to plot: no row with a figure of %s", base)
	}
	low, high := 0.5, 2.0
	for i, e := range r.Engines {
		points := r.points(rows, e.Label, base)
		if len(points.XYs) == 0 {
			continue
		}
		if err := addPoints(p, points, e.Label, i); err != nil {
			return err
		}
		for _, xy := range points.XYs {
			low, high = min(low, xy.X), max(high, xy.X)
		}
	}
	names := make([]string, len(rows))
	for i, row := range rows {
		names[len(rows)-1-i] = row
	}
	p.NominalY(names...)
	p.X.Min, p.X.Max = low/1.3, high*1.3
	p.Y.Min, p.Y.Max = -0.7, float64(len(rows))-0.3
	return p.Save(plotWidth, plotMargin+plotRow*vg.Length(len(rows)), path)
}

// plotRows returns the rows in which base has a figure.
func (r *Report) plotRows(base string) (rows []string) {
	for _, row := range r.rows() {
		if c, ok := r.cell(row, base); ok && c.Median() > 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

// ratios are an engine's points with bars.
type ratios struct {
	plotter.XYs
	plotter.XErrors
}

// points collects an engine's ratios. The first row is the topmost.
func (r *Report) points(rows []string, label, base string) (p ratios) {
	for i, row := range rows {
		own, _ := r.cell(row, base)
		c, ok := r.cell(row, label)
		if !ok || c.Median() <= 0 {
			continue
		}
		middle, low, high := c.Median()/own.Median(), math.Inf(1), 0.0
		for _, v := range c.Values {
			low, high = min(low, v/own.Median()), max(high, v/own.Median())
		}
		p.XYs = append(p.XYs, plotter.XY{X: middle, Y: float64(len(rows) - 1 - i)})
		p.XErrors = append(p.XErrors, struct{ Low, High float64 }{middle - low, high - middle})
	}
	return p
}

// addPoints draws an engine.
func addPoints(p *plot.Plot, points ratios, label string, number int) error {
	scatter, err := plotter.NewScatter(points.XYs)
	if err != nil {
		return err
	}
	bars, err := plotter.NewXErrorBars(points)
	if err != nil {
		return err
	}
	scatter.Color = colours[number%len(colours)]
	scatter.Shape = shapes[number%len(shapes)]
	scatter.Radius = vg.Points(3.5)
	bars.Color = scatter.Color
	p.Add(bars, scatter)
	p.Legend.Add(label, scatter)
	return nil
}

// ratioTicks marks 1, 2, 5, 10 and so on, both ways.
type ratioTicks struct{}

// Ticks implements plot.Ticker.
func (ratioTicks) Ticks(low, high float64) (ticks []plot.Tick) {
	for power := math.Pow(10, math.Floor(math.Log10(low))); power <= high; power *= 10 {
		for _, digit := range []float64{1, 2, 5} {
			if x := power * digit; x >= low && x <= high {
				ticks = append(ticks, plot.Tick{Value: x, Label: fmt.Sprintf("%.3g", x)})
			}
		}
	}
	return ticks
}
