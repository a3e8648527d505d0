package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mmdb"
)

// keyValue is one key with its value, or one nested bucket, in JSON.
type keyValue struct {
	Key    string  `json:"key"`
	Value  *string `json:"value,omitempty"`  // nil for a bucket and with --keys-only
	Bucket bool    `json:"bucket,omitempty"` // the key is a nested bucket
	Keys   *uint64 `json:"keys,omitempty"`   // of the nested bucket
}

func newGet(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "get FILE BUCKET KEY",
		Short: "Print the value of a key",
		Long: `Print the value of a key, with a newline after it. --format raw prints exactly
the bytes of the value and nothing else.`,
		Example: `  mmdb get app.mmdb users ann
  mmdb get app.mmdb images/small logo.png --format raw > logo.png`,
		Args: exactly(3),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := plainPath(args[1])
			if err != nil {
				return err
			}
			key, err := a.keyArg(args[2])
			if err != nil {
				return err
			}
			return a.view(args[0], func(tx *mmdb.Tx) error { return a.get(tx, path, key) })
		},
	}
}

func (a *app) get(tx *mmdb.Tx, path bucketPath, key []byte) error {
	b, err := path.find(tx)
	if err != nil {
		return err
	}
	value := b.Get(key)
	switch {
	case value != nil:
		return a.printValue(key, value)
	case tx.Err() != nil:
		return tx.Err()
	case b.Bucket(key) != nil:
		return fmt.Errorf("%s is a bucket, not a key with a value", path.child(key))
	}
	return noKey(path, key)
}

// keyArg reads a key of the command line.
func (a *app) keyArg(s string) ([]byte, error) {
	key, err := a.format.decode("the key", s)
	if err == nil && len(key) == 0 {
		err = usagef("the key is empty")
	}
	return key, err
}

func noKey(path bucketPath, key []byte) error {
	return fmt.Errorf("no key %s in bucket %s", shorten(textForm(key), 60), path)
}

func (a *app) printValue(key, value []byte) error {
	if a.json {
		text := a.format.encode(value)
		return a.printJSON(keyValue{Key: a.format.encode(key), Value: &text})
	}
	if a.format == formatRaw {
		_, err := a.out.Write(value)
		return err
	}
	a.out.WriteString(a.format.encode(value))
	return a.out.WriteByte('\n')
}
