package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress is a bar on standard error. It shows only on a terminal and only
// when the work takes a while; the zero value shows nothing.
type progress struct{ bar *progressbar.ProgressBar }

// patience is how long work may take before a bar appears.
const patience = 400 * time.Millisecond

// bar starts a bar that ends at total (-1: not known); bytes shows sizes in place of counts.
func (a *app) bar(total int64, label string, bytes bool) *progress {
	if !isTerminal(a.err) {
		return &progress{}
	}
	return &progress{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(a.err),
		progressbar.OptionSetDescription(label),
		progressbar.OptionShowBytes(bytes),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetVisibility(true),
	)}
}

// add moves the bar by n.
func (p *progress) add(n int64) {
	if p.bar != nil {
		_ = p.bar.Add64(n)
	}
}

// done removes the bar.
func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Clear()
		p.bar = nil
	}
}

// spinner is progress without a known end: it turns by itself.
type spinner struct {
	bar  *progressbar.ProgressBar
	stop chan struct{}
	idle chan struct{} // closed when the turning goroutine has ended
}

// spinner starts turning after a moment of patience. Only the goroutine that
// called may use it.
func (a *app) spinner(label string) *spinner {
	if !isTerminal(a.err) {
		return &spinner{}
	}
	s := &spinner{stop: make(chan struct{}), idle: make(chan struct{})}
	s.bar = progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(a.err),
		progressbar.OptionSetDescription(label),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetElapsedTime(true),
	)
	go s.turn()
	return s
}

func (s *spinner) turn() {
	defer close(s.idle)
	wait := patience
	for {
		select {
		case <-s.stop:
			return
		case <-time.After(wait):
			_ = s.bar.Add(1)
			wait = 100 * time.Millisecond
		}
	}
}

// clear ends the spinner and removes it from the screen.
func (s *spinner) clear() {
	if s.bar == nil {
		return
	}
	close(s.stop)
	<-s.idle
	_ = s.bar.Clear()
	s.bar = nil
}
