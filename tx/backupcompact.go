package tx

import (
	"bytes"
	"os"

	"github.com/cespare/xxhash/v2"

	"mmdb/page"
)

// A compactor copies a snapshot into an empty database, key by key. It reads from copies of the pages that it verifies itself: a page that
// was whole when this process read it first may have changed on the device since, and its keys would be sealed anew.
type compactor struct {
	t        *Tx
	total    uint64 // bytes, estimated
	done     uint64 // bytes of keys and values
	told     uint64 // what progress was told last
	progress func(phase string, done, total uint64) error

	pages  uint64             // read so far, runs counted as one
	within map[page.Tree]bool // the buckets that are being copied
	spare  [][]byte           // pages for further copies
	scan   Cursor             // asks for what is read next
}

// compactTo writes t's keys and values to a new database at path, and returns its size. Everything goes in with one
// transaction, in order: pages fill up, and stand in the order of the keys.
func (t *Tx) compactTo(path string, o *BackupOptions) (size int64, err error) {
	dst, err := Open(path, o.Mode, &Options{PageSize: t.store.pageSize, Seam: t.store.opts.Seam, Exclusive: true})
	if err != nil {
		return 0, err
	}
	defer func() {
		err = firstError(err, dst.Close()) // which cuts the file
		var info os.FileInfo
		if err == nil {
			info, err = os.Stat(path)
		}
		if err == nil {
			size = info.Size()
		}
	}()
	c := compactor{t: t, total: t.liveBytes(), progress: o.Progress, within: make(map[page.Tree]bool)}
	c.scan.ahead.step = aheadSteps + aheadBlocks // all of it will be read
	if t.err != nil {
		return 0, t.err
	}
	return 0, dst.Update(func(w *Tx) error {
		m := &t.snap.meta
		return c.bucket(m.Root, t.snap.root, m.Commit, &w.root)
	})
}

// liveBytes returns the size of the pages that are in use.
func (t *Tx) liveBytes() uint64 {
	in := t.Info()
	return (in.HighWater - in.FreePages - in.PendingPages) << t.shift
}

// bucket copies the bucket with that header to dst, which is empty. inline is what stands behind the header, born the commit of its place.
func (c *compactor) bucket(hdr page.Bucket, inline []byte, born page.Commit, dst *Bucket) (err error) {
	if c.within[hdr.Tree] {
		return page.Corruptf(hdr.Root.Page(), "the bucket with tree number %d is inside itself", hdr.Tree)
	}
	c.within[hdr.Tree] = true
	defer delete(c.within, hdr.Tree)
	if hdr.Sequence != 0 {
		if err := dst.SetSequence(hdr.Sequence); err != nil {
			return err
		}
	}
	src := &Bucket{tx: c.t, hdr: hdr, born: born}
	switch {
	case !hdr.HasPages():
		err = c.leaf(src, inline, born, dst)
	case hdr.Root == 0:
		err = c.branch(src, inline, int(hdr.Level), born, dst)
	default:
		err = c.tree(src, hdr.Root, -1, born, dst)
	}
	if err == nil && dst.hdr.Keys != hdr.Keys {
		return page.Corruptf(hdr.Root.Page(), "the bucket's header counts %d keys, its tree has %d", hdr.Keys, dst.hdr.Keys)
	}
	return err
}

// tree copies what is below ref to dst.
func (c *compactor) tree(src *Bucket, ref page.Ref, level int, born page.Commit, dst *Bucket) error {
	if c.pages++; c.pages > uint64(c.t.limit) {
		return page.Corruptf(ref.Page(), "pages are reached more than once")
	}
	pg, err := c.t.node(ref, src.hdr.Tree, level, born)
	if err != nil {
		return err
	}
	own := c.borrow()
	defer func() { c.spare = append(c.spare, own) }()
	copy(own, pg)
	if err := page.Verify(own, len(own), ref.Page(), c.t.store.salt); err != nil {
		return err
	}
	if level = int(page.Level(own)); level == 0 {
		return c.leaf(src, page.Body(own), page.Born(own), dst)
	}
	return c.branch(src, page.Body(own), level, page.Born(own), dst)
}

// borrow returns memory for a page.
func (c *compactor) borrow() []byte {
	n := len(c.spare) - 1
	if n < 0 {
		return make([]byte, c.t.store.pageSize)
	}
	b := c.spare[n]
	c.spare = c.spare[:n]
	return b
}

// branch copies what is below a branch to dst.
func (c *compactor) branch(src *Bucket, body page.Branch, level int, born page.Commit, dst *Bucket) error {
	for i, n := 0, body.Count(); i < n; i++ {
		if level == 1 && i%aheadLeaves == 0 {
			c.scan.b = src
			c.scan.ask(body, i, min(i+aheadLeaves, n))
		}
		if err := c.tree(src, body.Child(i), level-1, born, dst); err != nil {
			return err
		}
	}
	return nil
}

// leaf copies the cells of a leaf to dst.
func (c *compactor) leaf(src *Bucket, body page.Leaf, born page.Commit, dst *Bucket) error {
	for i := range body.Count() {
		key, err := c.key(src, body, i)
		if err != nil {
			return err
		}
		p := body.Payload(i)
		switch body.Kind(i) {
		case page.CellBucket:
			var to *Bucket
			if to, err = dst.CreateBucket(key); err == nil {
				err = c.bucket(page.DecodeBucket(p), p[page.BucketHeaderSize:], born, to)
			}
			p = p[:page.BucketHeaderSize]
		case page.CellOverflow:
			o := page.DecodeOverflow(p)
			p = p[:0]
			err = c.run(o, src.hdr.Tree, func(n int) ([]byte, error) { return dst.PutReserve(key, n) })
			c.done += uint64(o.Len)
		default:
			err = dst.Put(key, p)
		}
		if err = firstError(err, c.count(len(key)+len(p))); err != nil {
			return err
		}
	}
	return nil
}

// key returns the whole key of cell i.
func (c *compactor) key(src *Bucket, body page.Leaf, i int) (key []byte, err error) {
	part := body.Key(i)
	if !body.Large(i) {
		return part, nil
	}
	o := body.KeyRef(i)
	err = c.run(o, src.hdr.Tree, func(n int) ([]byte, error) {
		key = make([]byte, n)
		return key, nil
	})
	if err == nil && !bytes.HasPrefix(key, part) {
		err = page.Corruptf(o.Page.Page(), "the key in the run starts differently")
	}
	return key, err
}

// run copies the payload of the run that o refers to into what room returns for so many bytes, and verifies that.
func (c *compactor) run(o page.Overflow, tree page.Tree, room func(n int) ([]byte, error)) error {
	b, err := c.t.run(o, tree)
	if err != nil {
		return err
	}
	own, err := room(int(o.Len))
	if err != nil {
		return err
	}
	end := page.RunHeaderSize + int(o.Len)
	copy(own, b[page.RunHeaderSize:end])
	head := bytes.Clone(b[:page.RunHeaderSize])
	var sum xxhash.Digest
	sum.Reset()
	sum.Write(head[8:]) // all but the checksum itself
	sum.Write(own)
	sum.Write(b[end:])
	if sum.Sum64()^c.t.store.salt != page.Stored(head) {
		return page.Corruptf(o.Page.Page(), "the copy of the run does not have its checksum")
	}
	return nil
}

// count notes n copied bytes.
func (c *compactor) count(n int) error {
	c.done += uint64(n)
	if c.progress == nil || c.done-c.told < copyChunk {
		return nil
	}
	c.told = c.done
	return c.progress("compacting", c.done, max(c.total, c.done))
}
