package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mmdb"
)

// Buckets of a demo database. The mark tells the demo's own earlier output
// from anybody else's file.
const (
	demoContent   = "content" // path → content of the file
	demoDirs      = "dirs"    // a nested bucket per directory: name → size in decimal
	demoMark      = "mmdb demo"
	demoMarkKey   = "made by"
	demoMarkValue = "mmdb demo"
	demoBatch     = 100 // files of a transaction
)

// demo is one run of "mmdb demo".
type demo struct {
	a      *app
	dir    string // source of the files
	file   string // database
	files  []demoFile
	result demoResult
}

// demoFile is one file to load. Its path is relative to the directory, with slashes.
type demoFile struct {
	path string
	size int64 // bytes, when it was loaded
}

func newDemo(a *app) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "demo [DIR]",
		Short: "Load a directory, read all of it back, check, show figures",
		Long: `Load every regular file under DIR (default: the source tree of the Go
toolchain) into a new database, in durable transactions of 100 files: the
bucket "content" holds path → content, the bucket "dirs" a nested bucket for
each directory with name → size. Then close it, open it again, compare every
value with the file on disk, check the database, and print figures and a map of
its pages. The database stays, for the other commands to look at. An earlier
output of the demo is replaced, any other file is not touched. Any difference
is an error.`,
		Example: `  mmdb demo
  mmdb demo /usr/share/doc --db docs.mmdb`,
		Args: between(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := demoSource(args)
			if err != nil {
				return err
			}
			return (&demo{a: a, dir: dir, file: file}).run()
		},
	}
	cmd.Flags().StringVar(&file, "db", "demo.mmdb", "database to write")
	return cmd
}

// demoSource returns the directory to load.
func demoSource(args []string) (string, error) {
	if len(args) == 1 {
		info, err := os.Stat(args[0])
		if err == nil && !info.IsDir() {
			return "", fmt.Errorf("%s: is not a directory", args[0])
		}
		return args[0], fileError(args[0], err)
	}
	out, err := exec.Command("go", "env", "GOROOT").Output()
	root := strings.TrimSpace(string(out))
	if err == nil && root == "" {
		err = errors.New("go env GOROOT says nothing")
	}
	if err != nil {
		return "", fmt.Errorf("no Go toolchain whose source tree could be loaded, name a directory: mmdb demo DIR (%w)", err)
	}
	dir := filepath.Join(root, "src")
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", fmt.Errorf("the Go toolchain in %s has no source tree, name a directory: mmdb demo DIR", root)
	}
	return dir, nil
}

// run goes through all phases and prints the report.
func (d *demo) run() error {
	if err := d.replaceOwn(); err != nil {
		return err
	}
	d.result.Dir, d.result.File, d.result.Unreadable = d.dir, d.file, []string{}
	phases := []struct {
		name string
		do   func() error
	}{
		{"list", d.list}, {"load", d.load}, {"compare", d.compare}, {"check", d.check},
	}
	for _, p := range phases {
		start := time.Now()
		if err := p.do(); err != nil {
			return fmt.Errorf("demo, %s: %w", p.name, err)
		}
		d.result.Seconds = append(d.result.Seconds, phaseTime{p.name, time.Since(start).Seconds()})
	}
	return d.report()
}

// replaceOwn removes an earlier output of the demo. Any other file in its place is an error.
func (d *demo) replaceOwn() error {
	info, err := os.Lstat(d.file)
	if errors.Is(err, fs.ErrNotExist) {
		return dirExists(filepath.Dir(d.file))
	}
	if err != nil {
		return fileError(d.file, err)
	}
	foreign := fmt.Errorf("%s exists and is not an earlier output of the demo: remove it or choose another name with --db", d.file)
	if !info.Mode().IsRegular() {
		return foreign
	}
	own := false
	err = d.a.view(d.file, func(tx *mmdb.Tx) error {
		b := tx.Bucket([]byte(demoMark))
		if own = b != nil && string(b.Get([]byte(demoMarkKey))) == demoMarkValue; !own {
			return foreign
		}
		return os.Remove(d.file)
	})
	var inUse inUseError
	if err == nil || own || err == foreign || errors.As(err, &inUse) || errors.Is(err, errInterrupted) {
		return err
	}
	return fmt.Errorf("%w (%v)", foreign, err)
}

// list collects the regular files under the directory, in order. What can't be
// read is counted and named, and so is the database itself when it is there.
func (d *demo) list() error {
	root, err := filepath.EvalSymlinks(d.dir) // a walk does not follow one
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if stop := d.a.interrupted(); stop != nil {
			return stop
		}
		switch {
		case err != nil && path == root:
			return err
		case err != nil:
			d.unreadable(path, err)
			return nil
		case entry.IsDir():
			return nil
		case !entry.Type().IsRegular():
			d.result.Others++
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		d.files = append(d.files, demoFile{path: filepath.ToSlash(rel)})
		return nil
	})
}

// unreadable counts and names a file or directory that can't be read.
func (d *demo) unreadable(path string, err error) {
	d.result.Unreadable = append(d.result.Unreadable, visible(path))
	d.a.warnf("left out: %v", fileError(path, err))
}

// source returns the path of a file on disk.
func (d *demo) source(f demoFile) string { return filepath.Join(d.dir, filepath.FromSlash(f.path)) }
