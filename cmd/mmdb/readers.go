package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"mmdb"
)

// readerRow is a line of "mmdb readers" in JSON.
type readerRow struct {
	Process int     `json:"process"`
	Commit  uint64  `json:"commit"`
	Behind  uint64  `json:"behind"`          // commit numbers
	Stale   float64 `json:"stale,omitempty"` // seconds since it was first seen behind
	Held    uint64  `json:"held"`            // pages
	Bytes   uint64  `json:"heldBytes"`
}

func newReaders(a *app) *cobra.Command {
	var clear bool
	cmd := &cobra.Command{
		Use:   "readers FILE",
		Short: "List the open read transactions and what they hold back",
		Long: `List the read transactions that other programs have open on FILE, the oldest
first: the number of the process, the commit that it sees, how many numbers the
newest commit is ahead, since when a writer has known it to be behind, and the
pages that it holds back: they will be used again when it ends. An old reader
costs space and nothing else.

The readers of processes that have died are forgotten, as writers do it every
few seconds: they hold nothing back. --clear says how many processes that were.`,
		Example: `  mmdb readers app.mmdb
  mmdb readers app.mmdb --clear --json`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.viewDB(args[0], func(db *mmdb.DB) error {
				if clear {
					if err := a.clearReaders(db); err != nil {
						return err
					}
				}
				return a.readers(db)
			})
		},
	}
	cmd.Flags().BoolVar(&clear, "clear", false, "say how many dead processes were forgotten")
	return cmd
}

// clearedRow is the first line of "mmdb readers --clear" in JSON.
type clearedRow struct {
	Cleared int `json:"cleared"` // dead processes whose readers were forgotten
}

// clearReaders forgets the readers of dead processes, and says how many of those there were.
func (a *app) clearReaders(db *mmdb.DB) error {
	dead, err := db.ReapReaders()
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(clearedRow{dead})
	}
	a.printf("%s cleared\n", plural(dead, "dead process", "dead processes"))
	return nil
}

func (a *app) readers(db *mmdb.DB) error {
	pageSize := 0
	if err := db.View(func(tx *mmdb.Tx) error { pageSize = tx.Info().PageSize; return nil }); err != nil {
		return err
	}
	list, err := db.Readers()
	if err != nil {
		return err
	}
	if a.json {
		for _, r := range list {
			if err := a.printJSON(newReaderRow(r, pageSize, time.Now())); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		a.printf("nobody reads\n")
		return nil
	}
	w := a.table()
	printReaders(w, list, pageSize, time.Now())
	return w.Flush()
}

func newReaderRow(r mmdb.ReaderInfo, pageSize int, now time.Time) readerRow {
	row := readerRow{Process: r.Process, Commit: r.Commit, Behind: r.Behind, Held: r.Held, Bytes: r.Held * uint64(pageSize)}
	if !r.Since.IsZero() {
		row.Stale = now.Sub(r.Since).Seconds()
	}
	return row
}

// printReaders prints the rows of a table.
func printReaders(w io.Writer, list []mmdb.ReaderInfo, pageSize int, now time.Time) {
	fmt.Fprintf(w, "process\tcommit\tbehind\tstale for\tholds back\t\n")
	for _, r := range list {
		stale := "-"
		if !r.Since.IsZero() {
			stale = now.Sub(r.Since).Round(100 * time.Millisecond).String()
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t\n", r.Process, count(r.Commit), count(r.Behind), stale, shortSize(r.Held*uint64(pageSize)))
	}
}
