package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"mmdb"
)

// scanOptions says which keys "mmdb scan" shows, and how.
type scanOptions struct {
	from, to, prefix string // in the form of --format
	reverse          bool
	limit            uint64 // 0 is none
	keysOnly         bool
	full             bool // don't cut what is long on a terminal
}

func newScan(a *app) *cobra.Command {
	var o scanOptions
	cmd := &cobra.Command{
		Use:   "scan FILE [BUCKET]",
		Short: "List keys and values in order: a range, a prefix, backwards",
		Long: `List the keys of a bucket in order, one a line with its value after a tab. The
range is half open: --from is in it, --to is not. Nested buckets are listed as
<bucket>; the root holds nothing else. On a terminal what is long is cut to the
line, --full shows all of it.`,
		Example: `  mmdb scan app.mmdb users --from a --to c
  mmdb scan app.mmdb users --prefix ann --json
  mmdb scan app.mmdb log --reverse --limit 10`,
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
	flags.BoolVar(&o.full, "full", false, "don't cut long keys and values on a terminal")
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

// scan prints the keys from lo up to hi of b.
func (a *app) scan(b *mmdb.Bucket, lo, hi []byte, o scanOptions) error {
	if lo != nil && hi != nil && bytes.Compare(lo, hi) >= 0 {
		return nil
	}
	seq := b.Range
	if o.reverse {
		seq = b.Backward
	}
	p := pairPrinter{a: a, bucket: b, keysOnly: o.keysOnly}
	if isTerminal(a.out.file) && !o.full && a.format != formatRaw {
		p.width = a.width()
	}
	var n uint64
	for key, value := range seq(lo, hi) {
		if err := a.interrupted(); err != nil {
			return err
		}
		if err := p.print(key, value); err != nil {
			return err
		}
		if n++; n == o.limit {
			break
		}
	}
	return nil
}

// pairPrinter prints keys with their values, one a line, with a tab between or, when there is a width, in
// columns and cut to it.
type pairPrinter struct {
	a        *app
	bucket   *mmdb.Bucket
	keysOnly bool
	width    int // columns of the terminal, 0 is no limit
	column   int // where the values start; long keys move it
}

// print prints one line. A nil value means that key is a nested bucket.
func (p *pairPrinter) print(key, value []byte) error {
	if p.a.json {
		return p.a.printJSON(p.a.jsonPair(p.bucket, key, value, p.keysOnly))
	}
	name, gap, room := p.a.format.encode(key), "\t", 0
	if p.width > 0 {
		name = p.a.cut(key, max(p.width-30, 24))
		n := textColumns(name)
		next := max(p.column, (n+2+7)/8*8)
		if next <= p.width/2 {
			p.column = next
		}
		gap, room = strings.Repeat(" ", next-n), max(p.width-next, 24)
	}
	out := p.a.out
	out.WriteString(name)
	switch {
	case value == nil:
		out.WriteString(gap + "<bucket" + nestedKeys(p.bucket, key) + ">")
	case !p.keysOnly:
		out.WriteString(gap)
		out.WriteString(p.a.cut(value, room))
	}
	return out.WriteByte('\n')
}

func nestedKeys(b *mmdb.Bucket, key []byte) string {
	if sub := b.Bucket(key); sub != nil {
		return ", " + plural(sub.Len(), "key", "keys")
	}
	return ""
}

func (a *app) jsonPair(b *mmdb.Bucket, key, value []byte, keysOnly bool) keyValue {
	v := keyValue{Key: a.format.encode(key), Bucket: value == nil}
	switch {
	case value == nil:
		if sub := b.Bucket(key); sub != nil {
			keys := sub.Len()
			v.Keys = &keys
		}
	case !keysOnly:
		text := a.format.encode(value)
		v.Value = &text
	}
	return v
}

// cut returns a key or value in its form, cut to room columns (0 is no limit), with its length in bytes where
// it was cut.
func (a *app) cut(b []byte, room int) string {
	if room == 0 {
		return a.format.encode(b)
	}
	text := a.format.encode(b[:min(len(b), 4*room)]) // more than fits
	if textColumns(text) <= room {
		return text
	}
	note := fmt.Sprintf(" (%s bytes)", count(len(b)))
	return shorten(text, room-len(note)) + note
}
