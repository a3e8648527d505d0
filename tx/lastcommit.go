package tx

import "context"

// The first write after an open reads the chain of commit records back to the last checkpoint. Lazy commits make it long: after a thousand
// commits of a thousand puts that write takes 120 ms, after a checkpoint one or two. So a process that has written and closes the
// database ends a chain of endedChain pages or more with a commit that changes nothing and has a checkpoint for its record.
const endedChain = 64

// endChain writes such a commit if the chain is long. The caller holds the writer lock of the process, and all that ran under it is
// published. Where there is no room for it, or another process writes, the chain stays: only a failed flush is an error.
func (st *Store) endChain() (err error) {
	defer st.guard(enter(), &err)
	if st.readOnly || st.failed() != nil || !st.longChain() {
		return nil
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel() // it does not wait for another process
	if st.takeRole(ended) != nil || !st.longChain() {
		return st.failed()
	}
	w := st.w
	if w.beginFunction() != nil {
		return st.failed()
	}
	g := st.newGroup()
	m := &w.tip.meta
	g.last, g.root, g.checkpoint, g.durable = m.Commit+1, m.Root, true, true
	g.body = g.buf[:copy(g.buf[:], m.Body.Bytes())]
	w.group = g
	st.drain()
	return st.failed()
}

// longChain reports whether the next writer would have many records to read.
func (st *Store) longChain() bool {
	w := st.w
	if w == nil || w.space == nil || w.tip == nil {
		return false
	}
	return w.chainPages >= endedChain || st.sabotaged(EagerCheckpoint) && len(w.chain) > 1
}
