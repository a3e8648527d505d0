package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"mmdb"
	"mmdb/page"
)

// treeShape is the shape of one bucket's tree, in JSON.
type treeShape struct {
	Bucket string      `json:"bucket"`
	Keys   uint64      `json:"keys"`
	Depth  int         `json:"depth"`                // 0: the bucket is inline in its parent, or the root in the meta
	Inline bool        `json:"inlineRoot,omitempty"` // the root, above these levels, is a branch in the parent's page or the meta
	Levels []treeLevel `json:"levels"`               // of pages, from the root down
}

// treeLevel sums the pages of one level.
type treeLevel struct {
	Level    int        `json:"level"` // 0 are the leaves
	Pages    uint64     `json:"pages"`
	Cells    uint64     `json:"cells"`    // children, or keys
	Used     uint64     `json:"used"`     // bytes
	Capacity uint64     `json:"capacity"` // bytes
	Fill     [10]uint64 `json:"fill"`     // pages that are up to 10 % full, up to 20 %, ...
}

func newTree(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "tree FILE [BUCKET]",
		Short: "Show the shape of the trees: pages and fill of each level",
		Long: `Show for every bucket how many pages each level of its tree has, from the root
down, and how full they are. A small root is inline: it has no page, and stands
inside the page of the bucket's parent, or that of the top level in the meta.
With BUCKET the levels of that bucket's own tree: pages, cells (children of a
branch, keys of a leaf), fill, and how many pages are up to 10 %, 20 %, ...
100 % full. A scan reads the leaves, a get one page a level.`,
		Example: `  mmdb tree app.mmdb
  mmdb tree app.mmdb users
  mmdb tree app.mmdb --json`,
		Args: between(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := pathArg(args, 1)
			if err != nil {
				return err
			}
			return a.view(args[0], func(tx *mmdb.Tx) error {
				if len(path) > 0 && !a.json {
					return a.treeOf(tx, path)
				}
				return a.trees(tx, path)
			})
		},
	}
}

// trees prints a line for the bucket at path and each nested in it.
func (a *app) trees(tx *mmdb.Tx, path bucketPath) error {
	b, err := path.find(tx)
	if err != nil {
		return err
	}
	w := a.table()
	if !a.json {
		fmt.Fprintf(w, "keys\tpages of each level\tfill\t  bucket\n")
	}
	line := func(path bucketPath, b *mmdb.Bucket) error {
		s, err := a.shapeOf(tx, path, b)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(s)
		}
		return printShape(w, s)
	}
	if len(path) == 0 {
		if err := line(path, b); err != nil {
			return err
		}
	}
	if err := walkBuckets(b, path, line); err != nil {
		return err
	}
	return w.Flush()
}

func printShape(w *tabwriter.Writer, s treeShape) error {
	var pages, fill []string
	for _, l := range s.Levels {
		pages = append(pages, count(l.Pages))
		fill = append(fill, fmt.Sprintf("%.0f%%", 100*float64(l.Used)/float64(max(l.Capacity, 1))))
	}
	if s.Depth == 0 || s.Inline {
		pages, fill = append([]string{"inline"}, pages...), append([]string{"-"}, fill...)
	}
	_, err := fmt.Fprintf(w, "%s\t%s\t%s\t  %s\n", count(s.Keys), strings.Join(pages, " > "), strings.Join(fill, " > "), s.Bucket)
	return err
}

// treeOf prints the levels of one bucket.
func (a *app) treeOf(tx *mmdb.Tx, path bucketPath) error {
	b, err := path.find(tx)
	if err != nil {
		return err
	}
	s, err := a.shapeOf(tx, path, b)
	if err != nil {
		return err
	}
	a.printf("bucket  %s\nkeys    %s\ndepth   %d\n", s.Bucket, count(s.Keys), s.Depth)
	if s.Depth == 0 {
		a.printf("\nIt is stored inside its parent's page.\n")
		return nil
	}
	if s.Inline {
		a.printf("\nThe root is a branch inside its parent's page.\n")
	}
	a.printf("\n")
	w := a.table()
	fmt.Fprintf(w, "level\tpages\tcells\tper page\tfill\t10%%\t20%%\t30%%\t40%%\t50%%\t60%%\t70%%\t80%%\t90%%\t100%%\t\n")
	for _, l := range s.Levels {
		fmt.Fprintf(w, "%d\t%s\t%s\t%.1f\t%s\t", l.Level, count(l.Pages), count(l.Cells), float64(l.Cells)/float64(l.Pages), percent(l.Used, l.Capacity))
		for _, n := range l.Fill {
			fmt.Fprintf(w, "%s\t", dashCount(n))
		}
		fmt.Fprintf(w, "\n")
	}
	return w.Flush()
}

func dashCount(n uint64) string {
	if n == 0 {
		return "-"
	}
	return count(n)
}

// shapeOf walks the pages of one bucket's own tree.
func (a *app) shapeOf(tx *mmdb.Tx, path bucketPath, b *mmdb.Bucket) (treeShape, error) {
	if err := a.interrupted(); err != nil {
		return treeShape{}, err
	}
	s := treeShape{Bucket: path.String(), Keys: b.Len(), Levels: []treeLevel{}}
	w := treeWalk{a: a, tx: tx, salt: tx.Info().Salt, pageSize: tx.Info().PageSize}
	switch body, level := b.InlineRoot(); {
	case b.Root() != 0:
		if err := w.page(b.Root(), -1); err != nil {
			return s, err
		}
	case level > 0:
		s.Inline = true
		if err := w.children(page.Branch(body), level); err != nil {
			return s, err
		}
	}
	for i := len(w.levels) - 1; i >= 0; i-- {
		s.Levels = append(s.Levels, w.levels[i])
	}
	s.Depth = len(s.Levels)
	return s, nil
}

// A treeWalk visits the pages of a tree, each verified before it is read.
type treeWalk struct {
	a        *app
	tx       *mmdb.Tx
	salt     uint64
	pageSize int
	levels   []treeLevel // by level
}

// page visits page no, which is of the level, and what is below it; -1 is a root.
func (w *treeWalk) page(no uint64, level int) error {
	if err := w.a.interrupted(); err != nil {
		return err
	}
	b, err := w.tx.PageBytes(no)
	if err != nil {
		return err
	}
	if err := page.Verify(b, w.pageSize, page.No(no), w.salt); err != nil {
		return err
	}
	kind, lv := page.KindOf(b), int(page.Level(b))
	if level >= 0 && lv != level || kind != page.KindBranch && kind != page.KindLeaf {
		return page.Corruptf(page.No(no), "kind %d of level %d, where level %d of a tree should be", kind, lv, level)
	}
	if lv == 0 {
		l := page.Leaf(page.Body(b))
		w.add(lv, l.Count(), l.Used(), l.Capacity())
		return nil
	}
	br := page.Branch(page.Body(b))
	w.add(lv, br.Count(), br.Used(), br.Capacity())
	return w.children(br, lv)
}

// children visits the pages that a branch of that level refers to.
func (w *treeWalk) children(br page.Branch, level int) error {
	for i := range br.Count() {
		if err := w.page(uint64(br.Child(i).Page()), level-1); err != nil {
			return err
		}
	}
	return nil
}

// add counts one page.
func (w *treeWalk) add(level, cells, used, capacity int) {
	for len(w.levels) <= level {
		w.levels = append(w.levels, treeLevel{Level: len(w.levels)})
	}
	l := &w.levels[level]
	l.Pages++
	l.Cells += uint64(cells)
	l.Used += uint64(used)
	l.Capacity += uint64(capacity)
	l.Fill[min(max(used*10-1, 0)/capacity, 9)]++
}
