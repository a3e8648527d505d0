package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress is a bar on standard error. It shows only on a terminal and only
// when the work takes a while; the zero value shows nothing.
type progress struct {
	bar   *progressbar.ProgressBar
	now   int64     // how far the work is
	after time.Time // when the bar appears
}

// patience is how long work may take before a bar appears.
const patience = 400 * time.Millisecond

// bar starts a bar that ends at total (-1: not known); bytes shows sizes in place of counts.
func (a *app) bar(label string, total int64, bytes bool) *progress {
	if !isTerminal(a.err) {
		return &progress{}
	}
	p := &progress{after: time.Now().Add(patience)}
	p.bar = progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(a.err),
		progressbar.OptionSetDescription(label),
		progressbar.OptionShowBytes(bytes),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetWidth(30),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionSetSpinnerChangeInterval(0), // else one without a total would draw itself, early and after its end
		progressbar.OptionClearOnFinish(),
		progressbar.OptionUseANSICodes(true), // clears what the terminal itself echoed, too
		progressbar.OptionSetPredictTime(total > 0),
	)
	p.bar.StartWithoutRender() // so that the rate counts from here on
	return p
}

// add moves the bar by n.
func (p *progress) add(n int64) { p.set(p.now + n) }

// set moves the bar to n.
func (p *progress) set(n int64) {
	p.now = n
	if p.bar != nil && !time.Now().Before(p.after) {
		_ = p.bar.Set64(n)
	}
}

// clear removes the bar from the screen, to make room for a line. The next move brings it back.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// done removes the bar for good.
func (p *progress) done() {
	p.clear()
	p.bar = nil
}

// stepBars shows a bar for each step of some work.
type stepBars struct {
	a     *app
	bytes bool // what is counted are bytes
	phase string
	bar   *progress
}

// set says how far a step is; a new phase starts another bar. It returns an error after an interrupt.
func (s *stepBars) set(phase string, done, total uint64) error {
	if phase != s.phase {
		s.end()
		s.phase, s.bar = phase, s.a.bar(phase, int64(total), s.bytes)
	}
	s.bar.set(int64(done))
	return s.a.interrupted()
}

// clear makes room for a line.
func (s *stepBars) clear() {
	if s.bar != nil {
		s.bar.clear()
	}
}

// end removes the bar.
func (s *stepBars) end() {
	if s.bar != nil {
		s.bar.done()
	}
}
