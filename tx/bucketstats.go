package tx

import "mmdb/page"

// Stats walks the tree of b and returns figures of it. Pages that can't be read are left out; Tx.Err tells.
func (b *Bucket) Stats() (s BucketStats) {
	if !b.tx.managed {
		defer b.tx.exit(enter())
	}
	if !b.mayRead() {
		return s
	}
	var err error
	switch {
	case b.hdr.Root != 0:
		err = b.addStats(&s, b.hdr.Root, -1, b.born, 1)
	case b.hdr.Level > 0:
		err = b.addChildren(&s, b.inline, int(b.hdr.Level), b.born, 1)
	default:
		b.addCells(&s, b.inline)
	}
	if err != nil {
		b.tx.fail(err)
	}
	return s
}

// addStats adds the figures of the subtree of ref to s.
func (b *Bucket) addStats(s *BucketStats, ref page.Ref, level int, born page.Commit, depth int) error {
	pg, err := b.tx.node(ref, b.hdr.Tree, level, born)
	if err != nil {
		return err
	}
	s.Depth = max(s.Depth, depth)
	born, level = page.Born(pg), int(page.Level(pg))
	if level == 0 {
		l := page.Leaf(page.Body(pg))
		s.LeafPages++
		s.LeafUsed += int64(l.Used())
		s.LeafAlloc += int64(len(pg))
		b.addCells(s, l)
		return nil
	}
	br := page.Branch(page.Body(pg))
	s.BranchPages++
	s.BranchUsed += int64(br.Used())
	s.BranchAlloc += int64(len(pg))
	return b.addChildren(s, br, level, born, depth+1)
}

// addChildren adds the figures of what a branch of that level refers to.
func (b *Bucket) addChildren(s *BucketStats, br page.Branch, level int, born page.Commit, depth int) error {
	for i := range br.Count() {
		if br.Large(i) {
			b.addRun(s, br.KeyRef(i))
		}
		if err := b.addStats(s, br.Child(i), level-1, born, depth); err != nil {
			return err
		}
	}
	return nil
}

// addCells adds the cells of leaf l.
func (b *Bucket) addCells(s *BucketStats, l page.Leaf) {
	for i := range l.Count() {
		s.Keys++
		if l.Large(i) {
			b.addRun(s, l.KeyRef(i))
		}
		switch l.Kind(i) {
		case page.CellOverflow:
			b.addRun(s, page.DecodeOverflow(l.Payload(i)))
		case page.CellBucket:
			s.Buckets++
			if !page.DecodeBucket(l.Payload(i)).HasPages() {
				s.InlineBuckets++
			}
		}
	}
}

// addRun adds an overflow run.
func (b *Bucket) addRun(s *BucketStats, o page.Overflow) {
	n := page.RunPages(int(o.Len), 1<<b.tx.shift)
	s.OverflowPages += int(n)
	s.OverflowUsed += int64(o.Len)
	s.OverflowAlloc += int64(n) << b.tx.shift
}
