package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mmdb"
)

func newDel(a *app) *cobra.Command {
	var bucket bool
	cmd := &cobra.Command{
		Use:   "del FILE BUCKET [KEY]",
		Short: "Delete a key, or a whole bucket with --bucket",
		Long: `Delete KEY from BUCKET, or with --bucket the whole BUCKET with everything in
it. A key or bucket that is not there is an error.`,
		Example: `  mmdb del app.mmdb users ann
  mmdb del app.mmdb users/by-name --bucket`,
		Args: between(2, 3),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := plainPath(args[1])
			if err != nil {
				return err
			}
			if bucket != (len(args) == 2) {
				return usagef("give either a KEY or --bucket")
			}
			remove := func(tx *mmdb.Tx) error { return deleteBucket(tx, path) }
			if !bucket {
				key, err := a.keyArg(args[2])
				if err != nil {
					return err
				}
				remove = func(tx *mmdb.Tx) error { return deleteKey(tx, path, key) }
			}
			if err := existing(args[0]); err != nil {
				return err
			}
			return a.update(args[0], false, remove)
		},
	}
	cmd.Flags().BoolVar(&bucket, "bucket", false, "delete the bucket itself with all its keys and nested buckets")
	return cmd
}

func deleteKey(tx *mmdb.Tx, path bucketPath, key []byte) error {
	b, err := path.find(tx)
	if err != nil {
		return err
	}
	switch {
	case b.Get(key) != nil:
		return b.Delete(key)
	case tx.Err() != nil:
		return tx.Err()
	case b.Bucket(key) != nil:
		return fmt.Errorf("%s is a bucket: delete it with --bucket", path.child(key))
	}
	return noKey(path, key)
}

func deleteBucket(tx *mmdb.Tx, path bucketPath) error {
	if _, err := path.find(tx); err != nil {
		return err
	}
	last := len(path) - 1
	if last == 0 {
		return tx.DeleteBucket(path[0])
	}
	parent, err := path[:last].find(tx)
	if err != nil {
		return err
	}
	return parent.DeleteBucket(path[last])
}
