package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mmdb"
)

// mostCompletions is how many are offered.
const mostCompletions = 1000

// completeBucket completes the second argument with the bucket paths of the
// file that the first one names.
func (a *app) completeBucket(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var paths []string
	if len(args) == 1 {
		a.complete(args[0], func(tx *mmdb.Tx) error {
			return walkBuckets(rootBucket(tx), nil, func(path bucketPath, _ *mmdb.Bucket) error {
				if p := path.String(); strings.HasPrefix(p, word) {
					paths = append(paths, p)
				}
				if len(paths) == mostCompletions {
					return errInterrupted
				}
				return nil
			})
		})
	}
	return paths, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeKey is completeBucket, and completes the third argument with the keys of that bucket.
func (a *app) completeKey(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 2 {
		return a.completeBucket(cmd, args, word)
	}
	var keys []string
	a.complete(args[0], func(tx *mmdb.Tx) error {
		path, err := parsePath(args[1])
		if err != nil {
			return err
		}
		b, err := path.find(tx)
		if err != nil {
			return err
		}
		start, err := a.format.decode("the key", word)
		if err != nil { // in the middle of an escape, say
			return err
		}
		for key, value := range b.Prefix(start) {
			if value != nil {
				keys = append(keys, a.format.encode(key))
			}
			if len(keys) == mostCompletions {
				break
			}
		}
		return nil
	})
	return keys, cobra.ShellCompDirectiveNoFileComp
}

// complete calls fn for the file at path. Errors, and files that are in use, complete nothing.
func (a *app) complete(path string, fn func(*mmdb.Tx) error) {
	a.timeout = 200 * time.Millisecond
	_ = a.view(path, fn)
}

// completeFile completes no further arguments than the file.
func completeFile(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
