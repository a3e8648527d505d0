package tx

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"mmdb/mmapfile"
	"mmdb/page"
)

// A salvageFile reads pages of a damaged file. It never writes.
type salvageFile struct {
	f        *mmapfile.File
	size     int64 // bytes
	pageSize int
	shift    uint8
	salt     uint64
	first    page.No // first page after the metas
}

// An identity is what tells the pages of one database from those of another.
type identity struct {
	pageSize int
	salt     uint64
}

func (f *salvageFile) become(id identity) {
	f.pageSize, f.salt, f.first = id.pageSize, id.salt, page.FirstPage(id.pageSize)
	for f.shift = 0; 1<<f.shift < f.pageSize; f.shift++ {
	}
}

// pages returns how many whole pages the file has.
func (f *salvageFile) pages() page.No { return page.No(f.size >> f.shift) }

// at fills b with what stands at page no and behind. An error of the device is damage like any other.
func (f *salvageFile) at(b []byte, no page.No) bool {
	n, err := f.f.ReadAt(b, int64(no)<<f.shift)
	return n == len(b) && (err == nil || errors.Is(err, io.EOF))
}

// tree reads the leaf or branch at page no into b, and verifies it.
func (f *salvageFile) tree(b []byte, no page.No) bool {
	return f.at(b, no) && page.Verify(b, f.pageSize, no, f.salt) == nil
}

// runSize returns the bytes of the run at page no that begins with head, or 0 if it is none, or none that fits into the file.
func (f *salvageFile) runSize(head []byte, no page.No) int64 {
	n, size := page.Run(head), page.PayloadLen(head)
	if n == 0 || size > math.MaxInt32 || page.RunPages(int(size), f.pageSize) != n ||
		uint64(n) > uint64(f.pages()-no) || uint64(n)<<f.shift > math.MaxInt {
		return 0
	}
	return int64(n) << f.shift
}

// sum returns the checksum of the n bytes from page no on. It needs no memory for them: what a head says of its run may not be true.
func (f *salvageFile) sum(no page.No, n int64) (sum uint64, ok bool) {
	const field = 8 // the checksum's own
	d := page.NewDigest()
	k, err := io.Copy(d, io.NewSectionReader(f.f, int64(no)<<f.shift+field, n-field))
	return d.Sum(f.salt), err == nil && k == n-field
}

// payload returns the bytes in the run that o refers to, which must be the one that a cell of the tree means.
func (f *salvageFile) payload(o page.Overflow, tree page.Tree) ([]byte, error) {
	no, n := o.Page.Page(), page.RunPages(int(o.Len), f.pageSize)
	if o.Page.Dirty() || no < f.first || no >= f.pages() || uint64(n) > uint64(f.pages()-no) {
		return nil, page.Corruptf(no, "the file ends before it")
	}
	if head := make([]byte, page.RunHeaderSize); !f.at(head, no) || page.KindOf(head) != page.KindOverflow || f.runSize(head, no) != int64(n)<<f.shift {
		return nil, page.Corruptf(no, "not an overflow run of %d pages", n)
	}
	b := make([]byte, int64(n)<<f.shift)
	if !f.at(b, no) {
		return nil, page.Corruptf(no, "it can't be read")
	}
	if err := page.Verify(b, f.pageSize, no, f.salt); err != nil {
		return nil, err
	}
	p := page.RunPayload(b)
	if page.Born(b) != o.Born || page.TreeNo(b) != tree || len(p) != int(o.Len) {
		return nil, page.Corruptf(no, "not the run that its reference names")
	}
	return p, nil
}

// read finds out what file this is, and which pages of it are whole.
func (s *salvager) read() (err error) {
	if s.file.size, err = s.file.f.Size(); err != nil {
		return err
	}
	ids, invalid, err := s.readMetas()
	if err != nil {
		return err
	}
	if err := s.scanAll(ids); err != nil {
		return err
	}
	if s.whole() == 0 { // no meta, or metas of another file, or all that there is stands in the meta
		n := len(ids)
		if ids, err = s.identities(ids); err != nil {
			return err
		}
		if len(ids) > n {
			if err := s.scanAll(ids); err != nil {
				return err
			}
		}
	}
	s.keepMetas()
	switch {
	case len(ids) == 0 && invalid:
		return fmt.Errorf("%w: no meta page and no commit record is in it", ErrInvalid)
	case s.whole() == 0 && !s.hasBody():
		return page.Corruptf(0, "no page of data is readable")
	}
	s.report.PageSize, s.report.Pages, s.report.Metas = s.file.pageSize, uint64(len(s.pages)), len(s.metas)
	return nil
}

// keepMetas drops the metas of other files.
func (s *salvager) keepMetas() {
	kept := s.metas[:0]
	for _, m := range s.metas {
		if int(m.PageSize) == s.file.pageSize && m.Salt == s.file.salt {
			kept = append(kept, m)
		}
	}
	s.metas = kept
}

// hasBody reports whether a meta or a record holds the body of the root bucket: a small database has no page of data.
func (s *salvager) hasBody() bool {
	return slices.ContainsFunc(s.metas, func(m page.Meta) bool { return m.Root.Root == 0 }) ||
		slices.ContainsFunc(s.records, func(r salvagedRecord) bool { return r.root.Root == 0 })
}

// readMetas decodes the three metas and returns the files that they belong to; invalid tells that there is not even a
// damaged one.
func (s *salvager) readMetas() (ids []identity, invalid bool, err error) {
	invalid = true
	buf := make([]byte, page.MetaSize)
	for i := range page.MetaSlots {
		if n, _ := s.file.f.ReadAt(buf, page.MetaOffset(i)); n < len(buf) {
			continue
		}
		var m page.Meta
		err := m.Decode(buf)
		switch {
		case errors.Is(err, ErrVersion):
			return nil, false, fmt.Errorf("meta slot %d: %w", i, err)
		case err != nil:
			invalid = invalid && errors.Is(err, ErrInvalid)
			continue
		}
		invalid = false
		s.metas = append(s.metas, m)
		ids = addIdentity(ids, identity{int(m.PageSize), m.Salt})
	}
	return ids, invalid, nil
}

// maxIdentities is how many files one file may seem to be made of; each costs a scan.
const maxIdentities = 8

func addIdentity(ids []identity, id identity) []identity {
	if slices.Contains(ids, id) || len(ids) == maxIdentities {
		return ids
	}
	return append(ids, id)
}

// identities looks for commit records of any page size at every place where one could stand, and adds the files that
// they say they belong to to ids.
func (s *salvager) identities(ids []identity) ([]identity, error) {
	f := &s.file
	effort := 4 * f.size // bytes of records to read, as in scan
	buf := make([]byte, 1<<20)
	for off := int64(0); off < f.size; off += int64(len(buf)) {
		if err := s.progress("searching", uint64(off), uint64(f.size)); err != nil {
			return nil, err
		}
		n, _ := f.f.ReadAt(buf[:min(int64(len(buf)), f.size-off)], off)
		for at := 0; at+page.MinSize <= n; at += page.MinSize {
			if id, ok := f.recordAt(buf[at:n], off+int64(at), &effort); ok {
				ids = addIdentity(ids, id)
			}
		}
	}
	return ids, nil
}

// recordAt returns the file that the commit record at byte off says it belongs to. b is what was read from there on. The page
// size is found by trying: it must agree with the page's number, and with what the record says.
func (f *salvageFile) recordAt(b []byte, off int64, effort *int64) (id identity, ok bool) {
	n := recordSize(b, off)
	if n == 0 || n > min(f.size-off, maxRecord) {
		return id, false
	}
	if int64(len(b)) < n {
		if *effort -= n; *effort < 0 {
			return id, false
		}
		b = make([]byte, n)
		if k, _ := f.f.ReadAt(b, off); int64(k) < n {
			return id, false
		}
	}
	var rec page.Record
	if rec.Decode(page.RunPayload(b[:n])) != nil || page.Stored(b) != page.Sum(b[:n], rec.Salt) {
		return id, false
	}
	return identity{int(rec.PageSize), rec.Salt}, true
}

// recordSize returns the bytes of the commit record at byte off that begins with b, or 0 if there is none, as far as its head tells.
func recordSize(b []byte, off int64) int64 {
	if page.KindOf(b) != page.KindRecord || page.TreeNo(b) != 0 || page.Level(b) != 0 || page.Number(b) == 0 {
		return 0
	}
	length := page.PayloadLen(b)
	size, commit, ok := page.RecordHead(b[page.RunHeaderSize:], length)
	if !ok || commit != page.Born(b) || size > page.MaxSize || !page.ValidSize(int(size)) || off%int64(size) != 0 ||
		page.Number(b) != page.No(off/int64(size)) || page.Run(b) != page.RunPages(int(length), int(size)) {
		return 0
	}
	return int64(page.Run(b)) * int64(size)
}

// maxRecord is the largest commit record, in bytes, that is looked at while the page size is not known.
const maxRecord = 64 << 20
