package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mmdb/bench/engine"
	"mmdb/bench/report"
	"mmdb/bench/runner"
	"mmdb/bench/workload"
)

// runFlags are the flags of run.
type runFlags struct {
	engines, workloads, skip []string
	against                  []string
	growth                   []int
	folder, json             string
	repeat                   int
	sequential, cold         bool
	config                   workload.Config
	display
}

// runCommand measures.
func runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run workloads on engines, interleaved, a process for each measurement, and report medians",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringSliceVarP(&f.engines, "engines", "e", nil, "engines (default: mmdb, bbolt, and lmdb and lmdb-native if built in; \"all\" for all)")
	flags.StringSliceVarP(&f.workloads, "workloads", "w", []string{"main"}, "workloads or groups of them: main, load, read, write, churn, large, slow, cold")
	flags.StringSliceVar(&f.skip, "skip", nil, "workloads or groups to leave out")
	flags.StringSliceVar(&f.against, "against", nil, "LABEL=PROGRAM: also measure mmdb as built into another build of this program, under this label")
	flags.IntVarP(&f.config.N, "n", "n", 1_000_000, "items of the loaded store; all counts scale with it")
	flags.IntSliceVar(&f.growth, "growth", nil, "also measure every engine with so many items, as ENGINE@ITEMS (numbers, separated by commas)")
	flags.IntVar(&f.config.ValueSize, "value", 100, "bytes of a value")
	flags.IntVarP(&f.repeat, "repeat", "r", 5, "measurements of each figure")
	flags.DurationVar(&f.config.Limit, "limit", 2*time.Second, "longest time for loops of single puts and of reads from a device")
	flags.IntVar(&f.config.Age, "age", 10, "how many times the files' size the workload aged writes")
	flags.Int64Var(&f.config.Memory, "memory", 0, "bytes of memory for small-memory workloads (default a quarter of the files)")
	flags.Uint64Var(&f.config.Seed, "seed", 1, "seed of all that is random")
	flags.BoolVar(&f.sequential, "sequential", false, "load the store that workloads start from in order, not at random")
	flags.BoolVar(&f.cold, "cold", false, "also run the workloads with a cold cache or little memory (Linux; the latter as root)")
	flags.StringVar(&f.folder, "dir", "", "folder for the stores (default the system's for temporary files)")
	flags.StringVar(&f.json, "json", "", "write the report to this file")
	flags.StringVar(&f.config.Profile, "profile", "", "write CPU profiles of what is timed to this folder")
	f.addFlags(cmd)
	return cmd
}

// run measures and reports. Figures that were measured are reported also when others failed.
func (f *runFlags) run(cmd *cobra.Command) error {
	plan, err := f.plan()
	if err != nil {
		return err
	}
	plan.Progress = cmd.ErrOrStderr()
	r := &report.Report{Machine: report.ThisMachine(plan.Folder)}
	if strings.HasPrefix(r.Machine.FileSystem, "tmpfs") {
		fmt.Fprintln(plan.Progress, "the stores are on a tmpfs: flushes cost nothing there (see --dir)")
	}
	r.Settings = report.Settings{Items: f.config.N, ValueBytes: f.config.ValueSize, Repeat: f.repeat, Loaded: "random", Seed: f.config.Seed}
	if f.sequential {
		r.Settings.Loaded = "ascending"
	}
	for _, c := range plan.Contenders {
		r.Engines = append(r.Engines, report.Engine{Label: c.Label, Settings: c.Engine.Settings})
	}
	results, failed := plan.Run()
	r.Results = results
	r.Machine.LoadAfter = report.LoadAverage()
	if f.json != "" {
		failed = errors.Join(failed, r.Write(f.json))
	}
	return errors.Join(failed, f.show(cmd, r))
}

// plan makes a plan of the flags.
func (f *runFlags) plan() (p runner.Plan, err error) {
	if slices.Min(append([]int{f.config.N}, f.growth...)) < 100 || f.config.ValueSize < 1 || f.repeat < 1 {
		return p, errors.New("at least 100 items, values of a byte, and one repetition")
	}
	p = runner.Plan{Repeat: f.repeat, Folder: f.folder, Sequential: f.sequential, Config: f.config}
	if p.Folder == "" {
		p.Folder = os.TempDir()
	}
	if f.config.Profile != "" {
		if p.Config.Profile, err = filepath.Abs(f.config.Profile); err != nil {
			return p, err
		}
	}
	if p.Workloads, err = f.chosen(); err != nil {
		return p, err
	}
	program, err := os.Executable()
	if err != nil {
		return p, err
	}
	for _, name := range f.names() {
		e, ok := engine.Named(name)
		if !ok {
			return p, fmt.Errorf("no engine %q in this build (see bench list; LMDB needs the build tag lmdb)", name)
		}
		p.Contenders = append(p.Contenders, runner.Contender{Label: name, Engine: e, Program: program})
	}
	for _, text := range f.against {
		label, other, ok := strings.Cut(text, "=")
		if !ok {
			return p, fmt.Errorf("--against %q is not LABEL=PROGRAM", text)
		}
		if other, err = filepath.Abs(other); err != nil {
			return p, err
		}
		e, _ := engine.Named("mmdb")
		e.Settings += "; built into " + filepath.Base(other)
		p.Contenders = append(p.Contenders, runner.Contender{Label: label, Engine: e, Program: other})
	}
	first := p.Contenders
	for _, n := range f.growth {
		for _, c := range first {
			c.Label, c.Items = fmt.Sprintf("%s@%d", c.Label, n), n
			p.Contenders = append(p.Contenders, c)
		}
	}
	if !slices.ContainsFunc(p.Contenders, func(c runner.Contender) bool { return c.Label == f.base }) {
		return p, fmt.Errorf("--base %q is not among the engines", f.base)
	}
	return p, nil
}

// names returns the names of the engines.
func (f *runFlags) names() (names []string) {
	if len(f.engines) > 0 && !slices.Contains(f.engines, "all") {
		return f.engines
	}
	usual := []string{"mmdb", "bbolt", "lmdb", "lmdb-native"}
	for _, e := range engine.All() {
		if len(f.engines) > 0 || slices.Contains(usual, e.Name) {
			names = append(names, e.Name)
		}
	}
	return names
}

// chosen returns the workloads, each once, in the order of the list.
func (f *runFlags) chosen() (list []workload.Workload, err error) {
	pick := func(names []string) (map[string]bool, error) {
		picked := map[string]bool{}
		for _, name := range names {
			found := workload.Select(name)
			if len(found) == 0 {
				return nil, fmt.Errorf("no workload or group %q (see bench list)", name)
			}
			for _, w := range found {
				picked[w.Name] = true
			}
		}
		return picked, nil
	}
	if f.cold {
		f.workloads = append(f.workloads, "cold")
	}
	in, err := pick(f.workloads)
	if err != nil {
		return nil, err
	}
	out, err := pick(f.skip)
	if err != nil {
		return nil, err
	}
	for _, w := range workload.All() {
		if in[w.Name] && !out[w.Name] {
			list = append(list, w)
		}
	}
	return list, nil
}
