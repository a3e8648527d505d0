// Bench measures mmdb beside other storage engines. See README.md for how to repeat its figures.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"mmdb/bench/engine"
	"mmdb/bench/report"
	"mmdb/bench/runner"
	"mmdb/bench/workload"
)

func main() {
	root := &cobra.Command{
		Use:          "bench",
		Short:        "Measure mmdb beside other storage engines",
		SilenceUsage: true,
	}
	root.AddCommand(runCommand(), listCommand(), showCommand(), measureCommand())
	if root.Execute() != nil {
		os.Exit(1)
	}
}

// measureCommand is the child process of a run.
func measureCommand() *cobra.Command {
	return &cobra.Command{
		Use:    runner.Command,
		Short:  "Make one measurement; run starts this itself",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(*cobra.Command, []string) error { return runner.Serve(os.Stdin, os.Stdout) },
	}
}

// listCommand shows what can be chosen.
func listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the engines and workloads of this build",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			out := cmd.OutOrStdout()
			fmt.Fprintln(out, "Engines:")
			for _, e := range engine.All() {
				fmt.Fprintf(out, "  %-18s %s\n", e.Name, e.Settings)
			}
			fmt.Fprintln(out, "Workloads, with the groups they belong to:")
			for _, w := range workload.All() {
				fmt.Fprintf(out, "  %-18s %s %v\n", w.Name, w.Doc, w.Groups)
			}
		},
	}
}

// showCommand shows the report of an earlier run.
func showCommand() *cobra.Command {
	var how display
	cmd := &cobra.Command{
		Use:   "show FILE.json",
		Short: "Show the report of an earlier run as a table, and as a plot if asked",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := report.Read(args[0])
			if err != nil {
				return err
			}
			return how.show(cmd, r)
		},
	}
	how.addFlags(cmd)
	return cmd
}

// display is how a report is shown.
type display struct {
	base, plot string
	cpu        bool
}

// addFlags adds the flags for it.
func (d *display) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.base, "base", "mmdb", "engine that the others are compared with")
	cmd.Flags().StringVar(&d.plot, "plot", "", "write a plot to this file (.svg, .png or .pdf)")
	cmd.Flags().BoolVar(&d.cpu, "cpu", false, "show processor times in the place of times")
}

// show prints a report and draws its plot.
func (d *display) show(cmd *cobra.Command, r *report.Report) error {
	if d.cpu {
		r = r.ByCPU()
	}
	if err := r.Table(cmd.OutOrStdout(), d.base); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout())
	if err := r.Notes(cmd.OutOrStdout()); err != nil {
		return err
	}
	if d.plot == "" {
		return nil
	}
	return r.Plot(d.plot, d.base)
}
