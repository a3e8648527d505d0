package freelist

import (
	"math/rand/v2"
	"slices"
	"testing"

	"mmdb/page"
)

// snapshot is the set of pages that a commit's state reaches, with the commit that
// wrote each.
type snapshot map[page.No]page.Commit

// record is what a commit leaves in the file about its free space.
type record struct {
	commit         page.Commit
	hw             page.No
	written, freed []byte
	free, pending  []byte // a checkpoint when isCheckpoint
	isCheckpoint   bool
}

// simulation is a database reduced to its sets of pages. It knows nothing of born and
// died: what may be used again follows from what the needed snapshots reach.
type simulation struct {
	t         *testing.T
	rng       *rand.Rand
	l         *List
	commit    page.Commit // the newest published
	snapshots map[page.Commit]snapshot
	readers   []page.Commit
	slots     [3]page.Commit
	records   []record
}

const simFirst = 12

func newSimulation(t *testing.T, rng *rand.Rand) *simulation {
	s := &simulation{t: t, rng: rng, l: New(simFirst, simFirst)}
	s.snapshots = map[page.Commit]snapshot{0: {}}
	free, pending := s.l.AppendCheckpoint(0, nil, nil, nil)
	s.records = []record{{hw: simFirst, free: free, pending: pending, isCheckpoint: true}}
	return s
}

// victim is the slot that the next meta goes to.
func (s *simulation) victim() int {
	v := 0
	for i, c := range s.slots {
		if c < s.slots[v] {
			v = i
		}
	}
	return v
}

// needed lists the commits that I9 names.
func (s *simulation) needed() []page.Commit {
	n := append(slices.Clone(s.readers), s.commit)
	for i, c := range s.slots {
		if i != s.victim() {
			n = append(n, c)
		}
	}
	slices.Sort(n)
	return slices.Compact(n)
}

// checkReclaimed checks I9 from first principles: free are exactly the pages that no
// needed snapshot reaches.
func (s *simulation) checkReclaimed(needed []page.Commit) {
	free := make(map[page.No]bool)
	for e := range s.l.Free() {
		for p := e.Page; p < e.End(); p++ {
			free[p] = true
		}
	}
	for p := page.No(simFirst); p < s.l.HighWater(); p++ {
		reached := slices.IndexFunc(needed, func(r page.Commit) bool { _, ok := s.snapshots[r][p]; return ok })
		if reached < 0 && !free[p] {
			s.t.Fatalf("commit %d: page %d is not free, but no needed snapshot of %v reaches it", s.commit, p, needed)
		}
		if reached >= 0 && free[p] {
			s.t.Fatalf("commit %d: page %d is free, but snapshot %d reaches it", s.commit, p, needed[reached])
		}
	}
}

// open replays the records from the last checkpoint, as an opener does.
func (s *simulation) open(needed []page.Commit) *List {
	from := len(s.records) - 1
	for !s.records[from].isCheckpoint {
		from--
	}
	r := s.records[from]
	l := New(simFirst, r.hw)
	if err := l.LoadCheckpoint(r.commit, r.free, r.pending); err != nil {
		s.t.Fatal(err)
	}
	for _, r = range s.records[from+1:] {
		written, err := DecodeExtents(r.written, r.hw)
		if err != nil {
			s.t.Fatal(err)
		}
		freed, err := DecodeFreed(r.freed, r.commit, r.hw)
		if err != nil {
			s.t.Fatal(err)
		}
		if err := l.Replay(written, freed); err != nil {
			s.t.Fatal(err)
		}
	}
	l.Reclaim(needed)
	if err := l.SetHighWater(r.hw); err != nil {
		s.t.Fatal(err)
	}
	return l
}

// step makes one commit.
func (s *simulation) step() {
	needed := s.needed()
	s.l.Reclaim(needed)
	validate(s.t, s.l)
	s.checkReclaimed(needed)
	if s.rng.IntN(3) == 0 {
		same(s.t, s.open(needed), s.l)
	}
	fails := s.rng.IntN(6) == 0
	if !fails && s.rng.IntN(4) == 0 { // else the last record would not tell of it
		s.l.Trim(s.rng.Uint64N(10))
	}
	next := s.commit + 1 + page.Commit(s.rng.IntN(3))
	state := make(snapshot)
	var freed []Pending
	for p, born := range s.snapshots[s.commit] {
		if s.rng.IntN(8) == 0 {
			freed = append(freed, Pending{Extent{p, 1}, born, next})
		} else {
			state[p] = born
		}
	}
	freed = NormalizePending(freed)
	bound := s.l.CheckpointBound(len(freed))
	old := s.l.HighWater()
	written := s.write(len(freed))
	if fails {
		for _, e := range written {
			s.l.Return(e)
		}
		s.l.CutTo(old)
		return
	}
	for _, e := range written {
		for p := e.Page; p < e.End(); p++ {
			state[p] = next
		}
	}
	r := record{commit: next, hw: s.l.HighWater(), written: AppendExtents(nil, written), freed: AppendFreed(nil, freed, next)}
	if s.rng.IntN(10) == 0 {
		r.isCheckpoint = true
		r.free, r.pending = s.l.AppendCheckpoint(next, freed, nil, nil)
		if n := len(r.free) + len(r.pending); n > bound {
			s.t.Fatalf("checkpoint of %d bytes, bound %d", n, bound)
		}
	}
	s.l.AddPending(freed)
	s.publish(next, state, r)
}

// write allocates about as many pages as were freed and returns their extents.
func (s *simulation) write(freed int) []Extent {
	units := make([]uint32, 1+s.rng.IntN(freed+2))
	for i := range units {
		units[i] = 1
		if s.rng.IntN(5) == 0 {
			units[i] = 1 + s.rng.Uint32N(4)
		}
	}
	s.l.SetTarget(0)
	if s.rng.IntN(2) == 0 {
		s.l.SetTarget(s.l.HighWater() + page.No(s.rng.IntN(8)))
	}
	if s.rng.IntN(4) == 0 {
		s.l.Reserve(Extent{simFirst + page.No(s.rng.IntN(60)), s.rng.Uint64N(4)})
	}
	at, err := s.l.Alloc(units, nil, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	var written []Extent
	for i, p := range at {
		written = append(written, Extent{p, uint64(units[i])})
	}
	return Normalize(written)
}

// publish shows the commit, and lets readers begin and end.
func (s *simulation) publish(c page.Commit, state snapshot, r record) {
	s.slots[s.victim()] = c
	s.commit = c
	s.snapshots[c] = state
	s.records = append(s.records, r)
	if s.rng.IntN(3) == 0 {
		s.readers = append(s.readers, c)
	}
	for len(s.readers) > 0 && s.rng.IntN(3) == 0 {
		i := s.rng.IntN(len(s.readers))
		s.readers = slices.Delete(s.readers, i, i+1)
	}
	for old := range s.snapshots {
		if !slices.Contains(s.readers, old) && !slices.Contains(s.slots[:], old) {
			delete(s.snapshots, old)
		}
	}
}

// TestNeededSnapshotsKeepTheirPages runs commits with readers, failures, checkpoints
// and re-opens, and checks before each that the free pages are exactly those which no
// needed snapshot reaches, and that a replayed list equals the live one.
func TestNeededSnapshotsKeepTheirPages(t *testing.T) {
	rng := newRand(t)
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	for range rounds {
		s := newSimulation(t, rng)
		for range 150 {
			s.step()
		}
	}
}

// TestReuseRule checks I9 for every lifetime and every pair of needed sets over eight
// commits, the second set one that the first looked at.
func TestReuseRule(t *testing.T) {
	const commits = 7
	var all []Pending
	for born := range page.Commit(commits) {
		for died := born; died < commits; died++ {
			all = append(all, Pending{Extent{page.No(1 + 2*len(all)), 1}, born, died})
		}
	}
	set := func(bits int) (needed []page.Commit) {
		for c := range commits {
			if bits>>c&1 != 0 {
				needed = append(needed, page.Commit(c))
			}
		}
		return needed
	}
	isFree := func(l *List, p page.No) bool { return l.free.has(p) }
	pins := func(p Pending, needed []page.Commit) bool {
		return slices.ContainsFunc(needed, func(r page.Commit) bool { return p.Born <= r && r < p.Died })
	}
	for a := range 1 << commits {
		for b := range 1 << commits {
			l := used(1000)
			l.AddPending(all)
			for _, p := range all {
				if got := isFree(l, p.Page); got != (p.Born == p.Died) {
					t.Fatalf("%v before a Reclaim: free %v", p, got)
				}
			}
			l.Reclaim(set(a))
			for _, p := range all {
				if got := isFree(l, p.Page); got == pins(p, set(a)) {
					t.Fatalf("%v, needed %v: free %v", p, set(a), got)
				}
			}
			l.Reclaim(set(b))
			for _, p := range all {
				if got := isFree(l, p.Page); got == (pins(p, set(a)) && pins(p, set(b))) {
					t.Fatalf("%v, needed %v, then %v: free %v", p, set(a), set(b), got)
				}
			}
			if b%31 == 0 {
				validate(t, l)
			}
		}
	}
}
