package tx

import (
	"errors"
	"os"

	"mmdb/page"
)

// A compactor copies a snapshot into an empty database, key by key.
type compactor struct {
	total    uint64 // bytes, estimated
	done     uint64 // bytes of keys and values
	told     uint64 // what progress was told last
	progress func(phase string, done, total uint64) error
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
	c := compactor{total: t.liveBytes(), progress: o.Progress}
	if t.err != nil {
		return 0, t.err
	}
	return 0, dst.Update(func(w *Tx) error {
		if err := c.bucket(&t.root, &w.root); err != nil {
			return err
		}
		return t.err
	})
}

// liveBytes returns the size of the pages that are in use.
func (t *Tx) liveBytes() uint64 {
	in := t.Info()
	return (in.HighWater - in.FreePages - in.PendingPages) << t.shift
}

// bucket copies everything in src to dst.
func (c *compactor) bucket(src, dst *Bucket) error {
	for k, v := range src.All() {
		if v == nil {
			if err := c.nested(src, dst, k); err != nil {
				return err
			}
			continue
		}
		room, err := dst.PutReserve(k, len(v))
		if err != nil {
			return err
		}
		copy(room, v)
		if err := c.count(len(k) + len(v)); err != nil {
			return err
		}
	}
	return nil
}

// nested copies the bucket name of src.
func (c *compactor) nested(src, dst *Bucket, name []byte) error {
	from := src.Bucket(name)
	if from == nil {
		return firstError(src.tx.err, errors.New("invariant: a bucket in the iteration can't be opened"))
	}
	to, err := dst.CreateBucket(name)
	if err != nil {
		return err
	}
	if seq := from.Sequence(); seq != 0 {
		if err := to.SetSequence(seq); err != nil {
			return err
		}
	}
	if err := c.bucket(from, to); err != nil {
		return err
	}
	return c.count(len(name) + page.BucketHeaderSize)
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
