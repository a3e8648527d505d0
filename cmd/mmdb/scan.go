package main

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"mmdb"
)

// scanOptions says which keys "mmdb scan" shows, and how.
type scanOptions struct {
	from, to, prefix string // in the form of --format
	reverse          bool
	limit            uint64 // 0 is none
	keysOnly         bool
	full             bool // don't shorten values on a terminal
}

func newScan(a *app) *cobra.Command {
	var o scanOptions
	cmd := &cobra.Command{
		Use:   "scan FILE [BUCKET]",
		Short: "List keys and values in order: a range, a prefix, backwards",
		Long: `List the keys of a bucket in order, one a line with its value after a tab. The range
is half open: --from is in it, --to is not. Nested buckets are listed as <bucket>; the root
holds nothing else. On a terminal a long value is cut to the line, --full shows all of it.`,
		Args: between(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := pathArg(args, 1)
			if err != nil {
				return err
			}
			lo, hi, err := a.scanRange(o)
			if err != nil {
				return err
			}
			return a.view(args[0], func(tx *mmdb.Tx) error {
				b, err := path.find(tx)
				if err != nil {
					return err
				}
				return a.scan(b, lo, hi, o)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.from, "from", "", "first key")
	flags.StringVar(&o.to, "to", "", "end before this key")
	flags.StringVar(&o.prefix, "prefix", "", "only keys that start with this")
	flags.BoolVar(&o.reverse, "reverse", false, "last key first")
	flags.Uint64Var(&o.limit, "limit", 0, "stop after so many keys (0: none)")
	flags.BoolVar(&o.keysOnly, "keys-only", false, "leave out the values")
	flags.BoolVar(&o.full, "full", false, "don't cut long values on a terminal")
	return cmd
}

// scanRange returns the bounds of the keys to show; nil is open.
func (a *app) scanRange(o scanOptions) (lo, hi []byte, err error) {
	if lo, err = a.bound("--from", o.from); err != nil {
		return nil, nil, err
	}
	if hi, err = a.bound("--to", o.to); err != nil {
		return nil, nil, err
	}
	prefix, err := a.bound("--prefix", o.prefix)
	if err != nil || prefix == nil {
		return lo, hi, err
	}
	if bytes.Compare(prefix, lo) > 0 {
		lo = prefix
	}
	if end := prefixEnd(prefix); end != nil && (hi == nil || bytes.Compare(end, hi) < 0) {
		hi = end
	}
	return lo, hi, nil
}

func (a *app) bound(flag, s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	return a.format.decode(flag, s)
}

// prefixEnd returns the first key after all keys that start with prefix, nil
// when there is none.
func prefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			end := append([]byte(nil), prefix[:i+1]...)
			end[i]++
			return end
		}
	}
	return nil
}

func (a *app) scan(b *mmdb.Bucket, lo, hi []byte, o scanOptions) error {
	var seq iter.Seq2[[]byte, []byte]
	if o.reverse {
		seq = b.Backward(lo, hi)
	} else {
		seq = b.Range(lo, hi)
	}
	if lo != nil && hi != nil && bytes.Compare(lo, hi) >= 0 {
		return nil
	}
	width := 0
	if isTerminal(a.out.file) && !o.full && a.format != formatRaw {
		width = a.width()
	}
	var n uint64
	for key, value := range seq {
		if err := a.interrupted(); err != nil {
			return err
		}
		if err := a.printPair(b, key, value, o.keysOnly, width); err != nil {
			return err
		}
		if n++; n == o.limit {
			break
		}
	}
	return nil
}

// printPair prints one line. A value is cut so that the line fits in width columns,
// 0 is no limit. A nil value means that key is a nested bucket of b.
func (a *app) printPair(b *mmdb.Bucket, key, value []byte, keysOnly bool, width int) error {
	if a.json {
		return a.printJSON(a.jsonPair(b, key, value, keysOnly))
	}
	name := a.format.encode(key)
	a.out.WriteString(name)
	switch {
	case value == nil:
		a.out.WriteString("\t<bucket" + nestedKeys(b, key) + ">")
	case !keysOnly:
		a.out.WriteByte('\t')
		a.out.WriteString(a.cutValue(value, width, 8*(len(name)/8+1)))
	}
	return a.out.WriteByte('\n')
}

func nestedKeys(b *mmdb.Bucket, key []byte) string {
	if sub := b.Bucket(key); sub != nil {
		return ", " + plural(sub.Len(), "key", "keys")
	}
	return ""
}

func (a *app) jsonPair(b *mmdb.Bucket, key, value []byte, keysOnly bool) keyValue {
	v := keyValue{Key: a.format.encode(key), Bucket: value == nil}
	if sub := b.Bucket(key); value == nil && sub != nil {
		keys := sub.Len()
		v.Keys = &keys
	}
	if value != nil && !keysOnly {
		text := a.format.encode(value)
		v.Value = &text
	}
	return v
}

// cutValue returns the value in its form, cut to the columns that are left of
// width, with its length in bytes where it was cut.
func (a *app) cutValue(value []byte, width, used int) string {
	if width == 0 {
		return a.format.encode(value)
	}
	room := max(width-used, 24)
	note := fmt.Sprintf(" (%s bytes)", count(len(value)))
	text := a.format.encode(value[:min(len(value), width)])
	if len(value) <= width && len([]rune(text)) <= room {
		return text
	}
	return shorten(text+" ", max(room-len(note), 8)) + note
}
