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
	Keys          int       `json:"keys"`          // with a value
	Buckets       int       `json:"buckets"`       // nested ones
	InlineBuckets int       `json:"inlineBuckets"` // of them, those inside their parent's page
	Depth         int       `json:"depth"`         // of the deepest tree of a bucket
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
		Long: `Count keys, buckets and pages of the whole database, or of one bucket with all
that is nested in it, and show how full the pages are.`,
		Example: `  mmdb stats app.mmdb
  mmdb stats app.mmdb users/by-name`,
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
				v, err := a.collectStats(path, b)
				if err != nil {
					return err
				}
				return a.stats(v)
			})
		},
	}
}

// collectStats sums the figures of the bucket b at path and of all that is nested in it.
func (a *app) collectStats(path bucketPath, b *mmdb.Bucket) (treeStats, error) {
	v := treeStats{Bucket: path.String()}
	if len(path) == 0 {
		v.add(b.Stats())
	}
	err := walkBuckets(b, path, func(_ bucketPath, b *mmdb.Bucket) error {
		v.add(b.Stats())
		return a.interrupted()
	})
	v.Total = v.Branch.plus(v.Leaf).plus(v.Overflow)
	return v, err
}

// add adds the figures of one bucket. A small one inside its parent's page adds only its keys.
func (v *treeStats) add(s mmdb.BucketStats) {
	v.Keys += s.Keys - s.Buckets
	v.Buckets += s.Buckets
	v.InlineBuckets += s.InlineBuckets
	v.Depth = max(v.Depth, s.Depth)
	v.Branch = v.Branch.plus(kindStats{s.BranchPages, s.BranchUsed, s.BranchAlloc})
	v.Leaf = v.Leaf.plus(kindStats{s.LeafPages, s.LeafUsed, s.LeafAlloc})
	v.Overflow = v.Overflow.plus(kindStats{s.OverflowPages, s.OverflowUsed, s.OverflowAlloc})
}

func (k kindStats) plus(o kindStats) kindStats {
	return kindStats{k.Pages + o.Pages, k.Used + o.Used, k.Alloc + o.Alloc}
}

// fill is how full the pages are, in percent.
func (k kindStats) fill() string { return percent(k.Used, k.Alloc) }

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
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t  %s\n", count(k.Pages), count(k.Alloc), count(k.Used), k.fill(), name)
	}
	row("branch", v.Branch)
	row("leaf", v.Leaf)
	row("overflow", v.Overflow)
	row("all", v.Total)
	return w.Flush()
}
