package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// app holds what the commands of one run share: the streams and the global
// flags.
type app struct {
	in      io.Reader
	out     *output
	err     io.Writer
	ctx     context.Context
	timeout time.Duration
	format  format
	json    bool
	started bool // a command's function was reached: later errors are not about usage
}

// run executes the tool with the given arguments and streams and returns the
// exit status. It keeps no state between calls.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return runContext(context.Background(), args, stdin, stdout, stderr)
}

// runContext is run with a context whose end stops long commands.
func runContext(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{in: stdin, out: newOutput(stdout), err: stderr, ctx: ctx, format: formatText}
	err := a.execute(args)
	if flushErr := a.out.Flush(); err == nil {
		err = flushErr
	}
	return a.report(err)
}

// execute runs the command that args names. A panic becomes an error: a user
// of the tool never sees a stack unless asked for.
func (a *app) execute(args []string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("internal error, a bug in mmdb: %v", r)
			if os.Getenv("MMDB_TRACE") != "" {
				err = fmt.Errorf("%w\n%s", err, debug.Stack())
			}
		}
	}()
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.InitDefaultCompletionCmd()
	if cmd, _, err := root.Find([]string{"completion"}); err == nil {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() } // else it would take any word for a shell
	}
	err = root.ExecuteContext(a.ctx)
	if err != nil && !a.started {
		return usageError{err}
	}
	return err
}

// newRoot builds the command tree.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "mmdb",
		Short: "Look into mmdb databases, change them, and move data in and out",
		Long: `mmdb looks into mmdb databases, changes them, and moves data in and out.

A bucket is named by its path, a/b/c; in a name \/ is a slash, \\ a backslash
and \xNN any byte. Keys and values are shown and read as text with the same
escapes, or as --format hex, base64 or raw. After -- nothing is taken for a
flag.

Exit status: 0 success, 1 error, 2 wrong usage, 3 file in use, 4 file damaged,
130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if a.json && a.format == formatRaw {
				return usagef("--json and --format raw do not go together: JSON can't carry raw bytes")
			}
			if a.timeout < 0 {
				return usagef("--timeout is not negative")
			}
			a.started = true
			return nil
		},
	}
	flags := root.PersistentFlags()
	flags.DurationVar(&a.timeout, "timeout", time.Second, "wait for a file in use (0: for ever)")
	flags.Var(&a.format, "format", "keys, values: text, hex, base64 or raw")
	flags.BoolVar(&a.json, "json", false, "write JSON for programs")
	_ = root.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formatNames(), cobra.ShellCompDirectiveNoFileComp))
	a.addCommands(root)
	root.SetHelpCommand(newHelp())
	return root
}

// addCommands adds the commands in their groups, with what completes their arguments (nil: names of files).
func (a *app) addCommands(root *cobra.Command) {
	add := func(group string, complete cobra.CompletionFunc, commands ...*cobra.Command) {
		if group != "" && !root.ContainsGroup(group) {
			root.AddGroup(&cobra.Group{ID: group, Title: group})
		}
		for _, cmd := range commands {
			cmd.GroupID, cmd.ValidArgsFunction = group, complete
		}
		root.AddCommand(commands...)
	}
	add("Try it:", nil, newDemo(a), newBench(a), newTorture(a), newTortureWorker(a))
	add("Keys and buckets:", a.completeKey, newGet(a), newPut(a), newDel(a))
	add("Keys and buckets:", a.completeBucket, newScan(a), newBuckets(a), newBrowse(a))
	add("The file and its pages:", completeFile, newInfo(a), newCheck(a), newCompact(a), newPages(a), newPage(a), newMap(a))
	add("While programs work:", completeFile, newTop(a), newReaders(a))
	add("The file and its pages:", a.completeBucket, newStats(a), newTree(a))
	add("In and out:", a.completeBucket, newDump(a), newExport(a))
	add("In and out:", nil, newLoad(a), newImport(a))
	add("Backups:", nil, newBackup(a), newRestore(a))
	add("Backups:", completeFile, newVerify(a))
	add("When things go wrong:", nil, newSalvage(a))
	add("", nil, newVersion(a))
}

// newHelp is cobra's help command, but for what it says of a command that does not exist.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			for _, c := range cmd.Root().Commands() {
				if len(args) == 0 && c.IsAvailableCommand() {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			about, rest, err := root.Find(args)
			if err != nil || about == root && len(rest) > 0 {
				return unknownCommand(root, args)
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// unknownCommand refuses arguments of the root command: they are no command, but may be nearly one.
func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if args[0] == "" { // which is near to all
		return usagef("the name of the command is empty")
	}
	text := "unknown command " + args[0]
	root.SuggestionsMinimumDistance = 2
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		text += ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError{errors.New(text)}
}

// interrupted returns an error when the run was asked to stop.
func (a *app) interrupted() error {
	if a.ctx.Err() != nil {
		return errInterrupted
	}
	return nil
}
