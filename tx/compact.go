package tx

import (
	"context"
	"errors"

	"mmdb/page"
)

// Compaction empties the end of the file: pages that stand behind where the data would end without gaps are copied, as any page that changes
// is, and the allocator gives the copies the lowest free places. Each step is an ordinary transaction, with the promises of one; what it moves
// was found before in a read transaction, so that nobody waits for the search. What the moved pages leave behind is free some commits
// later, when no meta needs it, and the file is cut.

// CompactOptions says how Compact goes about it. The zero value is a good default.
type CompactOptions struct {
	// Progress, if set, is called from time to time with what is being done, and how many pages of how many, by estimate, are done. Its
	// error ends Compact, which returns it.
	Progress func(phase string, done, total uint64) error
}

// CompactReport is what Compact did.
type CompactReport struct {
	Before int64  // size of the file when it began, in bytes
	After  int64  // and when it ended
	Moved  uint64 // pages that were moved
}

const (
	compactStep   = 1024 // pages that a transaction moves, about
	compactPasses = 8    // at most
	compactSlack  = 16   // free pages at the end that are not worth another pass
	tidyCommits   = 12   // at most, until no meta needs what was moved
)

// Compact makes the file about as small as what is in it, where it is, while transactions go on: it moves pages from its end to free places
// further ahead, a few MiB in each of its transactions, which are durable, and cuts the file. It does not make pages fuller: a
// compacting backup does (BackupOptions.Compact). A large value moves only to a free place that holds all of it.
//
// Pages that an open read transaction sees, here or in another process, can't be given back before it ends. When other
// processes write at the same time they may put new pages at the end again. The next commits make the file longer, as they need it.
//
// When ctx ends, or after an error, the file is sound, what was moved stays moved, and the rest of it is for another call. The report says what was
// done until then. Errors: ctx's, ErrDatabaseReadOnly, ErrDatabaseNotOpen, ErrCorrupt, ErrFailed, that of Progress, and the system's.
func (st *Store) Compact(ctx context.Context, o CompactOptions) (r CompactReport, err error) {
	st.compacting.Add(1)
	defer st.compacting.Add(-1)
	c := compaction{st: st, ctx: ctx, opts: o}
	if err := c.measure(); err != nil {
		return r, err
	}
	r.Before = c.size
	if err = c.run(); errors.Is(err, ErrMaxSizeReached) {
		err = nil // there is nothing free to move to
	}
	r.Moved = c.moved
	if e := c.measure(); err == nil {
		err = e
	}
	r.After = c.size
	return r, err
}

// tight reports whether Compact is at work: commits go to the lowest free places, and the file has no free end.
func (st *Store) tight() bool { return st.compacting.Load() > 0 }

// A compaction is one run of Compact.
type compaction struct {
	st    *Store
	ctx   context.Context
	opts  CompactOptions
	end   page.No // where pages end that are in use or pending
	limit page.No // where they would, if nothing in front of it were free
	above uint64  // pages in use from there on
	size  int64   // of the file
	moved uint64
}

// run makes passes over the database until one does not help any more.
func (c *compaction) run() error {
	if err := c.settle(); err != nil {
		return err
	}
	for range compactPasses {
		if c.end <= c.limit+compactSlack && !c.st.sabotaged(EagerCut) {
			return nil
		}
		before, moved := c.end, c.moved
		if err := c.pass(); err != nil {
			return err
		}
		if c.moved == moved {
			return nil
		}
		if err := c.settle(); err != nil {
			return err
		}
		if c.end >= before {
			return nil // somebody needs what was moved, or writes more than that
		}
	}
	return nil
}

// measure looks how large the file is, and how large it might be.
func (c *compaction) measure() error {
	return c.st.UpdateContext(c.ctx, func(t *Tx) error {
		s := t.w.space
		c.size = t.w.fileSize
		c.end = s.End()
		c.limit = c.st.first + page.No(s.UsedPages())
		c.above = s.UsedFrom(c.limit)
		return nil
	})
}

// settle makes commits that change nothing, until no meta needs what others have moved away, and the file is cut. Each writes a checkpoint, so that
// the commit records before it go, wherever they stand.
func (c *compaction) settle() error {
	for n, still := 0, 0; n < tidyCommits && still < page.MetaSlots; n++ {
		end, size := c.end, c.size
		err := c.st.UpdateContext(c.ctx, func(t *Tx) error {
			t.SetDurability(Durable)
			t.tidy = true
			return nil
		})
		if err != nil {
			return err
		}
		if err := c.measure(); err != nil {
			return err
		}
		if still++; c.end != end || c.size != size {
			still = 0
		}
	}
	return nil
}

// pass moves every page that stands behind c.limit, as far as there is room in front of it.
func (c *compaction) pass() error {
	f := finder{ctx: c.ctx, limit: c.limit}
	done := c.moved
	for more := true; more; {
		err := c.st.View(func(t *Tx) (err error) {
			more, err = f.find(t)
			return err
		})
		if err != nil {
			return err
		}
		for found := f.found; len(found) > 0; {
			n := 0
			err := c.st.UpdateContext(c.ctx, func(t *Tx) (err error) {
				t.SetDurability(Durable)
				m := mover{t: t, limit: c.limit}
				n, err = m.move(found)
				c.moved += m.moved
				return err
			})
			if err != nil {
				return err
			}
			found = found[n:]
			if c.opts.Progress != nil {
				if err := c.opts.Progress("moving pages", min(c.moved-done, c.above), c.above); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
