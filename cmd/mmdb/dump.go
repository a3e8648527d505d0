package main

import (
	"bufio"
	"fmt"

	"github.com/spf13/cobra"

	"mmdb"
)

// lmdbKeySize is the longest key that LMDB takes as it is usually built.
const lmdbKeySize = 511

// dumpOptions are the flags of "mmdb dump".
type dumpOptions struct {
	out   string // "" is standard output
	force bool
	print bool
}

func newDump(a *app) *cobra.Command {
	var o dumpOptions
	cmd := &cobra.Command{
		Use:   "dump FILE [BUCKET]",
		Short: "Write the data in the text format of mdb_dump and db_dump",
		Long: `Write the data in the portable text format of mdb_dump (LMDB) and db_dump (Berkeley DB), which
mdb_load, db_load and mmdb load read. A file with one plain bucket, or a named plain bucket, gives
a dump without a name; several buckets give a section each, with database=PATH. The mapsize in it is
large enough for mdb_load. The format has no place for the name of a single bucket or for sequences,
and LMDB takes no keys longer than 511 bytes: what can't be carried is said on standard error.`,
		Args: between(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := pathArg(args, 1)
			if err != nil {
				return err
			}
			return a.dump(args[0], path, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.out, "output", "o", "", "write to this file in place of standard output")
	flags.BoolVar(&o.force, "force", false, "replace an existing output file")
	flags.BoolVarP(&o.print, "print", "p", false, "printable characters as they are (format=print)")
	return cmd
}

func (a *app) dump(file string, path bucketPath, o dumpOptions) error {
	return a.view(file, func(tx *mmdb.Tx) (err error) {
		if o.out == "" {
			if isStream(a.out.file, file) {
				return fmt.Errorf("%s: output and input are the same file", file)
			}
			return a.dumpTo(tx, path, a.out.Writer, o)
		}
		if _, err := path.find(tx); err != nil {
			return err
		}
		out, err := createOut(o.out, o.force, file)
		if err != nil {
			return err
		}
		w := bufio.NewWriterSize(out, 256<<10)
		err = a.dumpTo(tx, path, w, o)
		if flushErr := w.Flush(); err == nil {
			err = flushErr
		}
		return out.finish(err, o.force)
	})
}

// dumpTo writes the bucket at path, and all nested in it, to w.
func (a *app) dumpTo(tx *mmdb.Tx, path bucketPath, w *bufio.Writer, o dumpOptions) error {
	b, err := path.find(tx)
	if err != nil {
		return err
	}
	var sections []bucketPath
	err = walkBuckets(b, path, func(sub bucketPath, _ *mmdb.Bucket) error {
		sections = append(sections, sub)
		return a.interrupted()
	})
	if err != nil {
		return err
	}
	size, err := a.mapSize(tx, b, path, len(sections))
	if err != nil {
		return err
	}
	d := &dumpWriter{w: w, print: o.print, size: size}
	var lost dumpLoss
	if len(sections) == 0 { // nothing there: still a dump
		d.begin("")
		err = d.end()
	}
	for _, sub := range sections {
		name := ""
		if len(sections) > 1 {
			name = sub.String()
		}
		d.begin(name)
		if err := a.dumpBucket(tx, d, sub, &lost); err != nil {
			return err
		}
	}
	a.warnLoss(lost)
	return err
}

// dumpLoss counts what a dump can't carry.
type dumpLoss struct {
	longKeys  int // longer than LMDB takes
	sequences int // buckets with a sequence
}

func (a *app) dumpBucket(tx *mmdb.Tx, d *dumpWriter, path bucketPath, lost *dumpLoss) error {
	b, err := path.find(tx)
	if err != nil {
		return err
	}
	if b.Sequence() != 0 {
		lost.sequences++
	}
	for _, name := range path {
		if len(name) > lmdbKeySize {
			lost.longKeys++
		}
	}
	for key, value := range b.All() {
		if value == nil { // a nested bucket, it has its own section
			continue
		}
		if len(key) > lmdbKeySize {
			lost.longKeys++
		}
		if err := a.interrupted(); err != nil {
			return err
		}
		if err := d.pair(key, value); err != nil {
			return err
		}
	}
	if err := tx.Err(); err != nil {
		return err // without DATA=END: nobody takes the dump for a whole one
	}
	return d.end()
}

func (a *app) warnLoss(lost dumpLoss) {
	if lost.longKeys > 0 {
		a.warnf("warning: %s longer than %d bytes: mdb_load will refuse the dump, mmdb load takes it",
			plural(lost.longKeys, "key or name is", "keys or names are"), lmdbKeySize)
	}
	if lost.sequences > 0 {
		a.warnf("warning: the format has no place for the sequence of %s", plural(lost.sequences, "bucket", "buckets"))
	}
}

// mapSize returns a mapsize for LMDB that holds the buckets for sure, in bytes. LMDB fills
// pages to half in the worst case and keeps copies of changed ones; a mapsize
// costs nothing but address space.
func (a *app) mapSize(tx *mmdb.Tx, b *mmdb.Bucket, path bucketPath, sections int) (int64, error) {
	const unit = 1 << 20
	in := tx.Info()
	used := int64(in.HighWater) * int64(in.PageSize)
	if len(path) > 0 {
		s, err := a.collectStats(path, b)
		if err != nil {
			return 0, err
		}
		used = s.Total.Alloc
	}
	need := 4*used + int64(sections)*(16<<10) + unit
	return (need + unit - 1) / unit * unit, nil
}
