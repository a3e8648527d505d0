package tx

import (
	"bytes"
	"context"
	"fmt"

	"mmdb/freelist"
	"mmdb/page"
)

// A salvageWriter writes what was planned into the new database, in transactions of bounded size.
type salvageWriter struct {
	s    *salvager
	dst  *Store
	tx   *Tx
	open map[page.Tree]*Bucket // handles of tx
	room int                   // how many handles tx may have
	size int                   // bytes put in tx
	late []lateBucket
	done uint64 // leaves
	all  uint64
}

// A lateBucket is an inline bucket without a name, in cell i of a leaf. It goes to where the nameless are.
type lateBucket struct {
	from *salvagedTree
	leaf page.No
	i    int
}

// Bounds of one transaction.
const (
	salvageBytes   = 8 << 20
	salvageBuckets = 1 << 10
)

// write writes everything to dst.
func (s *salvager) write(dst *Store) (err error) {
	w := &salvageWriter{s: s, dst: dst}
	defer func() {
		if err != nil && w.tx != nil {
			err = firstError(err, w.tx.Rollback())
		}
	}()
	trees := s.sortedTrees()
	for _, t := range trees {
		w.all += uint64(len(t.leaves))
	}
	for _, t := range trees {
		if err := w.writeTree(t); err != nil {
			return err
		}
	}
	for _, l := range w.late {
		if err := w.writeLate(l); err != nil {
			return err
		}
	}
	for _, t := range trees {
		s.count(t)
	}
	s.countDamaged()
	if w.tx == nil {
		return nil
	}
	tx := w.tx
	w.tx = nil
	return tx.Commit()
}

// begin makes sure that there is a transaction, with room.
func (w *salvageWriter) begin() (err error) {
	if w.tx != nil && (w.size > salvageBytes || len(w.open) > w.room) {
		tx := w.tx
		w.tx = nil
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	if w.tx == nil {
		w.open, w.room, w.size = map[page.Tree]*Bucket{}, salvageBuckets, 0
		w.tx, err = w.dst.beginWrite(context.Background(), true)
	}
	return err
}

// ready returns the bucket that t becomes, in a transaction with room. Those that lead to t may have to be opened once more: then there is
// room for more new ones than these, so that deep nesting does not take the square of its depth.
func (w *salvageWriter) ready(t *salvagedTree) (*Bucket, error) {
	if err := w.begin(); err != nil {
		return nil, err
	}
	n := len(w.open)
	b, err := w.bucket(t)
	w.room += 2 * max(len(w.open)-n-1, 0)
	return b, err
}

// writeTree writes all leaves of t.
func (w *salvageWriter) writeTree(t *salvagedTree) error {
	if _, err := w.ready(t); err != nil {
		return err
	}
	if t.no != page.RootTree {
		w.s.report.Buckets++
		if t.parent != nil {
			t.parent.found++
		} else {
			w.s.report.Nameless++
			w.s.lost(t, SalvageLoss{Reason: "the bucket's name is lost"})
		}
	}
	if t.no == page.RootTree && len(t.body) > 0 && t.hdr.Level == 0 {
		if err := w.writeLeaf(t, &w.tx.root, 0, t.body); err != nil {
			return err
		}
	}
	buf := make([]byte, w.s.file.pageSize)
	for _, no := range t.leaves {
		b, err := w.ready(t)
		if err != nil {
			return err
		}
		if !w.s.file.tree(buf, no) {
			w.s.lost(t, SalvageLoss{Page: uint64(no), Reason: "the leaf can't be read any more"})
			continue
		}
		if err := w.writeLeaf(t, b, no, page.Leaf(page.Body(buf))); err != nil {
			return err
		}
		w.done++
		if err := w.s.progress("writing", w.done, w.all); err != nil {
			return err
		}
	}
	return nil
}

// bucket returns the bucket of the new database that t becomes, made if it is not there.
func (w *salvageWriter) bucket(t *salvagedTree) (b *Bucket, err error) {
	if t.no == page.RootTree {
		if b = &w.tx.root; b.Sequence() != t.hdr.Sequence {
			err = b.SetSequence(t.hdr.Sequence)
		}
		return b, err
	}
	if b = w.open[t.no]; b != nil {
		return b, nil
	}
	if t.parent != nil {
		up, err := w.bucket(t.parent)
		if err != nil {
			return nil, err
		}
		if b, err = up.CreateBucketIfNotExists(t.name); err == ErrIncompatibleValue {
			t.parent = nil
		} else if err != nil {
			return nil, err
		}
	}
	if t.parent == nil {
		if b, err = w.nameless(t.number()); err != nil {
			return nil, err
		}
	}
	if b.Sequence() != t.hdr.Sequence {
		if err := b.SetSequence(t.hdr.Sequence); err != nil {
			return nil, err
		}
	}
	w.open[t.no] = b
	return b, nil
}

// nameless returns the bucket for one whose name is lost.
func (w *salvageWriter) nameless(number []byte) (*Bucket, error) {
	up, err := w.tx.CreateBucketIfNotExists([]byte(w.s.lostFound()))
	if err != nil {
		return nil, err
	}
	return up.CreateBucketIfNotExists(number)
}

// lostFound returns the name of the bucket that takes the nameless ones: one that the top level does not have.
func (s *salvager) lostFound() string {
	if s.report.LostFound != "" {
		return s.report.LostFound
	}
	used := map[string]bool{}
	use := func(l page.Leaf) {
		for i := range l.Count() {
			if k := l.Key(i); bytes.HasPrefix(k, []byte("lost+found")) {
				used[string(k)] = true
			}
		}
	}
	if root := s.trees[page.RootTree]; len(root.body) > 0 && root.hdr.Level == 0 {
		use(root.body)
	}
	buf := make([]byte, s.file.pageSize)
	for _, no := range s.trees[page.RootTree].leaves {
		if s.file.tree(buf, no) {
			use(page.Leaf(page.Body(buf)))
		}
	}
	name := "lost+found"
	for i := 2; used[name]; i++ {
		name = fmt.Sprintf("lost+found-%d", i)
	}
	s.report.LostFound = name
	return name
}

// writeLeaf writes the cells of a leaf of t to b. Buckets with pages of their own are trees, and written as such.
func (w *salvageWriter) writeLeaf(t *salvagedTree, b *Bucket, no page.No, l page.Leaf) error {
	for i := range l.Count() {
		payload := l.Payload(i)
		if l.Kind(i) == page.CellBucket && page.DecodeBucket(payload).HasPages() {
			continue
		}
		key := l.Key(i)
		if l.Large(i) {
			whole, err := w.run(t, l.KeyRef(i))
			if err != nil {
				w.lose(t, l.KeyRef(i).Page.Page(), key, "only the beginning of the key is left", err)
				if l.Kind(i) == page.CellBucket {
					w.late = append(w.late, lateBucket{t, no, i})
				}
				continue
			}
			key = whole
		}
		if err := w.writeCell(t, b, no, key, l.Kind(i), payload); err != nil {
			return err
		}
	}
	return nil
}

// writeCell writes one key of a leaf.
func (w *salvageWriter) writeCell(t *salvagedTree, b *Bucket, no page.No, key []byte, kind page.CellKind, payload []byte) error {
	if t.mixed && (b.Get(key) != nil || b.Bucket(key) != nil) || t.no == page.RootTree && kind != page.CellBucket {
		w.lose(t, no, key, "the key stands where it can't be: another leaf has it, or it is a value at the top level", nil)
		return nil
	}
	switch kind {
	case page.CellBucket:
		c, err := b.CreateBucketIfNotExists(key)
		if err == nil {
			err = w.writeInline(c, payload)
		}
		if err != nil {
			return err
		}
	case page.CellOverflow:
		o := page.DecodeOverflow(payload)
		value, err := w.run(t, o)
		if err != nil {
			w.lose(t, o.Page.Page(), key, "the value is damaged", err)
			return nil
		}
		if err := w.put(b, key, value); err != nil {
			return err
		}
	default:
		if err := w.put(b, key, payload); err != nil {
			return err
		}
	}
	t.found++
	return nil
}

// writeInline writes an inline bucket to b.
func (w *salvageWriter) writeInline(b *Bucket, payload []byte) error {
	w.s.report.Buckets++
	w.size += len(b.name)
	hdr := page.DecodeBucket(payload)
	if hdr.Sequence != 0 {
		if err := b.SetSequence(hdr.Sequence); err != nil {
			return err
		}
	}
	l := page.Leaf(payload[page.BucketHeaderSize:])
	for i := range l.Count() {
		if err := w.put(b, l.Key(i), l.Payload(i)); err != nil {
			return err
		}
	}
	return nil
}

// writeLate writes an inline bucket whose name is lost.
func (w *salvageWriter) writeLate(late lateBucket) error {
	buf := make([]byte, w.s.file.pageSize)
	if !w.s.file.tree(buf, late.leaf) {
		return nil // its loss was reported
	}
	if err := w.begin(); err != nil {
		return err
	}
	payload := page.Leaf(page.Body(buf)).Payload(late.i)
	b, err := w.nameless(fmt.Append(nil, uint64(page.DecodeBucket(payload).Tree)))
	if err != nil {
		return err
	}
	w.s.report.Nameless++
	return w.writeInline(b, payload)
}

func (w *salvageWriter) put(b *Bucket, key, value []byte) error {
	w.size += len(key) + len(value)
	w.s.report.Keys++
	w.s.report.Bytes += uint64(len(key) + len(value))
	return b.Put(key, value)
}

// run returns what stands in a run of t, and remembers that it is whole.
func (w *salvageWriter) run(t *salvagedTree, o page.Overflow) ([]byte, error) {
	p, err := w.s.file.payload(o, t.no)
	if err == nil {
		w.s.mark(freelist.Extent{Page: o.Page.Page(), Len: uint64(page.RunPages(int(o.Len), w.s.file.pageSize))}, readable)
	}
	return p, err
}

// lose reports a key of t that is lost.
func (w *salvageWriter) lose(t *salvagedTree, no page.No, key []byte, reason string, err error) {
	if c, ok := asCorrupt(err); ok {
		reason += ": " + c.Reason
	}
	if !t.known {
		w.s.report.Lost++
	}
	w.s.lost(t, SalvageLoss{Page: uint64(no), Key: bytes.Clone(key), Keys: 1, Reason: reason})
}

// count adds what t lost to the report.
func (s *salvager) count(t *salvagedTree) {
	if t.known {
		s.report.Lost += t.hdr.Keys - min(t.found, t.hdr.Keys)
		return
	}
	for i := range t.holes {
		if h := &t.holes[i]; !h.open {
			s.report.Lost += h.keys
		}
	}
}

// countDamaged counts the pages that are in use and can't be read.
func (s *salvager) countDamaged() {
	if s.missing != 0 {
		return
	}
	buf := make([]byte, s.file.pageSize)
	effort := 4 * s.file.size
	for no := s.file.first; no < page.No(len(s.pages)); no++ {
		p := &s.pages[no]
		if p.kind != 0 || !p.is(inUse) || p.is(readable) {
			continue
		}
		if !s.file.at(buf, no) || s.findRun(buf, no, &effort) == 0 {
			s.report.Damaged++
		}
	}
	if n := page.No(len(s.pages)); s.limit > n {
		s.report.Damaged += uint64(s.limit - n)
	}
}
