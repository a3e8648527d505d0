package main

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// topScreen is the state of "mmdb top" on a terminal.
type topScreen struct {
	a             *app
	file          string
	sampler       sampler
	o             topOptions
	width, height int
	now           topSample
	seen          int // samples
	updates       []float64
	written       []float64
	paused        bool
	failed        error
}

// topTick asks for the next look.
type topTick time.Time

// topHistory is how many intervals the graphs go back, at most.
const topHistory = 300

// Init begins the looks.
func (m *topScreen) Init() tea.Cmd {
	return func() tea.Msg { return topTick(time.Now()) }
}

// Update takes a key or a tick.
func (m *topScreen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyMsg:
		switch msg.String() {
		case "q", "esc", "ctrl+c":
			return m, tea.Quit
		case " ", "p":
			m.paused = !m.paused
		}
	case topTick:
		if !m.paused {
			if m.look(time.Time(msg)); m.failed != nil || m.o.count > 0 && m.seen > m.o.count {
				return m, tea.Quit
			}
		}
		return m, tea.Tick(m.o.interval, func(t time.Time) tea.Msg { return topTick(t) })
	}
	return m, nil
}

// look takes a sample. The first has no rates yet.
func (m *topScreen) look(now time.Time) {
	v, err := m.sampler.take(now)
	if err != nil {
		m.failed = viewError(m.file, err)
		return
	}
	m.now = v
	if m.seen++; m.seen > 1 {
		m.updates, m.written = keepLast(append(m.updates, v.Updates)), keepLast(append(m.written, v.Written))
	}
}

// keepLast forgets what is too long ago.
func keepLast(v []float64) []float64 { return v[max(len(v)-topHistory, 0):] }

// View draws the screen.
func (m *topScreen) View() string {
	if m.width == 0 || m.seen == 0 {
		return ""
	}
	lines := append([]string{barStyle.Render(fit(m.heading(), m.width))}, m.figures()...)
	graph := max(m.width-26, 10)
	lines = append(lines, "",
		fmt.Sprintf(" updates/s %12s  %s", rate(last(m.updates)), sparkline(m.updates, graph)),
		fmt.Sprintf(" pages/s   %12s  %s", rate(last(m.written)), sparkline(m.written, graph)), "")
	lines = append(lines, m.processes()...)
	lines = append(lines, m.readers()...)
	room := max(m.height-1, 1)
	for len(lines) < room {
		lines = append(lines, "")
	}
	return strings.Join(lines[:room], "\n") + "\n" + faintStyle.Render(shorten(" space pause  q quit", m.width))
}

func (m *topScreen) heading() string {
	s := " " + visible(m.file) + "  commit " + count(m.now.Commit) + "  " + m.now.Time.Format(time.TimeOnly)
	if m.paused {
		s += "  paused"
	}
	return s
}

// figures are the numbers of the last interval.
func (m *topScreen) figures() []string {
	v, page := &m.now, uint64(m.now.PageSize)
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "\n commits\t%s a second\t%.1f updates each\t%s at most\n", rate(v.Commits), v.Group, count(v.LargestGroup))
	fmt.Fprintf(w, " written\t%s pages a second\t%s/s\t%s pages freed\n", rate(v.Written), shortSize(uint64(v.Written)*page), rate(v.Freed))
	fmt.Fprintf(w, " file\t%s\t%s pages in use or free\n", shortSize(v.FileSize), count(v.HighWater))
	fmt.Fprintf(w, " free\t%s pages\t%s\t%s\n", count(v.FreePages), shortSize(v.FreePages*page), percent(v.FreePages, v.HighWater))
	fmt.Fprintf(w, " pending\t%s pages\t%s\t%s\n", count(v.PendingPages), shortSize(v.PendingPages*page), percent(v.PendingPages, v.HighWater))
	_ = w.Flush() // into memory
	return cutLines(b.String(), m.width)
}

// processes are the lines of the other processes.
func (m *topScreen) processes() []string {
	if len(m.now.Processes) == 0 {
		return []string{" no other process", ""}
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "process\tupdates/s\tcommits/s\tflush\twritten/s\tread/s\treaders\t\n")
	for _, p := range m.now.Processes {
		flush := "-"
		if p.Flush > 0 {
			flush = benchTime(p.Flush * 1e9)
		}
		writer := ""
		if p.Writer {
			writer = "  writes" // the last cell of a row is not padded
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", p.Process, rate(p.Updates), rate(p.Commits), flush, rate(p.Written), rate(p.Read), p.Readers, writer)
	}
	_ = w.Flush() // into memory
	return append(cutLines(b.String(), m.width), "")
}

// readers are the lines of the open readers, the oldest first.
func (m *topScreen) readers() []string {
	lines := []string{" " + plural(len(m.now.list), "open reader", "open readers")}
	if len(m.now.list) == 0 {
		return lines
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	printReaders(w, m.now.list, m.now.PageSize, m.now.Time)
	_ = w.Flush() // into memory
	return append(lines, cutLines(b.String(), m.width)...)
}

// cutLines returns the lines of s, as long as the screen is wide.
func cutLines(s string, width int) []string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i := range lines {
		lines[i] = shorten(strings.TrimRight(lines[i], " "), width)
	}
	return lines
}

func last(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return v[len(v)-1]
}

// rate writes a number of things a second.
func rate(v float64) string {
	if v > 0 && v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return count(int64(v + 0.5))
}

// sparkline draws the last n values, each as high as its share of the largest.
func sparkline(v []float64, n int) string {
	const blocks = "▁▂▃▄▅▆▇█"
	v = v[max(len(v)-n, 0):]
	top := 0.0
	for _, x := range v {
		top = max(top, x)
	}
	var out strings.Builder
	for _, x := range v {
		if x == 0 {
			out.WriteByte(' ')
			continue
		}
		out.WriteString(string([]rune(blocks)[min(int(x/top*8), 7)]))
	}
	return out.String()
}
