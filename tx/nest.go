package tx

import (
	"mmdb/page"
)

// CreateBucket makes a nested bucket. Errors: ErrBucketNameRequired, ErrKeyTooLarge, ErrBucketExists,
// ErrIncompatibleValue when the key holds a value, ErrTxNotWritable, ErrTxClosed.
func (b *Bucket) CreateBucket(name []byte) (child *Bucket, err error) {
	if !b.tx.managed {
		defer b.tx.exitErr(enter(), &err)
	}
	if err := b.mayWrite(); err != nil {
		return nil, err
	}
	if len(name) == 0 {
		return nil, ErrBucketNameRequired
	}
	if len(name) > page.MaxKeySize {
		return nil, ErrKeyTooLarge
	}
	err = b.tx.changed(b.createBucket(name))
	if err != nil {
		return nil, err
	}
	return b.bucket(name)
}

func (b *Bucket) createBucket(name []byte) error {
	if err := b.tx.room(); err != nil {
		return err
	}
	var p path
	found, err := b.seek(&p, name)
	if err != nil {
		return err
	}
	if found {
		if p.leaf().leafBody().Kind(p.leaf().i) == page.CellBucket {
			return ErrBucketExists
		}
		return ErrIncompatibleValue
	}
	hdr := page.Bucket{Tree: b.tx.w.nextTree}
	b.tx.w.nextTree++
	return b.storeHeader(&p, false, name, hdr, emptyBody)
}

// emptyBody is the miniature page of an empty bucket.
var emptyBody = page.InitLeaf(make([]byte, 8))

// storeHeader puts the cell of a nested bucket under name: hdr, and body when it is inline. p is where name
// is or would be.
func (b *Bucket) storeHeader(p *path, found bool, name []byte, hdr page.Bucket, body []byte) error {
	n := page.BucketHeaderSize
	if hdr.Root == 0 {
		n += len(body)
	}
	cell, err := b.place(p, found, name, page.CellBucket, n)
	if err != nil {
		return err
	}
	hdr.Encode(cell)
	if hdr.Root == 0 {
		copy(cell[page.BucketHeaderSize:], body)
	}
	return nil
}

// CreateBucketIfNotExists makes a nested bucket, or returns the one that exists.
func (b *Bucket) CreateBucketIfNotExists(name []byte) (*Bucket, error) {
	child, err := b.CreateBucket(name)
	if err == ErrBucketExists {
		if child = b.Bucket(name); child == nil {
			return nil, b.tx.err
		}
		return child, nil
	}
	return child, err
}

// DeleteBucket deletes a nested bucket and all in it. Handles of it and of buckets in it can't be used any
// more. Errors: ErrBucketNotFound, ErrIncompatibleValue when the key holds a value.
func (b *Bucket) DeleteBucket(name []byte) (err error) {
	if !b.tx.managed {
		defer b.tx.exitErr(enter(), &err)
	}
	if err := b.mayWrite(); err != nil {
		return err
	}
	return b.tx.changed(b.deleteBucket(name))
}

func (b *Bucket) deleteBucket(name []byte) error {
	if err := b.tx.room(); err != nil {
		return err
	}
	var p path
	found, err := b.seek(&p, name)
	switch {
	case err != nil:
		return err
	case !found:
		return ErrBucketNotFound
	case p.leaf().leafBody().Kind(p.leaf().i) != page.CellBucket:
		return ErrIncompatibleValue
	}
	child, err := b.bucket(name)
	if err != nil {
		return err
	}
	b.tx.freeing = 0
	if err := child.drop(); err != nil {
		return err
	}
	b.open.remove(child)
	return b.remove(&p)
}

// drop frees every page of b and of the buckets in it.
func (b *Bucket) drop() error {
	for n := len(b.open.list); n > 0; n = len(b.open.list) { // these may have newer roots than their cells say
		c := b.open.list[n-1]
		if err := c.drop(); err != nil {
			return err
		}
		// Its cell must not lead to the pages a second time.
		var p path
		if found, err := b.seek(&p, c.name); err != nil || !found {
			return errInvariant("open bucket has no cell", err)
		} else if err := b.storeHeader(&p, true, c.name, page.Bucket{Tree: c.hdr.Tree}, emptyBody); err != nil {
			return err
		}
		b.open.remove(c)
	}
	return b.freeAll()
}

// MoveBucket moves the nested bucket child of b into dst, under the same name. Handles of it can't be used any more.
// Errors: ErrBucketNotFound, ErrIncompatibleValue, ErrBucketExists, ErrSameBuckets, ErrDifferentDB, and ErrTxNotWritable and ErrTxClosed
// if b's or dst's transaction is.
func (b *Bucket) MoveBucket(child []byte, dst *Bucket) (err error) {
	if !b.tx.managed {
		defer b.tx.exitErr(enter(), &err)
	}
	if err := b.mayWrite(); err != nil {
		return err
	}
	switch {
	case dst == nil:
		return ErrDifferentDB
	case dst.tx.done:
		return ErrTxClosed
	case !dst.tx.writable:
		return ErrTxNotWritable
	case dst.tx != b.tx:
		return ErrDifferentDB
	}
	if err := dst.mayWrite(); err != nil {
		return err
	}
	return b.tx.changed(b.moveBucket(child, dst))
}

func (b *Bucket) moveBucket(name []byte, dst *Bucket) error {
	if err := b.tx.room(); err != nil {
		return err
	}
	c, err := b.find(name)
	switch {
	case err != nil:
		return err
	case !c.found:
		return ErrBucketNotFound
	case c.kind != page.CellBucket:
		return ErrIncompatibleValue
	case b == dst:
		return ErrSameBuckets
	}
	if d, err := dst.find(name); err != nil {
		return err
	} else if d.found && d.kind == page.CellBucket {
		return ErrBucketExists
	} else if d.found {
		return ErrIncompatibleValue
	}
	child, err := b.bucket(name)
	if err != nil {
		return err
	}
	for p := dst; p != nil; p = p.parent {
		if p == child {
			return ErrSameBuckets // a bucket can't move into itself
		}
	}
	if err := child.fold(false); err != nil {
		return err
	}
	hdr, body := child.header()
	var p path
	if found, err := dst.seek(&p, name); err != nil || found {
		return errInvariant("target of a move exists", err)
	}
	if err := dst.storeHeader(&p, false, child.name, hdr, body); err != nil {
		return err
	}
	if hdr.Root == 0 && child.hdr.Root != 0 { // its root page is in the cell now
		b.tx.w.dirty.release(child.hdr.Root.Index())
	}
	if found, err := b.seek(&p, name); err != nil || !found {
		return errInvariant("moved bucket has no cell", err)
	}
	child.close()
	b.open.remove(child)
	return b.remove(&p)
}

// close makes every handle in b invalid: their state is in the tree now.
func (b *Bucket) close() {
	b.gone = true
	for _, c := range b.open.list {
		c.close()
	}
}
