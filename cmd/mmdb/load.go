package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"mmdb"
)

// loader reads one dump into a database.
type loader struct {
	a      *app
	path   bucketPath // for a dump without a name
	given  bool       // the user named that bucket
	create bool       // make what is missing
	dump   *dumpReader
	source string // name of the dump, for errors
	result loadResult
}

// loadResult is what "mmdb load" did, in JSON.
type loadResult struct {
	Buckets  int    `json:"buckets"`  // sections of the dump
	Keys     uint64 `json:"keys"`     // loaded
	Replaced uint64 `json:"replaced"` // those of them that were there before
	Bytes    int64  `json:"bytes"`    // of keys and values
}

func newLoad(a *app) *cobra.Command {
	var bucket string
	l := &loader{a: a}
	cmd := &cobra.Command{
		Use:   "load FILE [DUMPFILE]",
		Short: "Read data in the text format of mdb_dump and db_dump",
		Long: `Read a dump in the portable text format of mdb_dump (LMDB), db_dump (Berkeley
DB) or mmdb dump, from DUMPFILE or standard input, in bytevalue or print form.
A section with database=PATH goes into that bucket, a dump without a name into
the bucket "main" or the one of --bucket. Keys that exist get the new value.
All of it is one transaction: when anything is wrong with the dump, nothing at
all is loaded. A file or bucket that is missing is an error, or made with
--create.

mdb_dump -p of LMDB 0.9 does not mark backslashes as such, so that they can't be
told from escapes: dump without -p.`,
		Example: `  mmdb load app.mmdb app.dump --create
  mdb_dump -n users.mdb | mmdb load app.mmdb --bucket users`,
		Args: between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			l.given = cmd.Flags().Changed("bucket")
			if l.path, err = plainPath(bucket); err != nil {
				return err
			}
			return l.run(args[0], args[1:])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&bucket, "bucket", "main", "bucket for a dump without a name")
	flags.BoolVar(&l.create, "create", false, "make the file and the buckets when they are missing")
	return cmd
}

// run loads the dump in the file args[0], or on standard input, into file.
func (l *loader) run(file string, args []string) error {
	stream, total := l.a.in, int64(-1)
	l.source = "standard input"
	if len(args) > 0 {
		l.source = args[0]
		f, size, err := l.a.openInput(l.source)
		if err != nil {
			return err
		}
		defer f.Close()
		stream, total = f, size
	}
	if isStream(stream, file) {
		return fmt.Errorf("%s: output and input are the same file", file)
	}
	bar := &progress{}
	if !isTerminal(stream) {
		bar = l.a.bar("loading", total, true)
		defer bar.done()
	}
	l.dump = newDumpReader(&countingReader{l.a.typed(stream, "the dump"), bar})
	if err := l.a.update(file, l.create, l.load); err != nil {
		return err
	}
	bar.done()
	return l.print(file)
}

// load reads all sections in one transaction.
func (l *loader) load(tx *mmdb.Tx) error {
	for {
		s, err := l.dump.section()
		if errors.Is(err, io.EOF) && l.result.Buckets > 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty, not a dump")
		}
		if err == nil {
			err = l.section(tx, s)
		}
		if err != nil {
			return fmt.Errorf("%s: %w; nothing was loaded", l.source, err)
		}
	}
}

// section loads the data that follows the header s.
func (l *loader) section(tx *mmdb.Tx, s section) error {
	for _, what := range s.unknown {
		l.a.warnf("warning: %s: %s is not known and left out", l.source, what)
	}
	b, err := l.bucket(tx, s)
	if err != nil {
		return fmt.Errorf("line %d: %w", s.line, err)
	}
	before, keys := b.Len(), uint64(0)
	for {
		key, value, err := l.dump.pair()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = l.a.interrupted()
		}
		if err != nil {
			return err
		}
		if err := b.Put(key, value); err != nil {
			return l.dump.errorf("put key %s: %w", shorten(textForm(key), 60), err)
		}
		keys++
		l.result.Bytes += int64(len(key) + len(value))
	}
	l.result.Buckets++
	l.result.Keys += keys
	l.result.Replaced += keys - (b.Len() - before)
	return tx.Err()
}

// bucket returns the bucket that a section goes to.
func (l *loader) bucket(tx *mmdb.Tx, s section) (*mmdb.Bucket, error) {
	if s.name == "" {
		return openOrCreate(tx, l.path, l.create)
	}
	if l.given {
		return nil, fmt.Errorf("the dump names its database %s: --bucket is for dumps without a name", visible(s.name))
	}
	path, err := parsePath(s.name)
	if err != nil || len(path) == 0 {
		return nil, fmt.Errorf("database=%s is not a bucket path", visible(s.name))
	}
	return openOrCreate(tx, path, l.create)
}

func (l *loader) print(file string) error {
	r := l.result
	if l.a.json {
		return l.a.printJSON(r)
	}
	replaced := ""
	if r.Replaced > 0 {
		replaced = ", " + count(r.Replaced) + " of them replaced"
	}
	l.a.printf("%s: %s loaded into %s%s\n", visible(file), plural(r.Keys, "key", "keys"), plural(r.Buckets, "bucket", "buckets"), replaced)
	return nil
}
