package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mmdb"
)

// backupResult is what "mmdb backup" and "mmdb restore" did, in JSON.
type backupResult struct {
	File    string  `json:"file"`
	To      string  `json:"to"`
	Commit  uint64  `json:"commit"`
	Bytes   int64   `json:"bytes"`
	Compact bool    `json:"compact"`
	Seconds float64 `json:"seconds"`
}

// standardStream as a file name means standard input or output.
const standardStream = "-"

func newBackup(a *app) *cobra.Command {
	var compact, force bool
	cmd := &cobra.Command{
		Use:   "backup FILE DEST",
		Short: "Copy a database while it is in use, verifying what is copied",
		Long: `Copy the newest commit of FILE to DEST, a database file like any other. Every
page is verified in the bytes that are written, and the copy is on the device
before it takes its name: there is never half a backup under it. Pages without
live data are written as zeros. DEST must not exist; --force replaces it in one
step. With - for DEST the copy goes to standard output.

--compact writes keys and values anew, in order, into full pages: the smallest
file, and the fastest to scan. Its commit numbers start anew.`,
		Example: `  mmdb backup app.mmdb /backups/app-$(date +%F).mmdb
  mmdb backup --compact app.mmdb small.mmdb
  mmdb backup app.mmdb - | zstd > app.mmdb.zst`,
		Args: twoFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			if args[1] == standardStream {
				return a.backupStream(args[0], compact)
			}
			return a.backup(args[0], args[1], mmdb.BackupOptions{Mode: fileMode, Compact: compact, Replace: force})
		},
	}
	cmd.Flags().BoolVar(&compact, "compact", false, "rewrite densely in place of copying pages")
	cmd.Flags().BoolVar(&force, "force", false, "replace DEST if it exists")
	return cmd
}

// backup copies the database at from to the file at to.
func (a *app) backup(from, to string, o mmdb.BackupOptions) error {
	start := time.Now()
	if _, err := os.Stat(from); err != nil {
		return fileError(from, err)
	}
	target, free, err := a.target(to, from, o.Replace)
	if err != nil {
		return err
	}
	defer free()
	var r mmdb.BackupReport
	err = a.viewDB(from, func(db *mmdb.DB) error {
		steps := stepBars{a: a, bytes: true}
		defer steps.end()
		o.Progress = steps.set
		r, err = db.Backup(target, o)
		return err
	})
	if err != nil {
		return targetError(to, err)
	}
	return a.backupDone("backed up", backupResult{File: from, To: to, Commit: r.Commit, Bytes: r.Bytes, Compact: o.Compact, Seconds: time.Since(start).Seconds()})
}

// backupStream writes the copy to standard output.
func (a *app) backupStream(from string, compact bool) error {
	if compact {
		return usagef("--compact needs a file to write to, not standard output")
	}
	if isTerminal(a.out.file) {
		return errors.New("standard output is a terminal: a database is not for reading there")
	}
	if isStream(a.out.file, from) {
		return fmt.Errorf("%s: output and input are the same file", from)
	}
	a.out.whole = true
	return a.view(from, func(tx *mmdb.Tx) error {
		bar := a.bar("copying", tx.Size(), true)
		defer bar.done()
		_, err := tx.WriteTo(&countingWriter{a, bar})
		return err
	})
}

// countingWriter writes to standard output, moves a progress bar, and ends at an interrupt.
type countingWriter struct {
	a   *app
	bar *progress
}

func (w *countingWriter) Write(b []byte) (int, error) {
	if err := w.a.interrupted(); err != nil {
		return 0, err
	}
	n, err := w.a.out.Write(b)
	w.bar.add(int64(n))
	return n, err
}

// target says which file a copy that is to be at path replaces or becomes, and keeps a database that stands there from
// being opened until free is called. One that is in use is an error: the program that has it open would go on
// with a file that has no name any more.
func (a *app) target(path, input string, force bool) (name string, free func(), err error) {
	free = func() {}
	if sameFile(path, input) {
		return "", free, fmt.Errorf("%s: output and input are the same file", path)
	}
	if err := notLockFile(path); err != nil {
		return "", free, err
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return path, free, dirExists(filepath.Dir(path))
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return "", free, fmt.Errorf("%s: is a directory", path)
	case !force:
		return "", free, existsError(path)
	case err != nil: // a symbolic link that leads nowhere, say
		return "", free, fileError(path, err)
	case !info.Mode().IsRegular():
		return "", free, fmt.Errorf("%s: not a regular file", path)
	}
	if name, err = filepath.EvalSymlinks(path); err != nil {
		return "", free, fileError(path, err)
	}
	if blank(name) {
		return name, free, nil
	}
	db, err := a.openDB(name, mmdb.Options{Exclusive: true})
	switch {
	case err == nil:
		return name, func() { _ = db.Close() }, nil
	case errors.Is(err, mmdb.ErrInvalid), errors.Is(err, mmdb.ErrCorrupt), errors.Is(err, mmdb.ErrVersion):
		return name, free, nil // its lock was had: nobody uses it
	case errors.Is(err, mmdb.ErrTimeout), errors.Is(err, errInterrupted):
		return "", free, fileError(path, err)
	}
	return "", free, fmt.Errorf("%w: so nobody knows whether a program has it open, and it is not replaced", fileError(path, err))
}

func existsError(path string) error {
	return fmt.Errorf("%s: exists already (--force replaces it)", path)
}

// targetError puts errors of making the file to into the tool's words.
func targetError(to string, err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return existsError(to)
	case errors.Is(err, errInterrupted):
		return errInterrupted
	}
	return err
}

// backupDone prints the result.
func (a *app) backupDone(what string, r backupResult) error {
	if a.json {
		return a.printJSON(r)
	}
	to := "to " + visible(r.To)
	if r.Compact {
		to = "compactly " + to
	}
	a.printf("%s: commit %d %s %s, %s, every page verified, %.2f s\n", visible(r.File), r.Commit, what, to, size(r.Bytes), r.Seconds)
	return nil
}
