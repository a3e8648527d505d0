package tx

import (
	"errors"
	"fmt"

	"mmdb/mmapfile"
	"mmdb/page"
)

// Growth of the file. A commit of few pages makes it longer by a chunk of zeros: its successors then overwrite
// blocks that are written already, which costs one device flush where filling fresh blocks costs two (the file
// system's journal). A large commit extends it by what it needs.
const (
	smallCommit = 1 << 20  // bytes up to which a commit counts as small
	growMin     = 64 << 10 // least and most of a chunk of zeros
	growMax     = 1 << 20
	growShare   = 8 // a chunk is one in growShare of the file, within those bounds
)

// secure makes the file reach to the high water hw, with blocks set aside, and maps it (I7). pages is what the caller
// is about to write.
func (w *writer) secure(hw page.No, pages uint64) error {
	need, from := int64(hw)<<w.st.shift, w.fileSize
	if need > from {
		if err := w.extend(need, pages<<w.st.shift <= smallCommit); err != nil {
			return fmt.Errorf("extend the file to %d bytes: %w", need, err)
		}
	}
	if err := w.st.remap(need); err != nil {
		if w.fileSize > from {
			w.cutBack(from)
		}
		return err
	}
	if w.st.opts.Mlock { // what was mapped beyond the end of the file is not in memory yet
		old := int64(w.start) << w.st.shift
		if err := w.st.mapping.Populate(old, need-old); err != nil && !errors.Is(err, mmapfile.ErrUnsupported) {
			return err
		}
	}
	return nil
}

// cutBack undoes a growth of the file that was of no use.
func (w *writer) cutBack(from int64) {
	err := w.st.file.Truncate(from)
	if err == nil {
		w.fileSize = from
		return
	}
	w.st.log.Warn("mmdb: cut the file back", "path", w.st.path, "error", err)
	if n, err := w.st.file.Size(); err == nil {
		w.fileSize = max(n, from)
	}
}

// extend makes the file at least need bytes long.
func (w *writer) extend(need int64, small bool) error {
	from := w.fileSize
	to := need
	var err error
	if small {
		to = from + min(max(growMin, from/growShare), growMax)
		if goal := int64(w.goal) << w.st.shift; goal >= need-need/64 {
			to = min(to, goal)
		}
		to = max(need, to&^int64(w.st.pageSize-1))
		if m := w.st.opts.MaxSize; m > 0 {
			to = max(need, min(to, m&^int64(w.st.pageSize-1)))
		}
		fill := w.writeZeros
		if g := w.group; g != nil && !g.durable { // its flush will be shared by many
			fill = func(from, to int64) error { return w.st.file.Allocate(from, to-from) }
		}
		if err = fill(from, to); err != nil && to > need {
			to = need // a nearly full disk may have room for that
			err = fill(from, to)
		}
	} else {
		err = w.st.file.Allocate(from, to-from)
	}
	if err != nil {
		w.cutBack(from)
		return err
	}
	w.st.counts.grown.Add(uint64(to - from))
	w.fileSize = to
	return nil
}

// writeZeros fills [from, to) of the file with zeros.
func (w *writer) writeZeros(from, to int64) error {
	bufs := w.bufs[:0]
	for n := to - from; n > 0; n -= int64(len(zeros)) {
		bufs = append(bufs, zeros[:min(n, int64(len(zeros)))])
	}
	w.bufs = bufs[:0]
	return w.st.file.WriteAt(bufs, from)
}

// remap makes the first size bytes of the file readable. The writer calls it. When the reservation is used up a
// larger one is made; the old stays mapped until no transaction can use it.
func (st *Store) remap(size int64) error {
	err := st.mapping.Grow(size)
	if !errors.Is(err, mmapfile.ErrReserved) {
		return err
	}
	m, err := st.newMapping(max(2*st.mapping.Reserved(), 2*size))
	if err != nil {
		return err
	}
	if err := m.Grow(size); err != nil {
		m.Unmap()
		return err
	}
	old := *st.maps.Load()
	next := append([]retiredMap(nil), old...)
	next[len(next)-1].last = st.newest()
	next = append(next, retiredMap{m: m})
	st.mapping = m
	st.maps.Store(&next)
	st.verified.Store(st.verified.Load().grown(uint64(m.Reserved()) >> st.shift))
	return nil
}

// newest returns the newest commit that anybody may read on the current mapping.
func (st *Store) newest() (n page.Commit) {
	if st.w.tip != nil {
		n = st.w.tip.meta.Commit
	}
	if s := st.published.Load(); s != nil {
		n = max(n, s.meta.Commit)
	}
	return max(n, 1)
}

// firstReserve returns how much address space an open reserves: as much as there is (0), but where addresses are few, what leaves some
// for others.
func (st *Store) firstReserve() int64 {
	if !narrow {
		return 0
	}
	return max(narrowReserve, 2*st.w.fileSize)
}

// narrowReserve is the least that is reserved where addresses have 32 bits.
const narrowReserve = 16 << 20

// newMapping maps the file anew with reserve bytes of address space, or as many as there are.
func (st *Store) newMapping(reserve int64) (*mmapfile.Mapping, error) {
	m, err := st.file.Map(mmapfile.MapOptions{Reserve: reserve})
	if err != nil {
		return nil, err
	}
	if st.opts.ReadAhead {
		if err := m.Advise(mmapfile.AdviceNormal); err != nil {
			m.Unmap()
			return nil, err
		}
	}
	if st.opts.Mlock {
		if err := m.Lock(); err != nil {
			m.Unmap()
			return nil, err
		}
	}
	return m, nil
}

// unmapRetired unmaps what no transaction can read any more: readers older than the newest commit on a retired mapping
// are gone, and newer ones were published on its successor.
func (w *writer) unmapRetired() {
	all := *w.st.maps.Load()
	if len(all) == 1 {
		return
	}
	oldest := w.st.published.Load().meta.Commit
	for _, c := range w.st.table().appendCommits(nil) {
		oldest = min(oldest, c)
	}
	var keep []retiredMap
	for _, m := range all {
		if m.last != 0 && m.last < oldest {
			m.m.Unmap()
			continue
		}
		keep = append(keep, m)
	}
	w.st.maps.Store(&keep)
}

// shrinkFile cuts the file when it is much longer than every meta in a slot needs: recovery may take any of them. What an open
// group has secured stays (I7).
func (w *writer) shrinkFile() {
	if w.group != nil {
		return
	}
	end := w.fileEnd()
	spare, slack := int64(growMax), 2*growMax+end/growShare
	if w.st.sabotaged(EagerCut) || w.st.tight() {
		spare, slack = 0, 0
	}
	if w.fileSize-end <= slack || w.fileSize <= w.st.opts.InitialSize {
		return
	}
	to := max(end+spare, w.st.opts.InitialSize)
	if err := w.st.file.Truncate(to); err != nil {
		w.st.log.Warn("mmdb: cut the file", "path", w.st.path, "error", err)
		return
	}
	w.st.counts.cut.Add(uint64(w.fileSize - to))
	w.fileSize = to
}

// fileEnd returns where the pages of every meta in a slot end.
func (w *writer) fileEnd() int64 {
	hw := w.st.first
	if w.st.sabotaged(BugCutEarly) {
		return int64(w.slots[w.newestSlot()].meta.HighWater) << w.st.shift
	}
	for i := range w.slots {
		if w.slots[i].valid {
			hw = max(hw, w.slots[i].meta.HighWater)
		}
	}
	return int64(hw) << w.st.shift
}
