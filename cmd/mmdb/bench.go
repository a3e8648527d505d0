package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"mmdb"
)

// benchOptions are the flags of "mmdb bench".
type benchOptions struct {
	dir   string
	keys  int
	value int // bytes
	each  time.Duration
}

// benchFigure is one line of "mmdb bench". Times are in nanoseconds.
type benchFigure struct {
	Name   string  `json:"name"`
	Rate   float64 `json:"rate"` // of what is counted, in a second
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
	Note   string  `json:"note"`
}

// benchResult is all of it in JSON.
type benchResult struct {
	System   string        `json:"system"`
	CPUs     int           `json:"cpus"`
	Dir      string        `json:"dir"`
	Keys     int           `json:"keys"`
	Value    int           `json:"value"`    // bytes
	FileSize int64         `json:"fileSize"` // bytes, at the end
	Figures  []benchFigure `json:"figures"`
}

func newBench(a *app) *cobra.Command {
	o := benchOptions{}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Quick figures for this machine and disk, with the disk's flush time",
		Long: `Measure what this machine and the disk of --dir give, with a database that is
made there and removed again. The first line is the disk alone: 4 KiB written
over and flushed. No durable commit of any database is faster than that; a
commit of mmdb takes one flush. Compare figures of one machine only, run them
more than once, and leave the machine alone meanwhile.`,
		Example: `  mmdb bench --dir /var/lib/app
  mmdb bench --keys 1000000 --for 5s --json`,
		Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			switch {
			case o.keys < 100 || o.keys > 100_000_000:
				return usagef("--keys is from 100 to 100000000")
			case o.value < 0 || o.value > 1<<20:
				return usagef("--value is from 0 to 1048576")
			case o.each <= 0:
				return usagef("--for is a time, such as 2s")
			}
			return a.bench(o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", ".", "where to make the database")
	flags.IntVar(&o.keys, "keys", 100_000, "keys in it")
	flags.IntVar(&o.value, "value", 100, "bytes of each value")
	flags.DurationVar(&o.each, "for", time.Second, "how long each figure is measured")
	return cmd
}

// bench measures everything and prints it.
func (a *app) bench(o benchOptions) error {
	dir, err := os.MkdirTemp(o.dir, ".mmdb-bench-*")
	if err != nil {
		return makeError("a directory in "+o.dir, o.dir, err)
	}
	defer os.RemoveAll(dir)
	b := &bench{a: a, o: o, dir: dir, path: filepath.Join(dir, "bench.mmdb")}
	where, err := filepath.Abs(o.dir)
	if err != nil {
		where = o.dir
	}
	b.result = benchResult{System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0), Dir: where, Keys: o.keys, Value: o.value}
	if !a.json {
		a.printf("%s, %s, %s of %d bytes, %s\n\n", b.result.System, plural(b.result.CPUs, "CPU", "CPUs"),
			plural(o.keys, "key", "keys"), o.value, visible(where))
		a.printf("%-12s %14s %10s %10s  %s\n", "", "a second", "median", "99 %", "what")
	}
	if err := b.run(); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(b.result)
	}
	a.printf("\n%s for %s of keys and values\n", size(b.result.FileSize), size(int64(o.keys)*int64(o.value+benchKeySize)))
	return nil
}

// bench is one run.
type bench struct {
	a      *app
	o      benchOptions
	dir    string
	path   string
	db     *mmdb.DB
	result benchResult
}

// run makes the measurements in order: what reads comes after what has filled the database.
func (b *bench) run() (err error) {
	if err := b.flushes(); err != nil {
		return err
	}
	if b.db, err = mmdb.Open(b.path, fileMode, nil); err != nil {
		return err
	}
	defer func() {
		if closeErr := b.db.Close(); err == nil {
			err = closeErr
		}
	}()
	for _, step := range []func() error{b.load, b.putSync, b.putLazy, b.putMany, b.putBatch, b.get, b.getTx, b.scan, b.reopen} {
		if err := b.a.interrupted(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	info, err := os.Stat(b.path)
	if err != nil {
		return err
	}
	b.result.FileSize = info.Size()
	return nil
}

// figure adds one line. s are the times of single pieces of work, of which each counts for per; wall is what they took together.
func (b *bench) figure(name, note string, s []time.Duration, per int, wall time.Duration) {
	f := benchFigure{Name: name, Note: note}
	if len(s) > 0 && wall > 0 {
		f.Rate = float64(len(s)*per) / wall.Seconds()
		f.Median, f.P99 = quantile(s, 0.5)/float64(per), quantile(s, 0.99)/float64(per)
	}
	b.result.Figures = append(b.result.Figures, f)
	if !b.a.json {
		b.a.printf("%-12s %14s %10s %10s  %s\n", f.Name, count(int64(f.Rate)), benchTime(f.Median), benchTime(f.P99), f.Note)
		b.a.out.Flush()
	}
}

// benchTime writes nanoseconds with three digits.
func benchTime(ns float64) string {
	switch {
	case ns < 1e3:
		return fmt.Sprintf("%.3g ns", ns)
	case ns < 1e6:
		return fmt.Sprintf("%.3g µs", ns/1e3)
	case ns < 1e9:
		return fmt.Sprintf("%.3g ms", ns/1e6)
	}
	return fmt.Sprintf("%.3g s", ns/1e9)
}
