package tx

import (
	"iter"

	"mmdb/page"
)

// CommitInfo describes a commit of which the file still has the record.
type CommitInfo struct {
	Commit     uint64 // its number
	Base       uint64 // the newest commit known durable when it was written
	Updates    uint64 // numbers since the commit before: the functions and transactions in it
	Written    uint64 // pages, with those of the record
	Freed      uint64 // pages of earlier commits that it replaced or deleted
	HighWater  uint64 // pages in use or free after it
	Checkpoint bool   // its record has the whole free list
}

// History iterates over the newest commits, the one that t sees first, back to the last whose record has the whole free list: the
// file keeps no records from before that. An error ends the iteration.
func (t *Tx) History() iter.Seq2[CommitInfo, error] {
	return func(yield func(CommitInfo, error) bool) {
		recs, links, err := t.chain()
		if err != nil {
			yield(CommitInfo{}, err)
			return
		}
		for i := len(recs) - 1; i >= 0; i-- {
			info, err := t.commitInfo(&recs[i], links[i])
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

// chain reads the commit records.
func (t *Tx) chain() (recs []page.Record, links []page.Link, err error) {
	if !t.managed {
		defer t.exitErr(enter(), &err)
	}
	if err := t.usable(); err != nil {
		return nil, nil, err
	}
	return t.store.readChain(&t.snap.meta, t.data, page.Link{})
}

// commitInfo sums up one record.
func (t *Tx) commitInfo(rec *page.Record, link page.Link) (info CommitInfo, err error) {
	if !t.managed {
		defer t.exitErr(enter(), &err)
	}
	info = CommitInfo{Commit: uint64(rec.Commit), Base: uint64(rec.Base), Updates: uint64(rec.Commit - rec.Prev.Commit),
		Written: t.store.extentOf(link).Len, HighWater: uint64(rec.HighWater), Checkpoint: rec.Checkpoint}
	written, freed, err := changesOf(rec)
	if err != nil {
		return info, err
	}
	for _, e := range written {
		info.Written += e.Len
	}
	for _, p := range freed {
		info.Freed += p.Len
	}
	return info, nil
}
