package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"mmdb"
)

// pageKinds are the kinds in the order in which they are shown, each with its
// character in the map, its color there (of the 256 of terminals), and in a picture (red, green, blue).
// The colors can be told apart by those who see few of them.
var pageKinds = []struct {
	name  string
	mark  byte
	color uint8
	rgb   uint32
}{
	{metaKind, 'M', 15, 0x222222}, {"branch", 'B', 208, 0xd55e00}, {"leaf", '#', 75, 0x0072b2}, {"overflow", 'o', 36, 0x009e73},
	{"record", 'r', 175, 0xcc79a7}, {freeKind, '.', 244, 0xdddddd}, {pendingKind, ':', 227, 0xe6c800}, {unknownKind, '?', 196, 0xff0000},
}

// Kinds of pages that have no page header to look at. The unknown ones are damaged.
const (
	metaKind    = "meta"
	freeKind    = "free"
	pendingKind = "pending"
	unknownKind = "unknown"
)

// pageRun is one page or run in JSON.
type pageRun struct {
	Page     uint64 `json:"page"`
	Pages    int    `json:"pages"`
	Kind     string `json:"kind"`
	Tree     uint64 `json:"tree,omitempty"`
	Level    int    `json:"level,omitempty"`
	Born     uint64 `json:"born,omitempty"`
	Died     uint64 `json:"died,omitempty"` // pending pages: the commit that freed them
	Keys     int    `json:"keys,omitempty"`
	Used     int    `json:"used,omitempty"`     // bytes
	Capacity int    `json:"capacity,omitempty"` // bytes
	Problem  string `json:"problem,omitempty"`  // why the kind is unknown
}

// kindTotal sums the pages of one kind. Used and Capacity are bytes.
type kindTotal struct {
	Kind     string `json:"kind"`
	Runs     int    `json:"runs"`
	Pages    uint64 `json:"pages"`
	Bytes    uint64 `json:"bytes"`
	Used     int64  `json:"used"`
	Capacity int64  `json:"capacity"`
}

func newPages(a *app) *cobra.Command {
	var list, picture bool
	cmd := &cobra.Command{
		Use:   "pages FILE",
		Short: "Summarise all pages by kind, list them, or draw a map of the file",
		Long: `Summarise all pages of the file by kind; with --list one line a page or run,
with --map a picture of the file. Free pages hold no data of the current state
(deleted data may still be in them); pending ones will be free when no snapshot
needs them any more.`,
		Example: `  mmdb pages app.mmdb
  mmdb pages app.mmdb --list | grep pending`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if list && picture {
				return usagef("either --list or --map")
			}
			return a.view(args[0], func(tx *mmdb.Tx) error {
				switch {
				case list:
					return a.pageList(tx)
				case picture && !a.json:
					return a.pageMap(tx)
				}
				return a.pageTotals(tx)
			})
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "one line for each page or run")
	cmd.Flags().BoolVar(&picture, "map", false, "draw where the kinds of pages are in the file")
	return cmd
}

// eachPage calls fn for every page or run of the file in address order. Pages that fail their checks are of
// unknown kind; how many there were is an error at the end.
func (a *app) eachPage(tx *mmdb.Tx, fn func(p mmdb.PageInfo) error) error {
	bad := 0
	bar := a.bar("reading pages", int64(tx.Info().HighWater), false)
	defer bar.done()
	for p, err := range tx.Pages() {
		if err == nil {
			err = a.interrupted()
		}
		if err == nil {
			err = fn(p)
		}
		if err != nil {
			return err
		}
		if p.Kind == unknownKind {
			bad++
		}
		bar.add(int64(p.Run))
	}
	if bad > 0 {
		return foundError{plural(bad, "page is", "pages are") + " damaged (mmdb check says more)"}
	}
	return nil
}

func newPageRun(p mmdb.PageInfo) pageRun {
	return pageRun{
		Page: p.Number, Pages: p.Run, Kind: p.Kind, Tree: p.Tree, Level: p.Level, Born: p.Born, Died: p.Died,
		Keys: p.Keys, Used: p.Used, Capacity: p.Capacity, Problem: p.Problem,
	}
}

func (a *app) pageList(tx *mmdb.Tx) error {
	if a.json {
		return a.eachPage(tx, func(p mmdb.PageInfo) error { return a.printJSON(newPageRun(p)) })
	}
	w := a.table()
	fmt.Fprintf(w, "page\tpages\ttree\tlevel\tborn\tdied\tkeys\tfill\t  kind\n")
	err := a.eachPage(tx, func(p mmdb.PageInfo) error { return printPageRow(w, newPageRun(p)) })
	if flushErr := w.Flush(); flushErr != nil {
		return flushErr
	}
	return err
}

func printPageRow(w io.Writer, p pageRun) error {
	kind := p.Kind
	if p.Problem != "" {
		kind += ": " + visible(p.Problem)
	}
	_, err := fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\n", p.Page, p.Pages, dash(p.Tree),
		dash(p.Level), dash(p.Born), dash(p.Died), dash(p.Keys), percent(p.Used, p.Capacity), kind)
	return err
}

// dash shows a number, or a dash for none.
func dash[T ~int | ~uint64](n T) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// totals sums the pages by kind, in the order of pageKinds.
func (a *app) totals(tx *mmdb.Tx) ([]kindTotal, error) {
	totals := make([]kindTotal, len(pageKinds))
	for i, k := range pageKinds {
		totals[i].Kind = k.name
	}
	pageSize := uint64(tx.Info().PageSize)
	err := a.eachPage(tx, func(p mmdb.PageInfo) error {
		t := &totals[kindIndex(p.Kind)]
		t.Runs++
		t.Pages += uint64(p.Run)
		t.Bytes += uint64(p.Run) * pageSize
		t.Used += int64(p.Used)
		t.Capacity += int64(p.Capacity)
		return nil
	})
	return totals, err
}

// kindIndex returns the place of a kind in pageKinds; strangers count as unknown.
func kindIndex(kind string) int {
	for i, k := range pageKinds {
		if k.name == kind {
			return i
		}
	}
	return len(pageKinds) - 1
}

func (a *app) pageTotals(tx *mmdb.Tx) error {
	totals, err := a.totals(tx)
	var damaged foundError
	if err != nil && !errors.As(err, &damaged) {
		return err
	}
	if printErr := a.printTotals(totals, tx.Info().PageSize); printErr != nil {
		return printErr
	}
	return err
}

func (a *app) printTotals(totals []kindTotal, pageSize int) error {
	if a.json {
		return a.printJSON(map[string]any{"pageSize": pageSize, "kinds": totals})
	}
	var all kindTotal
	for _, t := range totals {
		all.Pages += t.Pages
		all.Runs += t.Runs
		all.Bytes += t.Bytes
	}
	w := a.table()
	fmt.Fprintf(w, "pages\truns\tbytes\tof file\tfill\t  kind\n")
	for _, t := range totals {
		if t.Pages > 0 || t.Kind != unknownKind {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t  %s\n", count(t.Pages), count(t.Runs), count(t.Bytes),
				percent(t.Bytes, all.Bytes), percent(t.Used, t.Capacity), t.Kind)
		}
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t\t\t  all\n", count(all.Pages), count(all.Runs), count(all.Bytes))
	return w.Flush()
}
