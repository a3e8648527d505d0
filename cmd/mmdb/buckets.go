package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"mmdb"
)

// bucketInfo is one line of "mmdb buckets" in JSON.
type bucketInfo struct {
	Bucket   string `json:"bucket"`
	Keys     uint64 `json:"keys"` // its own, nested buckets count as one each
	Sequence uint64 `json:"sequence"`
	Root     uint64 `json:"root"` // page number, 0 when the bucket is inline in its parent
}

func newBuckets(a *app) *cobra.Command {
	var depth int
	cmd := &cobra.Command{
		Use:   "buckets FILE [BUCKET]",
		Short: "List the buckets with their keys, sequence and root page",
		Long: `List the buckets of the file, or BUCKET and those nested in it, parents first.
A nested bucket counts as one key of its parent. The root is the page of the
bucket's own tree, or "inline" when it is small and lives in its parent's page
or, as that of the top level may, in the meta.`,
		Example: `  mmdb buckets app.mmdb
  mmdb buckets app.mmdb users --depth 1 --json`,
		Args: between(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := pathArg(args, 1)
			if err != nil {
				return err
			}
			if depth < 0 {
				return usagef("--depth is not negative")
			}
			return a.view(args[0], func(tx *mmdb.Tx) error { return a.buckets(tx, path, depth) })
		},
	}
	cmd.Flags().IntVar(&depth, "depth", 0, "list only so many levels (0: all)")
	return cmd
}

func (a *app) buckets(tx *mmdb.Tx, path bucketPath, depth int) error {
	b, err := path.find(tx)
	if err != nil {
		return err
	}
	w := a.table()
	if !a.json {
		fmt.Fprintf(w, "keys\tsequence\troot\t  bucket\n")
	}
	err = walkBuckets(b, path, func(sub bucketPath, b *mmdb.Bucket) error {
		if depth > 0 && len(sub)-len(path) > depth {
			return errSkip
		}
		if err := a.interrupted(); err != nil {
			return err
		}
		return a.printBucket(w, bucketInfo{sub.String(), b.Len(), b.Sequence(), b.Root()})
	})
	if err != nil || a.json {
		return err
	}
	return w.Flush()
}

func (a *app) printBucket(w *tabwriter.Writer, v bucketInfo) error {
	if a.json {
		return a.printJSON(v)
	}
	root := "inline"
	if v.Root != 0 {
		root = fmt.Sprint(v.Root)
	}
	_, err := fmt.Fprintf(w, "%s\t%s\t%s\t  %s\n", count(v.Keys), count(v.Sequence), root, v.Bucket)
	return err
}
