package fuzz

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"mmdb"
)

// workerVariable makes a test binary a worker.
const workerVariable = "MMDB_TIER_WORKER"

// BeWorker makes this process a worker if it was started as one; it does not return then. An init function of a test binary
// calls it.
func BeWorker(sabotage func(o *mmdb.Options, bugs uint32)) {
	if os.Getenv(workerVariable) == "" {
		return
	}
	w := Worker{Sabotage: sabotage}
	if err := w.Serve(os.Stdin, os.NewFile(3, "reports")); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A WorkerProcess is a Worker in another process.
type WorkerProcess struct {
	// Reports are what it says. The channel is closed when it ends.
	Reports <-chan Report

	cmd    *exec.Cmd
	in     io.WriteCloser
	enc    *json.Encoder
	stderr bytes.Buffer
}

// StartWorker starts this test binary again, as a worker.
func StartWorker() (*WorkerProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	reports := make(chan Report, 1<<10)
	p := &WorkerProcess{Reports: reports, cmd: exec.Command(self)}
	p.cmd.Env = append(os.Environ(), workerVariable+"=1")
	p.cmd.ExtraFiles = []*os.File{w}
	p.cmd.Stderr = &p.stderr
	if p.in, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	p.enc = json.NewEncoder(p.in)
	go func() {
		defer r.Close()
		defer close(reports)
		for dec := json.NewDecoder(r); ; {
			var m Report
			if dec.Decode(&m) != nil {
				return // it ended
			}
			reports <- m
		}
	}()
	return p, nil
}

// Send gives the worker a command. An error of a worker that is gone shows in End.
func (p *WorkerProcess) Send(c Command) { _ = p.enc.Encode(c) }

// reportTimeout bounds the wait for a worker: it hangs if it takes longer.
const reportTimeout = 30 * time.Second

// Next returns the worker's next report.
func (p *WorkerProcess) Next() (Report, error) {
	select {
	case r, ok := <-p.Reports:
		if !ok {
			return r, errors.New("the worker ended")
		}
		return r, nil
	case <-time.After(reportTimeout):
		return Report{}, errors.New("the worker hangs")
	}
}

// Do gives the worker a command and returns the reports on it: the last one says how it ended.
func (p *WorkerProcess) Do(c Command) (Report, error) {
	p.Send(c)
	for {
		r, err := p.Next()
		if err != nil || r.Event != "begun" && r.Event != "ready" {
			return r, err
		}
	}
}

// End ends the commands and waits for the worker. A worker that does not end is killed, which is an error, as is one that
// crashed.
func (p *WorkerProcess) End() error {
	p.in.Close()
	timer := time.AfterFunc(reportTimeout, func() { _ = p.cmd.Process.Signal(os.Kill) })
	for range p.Reports {
	}
	err := p.cmd.Wait()
	timer.Stop()
	if err != nil {
		return fmt.Errorf("worker: %w: %s", err, p.stderr.Bytes())
	}
	return nil
}

// Kill ends the worker at once.
func (p *WorkerProcess) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.End()
}
