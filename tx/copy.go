package tx

import (
	"errors"
	"io"
	"os"

	"mmdb/mmapfile"
	"mmdb/page"
)

// copyChunk is how many bytes are copied at a time.
const copyChunk = 1 << 20

// WriteTo writes a copy of the database as t sees it to dst: a whole database file, while other transactions go on. What
// is copied is verified first, and pages that hold no live data are written as zeros, so nothing that was deleted
// leaks into the copy. It implements io.WriterTo; the error wraps ErrCorrupt if the database is damaged. A write transaction that
// has changed something can't be copied: that is an error.
func (t *Tx) WriteTo(dst io.Writer) (n int64, err error) {
	if !t.managed {
		defer t.exitErr(enter(), &err)
	}
	return t.writeTo(dst, nil)
}

// copyable returns an error when t can't be copied.
func (t *Tx) copyable() error {
	if t.done {
		return ErrTxClosed
	}
	if t.root.changed() {
		return errors.New("copy: the transaction has changes that are not committed")
	}
	return t.settleGroup()
}

// livePages returns a bit for each page that t reaches: trees, runs and commit records.
func (t *Tx) livePages(progress func(phase string, done, total uint64) error) (live []uint64, err error) {
	var first error
	c := checker{t: t, used: make([]uint64, t.limit/64+1), yield: func(e error) bool { first = e; return false }}
	c.report = func(done, _ uint64) bool {
		first = progress("verifying", done<<t.shift, uint64(t.limit)<<t.shift)
		return first == nil
	}
	k := walker{t: t, visit: c.visit, problem: c.problem}
	k.bucket(t.snap.meta.Root, t.snap.root, t.snap.meta.Commit, nil)
	if first != nil {
		return nil, first
	}
	_, links, err := t.store.readChain(&t.snap.meta, t.data, page.Link{})
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		c.mark(l.Page, uint64(page.RunPages(int(l.Len), t.store.pageSize)), section("commit record"))
	}
	return c.used, first
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
	_, err = t.backup(path, &BackupOptions{Mode: mode, Replace: true})
	return err
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
