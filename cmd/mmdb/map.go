package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mmdb"
)

// mapOptions are the flags of "mmdb map".
type mapOptions struct {
	show  string // kind, fill or age
	out   string // a PNG or SVG file, "" is the terminal
	force bool
}

// What a map shows of each page.
const (
	showKind = "kind"
	showFill = "fill"
	showAge  = "age"
)

func newMap(a *app) *cobra.Command {
	var o mapOptions
	cmd := &cobra.Command{
		Use:   "map FILE",
		Short: "Draw the file page by page: kind, fill, age, free and pending",
		Long: `Draw what every page of the file is, from its start to its end; -o makes a PNG
or SVG picture, in which each page also shows how full it is. A large file has
several neighbouring pages in one character or square: kinds keep their share,
fill is the mean, age that of the newest.

--show kind  the kind of each page
--show fill  how full it is, in tenths: 0 (empty) to 9
--show age   how many commits ago it was written, doubling: 0 is the newest
             commit, 1 one or two before it, 2 three to six, and so on

Free pages are dots, pending ones (free when nothing needs them any more)
colons. --json prints a line for each page or run, as pages --list does.`,
		Example: `  mmdb map app.mmdb
  mmdb map app.mmdb --show age
  mmdb map app.mmdb -o app.svg`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if a.json && o.out != "" {
				return usagef("either --json or a picture")
			}
			return a.view(args[0], func(tx *mmdb.Tx) error {
				switch {
				case a.json:
					return a.pageList(tx)
				case o.out != "":
					return a.mapFile(args[0], tx, o)
				}
				return a.mapText(tx, o.show)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.show, "show", showKind, "kind, fill or age")
	flags.StringVarP(&o.out, "output", "o", "", "draw into this .png or .svg file")
	flags.BoolVar(&o.force, "force", false, "replace an existing output file")
	_ = cmd.RegisterFlagCompletionFunc("show", cobra.FixedCompletions([]string{showKind, showFill, showAge}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *mapOptions) check() error {
	switch o.show {
	case showKind, showFill, showAge:
	default:
		return usagef("--show is kind, fill or age")
	}
	if ext := strings.ToLower(filepath.Ext(o.out)); o.out != "" && ext != ".png" && ext != ".svg" {
		return usagef("%s: the name of a picture ends in .png or .svg", visible(o.out))
	}
	return nil
}

// A mapCell is a page, or a group of neighbouring ones.
type mapCell struct {
	kind           int // in pageKinds
	first, pages   uint64
	used, capacity uint64
	born           uint64 // the newest of pages in use, 0 for none
	tree           uint64 // of the page, where it is one
}

// newMapCells reads the whole file into at most most cells, and returns how many pages one stands for.
func (a *app) newMapCells(tx *mmdb.Tx, most uint64) (cells []mapCell, perCell uint64, err error) {
	pages := tx.Info().HighWater
	perCell = max((pages+most-1)/most, 1)
	cells = make([]mapCell, (pages+perCell-1)/perCell)
	pic := &picture{perCell: perCell, pages: make([]uint64, len(pageKinds)), cells: make([][]uint64, len(cells))}
	for i := range cells {
		cells[i].first, cells[i].pages = uint64(i)*perCell, min(perCell, pages-uint64(i)*perCell)
		pic.cells[i] = make([]uint64, len(pageKinds))
	}
	err = a.eachPage(tx, func(p mmdb.PageInfo) error {
		pic.add(p.Number, uint64(p.Run), kindIndex(p.Kind))
		for no := p.Number; no < p.Number+uint64(p.Run) && no < pages; no++ {
			cells[no/perCell].add(p)
		}
		return nil
	})
	for i, kind := range pic.kinds() {
		cells[i].kind = max(kind, 0)
	}
	return cells, perCell, err
}

// add puts one page of a run into the cell.
func (c *mapCell) add(p mmdb.PageInfo) {
	c.used += uint64(p.Used) / uint64(p.Run)
	c.capacity += uint64(p.Capacity) / uint64(p.Run)
	if p.Kind != pendingKind {
		c.born = max(c.born, p.Born)
	}
	c.tree = p.Tree
}

// fill returns how full the cell is, from 0 to 1; false if it has nothing that can be full.
func (c *mapCell) fill() (float64, bool) {
	if c.capacity == 0 {
		return 0, false
	}
	return min(float64(c.used)/float64(c.capacity), 1), true
}

// age returns the age of the cell at a commit in doublings; false if nothing in it has one.
func (c *mapCell) age(commit uint64) (int, bool) {
	if c.born == 0 || c.born > commit {
		return 0, false
	}
	return int(math.Log2(float64(commit - c.born + 1))), true
}

// mark returns the character of the cell.
func (c *mapCell) mark(show string, commit uint64) byte {
	kind := pageKinds[c.kind]
	switch show {
	case showFill:
		if f, ok := c.fill(); ok {
			return "0123456789"[min(int(f*10), 9)]
		}
	case showAge:
		if n, ok := c.age(commit); ok {
			return ageMarks[min(n, len(ageMarks)-1)]
		}
	}
	return kind.mark
}

// mapText prints the map as characters, as wide as the terminal.
func (a *app) mapText(tx *mmdb.Tx, show string) error {
	width := a.width() - 4
	cells, perCell, err := a.newMapCells(tx, uint64(width*mapTextRows))
	commit := tx.Info().Commit
	color := isTerminal(a.out.file) && os.Getenv("NO_COLOR") == ""
	for i := 0; i < len(cells); i += width {
		a.out.WriteString("  ")
		last := -1
		for j := range cells[i:min(i+width, len(cells))] {
			c := &cells[i+j]
			if color && c.kind != last {
				a.printf("\x1b[38;5;%dm", pageKinds[c.kind].color)
				last = c.kind
			}
			a.out.WriteByte(c.mark(show, commit))
		}
		if color {
			a.out.WriteString("\x1b[m")
		}
		a.out.WriteByte('\n')
	}
	a.printf("\n")
	for _, line := range mapLegend(cells, width, show, commit, color) {
		a.printf("  %s\n", line)
	}
	if perCell > 1 {
		a.printf("  one character is %d pages\n", perCell)
	}
	return err
}

// mapTextRows is the height of a map on the terminal, at most.
const mapTextRows = 24

// mapLegend says what the characters mean, and the colors.
func mapLegend(cells []mapCell, width int, show string, commit uint64, color bool) (lines []string) {
	marks, kinds := map[byte]bool{}, map[int]bool{}
	for i := range cells {
		mark := cells[i].mark(show, commit)
		marks[mark] = true
		if color || mark == pageKinds[cells[i].kind].mark {
			kinds[cells[i].kind] = true
		}
	}
	used := 0
	add := func(item string, shade uint8) {
		if used += 3 + len(item); len(lines) == 0 || used > width {
			lines, used = append(lines, ""), len(item)
		} else {
			lines[len(lines)-1] += "   "
		}
		if color && shade != 0 {
			item = fmt.Sprintf("\x1b[38;5;%dm%s\x1b[m", shade, item)
		}
		lines[len(lines)-1] += item
	}
	for i, k := range pageKinds {
		if kinds[i] {
			add(fmt.Sprintf("%c %s", k.mark, k.name), k.color)
		}
	}
	switch show {
	case showFill:
		add("0 to 9 tenths full", 0)
	case showAge:
		for n, mark := range []byte(ageMarks) {
			if marks[mark] && n == 0 {
				add("0 newest commit", 0)
			} else if marks[mark] {
				add(fmt.Sprintf("%c from %s ago", mark, plural(uint64(1)<<n-1, "commit", "commits")), 0)
			}
		}
	}
	return lines
}

// ageMarks are the characters of ages, by their number of doublings.
const ageMarks = "0123456789abcdefghijklmnopqrstuvwxyz"
