package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mmdb"
)

// treeStats is the JSON form of "mmdb stats": sums over a bucket and all that
// is nested in it.
type treeStats struct {
	Bucket        string    `json:"bucket"`
	Keys          int       `json:"keys"`
	Buckets       int       `json:"buckets"`
	InlineBuckets int       `json:"inlineBuckets"`
	Depth         int       `json:"depth"`
	Branch        kindStats `json:"branch"`
	Leaf          kindStats `json:"leaf"`
	Overflow      kindStats `json:"overflow"`
	Total         kindStats `json:"total"`
}

// kindStats counts the pages of one kind. Used and Alloc are bytes.
type kindStats struct {
	Pages int   `json:"pages"`
	Used  int64 `json:"used"`
	Alloc int64 `json:"alloc"`
}

func newStats(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "stats FILE [BUCKET]",
		Short: "Count keys, buckets and pages, and show how full the pages are",
		Long: `Count keys, buckets and pages of the whole database, or of one bucket with all that
is nested in it, and show how full the pages are.`,
		Args: between(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := pathArg(args, 1)
			if err != nil {
				return err
			}
			return a.view(args[0], func(tx *mmdb.Tx) error {
				b, err := path.find(tx)
				if err != nil {
					return err
				}
				return a.stats(collectStats(path, b.Stats()))
			})
		},
	}
}

func collectStats(path bucketPath, s mmdb.BucketStats) treeStats {
	v := treeStats{
		Bucket: path.String(), Keys: s.Keys, Buckets: s.Buckets, InlineBuckets: s.InlineBuckets, Depth: s.Depth,
		Branch:   kindStats{s.BranchPages, s.BranchUsed, s.BranchAlloc},
		Leaf:     kindStats{s.LeafPages, s.LeafUsed, s.LeafAlloc},
		Overflow: kindStats{s.OverflowPages, s.OverflowUsed, s.OverflowAlloc},
	}
	for _, k := range []kindStats{v.Branch, v.Leaf, v.Overflow} {
		v.Total.Pages += k.Pages
		v.Total.Used += k.Used
		v.Total.Alloc += k.Alloc
	}
	return v
}

func (a *app) stats(v treeStats) error {
	if a.json {
		return a.printJSON(v)
	}
	w := a.list()
	fmt.Fprintf(w, "bucket\t%s\n", v.Bucket)
	fmt.Fprintf(w, "keys\t%s\n", count(v.Keys))
	fmt.Fprintf(w, "buckets\t%s, %s of them inline\n", count(v.Buckets), count(v.InlineBuckets))
	fmt.Fprintf(w, "depth\t%d\n\n", v.Depth)
	if err := w.Flush(); err != nil {
		return err
	}
	w = a.table()
	fmt.Fprintf(w, "pages\tallocated\tused\tfill\t  kind\n")
	row := func(name string, k kindStats) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t  %s\n", count(k.Pages), count(k.Alloc), count(k.Used), percent(k.Used, k.Alloc), name)
	}
	row("branch", v.Branch)
	row("leaf", v.Leaf)
	row("overflow", v.Overflow)
	row("all", v.Total)
	return w.Flush()
}
