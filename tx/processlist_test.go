package tx

import (
	"context"
	"os"
	"testing"
)

// Each open of a database is told with what it has done.
func TestProcessesTellWhatEachHasDone(t *testing.T) {
	path := newPath(t)
	a := openStore(t, path, quick())
	if admitted(a) == nil {
		t.Skip("this system can't share a database between processes")
	}
	noError(t, putKeys(a, 0, 300))
	b := openStore(t, path, quick())
	for i := range 3 {
		noError(t, putKeys(b, 0, 1+i))
	}
	old, err := b.Begin(false)
	noError(t, err)
	b.mu.Lock() // while processes write in turns, none keeps the writer's byte
	noError(t, b.takeRole(context.Background()))
	b.mu.Unlock()
	for _, st := range []*Store{a, b} {
		list, err := st.Processes()
		noError(t, err)
		if len(list) != 2 {
			t.Fatalf("%d processes: %+v", len(list), list)
		}
		for _, p := range list {
			of := a
			if p.Own == (st == b) {
				of = b
			}
			s := of.Stats()
			if p.Process != os.Getpid() || p.Since.IsZero() || p.Updates != s.Updates || p.Commits != s.Commits || p.PagesWritten != s.PagesWritten ||
				p.FlushTime != s.FlushTime || p.Writer != (of == b) || p.Readers != s.OpenReaders {
				t.Errorf("%+v, its own figures are %+v", p, s)
			}
		}
	}
	noError(t, old.Rollback())
	noError(t, b.Close())
	list, err := a.Processes()
	noError(t, err)
	if len(list) != 1 || !list[0].Own || list[0].Updates != a.Stats().Updates {
		t.Errorf("after one has left: %+v", list)
	}
	c := openStore(t, path, quick()) // in the place of the one that has left
	list, err = c.Processes()
	noError(t, err)
	for _, p := range list {
		if p.Own && (p.Updates != 0 || p.Commits != 0 || p.FlushTime != 0 || p.PagesWritten != 0) {
			t.Errorf("a new one has done something already: %+v", p)
		}
	}
}

// A database that is open exclusively has one process, and nobody to reap.
func TestProcessesOfAnExclusiveDatabase(t *testing.T) {
	st := openStore(t, newPath(t), &Options{Exclusive: true})
	noError(t, putKeys(st, 0, 10))
	list, err := st.Processes()
	noError(t, err)
	if len(list) != 1 || !list[0].Own || !list[0].Writer || list[0].Commits != st.Stats().Commits {
		t.Errorf("%+v", list)
	}
	dead, err := st.ReapReaders()
	noError(t, err)
	if dead != 0 {
		t.Errorf("%d dead", dead)
	}
}

func TestProcessesOfAClosedDatabase(t *testing.T) {
	for _, o := range []Options{{}, {Exclusive: true}} {
		st := openStore(t, newPath(t), &o)
		if !o.Exclusive {
			admitted(st)
		}
		noError(t, st.Close())
		_, err := st.Processes()
		wantError(t, err, ErrDatabaseNotOpen)
		_, err = st.ReapReaders()
		wantError(t, err, ErrDatabaseNotOpen)
		_, err = st.Readers()
		wantError(t, err, ErrDatabaseNotOpen)
	}
}
