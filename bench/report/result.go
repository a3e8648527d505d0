// Package report keeps the results of measurements, and shows them as a table, as JSON and as a plot.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// A Report is a run: what was measured, on what, and how.
type Report struct {
	Machine  Machine
	Settings Settings
	Engines  []Engine
	Results  []Result
}

// Settings are those of the whole run.
type Settings struct {
	Items      int    // in the loaded store
	ValueBytes int    // of a value
	Repeat     int    // measurements of each figure
	Loaded     string // order in which the loaded store was loaded
	Seed       uint64
}

// An Engine is a column of the table.
type Engine struct {
	Label    string
	Settings string
}

// A Result is what one engine did in one row.
type Result struct {
	Workload string
	Metric   string // empty for the workload's own time
	Unit     string // "ns" for each operation, or "bytes"
	Engine   string // label
	Values   []float64
	CPU      []float64 `json:",omitempty"` // of times: processor time of all threads
	Note     string    // why there are no values
}

// Median returns the middle value, the lower one of two.
func (r Result) Median() float64 {
	if len(r.Values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(r.Values))
	return s[(len(s)-1)/2]
}

// Row names the result's row in tables.
func (r Result) Row() string {
	if r.Metric == "" {
		return r.Workload
	}
	return r.Workload + ": " + r.Metric
}

// A Set collects values into results, in the order in which they first came.
type Set struct{ results []Result }

// Add adds a value, and the processor time that goes with it, if it is known.
func (s *Set) Add(workload, metric, unit, label string, value, cpu float64) {
	r := s.at(workload, metric, label)
	r.Unit = unit
	r.Values = append(r.Values, value)
	if cpu > 0 {
		r.CPU = append(r.CPU, cpu)
	}
}

// Fail notes why there is no value.
func (s *Set) Fail(workload, label, note string) { s.at(workload, "", label).Note = note }

// at finds or makes a result.
func (s *Set) at(workload, metric, label string) *Result {
	for i := range s.results {
		if r := &s.results[i]; r.Workload == workload && r.Metric == metric && r.Engine == label {
			return r
		}
	}
	s.results = append(s.results, Result{Workload: workload, Metric: metric, Engine: label})
	return &s.results[len(s.results)-1]
}

// Results returns what was collected.
func (s *Set) Results() []Result { return s.results }

// ByCPU returns the report with processor times in the place of times. What is no time is left out.
func (r *Report) ByCPU() *Report {
	c := *r
	c.Results = nil
	for _, res := range r.Results {
		if len(res.CPU) > 0 {
			res.Values, res.CPU = res.CPU, nil
			c.Results = append(c.Results, res)
		}
	}
	return &c
}

// Write writes the report as JSON.
func (r *Report) Write(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Read reads a report that Write wrote.
func Read(path string) (*Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}
