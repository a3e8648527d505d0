package freelist

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"mmdb/page"
)

// cell is what the model knows of a page.
type cell struct {
	kind       usage // inUse, someFree or somePend
	born, died page.Commit
}

// model is the state of every page, one by one.
type model struct {
	t     *testing.T
	rng   *rand.Rand
	l     *List
	first page.No
	cells []cell // cells[p-first]; its length gives the high water
	now   page.Commit
}

func (m *model) at(p page.No) *cell    { return &m.cells[p-m.first] }
func (m *model) hw() page.No           { return m.first + page.No(len(m.cells)) }
func (m *model) is(p page.No) usage    { return m.at(p).kind }
func (m *model) set(p page.No, c cell) { *m.at(p) = c }

// compare checks the list against the model, page by page.
func (m *model) compare(step string) {
	m.t.Helper()
	validate(m.t, m.l)
	got := make([]cell, uint64(m.l.HighWater()-m.first))
	for e := range m.l.Free() {
		for p := e.Page; p < e.End(); p++ {
			got[p-m.first] = cell{kind: someFree}
		}
	}
	for x := range m.l.PendingExtentsSeq() {
		for p := x.Page; p < x.End(); p++ {
			got[p-m.first] = cell{somePend, x.Born, x.Died}
		}
	}
	if len(got) != len(m.cells) {
		m.t.Fatalf("%s: high water %d, want %d", step, m.l.HighWater(), m.hw())
	}
	for i, want := range m.cells {
		if got[i] != want {
			m.t.Fatalf("%s: page %d is %v, want %v", step, m.first+page.No(i), got[i], want)
		}
	}
}

// randomUsed returns up to n disjoint extents of pages in use, sorted.
func (m *model) randomUsed(n int) []Extent {
	var es []Extent
	taken := map[page.No]bool{}
	for ; n > 0 && len(m.cells) > 0; n-- {
		e := Extent{Page: m.first + page.No(m.rng.IntN(len(m.cells)))}
		for p := e.Page; p < m.hw() && m.is(p) == inUse && !taken[p] && e.Len < 6; p++ {
			e.Len++
			taken[p] = true
		}
		if e.Len > 0 {
			es = append(es, e)
		}
	}
	slices.SortFunc(es, byPage)
	return es
}

func (m *model) reclaim() {
	needed := make([]page.Commit, m.rng.IntN(6))
	for i := range needed {
		needed[i] = page.Commit(m.rng.Uint64N(uint64(m.now) + 2))
	}
	slices.Sort(needed)
	if m.rng.IntN(2) == 0 {
		needed = slices.Compact(needed)
	}
	m.l.Reclaim(needed)
	for i, c := range m.cells {
		if c.kind == somePend && !slices.ContainsFunc(needed, func(r page.Commit) bool {
			return c.born <= r && r < c.died
		}) {
			m.cells[i] = cell{kind: someFree}
		}
	}
	m.compare("reclaim")
}

// alloc allocates random units; now and then below a limit that may be too low.
func (m *model) alloc() {
	units := make([]uint32, m.rng.IntN(12))
	for i := range units {
		units[i] = 1
		if m.rng.IntN(3) == 0 {
			units[i] = 1 + m.rng.Uint32N(9)
		}
	}
	var limit page.No
	if m.rng.IntN(2) == 0 {
		limit = m.hw() + page.No(m.rng.IntN(20)) - min(5, page.No(len(m.cells)))
	}
	target := page.No(0)
	if m.rng.IntN(2) == 0 {
		target = m.hw() + page.No(m.rng.IntN(20)) - min(5, page.No(len(m.cells)))
	}
	m.l.SetTarget(target)
	longest, longestFit := m.runs(units)
	prefix := []page.No{7, 7}
	got, err := m.l.Alloc(units, prefix, limit)
	if !slices.Equal(got[:2], prefix) {
		m.t.Fatalf("Alloc changed what dst held: %v", got)
	}
	if err != nil {
		if !errors.Is(err, ErrFull) || limit == 0 || len(got) != 2 {
			m.t.Fatalf("Alloc(%v, limit %d): %d, %v", units, limit, got, err)
		}
		m.compare("failed alloc")
		return
	}
	old := m.hw()
	m.take(units, got[2:], limit)
	m.checkLayout(units, got[2:], old, target, longest, longestFit)
	m.compare("alloc")
	if m.rng.IntN(4) == 0 {
		m.abort(units, got[2:], old)
	}
}

// runs returns the length of the longest free run, and of the shortest that holds all
// the units (0 if none does).
func (m *model) runs(units []uint32) (longest, fit uint64) {
	var total, run uint64
	for _, u := range units {
		total += uint64(u)
	}
	for i := 0; i <= len(m.cells); i++ {
		if i < len(m.cells) && m.cells[i].kind == someFree {
			run++
			continue
		}
		longest = max(longest, run)
		if run >= total && run > 0 && (fit == 0 || run < fit) {
			fit = run
		}
		run = 0
	}
	return longest, fit
}

// take marks allocated pages used and checks that they were free.
func (m *model) take(units []uint32, at []page.No, limit page.No) {
	if len(at) != len(units) {
		m.t.Fatalf("%d places for %d units", len(at), len(units))
	}
	for len(m.cells) < int(m.l.HighWater()-m.first) {
		m.cells = append(m.cells, cell{kind: someFree})
		if limit != 0 && m.hw() > limit {
			m.t.Fatalf("high water above the limit %d", limit)
		}
	}
	for i, p := range at {
		for end := p + page.No(units[i]); p < end; p++ {
			if p < m.first || p >= m.hw() || m.is(p) != someFree {
				m.t.Fatalf("unit %d got page %d, which is not free", i, p)
			}
			m.set(p, cell{})
		}
	}
}

// checkLayout checks that the units stand in as few runs as Alloc promises.
func (m *model) checkLayout(units []uint32, at []page.No, old, target page.No, longest, fit uint64) {
	var last page.No
	singleAbove := false
	for i, p := range at {
		if fit > 0 && i > 0 && at[i-1]+page.No(units[i-1]) != p {
			m.t.Fatalf("a free run of %d pages, but units %v are apart: %v", fit, units, at)
		}
		if units[i] == 1 {
			if p <= last {
				m.t.Fatalf("single pages do not ascend: %v", at)
			}
			last, singleAbove = p, singleAbove || p >= max(old, target)
		} else if p+page.No(units[i]) > old && uint64(units[i]) > longest {
			continue // fits nowhere
		}
	}
	if fit > 0 && m.hw() > old {
		m.t.Fatalf("a free run of %d pages, but the high water rose", fit)
	}
	if singleAbove && m.l.FreePages() > 0 {
		m.t.Fatalf("a single page stands behind the data, but %d pages are free", m.l.FreePages())
	}
}

// abort gives an allocation back, as a failed commit does.
func (m *model) abort(units []uint32, at []page.No, old page.No) {
	var es []Extent
	for i, p := range at {
		es = append(es, Extent{p, uint64(units[i])})
	}
	for _, e := range Normalize(es) {
		m.l.Return(e)
		for p := e.Page; p < e.End(); p++ {
			m.set(p, cell{kind: someFree})
		}
	}
	m.compare("return")
	m.l.CutTo(old)
	m.cells = m.cells[:old-m.first]
	m.compare("cut")
}

func (m *model) free() {
	m.now += page.Commit(m.rng.IntN(3))
	var ps []Pending
	for _, e := range m.randomUsed(1 + m.rng.IntN(8)) {
		p := Pending{e, m.now - min(m.now, page.Commit(m.rng.IntN(5))), m.now}
		c := cell{somePend, p.Born, p.Died}
		if p.Born == p.Died {
			c = cell{kind: someFree}
		}
		for n := e.Page; n < e.End(); n++ {
			m.set(n, c)
		}
		ps = append(ps, p)
	}
	m.l.AddPending(NormalizePending(ps))
	m.compare("pending")
}

func (m *model) trim() {
	keep := m.rng.Uint64N(8)
	free := 0
	for free < len(m.cells) && m.cells[len(m.cells)-1-free].kind == someFree {
		free++
	}
	if uint64(free) > keep {
		m.cells = m.cells[:len(m.cells)-free+int(keep)]
	}
	if hw := m.l.Trim(keep); hw != m.hw() {
		m.t.Fatalf("Trim(%d) = %d, want %d", keep, hw, m.hw())
	}
	m.compare("trim")
}

// retake takes an extent from wherever it is, as a replay does.
func (m *model) retake() {
	e := Extent{m.first + page.No(m.rng.IntN(len(m.cells)+8)), 1 + m.rng.Uint64N(9)}
	bad := false
	for p := e.Page; p < min(e.End(), m.hw()); p++ {
		bad = bad || m.is(p) == inUse
	}
	if err := m.l.Take(e); bad != errors.Is(err, page.ErrCorrupt) || !bad && err != nil {
		m.t.Fatalf("Take(%v) = %v, want an error: %v", e, err, bad)
	}
	if !bad {
		for m.hw() < e.End() {
			m.cells = append(m.cells, cell{kind: someFree})
		}
		for p := e.Page; p < e.End(); p++ {
			m.set(p, cell{})
		}
	}
	m.compare("take")
}

// reload stores the list as a checkpoint and goes on with what was loaded from it.
func (m *model) reload() {
	free, pending := m.l.AppendCheckpoint(m.now, nil, nil, nil)
	if n, bound := len(free)+len(pending), m.l.CheckpointBound(0); n > bound {
		m.t.Fatalf("checkpoint of %d bytes, bound %d", n, bound)
	}
	l := New(m.first, m.hw())
	if err := l.LoadCheckpoint(m.now, free, pending); err != nil {
		m.t.Fatal(err)
	}
	same(m.t, l, m.l)
	m.l = l
	m.compare("reload")
}

// TestModel runs random operations on a list and on an array of page states.
func TestModel(t *testing.T) {
	rng := newRand(t)
	rounds, steps := 60, 300
	if testing.Short() {
		rounds = 10
	}
	for range rounds {
		first := page.No(1 + rng.IntN(12))
		m := &model{t: t, rng: rng, l: New(first, first), first: first, now: 1}
		for range steps {
			switch n := rng.IntN(20); {
			case n < 7:
				m.alloc()
			case n < 13:
				m.free()
			case n < 16:
				m.reclaim()
			case n < 17:
				m.trim()
			case n < 19:
				m.retake()
			default:
				m.reload()
			}
		}
	}
}
