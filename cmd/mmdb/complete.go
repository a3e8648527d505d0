package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mmdb"
)

// completeBucket completes the second argument with the bucket paths of the
// file that the first one names.
func (a *app) completeBucket(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	const most = 1000
	a.timeout = min(a.timeout, 200*time.Millisecond)
	var paths []string
	_ = a.view(args[0], func(tx *mmdb.Tx) error {
		return walkBuckets(rootBucket(tx), nil, func(path bucketPath, _ *mmdb.Bucket) error {
			if p := path.String(); strings.HasPrefix(p, word) {
				paths = append(paths, p)
			}
			if len(paths) >= most {
				return errInterrupted
			}
			return nil
		})
	})
	return paths, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeFile completes no further arguments than the file.
func completeFile(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
