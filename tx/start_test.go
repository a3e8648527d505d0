package tx

import (
	"syscall"
	"testing"

	"mmdb/mmapfile"
	"mmdb/page"
)

// startsOf returns how many calls of each kind that matter here passed: those that let writes set out, flushes, and writes of metas. It
// ends the test if one sets out after the meta was written, or beyond the end of what the commit has secured.
func startsOf(t *testing.T, p *tape, size int64) (starts, flushes int) {
	t.Helper()
	meta := false
	for _, o := range p.recorded() {
		switch {
		case o.kind == mmapfile.OpStart:
			if starts++; meta || o.offset != 0 || o.length > size {
				t.Errorf("after the meta: %v; %v of %d bytes", meta, o, size)
			}
		case o.flush():
			flushes++
		}
		meta = meta || o.meta()
	}
	return starts, flushes
}

func TestPagesOfALargeDurableCommitSetOutBeforeItsFlush(t *testing.T) {
	p := new(tape)
	st := openStore(t, newPath(t), &Options{Seam: p.seam})
	noError(t, putKeys(st, 0, 10))
	for _, c := range []struct {
		keys    int
		how     Durability
		starts  bool
		flushes int
	}{{10, Durable, false, 1}, {5000, Durable, true, 1}, {5000, Lazy, false, 0}} {
		p.set(nil)
		noError(t, st.Update(func(tx *Tx) error {
			tx.SetDurability(c.how)
			return putInto(tx, 0, c.keys)
		}))
		starts, flushes := startsOf(t, p, st.Stats().FileSize)
		if starts > 0 != c.starts || flushes != c.flushes {
			t.Errorf("%d keys, durability %v: %d starts, %d flushes", c.keys, c.how, starts, flushes)
		}
	}
}

// A call that only makes the flush shorter is not needed: that it fails changes nothing. What fails on the way fails the flush.
func TestAStartThatFailsChangesNothing(t *testing.T) {
	p := new(tape)
	st := openStore(t, newPath(t), &Options{Seam: p.seam})
	noError(t, putKeys(st, 0, 10)) // the first commit also marks the file as open, in a meta
	p.set(failing(syscall.EIO, func(o taped) bool { return o.kind == mmapfile.OpStart }))
	noError(t, putKeys(st, 0, 5000))
	if starts, _ := startsOf(t, p, st.Stats().FileSize); starts == 0 {
		t.Error("nothing set out")
	}
	wantKeys(t, st, 5000)
	if st.Stats().Failed || page.Commit(st.Stats().DurableCommit) != st.published.Load().meta.Commit {
		t.Errorf("%+v", st.Stats())
	}
}
