// Package runner measures workloads on engines, one process for each measurement, so that no measurement warms or fills anything for the
// next, and interleaved, so that a slow minute of the machine is slow for all.
package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"mmdb/bench/engine"
	"mmdb/bench/workload"
)

// Command is the hidden command of the program that makes one measurement: a Request on standard input, a Reply on
// standard output.
const Command = "measure"

// A Request asks a child process for one measurement, or to load the store that others start from.
type Request struct {
	Engine     string
	Workload   string // empty to load
	Sequential bool   // the order of loading
	Config     workload.Config
}

// A Reply answers it.
type Reply struct {
	Metrics     []workload.Metric
	Unavailable string // why the engine can't do it
	Error       string
}

// Serve answers one request: it is the child process.
func Serve(in io.Reader, out io.Writer) error {
	var q Request
	if err := json.NewDecoder(in).Decode(&q); err != nil {
		return err
	}
	var r Reply
	metrics, err := q.perform()
	switch {
	case errors.Is(err, engine.ErrUnavailable):
		r.Unavailable = err.Error()
	case err != nil:
		r.Error = err.Error()
	default:
		r.Metrics = metrics
	}
	return json.NewEncoder(out).Encode(r)
}

// perform does what was asked.
func (q Request) perform() ([]workload.Metric, error) {
	e, ok := engine.Named(q.Engine)
	if !ok {
		return nil, fmt.Errorf("no engine %q in this build", q.Engine)
	}
	if q.Workload == "" {
		return nil, workload.Load(e, q.Config, q.Sequential)
	}
	for _, w := range workload.Select(q.Workload) {
		if w.Name == q.Workload {
			return w.Run(e, q.Config)
		}
	}
	return nil, fmt.Errorf("no workload %q", q.Workload)
}

// ask runs program as a child process with the request.
func ask(program string, q Request) (r Reply, err error) {
	text, err := json.Marshal(q)
	if err != nil {
		return r, err
	}
	var out, report bytes.Buffer
	cmd := exec.Command(program, Command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), &out, &report
	cmd.Env = append(os.Environ(), childMark+"=1")
	if err := cmd.Run(); err != nil {
		return r, fmt.Errorf("%s of %s: %w: %s", q.Workload, q.Engine, err, lastLines(report.String(), 20))
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("%s of %s: reply %q: %w", q.Workload, q.Engine, out.String(), err)
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

// childMark is set in the environment of child processes; the tests' own program looks at it.
const childMark = "BENCH_CHILD"

// lastLines shortens a crash report.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
