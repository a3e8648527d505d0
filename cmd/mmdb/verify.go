package main

import (
	"time"

	"github.com/spf13/cobra"

	"mmdb"
)

// verifyResult is the last line of "mmdb verify" in JSON; problems come before it, as check prints them.
type verifyResult struct {
	OK       bool    `json:"ok"`
	Problems int     `json:"problems"`
	Commit   uint64  `json:"commit"`
	Buckets  uint64  `json:"buckets"`
	Keys     uint64  `json:"keys"`  // nested buckets not counted
	Bytes    uint64  `json:"bytes"` // of keys and values
	Pages    uint64  `json:"pages"`
	Seconds  float64 `json:"seconds"`
}

func newVerify(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "verify BACKUP",
		Short: "Check a backup: every page, then every key and value",
		Long: `Check every page of a backup as check does, then read every key and value of
it, and say what it holds. It is the test whether a restore will work, short of
the program that uses the data. The exit status is 4 when there are problems.`,
		Example: `  mmdb verify /backups/app-2026-11-21.mmdb
  mmdb verify --json last.mmdb | tail -n 1`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.view(args[0], func(tx *mmdb.Tx) error { return a.verify(args[0], tx) })
		},
	}
}

func (a *app) verify(path string, tx *mmdb.Tx) error {
	start := time.Now()
	in := tx.Info()
	r := verifyResult{Commit: in.Commit, Pages: in.HighWater}
	err := a.eachProblem(tx, func(problem error) {
		r.Problems++
		a.printProblem(newProblem(problem))
		a.out.Flush()
	})
	if err != nil {
		return err
	}
	if r.Problems == 0 {
		bar := a.bar("reading keys", -1, false)
		defer bar.done()
		if err := a.readAll(rootBucket(tx), &r, bar); err != nil {
			return err
		}
		bar.done()
		if err := tx.Err(); err != nil {
			return err
		}
	}
	r.OK, r.Seconds = r.Problems == 0, time.Since(start).Seconds()
	if a.json {
		_ = a.printJSON(r)
	}
	if !r.OK {
		a.out.Flush()
		return foundError{path + ": " + plural(r.Problems, "problem", "problems") + " found"}
	}
	if !a.json {
		a.printf("%s: sound, commit %d: %s, %s, %s of data in %s, %.2f s\n", visible(path), r.Commit,
			plural(r.Buckets, "bucket", "buckets"), plural(r.Keys, "key", "keys"), size(r.Bytes), plural(r.Pages, "page", "pages"), r.Seconds)
	}
	return nil
}

// readAll counts what b and the buckets in it hold.
func (a *app) readAll(b *mmdb.Bucket, r *verifyResult, bar *progress) error {
	for k, v := range b.All() {
		if v == nil {
			r.Buckets++
			if sub := b.Bucket(k); sub != nil {
				if err := a.readAll(sub, r, bar); err != nil {
					return err
				}
			}
			continue
		}
		r.Keys++
		r.Bytes += uint64(len(k) + len(v))
		if r.Keys%4096 == 0 {
			bar.set(int64(r.Keys))
			if err := a.interrupted(); err != nil {
				return err
			}
		}
	}
	return nil
}
