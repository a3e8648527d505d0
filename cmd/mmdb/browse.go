package main

import (
	"errors"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/spf13/cobra"

	"mmdb"
)

func newBrowse(a *app) *cobra.Command {
	var readOnly bool
	cmd := &cobra.Command{
		Use:   "browse FILE [BUCKET]",
		Short: "Walk buckets and keys on the screen, search, look, edit",
		Long: `Walk the buckets and keys of FILE on the screen. The arrow keys move; enter
opens a bucket or a value, which shows as text, indented JSON or hexadecimal.
? lists all keys.

Each look at the file is a transaction of its own, so nothing is held back
while the screen stands still. An edit, a new key and a deletion ask before
they are made, and are durable when they are. An edit is refused if the value
has changed since it was shown.`,
		Example: `  mmdb browse app.mmdb
  mmdb browse app.mmdb users/by-name --read-only
  mmdb browse app.mmdb --format hex`,
		Args: between(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := pathArg(args, 1)
			if err != nil {
				return err
			}
			return a.browse(args[0], path, readOnly)
		},
	}
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "refuse all changes")
	return cmd
}

// errNoTerminal is for commands that need a screen.
var errNoTerminal = errors.New("standard input and output must be a terminal")

// browse runs the browser until the user leaves it.
func (a *app) browse(file string, path bucketPath, readOnly bool) (err error) {
	m := &browser{a: a, file: file, path: path, readOnly: readOnly}
	if err := m.open(); err != nil {
		return err
	}
	defer func() {
		if closeErr := m.db.Close(); err == nil {
			err = closeErr
		}
	}()
	err = viewError(file, m.db.View(func(tx *mmdb.Tx) error {
		_, err := path.find(tx)
		return err
	}))
	if err != nil {
		return err
	}
	if a.format == formatRaw { // never onto the screen
		a.format = formatText
	}
	return a.screen(m, func() error { return m.fatal })
}

// screen runs a program that fills the terminal, and returns what outcome says after it.
func (a *app) screen(m tea.Model, outcome func() error) error {
	if !isTerminal(a.in) || a.out.file == nil || !isTerminal(a.out.file) {
		return errNoTerminal
	}
	_, err := tea.NewProgram(m, tea.WithContext(a.ctx), tea.WithInput(a.in), tea.WithOutput(a.out.file), tea.WithAltScreen(),
		tea.WithoutSignalHandler()).Run()
	switch {
	case a.ctx.Err() != nil:
		return errInterrupted
	case err != nil:
		return err
	}
	return outcome()
}
