// Package workload has the workloads. Each opens a store through package engine, measures, and then verifies what it read and what the
// store holds: a figure of an engine that returned wrong data is an error, not a figure.
//
// All but redb's work on the same data: items numbered from 0 in the order of their keys, keys of 16 bytes, values of 100 bytes that
// don't compress. What is random is the same for every engine.
package workload

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"mmdb/bench/engine"
)

// State is what a workload starts from.
type State int

const (
	// Empty: a new, empty folder.
	Empty State = iota
	// Shared: the loaded store of Load. The workload changes nothing in it.
	Shared
	// Copied: a copy of that store, to be changed.
	Copied
)

// Config is what a measurement is made with. It comes from the command line of the parent process.
type Config struct {
	Dir       string        // where the store is or shall be
	Scratch   string        // a folder for things built once, kept for a whole run
	N         int           // items of the loaded store, and the measure of all counts
	ValueSize int           // bytes
	Limit     time.Duration // at most about this long is spent in a loop of single puts, or of reads from a device
	Age       int           // how many times the file's size aged writes
	Memory    int64         // limit of memory in bytes for workloads larger than memory; zero is a quarter of the files
	Seed      uint64
	Profile   string // folder for CPU profiles of what is timed; empty for none
}

// A Metric is one figure of a measurement.
type Metric struct {
	Name  string  // what it is, after the workload's name; empty for the workload's own time
	Unit  string  // "ns" (per operation), "bytes"
	Value float64 // lower is better
	CPU   float64 // of a time: processor time of all threads, which a busy machine disturbs less; zero if not known
	Ops   int     // operations that a time was averaged over
}

// A Workload is one thing to measure.
type Workload struct {
	Name   string
	Doc    string
	Groups []string // sets that it belongs to: main, all, slow, cold
	Start  State
	run    func(*env) error
}

// For reports whether w is measured on e.
func (w Workload) For(e engine.Engine) bool { return e.Only == nil || slices.Contains(e.Only, w.Name) }

// Run measures w on an engine. It returns an error that wraps engine.ErrUnavailable for what the engine can't do.
func (w Workload) Run(e engine.Engine, c Config) ([]Metric, error) {
	if !w.For(e) {
		return nil, fmt.Errorf("%w: %s is not for %s", engine.ErrUnavailable, e.Name, w.Name)
	}
	v := &env{Config: c, engine: e, name: w.Name}
	err := w.run(v)
	if v.store != nil {
		err = errors.Join(err, v.store.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", w.Name, e.Name, err)
	}
	return v.metrics, nil
}

var workloads []Workload

// add registers a workload in the order of reports.
func add(name, groups string, start State, doc string, run func(*env) error) {
	workloads = append(workloads, Workload{Name: name, Doc: doc, Groups: strings.Fields(groups), Start: start, run: run})
}

func init() {
	addLoads()
	addReads()
	addWrites()
	addChurns()
	addLarge()
	addOpen()
	addRedb()
	addCold()
}

// All returns every workload in the order of reports.
func All() []Workload { return slices.Clone(workloads) }

// Select returns the workloads of that name or group.
func Select(name string) (found []Workload) {
	for _, w := range workloads {
		if w.Name == name || slices.Contains(w.Groups, name) {
			found = append(found, w)
		}
	}
	return found
}

// env is a measurement under way.
type env struct {
	Config
	engine  engine.Engine
	name    string
	store   engine.Store
	metrics []Metric
}

// open opens the store; Run closes it if the workload does not.
func (v *env) open(d engine.Durability) (engine.Session, error) {
	var err error
	if v.store, err = v.engine.Open(v.Dir, engine.Options{Durability: d}); err != nil {
		v.store = nil
		return nil, err
	}
	return v.store.Session(), nil
}

// openLoaded opens the loaded store, or a copy of it, and reads all of it once: what is measured is not the first second after an
// open, in which every page is new to the process. It returns the model too.
func (v *env) openLoaded(d engine.Durability) (engine.Session, *model, error) {
	s, err := v.open(d)
	if err != nil {
		return nil, nil, err
	}
	m := newModel(v.N, v.N, v.ValueSize)
	return s, m, m.check(s)
}

// close closes the store.
func (v *env) close() error {
	st := v.store
	v.store = nil
	return st.Close()
}

// timed measures fn, which does ops operations. The garbage of what went before is collected first.
func (v *env) timed(name string, ops int, fn func() error) error {
	return v.counted(name, func() (int, error) { return ops, fn() })
}

// counted is timed for an fn that finds out itself how many operations it does.
func (v *env) counted(name string, fn func() (ops int, err error)) (err error) {
	stop, err := v.profile(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	r, _ := v.store.(engine.Repeater)
	if r != nil {
		r.Record()
	}
	runtime.GC()
	start, cpu := time.Now(), cpuTime()
	ops, err := fn()
	spent, used := time.Since(start), cpuTime()-cpu
	if r != nil && err == nil {
		start, cpu = time.Now(), cpuTime()
		var some bool
		if some, err = r.Repeat(); some {
			spent, used = time.Since(start), cpuTime()-cpu
		}
	}
	if err == nil {
		n := float64(max(ops, 1))
		v.metrics = append(v.metrics, Metric{Name: name, Unit: "ns", Value: float64(spent) / n, CPU: float64(used) / n, Ops: ops})
	}
	return err
}

// profile starts a CPU profile if one was asked for.
func (v *env) profile(name string) (stop func() error, err error) {
	if v.Profile == "" {
		return func() error { return nil }, nil
	}
	name = strings.Trim(strings.Join([]string{v.name, v.engine.Name, strings.ReplaceAll(name, " ", "-")}, "."), ".")
	f, err := os.Create(filepath.Join(v.Profile, name+".pprof"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error { pprof.StopCPUProfile(); return f.Close() }, nil
}

// bytes reports a size.
func (v *env) bytes(name string, n int64) {
	v.metrics = append(v.metrics, Metric{Name: name, Unit: "bytes", Value: float64(n)})
}

// files closes the store and reports the size of its files, and the pages in use before, if the engine can tell.
func (v *env) files() error {
	used, err := v.store.Used()
	if err == nil {
		v.bytes("pages", used)
	} else if !errors.Is(err, engine.ErrUnavailable) {
		return err
	}
	if err := v.close(); err != nil {
		return err
	}
	n, err := diskUsage(v.Dir)
	v.bytes("file", n)
	return err
}

// diskUsage returns the bytes that the files in dir take on the disk, lock files left out.
func diskUsage(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.Contains(entry.Name(), "lock") || entry.Name() == "LOCK" {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		sum += allocated(info)
		return nil
	})
	return sum, err
}

// atLeast scales a count down with N, but not below low.
func (v *env) atLeast(low, divisor int) int { return max(low, v.N/divisor) }
