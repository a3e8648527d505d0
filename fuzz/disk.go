package fuzz

import (
	"slices"

	"mmdb/mmapfile"
)

// A Disk is the state of a file system during a trace: what is certainly on
// the device, and what may or may not be. It believes in as little as it can:
//
//   - a write, a size and a hole are durable when a flush of the file that
//     began after them has returned without an error; msync only flushes the
//     bytes in its range, and a size only as far as those bytes need it;
//   - until then each 512-byte sector is on its own;
//   - sizes and names change in order, as in a journal, but independently of
//     the data;
//   - names are durable after a flush of the directory;
//   - what a failed flush should have written is never written by a later one
//     (the kernel takes the pages for clean), but stays readable, and may be
//     on the device all the same.
type Disk struct {
	names      map[string]*file // as the run sees them
	durable    map[string]*file
	renames    []naming // names that are not durable, in order
	pending    []change // in order
	starts     map[flushKey]int
	seq        int
	generation int // counts changes of the durable state
}

// A file is one inode.
type file struct {
	data  []byte // durable content
	size  int64  // as the run sees it
	dirty []span // durable ranges that changed since the image last took them
}

// A span is a range of bytes.
type span struct{ lo, hi int64 }

// A change is a write, or a new size, that is not durable.
type change struct {
	file  *file
	seq   int
	off   int64
	data  []byte // nil for a size
	size  int64
	limbo bool // no flush will write it any more
}

func (c *change) isSize() bool { return c.data == nil }
func (c *change) end() int64   { return c.off + int64(len(c.data)) }

// A naming is one change of the directory.
type naming struct {
	name string
	file *file // nil when the name goes
	seq  int
}

type flushKey struct {
	path   string
	op     mmapfile.OpKind
	number int
}

// NewDisk returns the disk at the start of a trace.
func NewDisk(t *Trace) *Disk {
	d := &Disk{names: map[string]*file{}, durable: map[string]*file{}, starts: map[flushKey]int{}}
	if t.Base == nil {
		return d
	}
	f := &file{data: slices.Clone(t.Base), size: int64(len(t.Base))}
	f.dirty = []span{{0, f.size}}
	d.names[t.DB], d.durable[t.DB] = f, f
	if n := int64(len(t.Cached)); t.Cached != nil && n != f.size {
		d.resize(f, n)
	}
	return d
}

// Apply takes the next event. It reports whether a crash after it may leave
// something that a crash before it could not.
func (d *Disk) Apply(e *Event) bool {
	d.seq++
	f := d.names[e.Path]
	switch e.Kind {
	case EventCreate:
		f = &file{}
		d.names[e.Path] = f
		d.renames = append(d.renames, naming{e.Path, f, d.seq})
	case EventWrite:
		if e.Offset+e.Length > f.size {
			d.resize(f, e.Offset+e.Length)
		}
		d.add(change{file: f, off: e.Offset, data: e.Data})
	case EventSize:
		d.resize(f, e.Size)
	case EventPunch:
		if n := min(e.Length, f.size-e.Offset); n > 0 {
			d.add(change{file: f, off: e.Offset, data: make([]byte, n)})
		}
	case EventRename:
		d.names[e.To] = f
		delete(d.names, e.Path)
		d.renames = append(d.renames, naming{e.Path, nil, d.seq}, naming{e.To, f, d.seq})
	case EventRemove:
		delete(d.names, e.Path)
		d.renames = append(d.renames, naming{e.Path, nil, d.seq})
	case EventFlushStart:
		d.starts[flushKey{e.Path, e.Op, e.Flush}] = d.seq
		return false
	case EventFlushEnd:
		d.flush(e, f)
	}
	return true
}

func (d *Disk) add(c change) {
	d.seq++
	c.seq = d.seq
	d.pending = append(d.pending, c)
}

// resize records a new size. What was written beyond it is out of reach of
// any later flush.
func (d *Disk) resize(f *file, size int64) {
	if size < f.size {
		d.split(f, size, f.size, d.seq, func(c *change) { c.limbo = true })
	}
	f.size = size
	d.add(change{file: f, size: size})
}

// split cuts the pending writes of f up to seq at lo and hi, and calls in for
// each part that lies between.
func (d *Disk) split(f *file, lo, hi int64, seq int, in func(*change)) {
	var out []change
	for _, c := range d.pending {
		if c.file != f || c.isSize() || c.seq > seq || c.end() <= lo || c.off >= hi {
			out = append(out, c)
			continue
		}
		a, b := max(lo, c.off), min(hi, c.end())
		for _, s := range []span{{c.off, a}, {a, b}, {b, c.end()}} {
			if s.lo >= s.hi {
				continue
			}
			part := c
			part.off, part.data = s.lo, c.data[s.lo-c.off:s.hi-c.off]
			if s.lo == a && s.hi == b {
				in(&part)
			}
			out = append(out, part)
		}
	}
	d.pending = out
}

// flush makes durable what a flush that returned promises.
func (d *Disk) flush(e *Event, f *file) {
	seq := d.starts[flushKey{e.Path, e.Op, e.Flush}]
	lo, hi := int64(0), int64(1)<<62
	if e.Op == mmapfile.OpMsync {
		lo, hi = e.Offset, e.Offset+e.Length
	}
	switch {
	case e.Op == mmapfile.OpSyncDir:
		if !e.Failed {
			d.flushNames(seq)
		}
	case e.Failed:
		d.split(f, lo, hi, seq, func(c *change) { c.limbo = true })
	default:
		d.flushRange(f, lo, hi, seq, e.Op == mmapfile.OpSync)
	}
}

func (d *Disk) flushNames(seq int) {
	rest := d.renames[:0]
	for _, n := range d.renames {
		switch {
		case n.seq > seq:
			rest = append(rest, n)
		case n.file == nil:
			delete(d.durable, n.name)
		default:
			d.durable[n.name] = n.file
		}
	}
	d.renames = rest
	d.generation++
}

// flushRange makes the writes of f in [lo, hi) durable, and the sizes: all of
// them, or those that the writes need.
func (d *Disk) flushRange(f *file, lo, hi int64, seq int, allSizes bool) {
	needed := int64(-1)
	d.split(f, lo, hi, seq, func(c *change) {
		if !c.limbo {
			needed = max(needed, c.end())
		}
	})
	sizes := seq
	if !allSizes {
		sizes = d.sizesFor(f, needed, seq)
	}
	var rest []change
	var done []change
	for _, c := range d.pending {
		inside := c.off >= lo && c.end() <= hi && !c.limbo && c.seq <= seq
		switch {
		case c.file != f || c.isSize() && c.seq > sizes || !c.isSize() && !inside:
			rest = append(rest, c)
		case c.isSize():
			f.data = resized(f.data, c.size)
			f.dirty = append(f.dirty, span{c.size, 1 << 62})
		default:
			copy(f.data[min(c.off, int64(len(f.data))):], c.data)
			f.dirty = append(f.dirty, span{c.off, c.end()})
			done = append(done, c)
		}
	}
	d.pending = rest
	for _, c := range done { // older bytes can't come back over newer ones
		d.split(f, c.off, c.end(), c.seq, func(old *change) { old.data = old.data[:0] })
	}
	d.pending = slices.DeleteFunc(d.pending, func(c change) bool { return !c.isSize() && len(c.data) == 0 })
	d.generation++
}

// sizesFor returns the newest pending size that must be durable so that needed
// bytes of f are within the file and stay there.
func (d *Disk) sizesFor(f *file, needed int64, seq int) int {
	found := 0
	short := int64(len(f.data)) < needed
	for _, c := range d.pending {
		if c.file != f || !c.isSize() || c.seq > seq {
			continue
		}
		if c.size < needed {
			short = true
		} else if short {
			short, found = false, c.seq
		}
	}
	return found
}

// resized returns b cut or extended with zeros to n bytes.
func resized(b []byte, n int64) []byte {
	if n <= int64(len(b)) {
		return b[:n]
	}
	old := len(b)
	b = slices.Grow(b, int(n)-old)[:n]
	clear(b[old:])
	return b
}

// named returns the file that a path names once the first n pending names are
// durable.
func (d *Disk) named(path string, n int) *file {
	f := d.durable[path]
	for _, nm := range d.renames[:n] {
		if nm.name == path {
			f = nm.file
		}
	}
	return f
}

// content returns what a crash leaves in f: the durable bytes, the sizes up to
// number p.sizes, and the pieces of pending writes that p names.
func (d *Disk) content(f *file, p *pick) []byte {
	b := slices.Clone(f.data)
	d.each(f, p, func(size int64) { b = resized(b, size) }, func(off int64, data []byte) {
		if off < int64(len(b)) {
			copy(b[off:], data)
		}
	})
	return b
}

// each calls size and write for everything of f that p says has reached the
// device, in order.
func (d *Disk) each(f *file, p *pick, size func(int64), write func(int64, []byte)) {
	next := 0
	for i, c := range d.pending {
		if c.isSize() {
			if c.file == f && c.seq <= p.sizes {
				size(c.size)
			}
			continue
		}
		for ; next < len(p.pieces) && p.pieces[next].change == i; next++ {
			if c.file == f {
				write(c.off+int64(p.pieces[next].lo), c.data[p.pieces[next].lo:p.pieces[next].hi])
			}
		}
	}
}
