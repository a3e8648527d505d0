package tx

import (
	"errors"
	"fmt"
	"iter"

	"mmdb/freelist"
	"mmdb/page"
)

// asCorrupt returns the CorruptError in err.
func asCorrupt(err error) (*page.CorruptError, bool) {
	var c *page.CorruptError
	ok := errors.As(err, &c)
	return c, ok
}

// Check examines the whole database as t sees it: checksums and structure of every page, key order, separators, counts,
// overflow runs, commit records and the free list, and that every page below the high water is in use exactly once, or free, or
// pending. It iterates over the problems, each a *page.CorruptError with page and path, and goes on after each; no
// iteration means that all is well. Pages are checked anew, also those that were verified before. A write
// transaction must not have changed anything yet. The cost is one read of the file, and a bit of memory per page.
func (t *Tx) Check() iter.Seq[error] { return t.CheckProgress(nil) }

// CheckProgress is Check, and tells report from time to time how many pages of how many were examined; when report
// returns false the check ends there.
func (t *Tx) CheckProgress(report func(done, total uint64) bool) iter.Seq[error] {
	return func(yield func(error) bool) {
		if t.done {
			yield(ErrTxClosed)
			return
		}
		if t.root.changed() {
			yield(errors.New("check: the transaction has changes that are not committed"))
			return
		}
		if err := t.settleGroup(); err != nil {
			yield(err)
			return
		}
		c := checker{t: t, yield: yield, report: report, used: make([]uint64, t.limit/64+1)}
		saved := t.region
		own := *saved
		own.verified = newBitmap(uint64(t.limit)) // this check's own
		t.region = &own
		defer func() {
			own.verified.release()
			t.region = saved
		}()
		c.check()
	}
}

// A checker is one run of Check.
type checker struct {
	t       *Tx
	yield   func(error) bool
	stopped bool
	used    []uint64 // a bit for each page whose use is known
	report  func(done, total uint64) bool
	lost    bool   // a page of a tree could not be read: what is below it can't be known
	done    uint64 // pages marked so far
}

// reportEvery is how many pages are examined between two reports of progress.
const reportEvery = 1024

func (c *checker) check() {
	k := walker{t: c.t, visit: c.visit, problem: c.problem, lost: func() { c.lost = true }}
	c.guarded(func() {
		c.mark(0, uint64(c.t.store.first), section("meta pages"))
		k.bucket(c.t.snap.meta.Root, c.t.snap.root, c.t.snap.meta.Commit, nil)
	})
	c.guarded(c.space)
	if c.stopped {
		return
	}
	c.unreachable()
}

// guarded runs f; a fault in the mapping is a problem, not a crash.
func (c *checker) guarded(f func()) {
	if c.stopped {
		return
	}
	var err error
	func() {
		defer c.t.store.guard(enter(), &err)
		f()
	}()
	if err != nil {
		c.emit(err)
	}
}

func (c *checker) emit(err error) bool {
	if !c.stopped && !c.yield(err) {
		c.stopped = true
	}
	return !c.stopped
}

func (c *checker) problem(no page.No, path fmt.Stringer, reason string) bool {
	return c.emit(&page.CorruptError{Page: no, Path: path.String(), Reason: reason})
}

// A section is what Check examines besides the trees, by name.
type section string

func (s section) String() string { return string(s) }

// A grave is what was freed by that commit.
type grave page.Commit

func (g grave) String() string { return fmt.Sprintf("pending, freed by commit %d", uint64(g)) }

func (c *checker) visit(v visited) bool { return c.mark(v.no, uint64(v.n), v.path) }

// mark notes that n pages are in use, and reports those that were before.
func (c *checker) mark(no page.No, n uint64, path fmt.Stringer) bool {
	for end := no + page.No(n); no < end && no < c.t.limit; no++ {
		w, bit := &c.used[no/64], uint64(1)<<(no%64)
		if *w&bit != 0 {
			c.problem(no, path, "the page is in use twice, or in use and free")
			return false
		}
		*w |= bit
		if c.done++; c.done%reportEvery == 0 && c.report != nil {
			c.stopped = c.stopped || !c.report(c.done, uint64(c.t.limit))
		}
	}
	return !c.stopped
}

// space checks commit records and free list.
func (c *checker) space() {
	t := c.t
	list, links, err := t.store.replayChain(&t.snap.meta, t.data)
	for _, l := range links {
		c.mark(l.Page, uint64(page.RunPages(int(l.Len), t.store.pageSize)), section(fmt.Sprintf("commit record %d", l.Commit)))
	}
	if err != nil {
		c.spaceProblem(err)
		return
	}
	// A settled meta was taken as it is, unlike others (recover).
	if rec, err := t.store.readRecord(t.data, t.snap.meta.Record, t.limit); err != nil {
		c.spaceProblem(err)
	} else if err := agrees(&t.snap.meta, &rec); err != nil {
		c.spaceProblem(err)
	}
	c.extents(list)
}

// spaceProblem reports an error of the commit records.
func (c *checker) spaceProblem(err error) {
	if ce, ok := asCorrupt(err); ok {
		c.problem(ce.Page, section("commit records"), ce.Reason)
		return
	}
	c.emit(err)
}

// extents marks what is free or pending.
func (c *checker) extents(list *freelist.List) {
	for e := range list.Free() {
		if c.stopped {
			return
		}
		c.mark(e.Page, e.Len, section("free list"))
	}
	for p := range list.PendingExtentsSeq() {
		if c.stopped {
			return
		}
		c.mark(p.Page, p.Len, grave(p.Died))
	}
}

// unreachable reports runs of pages that are neither in use nor free. Where a part of a tree could not be read they
// are no news, and only their number is told.
func (c *checker) unreachable() {
	missing := uint64(0)
	for no := page.No(0); no < c.t.limit && !c.stopped; no++ {
		if c.known(no) {
			continue
		}
		from := no
		for no+1 < c.t.limit && !c.known(no+1) {
			no++
		}
		missing += uint64(no - from + 1)
		if n := no - from + 1; !c.lost && n == 1 {
			c.problem(from, section(""), "the page is neither in use nor free")
		} else if !c.lost {
			c.problem(from, section(""), fmt.Sprintf("this page and the %d after it are neither in use nor free", n-1))
		}
	}
	if c.lost && missing > 0 {
		c.problem(0, section(""), fmt.Sprintf("%d pages are neither in use nor free: they may hang below what can't be read", missing))
	}
}

func (c *checker) known(no page.No) bool { return c.used[no/64]>>(no%64)&1 != 0 }
