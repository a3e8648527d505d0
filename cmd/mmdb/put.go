package main

import (
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"mmdb"
)

func newPut(a *app) *cobra.Command {
	var create bool
	cmd := &cobra.Command{
		Use:   "put FILE BUCKET KEY [VALUE]",
		Short: "Store a value under a key, durably",
		Long: `Store a value under a key and return when it is on the device. KEY and VALUE
are read in the form of --format. Without VALUE the bytes of standard input are
the value, as they are. A file or a bucket that is missing is an error, or made
with --create.`,
		Example: `  mmdb put app.mmdb users ann '{"age":30}' --create
  mmdb put app.mmdb images/small logo.png < logo.png`,
		Args: between(3, 4),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := plainPath(args[1])
			if err != nil {
				return err
			}
			key, err := a.keyArg(args[2])
			if err != nil {
				return err
			}
			value, err := a.valueArg(args[3:])
			if err != nil {
				return err
			}
			return a.update(args[0], create, func(tx *mmdb.Tx) error { return put(tx, path, create, key, value) })
		},
	}
	cmd.Flags().BoolVar(&create, "create", false, "make the file and the bucket when they are missing")
	return cmd
}

// valueArg returns the value in args, or all of standard input when there is none.
func (a *app) valueArg(args []string) ([]byte, error) {
	if len(args) == 1 {
		return a.format.decode("the value", args[0])
	}
	value, err := io.ReadAll(io.LimitReader(a.typed(a.in, "the value"), math.MaxInt32))
	if err != nil {
		return nil, fmt.Errorf("read the value from standard input: %w", err)
	}
	return value, nil
}

func put(tx *mmdb.Tx, path bucketPath, create bool, key, value []byte) error {
	b, err := openOrCreate(tx, path, create)
	if err != nil {
		return err
	}
	if err := b.Put(key, value); err != nil {
		return fmt.Errorf("put key %s into bucket %s: %w", shorten(textForm(key), 60), path, err)
	}
	return nil
}
