package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// importOptions are the flags of "mmdb import".
type importOptions struct {
	kind     string // csv, jsonl, dir, bbolt, or "" to be found out
	bucket   string
	path     bucketPath // of bucket
	key      string     // column or field
	value    string     // likewise; "" is the whole row
	comma    string
	encoding encoding
	create   bool
	batch    uint64 // rows of a transaction, 0 is all
}

// Kinds of sources.
const (
	kindCSV   = "csv"
	kindJSONL = "jsonl"
	kindDir   = "dir"
	kindBolt  = "bbolt"
)

// A row is one thing to import.
type row struct {
	where      string // in the source, for errors
	bucket     string // path below the one of --bucket; "" is that itself
	key, value []byte // valid until the next row; no key: only the bucket is made
	sequence   uint64 // of the bucket, if there is no key
}

func newImport(a *app) *cobra.Command {
	o := importOptions{encoding: encodingAuto}
	cmd := &cobra.Command{
		Use:   "import FILE SOURCE",
		Short: "Read CSV, JSON Lines, a directory or a bbolt file",
		Long: `Read SOURCE into FILE. What it is, is told by its name, or by --from:

csv    The first line names the columns. Those that mmdb export writes are
       known: bucket, key, value, key:hex, value:base64. In any other table
       --key names the column of the key; the value is the whole row as a JSON
       object, or the column of --value. A .tsv file has tabs for commas.
jsonl  An object a line, as mmdb export writes it, or any, with --key: then the
       value is the line, or the field of --value.
dir    Every regular file below a directory: its path is the key.
bbolt  A bbolt database with all buckets, nested ones too, and their sequences.

- is standard input, for csv and jsonl. Rows without a bucket go to --bucket
("main" if it is not given), those with one below it. Keys that exist get the
new value. All of it is one transaction, so that an error leaves nothing half
imported; --batch commits after so many rows and lets others write between.`,
		Example: `  mmdb import shop.mmdb orders.csv --bucket orders --key id --create
  mmdb import shop.mmdb events.jsonl --bucket events --key time --value message --create
  mmdb import new.mmdb old.bolt --create
  mmdb export a.mmdb | mmdb import b.mmdb - --from jsonl --create`,
		Args: twoFiles,
		RunE: func(_ *cobra.Command, args []string) (err error) {
			if o.path, err = parsePath(o.bucket); err != nil {
				return err
			}
			return a.importFrom(args[0], args[1], o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.kind, "from", "", "csv, jsonl, dir or bbolt")
	flags.StringVar(&o.bucket, "bucket", "", "bucket to import into")
	flags.StringVar(&o.key, "key", "", "column or field that is the key")
	flags.StringVar(&o.value, "value", "", "column or field that is the value (default the whole row)")
	flags.StringVar(&o.comma, "comma", ",", "what separates the columns of CSV; \\t is a tab")
	flags.Var(&o.encoding, "encoding", "keys and values in CSV and JSON: auto (as their names say), utf-8, hex, base64")
	flags.BoolVar(&o.create, "create", false, "make the file and the buckets when they are missing")
	flags.Uint64Var(&o.batch, "batch", 0, "commit after so many rows (0: all at once)")
	_ = cmd.RegisterFlagCompletionFunc("from", cobra.FixedCompletions([]string{kindCSV, kindJSONL, kindDir, kindBolt}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// importFrom imports source into file.
func (a *app) importFrom(file, source string, o importOptions) error {
	if source != standardStream {
		info, err := os.Stat(source)
		if err != nil {
			return fileError(source, err)
		}
		if o.kind == "" {
			o.kind = sourceKind(source, info)
		}
	}
	if err := o.check(source); err != nil {
		return err
	}
	if sameFile(file, source) || source == standardStream && isStream(a.in, file) {
		return fmt.Errorf("%s: output and input are the same file", file)
	}
	bar := &progress{}
	defer func() { bar.done() }()
	rows, closer, err := a.openSource(file, source, &o, &bar)
	if err != nil {
		return err
	}
	defer closer.Close()
	im := &importer{a: a, o: &o, source: source}
	if source == standardStream {
		im.source = "standard input"
	}
	if err := im.run(file, rows); err != nil {
		return err
	}
	bar.done()
	return im.print(file)
}

// check refuses flags that don't go together.
func (o *importOptions) check(source string) error {
	table := o.kind == kindCSV || o.kind == kindJSONL
	switch {
	case o.kind == "" && source == standardStream:
		return usagef("--from is needed for standard input: csv or jsonl")
	case o.kind == "":
		return usagef("what %s is can't be told: name it by --from", visible(source))
	case !table && o.kind != kindDir && o.kind != kindBolt:
		return usagef("--from is csv, jsonl, dir or bbolt")
	case !table && source == standardStream:
		return usagef("--from %s can't be read from standard input", o.kind)
	case !table && (o.key != "" || o.value != ""):
		return usagef("--key and --value are for csv and jsonl")
	case o.value != "" && o.key == "":
		return usagef("--value needs --key")
	case o.comma == "" || o.comma != `\t` && utf8.RuneCountInString(o.comma) != 1:
		return usagef("--comma is one character")
	}
	return nil
}

// sourceKind guesses what the file at path is, "" if it can't.
func sourceKind(path string, info os.FileInfo) string {
	if info.IsDir() {
		return kindDir
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv", ".tsv":
		return kindCSV
	case ".jsonl", ".ndjson":
		return kindJSONL
	}
	if info.Mode().IsRegular() && isBolt(path) {
		return kindBolt
	}
	return ""
}

// isBolt reports whether the file at path starts like a database of bbolt.
func isBolt(path string) bool {
	const magic, at = 0xED0CDAED, 16
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var b [4]byte
	_, err = f.ReadAt(b[:], at)
	return err == nil && (binary.LittleEndian.Uint32(b[:]) == magic || binary.BigEndian.Uint32(b[:]) == magic)
}

// openSource returns the rows of a source, and what to close afterwards. They go to the database at file.
func (a *app) openSource(file, source string, o *importOptions, bar **progress) (iter.Seq2[row, error], io.Closer, error) {
	switch o.kind {
	case kindDir:
		if err := dirExists(source); err != nil {
			return nil, nil, err
		}
		*bar = a.bar("importing", -1, false)
		return dirRows(a, source, file, *bar), io.NopCloser(nil), nil
	case kindBolt:
		*bar = a.bar("importing", -1, false)
		return a.boltRows(source, *bar)
	}
	if strings.EqualFold(filepath.Ext(source), ".tsv") && o.comma == "," {
		o.comma = `\t`
	}
	stream, total, closer := a.in, int64(-1), io.NopCloser(nil)
	if source != standardStream {
		f, size, err := a.openInput(source)
		if err != nil {
			return nil, nil, err
		}
		stream, total, closer = f, size, f
	}
	if !isTerminal(stream) {
		*bar = a.bar("importing", total, true)
	}
	r := &countingReader{a.typed(stream, "the rows"), *bar}
	if o.kind == kindCSV {
		return csvRows(r, o), closer, nil
	}
	return jsonRows(r, o), closer, nil
}

// errEmptySource is for a table without even a header.
var errEmptySource = errors.New("it is empty")
