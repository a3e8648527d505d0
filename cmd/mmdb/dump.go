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
		Long: `Write the data in the portable text format of mdb_dump (LMDB) and db_dump
(Berkeley DB), which mdb_load, db_load and mmdb load read. A file with one
plain bucket, or a named plain bucket, gives a dump without a name; several
buckets give a section each, with database=PATH. The mapsize in it is large
enough for mdb_load. The format has no place for sequences, and LMDB takes no
keys longer than 511 bytes: what can't be carried is said on standard error. The
name of a single bucket is not: mmdb load and mdb_load take one.`,
		Example: `  mmdb dump app.mmdb -o app.dump
  mmdb dump app.mmdb users | mdb_load -n users.mdb`,
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
	return a.writeOut(file, path, o.out, o.force, func(tx *mmdb.Tx, w *bufio.Writer) error { return a.dumpTo(tx, path, w, o) })
}

// writeOut has write write what is in the bucket at path of file to the file out, or to standard output when that is empty.
func (a *app) writeOut(file string, path bucketPath, out string, force bool, write func(*mmdb.Tx, *bufio.Writer) error) error {
	return a.view(file, func(tx *mmdb.Tx) (err error) {
		if out == "" {
			if isStream(a.out.file, file) {
				return fmt.Errorf("%s: output and input are the same file", file)
			}
			return write(tx, a.out.Writer)
		}
		if _, err := path.find(tx); err != nil {
			return err
		}
		dst, err := a.createOut(out, force, file)
		if err != nil {
			return err
		}
		w := bufio.NewWriterSize(dst, 256<<10)
		err = write(tx, w)
		if flushErr := w.Flush(); err == nil {
			err = flushErr
		}
		return dst.finish(err, force)
	})
}

// dumpTo writes the bucket at path, and all nested in it, to w.
func (a *app) dumpTo(tx *mmdb.Tx, path bucketPath, w *bufio.Writer, o dumpOptions) error {
	b, err := path.find(tx)
	if err != nil {
		return err
	}
	var sections []bucketPath
	keys := uint64(0)
	err = walkBuckets(b, path, func(sub bucketPath, b *mmdb.Bucket) error {
		sections = append(sections, sub)
		keys += b.Len()
		return a.interrupted()
	})
	if err != nil {
		return err
	}
	size, err := a.mapSize(tx, b, path, len(sections), keys)
	if err != nil {
		return err
	}
	d := &dumper{a: a, tx: tx, out: &dumpWriter{w: w, print: o.print, size: size}, bar: &progress{}}
	if o.out != "" || isRegular(a.out.file) { // what reads from a pipe has a bar of its own, or a picture
		d.bar = a.bar("dumping", int64(keys), false)
		defer d.bar.done()
	}
	if err := d.sections(sections); err != nil {
		return err
	}
	d.bar.done()
	d.warn()
	return nil
}

// dumper is one run of "mmdb dump". It counts what the dump can't carry.
type dumper struct {
	a         *app
	tx        *mmdb.Tx
	out       *dumpWriter
	bar       *progress // in keys
	longKeys  int       // longer than LMDB takes
	sequences int       // buckets with a sequence
}

// sections dumps the buckets at the paths. A single one gets no name.
func (d *dumper) sections(paths []bucketPath) error {
	if len(paths) == 0 { // nothing there: still a dump
		d.out.begin("")
		return d.out.end()
	}
	for _, path := range paths {
		name := ""
		if len(paths) > 1 {
			name = path.String()
			d.key(len(name))
		}
		d.out.begin(name)
		if err := d.bucket(path); err != nil {
			return err
		}
	}
	return nil
}

// bucket dumps the keys with values of one bucket. Nested ones have their own section.
func (d *dumper) bucket(path bucketPath) error {
	b, err := path.find(d.tx)
	if err != nil {
		return err
	}
	if b.Sequence() != 0 {
		d.sequences++
	}
	for key, value := range b.All() {
		if err := d.a.interrupted(); err != nil {
			return err
		}
		d.bar.add(1)
		if value == nil {
			continue
		}
		d.key(len(key))
		if err := d.out.pair(key, value); err != nil {
			return err
		}
	}
	if err := d.tx.Err(); err != nil {
		return err // without DATA=END: nobody takes the dump for a whole one
	}
	return d.out.end()
}

// key notes the length of a key, or of the name of a database, which is a key in LMDB.
func (d *dumper) key(n int) {
	if n > lmdbKeySize {
		d.longKeys++
	}
}

// warn says on standard error what the dump can't carry.
func (d *dumper) warn() {
	if d.longKeys > 0 {
		d.a.warnf("warning: %s longer than %d bytes: mdb_load will refuse the dump, mmdb load takes it",
			plural(d.longKeys, "key or name is", "keys or names are"), lmdbKeySize)
	}
	if d.sequences > 0 {
		d.a.warnf("warning: the format has no place for the sequence of %s", plural(d.sequences, "bucket", "buckets"))
	}
}

// mapSize returns a mapsize for LMDB that holds the buckets for sure, in bytes. LMDB fills
// pages to half in the worst case and keeps copies of changed ones; a mapsize
// costs nothing but address space. So only a bucket of few keys is measured, any other taken to be the whole file.
func (a *app) mapSize(tx *mmdb.Tx, b *mmdb.Bucket, path bucketPath, sections int, keys uint64) (int64, error) {
	const unit, few = 1 << 20, 10_000
	in := tx.Info()
	used := int64(in.HighWater) * int64(in.PageSize)
	if len(path) > 0 && keys <= few {
		s, err := a.collectStats(path, b)
		if err != nil {
			return 0, err
		}
		used = s.Total.Alloc
	}
	need := 4*used + int64(sections)*(16<<10) + unit
	return (need + unit - 1) / unit * unit, nil
}
