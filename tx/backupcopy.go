package tx

import (
	"io"

	"github.com/cespare/xxhash/v2"

	"mmdb/page"
)

// A copier writes the pages of a snapshot to dst, and verifies each in the buffer from which it is written.
type copier struct {
	t        *Tx
	dst      io.Writer
	live     []uint64 // a bit for each page to be copied
	buf      []byte
	fill     int   // bytes of buf
	n        int64 // bytes written
	progress func(phase string, done, total uint64) error
}

// writeTo writes t's snapshot to dst. progress may be nil.
func (t *Tx) writeTo(dst io.Writer, progress func(phase string, done, total uint64) error) (int64, error) {
	if err := t.copyable(); err != nil {
		return 0, err
	}
	if progress == nil {
		progress = func(string, uint64, uint64) error { return nil }
	}
	live, err := t.livePages(progress)
	if err != nil {
		return 0, err
	}
	c := copier{t: t, dst: dst, live: live, buf: make([]byte, copyChunk), progress: progress}
	err = c.copy()
	return c.n, err
}

// copy writes the meta pages, and everything after them.
func (c *copier) copy() error {
	first := c.t.store.first
	c.fill = int(first) << c.t.shift
	c.t.copyMetas(c.buf)
	for no := first; no < c.t.limit; {
		n := uint32(1)
		var err error
		if c.isLive(no) {
			n, err = c.run(no)
		} else {
			err = c.zeros()
		}
		if err != nil {
			return err
		}
		no += page.No(n)
	}
	return c.flush()
}

func (c *copier) isLive(no page.No) bool { return c.live[no/64]>>(no%64)&1 != 0 }

// run copies the page or run that starts at no, and returns its pages.
func (c *copier) run(no page.No) (uint32, error) {
	t := c.t
	head, err := c.next(t.raw(no, 1))
	if err != nil {
		return 0, err
	}
	n, stored := page.Run(head), page.Stored(head)
	if n == 0 || uint64(n) > uint64(t.limit-no) || page.Number(head) != no {
		return 0, c.changed(no)
	}
	if n == 1 {
		if page.Sum(head, t.store.salt) != stored {
			return 0, c.changed(no)
		}
		return 1, nil
	}
	var sum xxhash.Digest
	sum.Reset()
	sum.Write(head[8:]) // all but the checksum itself
	for i := uint32(1); i < n; i++ {
		b, err := c.next(t.raw(no+page.No(i), 1))
		if err != nil {
			return 0, err
		}
		sum.Write(b)
	}
	if sum.Sum64()^t.store.salt != stored {
		return 0, c.changed(no)
	}
	return n, nil
}

// changed is the error for a page that was whole when the tree was walked, and is not in the copy.
func (c *copier) changed(no page.No) error {
	return page.Corruptf(no, "the copy of the page does not have its checksum")
}

// zeros writes an empty page.
func (c *copier) zeros() error {
	b, err := c.room()
	if err == nil {
		clear(b)
	}
	return err
}

// next copies a page to the buffer and returns the copy.
func (c *copier) next(src []byte) ([]byte, error) {
	b, err := c.room()
	if err == nil {
		copy(b, src)
	}
	return b, err
}

// room returns the place of the next page in the buffer.
func (c *copier) room() ([]byte, error) {
	if c.fill == len(c.buf) {
		if err := c.flush(); err != nil {
			return nil, err
		}
	}
	b := c.buf[c.fill : c.fill+1<<c.t.shift]
	c.fill += len(b)
	return b, nil
}

// flush writes what is in the buffer. A page is written before its run is verified, if that is longer than the buffer: the
// error that follows makes the copy useless as a whole.
func (c *copier) flush() error {
	m, err := c.dst.Write(c.buf[:c.fill])
	c.n += int64(m)
	c.fill = 0
	if err != nil {
		return err
	}
	return c.progress("copying", uint64(c.n), uint64(c.t.limit)<<c.t.shift)
}
