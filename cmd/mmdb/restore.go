package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"mmdb"
)

func newRestore(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "restore BACKUP DEST",
		Short: "Make a database of a backup, after checking all of it",
		Long: `Check the whole of BACKUP and copy it to DEST. Nothing appears at DEST, and
nothing that stood there is touched, unless all of the backup is sound. A
database at DEST is replaced only with --force, in one step, and only when no
program has it open. With - for BACKUP it is read from standard input.`,
		Example: `  mmdb restore /backups/app-2026-11-21.mmdb app.mmdb
  mmdb restore --force last.mmdb app.mmdb
  zstd -d < app.mmdb.zst | mmdb restore - app.mmdb`,
		Args: twoFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			if args[0] == standardStream {
				return a.restoreStream(args[1], force)
			}
			return a.restore(args[0], args[1], force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace DEST if it exists")
	return cmd
}

// restore copies the backup at from to the file at to.
func (a *app) restore(from, to string, force bool) error {
	start := time.Now()
	if err := a.sound(from, from); err != nil {
		return err
	}
	target, free, err := a.target(to, from, force)
	if err != nil {
		return err
	}
	defer free()
	var r mmdb.BackupReport
	err = a.viewDB(from, func(db *mmdb.DB) error {
		steps := stepBars{a: a, bytes: true}
		defer steps.end()
		r, err = db.Backup(target, mmdb.BackupOptions{Mode: fileMode, Replace: force, Progress: steps.set})
		return err
	})
	if err != nil {
		return targetError(to, err)
	}
	return a.backupDone("restored", backupResult{File: from, To: to, Commit: r.Commit, Bytes: r.Bytes, Seconds: time.Since(start).Seconds()})
}

// sound returns an error that names the file name unless the whole database at path is sound.
func (a *app) sound(path, name string) error {
	return a.view(path, func(tx *mmdb.Tx) error {
		var first error
		problems := 0
		err := a.eachProblem(tx, func(problem error) {
			if problems++; first == nil {
				first = problem
			}
		})
		if err != nil || problems == 0 {
			return err
		}
		p := newProblem(first)
		return foundError{fmt.Sprintf("%s: %s found, the first on page %d: %s", name, plural(problems, "problem", "problems"), p.Page, p.Reason)}
	})
}

// restoreStream makes the file at to of the backup on standard input.
func (a *app) restoreStream(to string, force bool) error {
	start := time.Now()
	if isTerminal(a.in) {
		return errors.New("standard input is a terminal: a backup is expected there")
	}
	target, free, err := a.target(to, "", force)
	if err != nil {
		return err
	}
	defer free()
	out, err := newOut(to, target)
	if err != nil {
		return targetError(to, err)
	}
	r := backupResult{File: "standard input", To: to}
	if err := out.finish(a.receive(out, &r), force); err != nil {
		return err
	}
	r.Seconds = time.Since(start).Seconds()
	return a.backupDone("restored", r)
}

// receive copies standard input to out, and checks it there.
func (a *app) receive(out *outFile, r *backupResult) error {
	bar := a.bar("copying", -1, true)
	defer bar.done()
	_, err := io.Copy(out, &stoppable{a, &countingReader{a.awaited(a.in), bar}})
	if err == nil {
		err = out.Sync()
	}
	if err != nil {
		return err
	}
	bar.done()
	if err = a.sound(out.Name(), r.File); err != nil {
		return renamed(err, out.Name(), r.File)
	}
	return a.view(out.Name(), func(tx *mmdb.Tx) error {
		in := tx.Info()
		r.Commit, r.Bytes = in.Commit, in.FileSize
		return nil
	})
}

// stoppable ends at an interrupt.
type stoppable struct {
	a *app
	r io.Reader
}

func (s *stoppable) Read(b []byte) (int, error) {
	if err := s.a.interrupted(); err != nil {
		return 0, err
	}
	return s.r.Read(b)
}
