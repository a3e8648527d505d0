package tx

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"mmdb/mmapfile"
	"mmdb/page"
)

// copyChunk is how many bytes are copied at a time.
const copyChunk = 1 << 20

// WriteTo writes a copy of the database as t sees it to dst: a whole database file, while other transactions go on. What
// is copied is verified first, and pages that hold no live data are written as zeros, so nothing that was deleted
// leaks into the copy. It implements io.WriterTo; the error wraps ErrCorrupt if the database is damaged.
func (t *Tx) WriteTo(dst io.Writer) (n int64, err error) {
	if !t.managed {
		defer t.exitErr(enter(), &err)
	}
	if err := t.copyable(); err != nil {
		return 0, err
	}
	live, err := t.livePages()
	if err != nil {
		return 0, err
	}
	buf := make([]byte, copyChunk)
	end := int64(t.limit) << t.shift
	for n < end {
		k := min(end-n, copyChunk)
		t.copyPages(buf[:k], page.No(n>>t.shift), live)
		if n == 0 {
			t.copyMetas(buf)
		}
		m, err := dst.Write(buf[:k])
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// copyable returns an error when t can't be copied.
func (t *Tx) copyable() error {
	if t.done {
		return ErrTxClosed
	}
	if t.root.changed() {
		return errors.New("copy: the transaction has changes that are not committed")
	}
	return nil
}

// livePages returns a bit for each page that t reaches: trees, runs and commit records.
func (t *Tx) livePages() (live []uint64, err error) {
	var first error
	c := checker{t: t, used: make([]uint64, t.limit/64+1), yield: func(e error) bool { first = e; return false }}
	k := walker{t: t, visit: c.visit, problem: c.problem}
	k.bucket(t.snap.meta.Root, nil, t.snap.meta.Commit, "")
	if first != nil {
		return nil, first
	}
	_, links, err := t.store.readChain(&t.snap.meta, t.data)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		c.mark(l.Page, uint64(page.RunPages(int(l.Len), t.store.pageSize)), "commit record")
	}
	return c.used, first
}

// copyPages fills buf with the pages from no on, those that are not live as zeros.
func (t *Tx) copyPages(buf []byte, no page.No, live []uint64) {
	for size := 1 << t.shift; len(buf) > 0; no++ {
		if live[no/64]>>(no%64)&1 != 0 {
			copy(buf[:size], t.raw(no, 1))
		} else {
			clear(buf[:size])
		}
		buf = buf[size:]
	}
}

// copyMetas puts t's meta, settled, into all three slots at the start of buf.
func (t *Tx) copyMetas(buf []byte) {
	m := t.snap.meta
	m.Settled = true
	for i := range page.MetaSlots {
		m.Encode(buf[page.MetaOffset(i):])
	}
}

// ErrSameFile is returned when a database would be copied onto itself.
var ErrSameFile = errors.New("the copy would replace the database itself")

// CopyFile writes a copy of the database as t sees it to the file at path, which gets mode (before the umask). The copy is
// complete and durable before it takes the name, in place of a file that had it. See WriteTo.
func (t *Tx) CopyFile(path string, mode os.FileMode) (err error) {
	if t.done {
		return ErrTxClosed
	}
	if t.store.file.SameFile(path) {
		return fmt.Errorf("%s: %w", path, ErrSameFile)
	}
	var id [6]byte
	rand.Read(id[:])
	temp := fmt.Sprintf("%s.%x.tmp", path, id)
	seam := t.store.opts.Seam
	f, err := mmapfile.Open(temp, mmapfile.Options{Create: true, Exclusive: true, Mode: mode, Seam: seam})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			mmapfile.Remove(temp, seam)
		}
	}()
	if _, err = t.WriteTo(&fileWriter{f: f}); err == nil {
		err = f.Sync()
	}
	if err = firstError(err, f.Close()); err != nil {
		return err
	}
	if err = mmapfile.Rename(temp, path, seam); err != nil {
		return err
	}
	return mmapfile.SyncParent(path, seam)
}

// A fileWriter writes a File from its start.
type fileWriter struct {
	f  *mmapfile.File
	at int64
}

func (w *fileWriter) Write(p []byte) (int, error) {
	if err := w.f.WriteAt([][]byte{p}, w.at); err != nil {
		return 0, err
	}
	w.at += int64(len(p))
	return len(p), nil
}
