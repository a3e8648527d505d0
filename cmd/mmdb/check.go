package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"mmdb"
)

// checkProblem and checkResult are the lines of "mmdb check" in JSON.
type checkProblem struct {
	Page   uint64 `json:"page"`
	Path   string `json:"path,omitempty"`
	Reason string `json:"reason"`
}

type checkResult struct {
	OK       bool    `json:"ok"`
	Problems int     `json:"problems"`
	Pages    uint64  `json:"pages"`
	Seconds  float64 `json:"seconds"`
}

func newCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Verify every page: checksums, structure, order, counts, free space",
		Long: `Verify the whole database: checksum and structure of every page, the order of
keys, counts, and that every page is used exactly once or free. It goes on
after the first problem and prints each with its page and the way to it from
the root: page numbers, and the names of buckets in quotes. The exit status is
4 when there are problems.`,
		Example: `  mmdb check app.mmdb
  mmdb check app.mmdb --json | tail -n 1`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.view(args[0], func(tx *mmdb.Tx) error { return a.check(args[0], tx) })
		},
	}
}

func (a *app) check(path string, tx *mmdb.Tx) error {
	start := time.Now()
	result := checkResult{Pages: tx.Info().HighWater}
	err := a.eachProblem(tx, func(problem error) {
		result.Problems++
		a.printProblem(newProblem(problem))
		a.out.Flush() // a long check says at once what it has found
	})
	if err != nil {
		return err
	}
	result.OK = result.Problems == 0
	result.Seconds = time.Since(start).Seconds()
	return a.checkDone(path, result)
}

// eachProblem checks the whole database, calls fn for each problem, and shows how far it is.
func (a *app) eachProblem(tx *mmdb.Tx, fn func(problem error)) error {
	bar := a.bar("checking", int64(tx.Info().HighWater), false)
	defer bar.done()
	report := func(done, _ uint64) bool {
		bar.set(int64(done))
		return a.interrupted() == nil
	}
	for problem := range tx.CheckProgress(report) {
		if err := a.interrupted(); err != nil {
			return err
		}
		bar.clear()
		fn(problem)
	}
	return a.interrupted()
}

// checkDone prints the result. The status tells of the problems even when
// nobody reads the output any more.
func (a *app) checkDone(path string, r checkResult) error {
	if a.json {
		_ = a.printJSON(r)
	}
	if r.OK {
		if !a.json {
			a.printf("%s: no problems in %s, %.2f s\n", visible(path), plural(r.Pages, "page", "pages"), r.Seconds)
		}
		return nil
	}
	a.out.Flush()
	return foundError{path + ": " + plural(r.Problems, "problem", "problems") + " found"}
}

func newProblem(err error) checkProblem {
	var c *mmdb.CorruptError
	if errors.As(err, &c) {
		return checkProblem{uint64(c.Page), c.Path, c.Reason}
	}
	return checkProblem{Reason: err.Error()}
}

func (a *app) printProblem(p checkProblem) {
	if a.json {
		_ = a.printJSON(p)
		return
	}
	where := ""
	if p.Path != "" {
		where = " (" + visible(p.Path) + ")"
	}
	a.printf("page %d%s: %s\n", p.Page, where, visible(p.Reason))
}
