package main

import (
	"bufio"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mmdb"
)

// exportOptions are the flags of "mmdb export".
type exportOptions struct {
	out      string // "" is standard output
	force    bool
	kind     string // csv or jsonl
	encoding encoding
}

func newExport(a *app) *cobra.Command {
	o := exportOptions{encoding: encodingAuto}
	cmd := &cobra.Command{
		Use:   "export FILE [BUCKET]",
		Short: "Write keys and values as JSON Lines or CSV",
		Long: `Write all of FILE, or BUCKET with what is nested in it, in a form that mmdb
import and other programs read.

jsonl  An object a line: {"bucket":"a/b","key":"k","value":"v"}. What is not
       UTF-8 stands as "key:base64" or "value:base64". A line without a key
       gives the sequence of a bucket, or says that there is an empty one.
csv    A line of names, then a line a key. The first column is the path of the
       bucket, but for a BUCKET with nothing nested in it. If any of the keys,
       or of the values, is not UTF-8 or has control characters, all of them
       are in base64, and the column is named key:base64 or value:base64.
       Sequences and empty buckets can't be carried, and are told.

--encoding sets one form for all keys and values. The kind is told by the name
of the output, or by --as; it is jsonl by default.`,
		Example: `  mmdb export shop.mmdb orders -o orders.csv
  mmdb export shop.mmdb --as csv --encoding hex
  mmdb export shop.mmdb | jq -r .key`,
		Args: between(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := pathArg(args, 1)
			if err != nil {
				return err
			}
			if o.kind == "" {
				o.kind = exportKind(o.out)
			}
			if o.kind != kindCSV && o.kind != kindJSONL {
				return usagef("--as is csv or jsonl")
			}
			return a.export(args[0], path, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.out, "output", "o", "", "write to this file in place of standard output")
	flags.BoolVar(&o.force, "force", false, "replace an existing output file")
	flags.StringVar(&o.kind, "as", "", "csv or jsonl")
	flags.Var(&o.encoding, "encoding", "keys and values: auto, utf-8, hex or base64")
	_ = cmd.RegisterFlagCompletionFunc("as", cobra.FixedCompletions([]string{kindCSV, kindJSONL}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// exportKind tells the kind from the name of the output.
func exportKind(out string) string {
	if strings.EqualFold(filepath.Ext(out), ".csv") {
		return kindCSV
	}
	return kindJSONL
}

// export writes the bucket at path of file.
func (a *app) export(file string, path bucketPath, o exportOptions) error {
	return a.writeOut(file, path, o.out, o.force, func(tx *mmdb.Tx, w *bufio.Writer) error { return a.exportTo(tx, path, w, o) })
}

// A pairWriter writes one kind of output.
type pairWriter interface {
	// bucket begins the bucket at path.
	bucket(path string, b *mmdb.Bucket) error
	pair(key, value []byte) error
	// end ends the output.
	end() error
}

// exporter is one run of "mmdb export".
type exporter struct {
	a    *app
	tx   *mmdb.Tx
	path bucketPath
	root *mmdb.Bucket
	bar  *progress
}

func (a *app) exportTo(tx *mmdb.Tx, path bucketPath, w *bufio.Writer, o exportOptions) error {
	b, err := path.find(tx)
	if err != nil {
		return err
	}
	e := &exporter{a: a, tx: tx, path: path, root: b, bar: &progress{}}
	var out pairWriter
	survey := surveyor{}
	if o.kind == kindCSV {
		if err := e.walk(&survey); err != nil {
			return err
		}
		out = newCSVWriter(w, &survey, o.encoding, survey.buckets > 1 || len(path) == 0)
	} else {
		out = newJSONWriter(w, o.encoding)
	}
	if o.out != "" || isRegular(a.out.file) {
		e.bar = a.bar("exporting", -1, false)
		defer e.bar.done()
	}
	if err := e.walk(out); err != nil {
		return err
	}
	e.bar.done()
	survey.warn(a)
	return nil
}

// walk gives out every bucket and its keys.
func (e *exporter) walk(out pairWriter) error {
	err := walkBuckets(e.root, e.path, func(path bucketPath, b *mmdb.Bucket) error {
		if err := out.bucket(path.String(), b); err != nil {
			return err
		}
		for key, value := range b.All() {
			if err := e.a.interrupted(); err != nil {
				return err
			}
			if value == nil {
				continue
			}
			e.bar.add(1)
			if err := out.pair(key, value); err != nil {
				return fmt.Errorf("key %s in bucket %s: %w", shorten(textForm(key), 60), path, err)
			}
		}
		return e.tx.Err()
	})
	if err != nil {
		return err
	}
	return out.end()
}
