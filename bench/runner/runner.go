package runner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mmdb/bench/engine"
	"mmdb/bench/report"
	"mmdb/bench/workload"
)

// A Contender is an engine, as built into a program: this one, or another build of it to compare with.
type Contender struct {
	Label   string
	Engine  engine.Engine
	Program string
	Items   int // in place of Config.N, if not zero
}

// Plan is what to measure.
type Plan struct {
	Contenders []Contender
	Workloads  []workload.Workload
	Repeat     int // measurements of each
	Folder     string
	Sequential bool // the order in which the store that workloads start from is loaded
	Config     workload.Config
	Progress   io.Writer
}

// run is a plan under way.
type run struct {
	Plan
	work    string // everything made in Folder
	scratch string
	loaded  map[string]string // folder of the loaded store, by label of the files' engine
	failed  []error
}

// Run measures everything, round after round for each workload, and returns what it measured also when some of it failed.
func (p Plan) Run() (results []report.Result, err error) {
	work, err := os.MkdirTemp(p.Folder, "mmdb-bench-")
	if err != nil {
		return nil, err
	}
	r := &run{Plan: p, work: work, scratch: filepath.Join(work, "scratch"), loaded: map[string]string{}}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := os.Mkdir(r.scratch, 0o700); err != nil {
		return nil, err
	}
	for _, w := range p.Workloads {
		results = append(results, r.workload(w)...)
	}
	return results, errors.Join(r.failed...)
}

// workload measures one workload on all contenders, A B C A B C.
func (r *run) workload(w workload.Workload) []report.Result {
	var set report.Set
	out := map[string]bool{} // contenders that can't do it
	for round := range r.Repeat {
		for _, c := range r.Contenders {
			if out[c.Label] || !w.For(c.Engine) {
				continue
			}
			start := time.Now()
			reply, err := r.measure(w, c)
			switch {
			case err != nil:
				out[c.Label] = true
				set.Fail(w.Name, c.Label, err.Error())
				r.failed = append(r.failed, fmt.Errorf("%s: %w", c.Label, err))
				fmt.Fprintf(r.Progress, "%s %s: %v\n", w.Name, c.Label, err)
			case reply.Unavailable != "":
				out[c.Label] = true
				set.Fail(w.Name, c.Label, reply.Unavailable)
				fmt.Fprintf(r.Progress, "%s %s: %s\n", w.Name, c.Label, reply.Unavailable)
			default:
				for _, m := range reply.Metrics {
					set.Add(w.Name, m.Name, m.Unit, c.Label, m.Value, m.CPU)
				}
				fmt.Fprintf(r.Progress, "%s %s %d/%d: %s (%.1f s)\n", w.Name, c.Label, round+1, r.Repeat, summary(reply.Metrics),
					time.Since(start).Seconds())
			}
		}
	}
	return set.Results()
}

// summary shows the figures of one measurement.
func summary(metrics []workload.Metric) string {
	var parts []string
	for _, m := range metrics {
		parts = append(parts, strings.TrimSpace(m.Name+" "+report.Format(m.Value, m.Unit)))
	}
	return strings.Join(parts, ", ")
}

// measure makes one measurement in a folder of its own.
func (r *run) measure(w workload.Workload, c Contender) (reply Reply, err error) {
	q := Request{Engine: c.Engine.Name, Workload: w.Name, Config: r.config(c)}
	if w.Start == workload.Shared {
		if q.Config.Dir, err = r.load(c); err != nil {
			return reply, err
		}
		return ask(c.Program, q)
	}
	if q.Config.Dir, err = os.MkdirTemp(r.work, "store-"); err != nil {
		return reply, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(q.Config.Dir)) }()
	if w.Start == workload.Copied {
		from, err := r.load(c)
		if err != nil {
			return reply, err
		}
		if err := copyFolder(q.Config.Dir, from); err != nil {
			return reply, err
		}
	}
	return ask(c.Program, q)
}

// config returns what c is measured with, but for the folder of the store.
func (r *run) config(c Contender) workload.Config {
	config := r.Config
	config.Scratch = r.scratch
	if c.Items != 0 {
		config.N = c.Items
	}
	return config
}

// load returns the folder of the loaded store of c's engine, which is made when it is first needed.
func (r *run) load(c Contender) (dir string, err error) {
	label := c.Label
	loader := c.Engine
	if name := c.Engine.Files(); name != c.Engine.Name {
		label = name
		if c.Items != 0 {
			label = fmt.Sprintf("%s@%d", name, c.Items)
		}
		loader, _ = engine.Named(name)
	}
	if dir := r.loaded[label]; dir != "" {
		return dir, nil
	}
	if dir, err = os.MkdirTemp(r.work, "loaded-"); err != nil {
		return "", err
	}
	q := Request{Engine: loader.Name, Sequential: r.Sequential, Config: r.config(c)}
	q.Config.Dir = dir
	start := time.Now()
	reply, err := ask(c.Program, q)
	if err == nil && reply.Unavailable != "" {
		err = errors.New(reply.Unavailable)
	}
	if err != nil {
		return "", fmt.Errorf("load: %w", err)
	}
	fmt.Fprintf(r.Progress, "loaded %d items into %s (%.1f s)\n", q.Config.N, label, time.Since(start).Seconds())
	r.loaded[label] = dir
	return dir, nil
}

// copyFolder copies the files in from, and waits until they are on the device, so that this work is not left to what is
// measured.
func copyFolder(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		return copyFile(target, path)
	})
}

// copyFile copies one file and flushes the copy.
func copyFile(to, from string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err == nil {
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close())
}
