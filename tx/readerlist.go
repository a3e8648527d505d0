package tx

import (
	"cmp"
	"os"
	"slices"
	"time"

	"mmdb/page"
)

// ReaderInfo describes an open read transaction, of whatever process.
type ReaderInfo struct {
	Process int       // its number for the system, where it runs
	Commit  uint64    // that it sees
	Behind  uint64    // how many numbers the newest commit is ahead of that
	Since   time.Time // when a writer first saw that there is a newer commit; zero if none has
	Held    uint64    // pages that it sees and newer commits don't; several readers may hold the same ones
}

// Readers lists the read transactions that are open now, in this process and, where the database is shared, in others; the oldest
// commit first. It reads the commit records to tell what each holds.
func (st *Store) Readers() (list []ReaderInfo, err error) {
	err = st.View(func(t *Tx) error {
		if lf := st.lockFile(); lf != nil {
			lf.reap() // who has died reads nothing
			st.elders.settle()
		}
		list = t.readers.list(t.slot)
		newest := uint64(t.snap.meta.Commit)
		for i := range list {
			list[i].Behind = newest - min(newest, list[i].Commit)
		}
		return t.addHeld(list)
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b ReaderInfo) int {
		return cmp.Or(cmp.Compare(a.Commit, b.Commit), cmp.Compare(a.Process, b.Process))
	})
	return list, nil
}

// list returns the transactions in the table, but for the one in the slot own.
func (rt *readerTable) list(own *readerSlot) (list []ReaderInfo) {
	for k := range rt.blocks() {
		b := rt.block(k)
		if b == nil {
			continue
		}
		process := rt.process(b)
		for i := range blockSlots {
			n := b.slot(i).Load()
			if n == 0 || b.slot(i) == own {
				continue
			}
			list = append(list, ReaderInfo{Process: process, Commit: n, Since: b.since(i, n)})
		}
	}
	return list
}

// oldest returns the open read transaction with the oldest commit, if there is any.
func (rt *readerTable) oldest() (r ReaderInfo, ok bool) {
	var at readerBlock
	slot := 0
	for k := range rt.blocks() {
		b := rt.block(k)
		if b == nil {
			continue
		}
		for i := range blockSlots {
			if n := b.slot(i).Load(); n != 0 && (at == nil || n < r.Commit) {
				at, slot, r.Commit = b, i, n
			}
		}
	}
	if at == nil {
		return r, false
	}
	r.Process, r.Since = rt.process(at), at.since(slot, r.Commit)
	return r, true
}

// process returns the number, for the system, of the process whose block b is.
func (rt *readerTable) process(b readerBlock) int {
	if owner := b.owner().Load(); rt.shared != nil && owner > 0 && owner <= procMax {
		return int(rt.shared.proc(int(owner) - 1)[atPid].Load())
	}
	return os.Getpid()
}

// since returns what note has remembered of slot i and commit n, or the zero time.
func (b readerBlock) since(i int, n uint64) time.Time {
	at := (i + 1) * lineWords
	if b[at+2].Load() != n {
		return time.Time{}
	}
	return time.Unix(0, int64(b[at+1].Load()))
}

// addHeld counts the pages that each reader holds back.
func (t *Tx) addHeld(list []ReaderInfo) error {
	if len(list) == 0 {
		return nil
	}
	space, _, err := t.store.replayChain(&t.snap.meta, t.data)
	if err != nil {
		return err
	}
	needed := []page.Commit{t.snap.meta.Base, t.snap.meta.Commit}
	for _, r := range list {
		needed = append(needed, page.Commit(r.Commit))
	}
	slices.Sort(needed)
	space.Reclaim(slices.Compact(needed))
	for p := range space.PendingExtentsSeq() {
		for i := range list {
			if r := page.Commit(list[i].Commit); p.Born <= r && r < p.Died {
				list[i].Held += p.Len
			}
		}
	}
	return nil
}

// needed returns the commits that pin pages now, as far as a reader knows them: those of readers, t's, and the one before that.
func (t *Tx) needed() []page.Commit {
	n := t.store.table().appendCommits([]page.Commit{t.snap.meta.Base, t.snap.meta.Commit})
	slices.Sort(n)
	return slices.Compact(n)
}
