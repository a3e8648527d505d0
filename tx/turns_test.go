package tx

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"mmdb/page"
)

// turn takes the writer's byte for st, loads the free list, and calls fn before the byte is given back.
func turn(t *testing.T, st *Store, fn func(w *writer)) {
	t.Helper()
	admitted(st)
	st.mu.Lock()
	defer st.mu.Unlock()
	noError(t, st.takeRole(context.Background()))
	defer func() { noError(t, st.giveRole()) }()
	if st.w.space == nil {
		noError(t, st.w.loadSpace(&st.w.tip.meta))
	}
	fn(st.w)
}

// sameSpace compares the free list of w with what the whole chain of commit records says.
func sameSpace(t *testing.T, w *writer) {
	t.Helper()
	m := &w.tip.meta
	want, links, err := w.st.replayChain(m, w.st.mapping.Data())
	noError(t, err)
	want.Reclaim(w.neededCommits())
	noError(t, want.SetHighWater(m.HighWater))
	free, pending := w.space.AppendCheckpoint(m.Commit, nil, nil, nil)
	wantFree, wantPending := want.AppendCheckpoint(m.Commit, nil, nil, nil)
	if !bytes.Equal(free, wantFree) || !bytes.Equal(pending, wantPending) || w.space.HighWater() != want.HighWater() {
		t.Errorf("commit %d: %d free and %d pending pages below %d, the chain says %d and %d below %d", m.Commit,
			w.space.FreePages(), w.space.PendingPages(), w.space.HighWater(), want.FreePages(), want.PendingPages(), want.HighWater())
	}
	if len(w.chain) != len(links) || w.chain[len(links)-1] != links[len(links)-1] {
		t.Errorf("commit %d: a chain of %d records, there are %d", m.Commit, len(w.chain), len(links))
	}
}

// A process whose turn comes after others' applies what they have done to the free list that it knows, and that is what a reader of the whole
// chain of commit records finds. After a checkpoint it reads the chain.
func TestATurnGoesOnFromTheLastOne(t *testing.T) {
	checkpoints := quick()
	Sabotage(checkpoints, EagerCheckpoint)
	for name, o := range map[string]*Options{
		"durable":     quick(),
		"lazy":        {Timeout: time.Minute, Durability: Lazy},
		"checkpoints": checkpoints,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, o)
			const keys = 2000
			noError(t, putKeys(a, 0, keys))
			held, err := a.Begin(false) // its pages stay pending
			noError(t, err)
			defer func() { _ = held.Rollback() }()
			for i := range 60 {
				st := []*Store{a, b}[i%2]
				for j := range 1 + i%3 {
					noError(t, putKeys(st, (i*37+j*500)%keys, (i*37+j*500)%keys+5))
				}
				if i == 40 {
					noError(t, held.Rollback())
				}
				if i%7 == 0 { // what it sets out to do and takes back leaves no trace
					_ = st.Update(func(tx *Tx) error {
						noError(t, putInto(tx, keys, keys+300))
						return errors.New("taken back")
					})
				}
				turn(t, []*Store{b, a}[i%2], func(w *writer) { sameSpace(t, w) })
			}
			if n := a.w.resumed + b.w.resumed; n < 10 {
				t.Errorf("a turn went on from the one before only %d times", n)
			}
			checkStore(t, a)
			checkStore(t, b)
		})
	}
}

// While processes write in turns, who has written keeps nobody waiting; who writes alone keeps the byte.
func TestTurnsAreShortWhileProcessesTakeThem(t *testing.T) {
	a, _ := pair(t, quick())
	admitted(a)
	a.mu.Lock()
	a.role.watched = true // nobody watches
	a.mu.Unlock()
	held := func(others time.Time, change func()) bool {
		a.mu.Lock()
		noError(t, a.takeRole(context.Background()))
		a.role.others.Store(&others)
		change()
		a.mu.Unlock()
		a.offerRole()
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.role.held
	}
	soon, never := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	nothing := func() {}
	if held(soon, nothing) {
		t.Error("the byte was kept after another process's turn")
	}
	if !held(never, nothing) {
		t.Error("the byte was given back though nobody else writes")
	}
	if !held(soon, func() { a.w.group = a.newGroup() }) {
		t.Error("the byte was given back with something under way")
	}
	a.mu.Lock()
	a.w.group = nil
	a.mu.Unlock()
}

// BenchmarkTurns is a durable put by each of two opens in turn, as of two processes.
func BenchmarkTurns(b *testing.B) {
	path := newPath(b)
	var stores [2]*Store
	for i := range stores {
		st, err := Open(path, 0o600, quick())
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		admitted(st)
		stores[i] = st
	}
	if err := putKeys(stores[0], 0, 10_000); err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		if err := putKeys(stores[i%2], i*7919%10_000, i*7919%10_000+1); err != nil {
			b.Fatal(err)
		}
	}
}

// A meta that names no commit record is damaged: the chain does not end there, as it does where a turn goes on.
func TestAChainWithoutARecordIsDamage(t *testing.T) {
	st := openStore(t, newPath(t), &Options{Exclusive: true})
	noError(t, putKeys(st, 0, 10))
	st.mu.Lock()
	defer st.mu.Unlock()
	m := st.w.tip.meta
	m.Record = page.Link{}
	_, _, err := st.replayChain(&m, st.mapping.Data())
	wantError(t, err, ErrCorrupt)
}
