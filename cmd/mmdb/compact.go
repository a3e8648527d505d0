package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mmdb"
)

// compactResult is what "mmdb compact" did, in JSON.
type compactResult struct {
	File    string  `json:"file"`
	Before  int64   `json:"before"` // bytes
	After   int64   `json:"after"`
	Moved   uint64  `json:"moved"` // pages
	Seconds float64 `json:"seconds"`
}

func newCompact(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "compact FILE",
		Short: "Make the file as small as what is in it, where it is",
		Long: `Move what stands at the end of FILE to free places further ahead, and cut the
file. Programs may use it meanwhile. Each step is a durable transaction: a crash
or an interrupt leaves a sound file, and another call does the rest.

Pages that an open read transaction sees are not given back before it ends: see
"mmdb readers". Pages do not get fuller: "mmdb backup --compact" writes them
anew.`,
		Example: `  mmdb compact app.mmdb`,
		Args:    exactly(1),
		RunE:    func(_ *cobra.Command, args []string) error { return a.compact(args[0]) },
	}
}

func (a *app) compact(path string) error {
	start := time.Now()
	if err := existing(path); err != nil {
		return err
	}
	db, done, err := a.openToWrite(path, false)
	if err != nil {
		return err
	}
	result := compactResult{File: path}
	if err := done(a.compactDB(path, db, &result)); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil {
		result.After = info.Size() // Close has cut it too
	}
	result.Seconds = time.Since(start).Seconds()
	if a.json {
		return a.printJSON(result)
	}
	a.printf("%s: %s before, %s now, %s moved, %.2f s\n", visible(path), size(result.Before), size(result.After),
		plural(int(result.Moved), "page", "pages"), result.Seconds)
	return nil
}

// compactDB compacts db. Another process's write transaction that is open at the begin is waited for as long as for a file in use.
func (a *app) compactDB(path string, db *mmdb.DB, result *compactResult) error {
	if err := a.updateDB(path, db, func(*mmdb.Tx) error { return nil }); err != nil {
		return viewError(path, err)
	}
	steps := stepBars{a: a}
	defer steps.end()
	r, err := db.Compact(a.ctx, mmdb.CompactOptions{Progress: steps.set})
	result.Before, result.Moved = r.Before, r.Moved
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return viewError(path, err)
}
