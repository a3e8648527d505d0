package report

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// Format shows a value in a handy unit.
func Format(value float64, unit string) string {
	steps := []struct {
		size float64
		name string
	}{{1, "ns"}, {1e3, "µs"}, {1e6, "ms"}, {1e9, "s"}}
	if unit == "bytes" {
		steps[0].name, steps[1].size, steps[1].name = "B", 1<<10, "KiB"
		steps[2].size, steps[2].name, steps[3].size, steps[3].name = 1<<20, "MiB", 1<<30, "GiB"
	}
	s := steps[0]
	for _, t := range steps[1:] {
		if value >= t.size {
			s = t
		}
	}
	x := value / s.size
	digits := max(0, 2-int(math.Floor(math.Log10(max(x, 0.01)))))
	return fmt.Sprintf("%.*f %s", min(digits, 2), x, s.name)
}

// rows returns the names of the rows in order.
func (r *Report) rows() (names []string) {
	seen := map[string]bool{}
	for _, res := range r.Results {
		if name := res.Row(); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// cell finds a result.
func (r *Report) cell(row, label string) (Result, bool) {
	for _, res := range r.Results {
		if res.Engine == label && res.Row() == row {
			return res, true
		}
	}
	return Result{}, false
}

// Table writes a Markdown table: for each row and engine the median, least and greatest value, and base's median divided by the
// other engine's: how much of its time or space base takes.
func (r *Report) Table(w io.Writer, base string) error {
	head := []string{"", base}
	for _, e := range r.Engines {
		if e.Label != base {
			head = append(head, e.Label, base+" ÷ "+e.Label)
		}
	}
	lines := [][]string{head}
	for _, row := range r.rows() {
		own, _ := r.cell(row, base)
		line := []string{row, own.show()}
		for _, e := range r.Engines {
			if e.Label == base {
				continue
			}
			other, _ := r.cell(row, e.Label)
			line = append(line, other.show(), ratio(own, other))
		}
		lines = append(lines, line)
	}
	return writeTable(w, lines)
}

// show is the text of a cell.
func (r Result) show() string {
	if len(r.Values) == 0 {
		if r.Note != "" {
			return "n/a"
		}
		return "–"
	}
	text := Format(r.Median(), r.Unit)
	if len(r.Values) > 1 {
		low, high := r.Values[0], r.Values[0]
		for _, v := range r.Values {
			low, high = min(low, v), max(high, v)
		}
		text += fmt.Sprintf(" (%s … %s)", Format(low, r.Unit), Format(high, r.Unit))
	}
	return text
}

// ratio is a's median divided by b's.
func ratio(a, b Result) string {
	if len(a.Values) == 0 || len(b.Values) == 0 || b.Median() == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", a.Median()/b.Median())
}

// writeTable writes Markdown with columns of even width.
func writeTable(w io.Writer, lines [][]string) error {
	width := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	rule := make([]string, len(width))
	for i, n := range width {
		rule[i] = strings.Repeat("-", max(n-1, 2)) + ":"
	}
	rule[0] = strings.Repeat("-", max(width[0], 3))
	lines = append([][]string{lines[0], rule}, lines[1:]...)
	for _, line := range lines {
		var b strings.Builder
		for i, cell := range line {
			pad := strings.Repeat(" ", width[i]-min(width[i], len([]rune(cell))))
			if i == 0 {
				b.WriteString("| " + cell + pad + " |")
			} else {
				b.WriteString(" " + pad + cell + " |")
			}
		}
		if _, err := fmt.Fprintln(w, b.String()); err != nil {
			return err
		}
	}
	return nil
}

// Notes writes the machine, the settings, and what is not available and why.
func (r *Report) Notes(w io.Writer) error {
	m := r.Machine
	lines := []string{
		fmt.Sprintf("%s, %d cores, %s of memory; %s; %s; %s; %s", m.CPU, m.Cores, Format(float64(m.Memory), "bytes"), m.Kernel, m.FileSystem,
			m.GoVersion, m.Time),
		fmt.Sprintf("load average %s before, %s after; mmdb revision %s", m.LoadBefore, m.LoadAfter, m.Revision),
		fmt.Sprintf("%d items, values of %d bytes, loaded in %s order; medians of %d (least … greatest); seed %d",
			r.Settings.Items, r.Settings.ValueBytes, r.Settings.Loaded, r.Settings.Repeat, r.Settings.Seed),
	}
	for _, e := range r.Engines {
		lines = append(lines, e.Label+": "+e.Settings)
	}
	for _, res := range r.Results {
		if res.Note != "" {
			lines = append(lines, "n/a: "+res.Note)
		}
	}
	_, err := fmt.Fprintln(w, "* "+strings.Join(lines, "\n* "))
	return err
}
