package tx

import (
	"sync"
	"time"

	"mmdb/page"
)

// Group commit. A function of Update runs under the writer lock on top of what its predecessors left, joins the open group
// and gives the lock back. Whoever then finds no flush in progress leads: it seals the group, which gives its pages
// their places and writes them, and flushes it without the lock. Meanwhile others run and join the next group. One
// flush serves all that came in time, and a lone writer waits for nobody.
//
// A group is sealed under the writer lock, and its pages can be read from the mapping as soon as they are written; so a function
// that runs during the flush stands on pages of the file as always, which only readers may not see yet (I11).

// A group is the functions that one commit makes durable.
type group struct {
	cond       sync.Cond   // on Store.flushMu: for the fields below
	lead       bool        // one of those who wait is asked to seal it
	done       bool        // it is published, or has failed
	err        error       // why it failed
	size       int         // functions in it; protected by the writer lock, like what follows
	last       page.Commit // the id of the newest: the number of the commit
	root       page.Bucket // the state that they left
	body       []byte      // of an inline root bucket, in buf, with references to dirty pages; a function that has succeeded replaces it
	buf        [page.MaxInlineRoot]byte
	durable    bool // one of them is to be durable when it returns
	checkpoint bool // its record is to be a checkpoint: there is space for it
	reserve    bool // one of them frees as much as it writes, and may use the pages that are kept for such
}

// groupMax bounds the bytes of changed pages in an open group: beyond it, the next function waits until it is sealed.
const groupMax = 4 << 20

// newGroup returns an empty group.
func (st *Store) newGroup() *group { return &group{cond: sync.Cond{L: &st.flushMu}} }

// tryLead reports whether the caller, who holds the writer lock, is to seal and flush the open group, because no flush
// is in progress. Otherwise the end of that flush will ask somebody. A member that has just joined does not lead while
// others are waited for, unless it has spilled: it is the last of its group.
func (st *Store) tryLead(member bool) bool {
	st.flushMu.Lock()
	defer st.flushMu.Unlock()
	g := st.w.group
	if st.flushing || member && !st.w.spilled && g.size < st.reunion.target {
		st.waiting, st.waitingSize = g, g.size
		return false
	}
	st.reunion.end(true)
	st.flushing, st.waiting = true, nil
	return true
}

// idle reports whether no flush is in progress. To the holder of the writer lock that stays so.
func (st *Store) idle() bool {
	st.flushMu.Lock()
	defer st.flushMu.Unlock()
	return !st.flushing
}

// waitIdle waits until no flush is in progress. The caller may hold the writer lock: a flush never waits for it.
func (st *Store) waitIdle() {
	st.flushMu.Lock()
	st.waitFlushed()
	st.flushMu.Unlock()
}

// waitFlushed is waitIdle for a caller that holds flushMu.
func (st *Store) waitFlushed() {
	for st.flushing {
		st.flushed.Wait()
	}
}

// takeFlight waits until no flush is in progress, and makes the caller the owner of the flight, until leaveFlight: of flushes at once the kernel
// tells only one of a write that was lost. The caller may hold the writer lock.
func (st *Store) takeFlight() {
	st.flushMu.Lock()
	defer st.flushMu.Unlock()
	st.waitFlushed()
	st.flushing = true
}

// leaveFlight ends what takeFlight began.
func (st *Store) leaveFlight() {
	st.flushMu.Lock()
	defer st.flushMu.Unlock()
	st.flushing = false
	if st.waiting != nil {
		st.askToLead()
	}
	st.flushed.Broadcast()
}

// endFlush ends what tryLead began: g is published, or has failed with err. One of those who wait in the next group is
// asked to lead.
func (st *Store) endFlush(g *group, took time.Duration, err error) {
	st.flushMu.Lock()
	defer st.flushMu.Unlock()
	st.flushing = false
	g.done, g.err = true, err
	g.cond.Broadcast()
	if st.waiting != nil && (err != nil || !st.reunion.begin(g.size, st.waitingSize, took, st.gathered)) {
		st.askToLead()
	}
	st.flushed.Broadcast()
}

// gathered ends a reunion whose time is over.
func (st *Store) gathered() {
	st.flushMu.Lock()
	defer st.flushMu.Unlock()
	if st.reunion.target > 0 && st.waiting != nil {
		st.askToLead()
	}
	st.reunion.end(false)
}

// askToLead asks one of those who wait in the open group to seal it. The caller holds flushMu.
func (st *Store) askToLead() {
	st.waiting.lead = true
	st.waiting.cond.Signal()
}

// await waits until g is published, and returns why it failed. Whoever waits leads when asked to.
func (st *Store) await(g *group) error {
	st.flushMu.Lock()
	defer st.flushMu.Unlock()
	for !g.done {
		if !g.lead {
			g.cond.Wait()
			continue
		}
		g.lead = false
		st.flushMu.Unlock()
		if st.mu.TryLock() {
			st.leadGroup(g)
		} else {
			// Who has the lock may keep it, after it has seen to g.
			go func() {
				st.mu.Lock()
				st.leadGroup(g)
			}()
		}
		st.flushMu.Lock()
	}
	return g.err
}

// leadGroup seals and flushes g unless somebody did. The caller holds the writer lock, which is given back.
func (st *Store) leadGroup(g *group) {
	if st.w != nil && st.w.group == g && st.tryLead(false) {
		st.sealAndFlush(nil, true)
		return
	}
	st.mu.Unlock()
}

// sealAndFlush makes the open group durable; the caller leads and holds the writer lock, which is given back before the
// flush if unlock says so. A running function, if not nil, goes on from the sealed state.
func (st *Store) sealAndFlush(running *Tx, unlock bool) error {
	g := st.w.group
	err := st.w.seal(g, running)
	durable := st.flight.durable
	if err == nil && !durable {
		err = st.landLazily()
	}
	if unlock {
		st.mu.Unlock()
	}
	var took time.Duration
	if err == nil && durable {
		took, err = st.land(!unlock)
	}
	st.endFlush(g, took, err)
	return err
}

// drain waits until all that ran before is published. The caller holds the writer lock.
func (st *Store) drain() {
	for {
		st.waitIdle()
		if st.w == nil || st.w.group == nil {
			return
		}
		if st.tryLead(false) {
			st.sealAndFlush(nil, false)
		}
	}
}

// settleGroup publishes what ran before t, which has not changed anything yet, and lets t go on from there: what looks at
// the whole database needs all of it in the file.
func (t *Tx) settleGroup() error {
	st := t.store
	if !t.writable || st.w.group == nil {
		return nil
	}
	for st.waitIdle(); !st.tryLead(false); st.waitIdle() {
	}
	if err := st.sealAndFlush(t, false); err != nil {
		t.fail(err)
		return err
	}
	t.snap = st.w.tip
	t.view()
	return st.w.beginFunction()
}
