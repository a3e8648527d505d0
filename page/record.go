package page

import (
	"fmt"
	"math"
)

// Offsets in the payload of a commit record.
const (
	offRecordVersion      = 0
	offRecordPageSize     = 4
	offRecordSalt         = 8
	offRecordCommit       = 16
	offRecordBase         = 24
	offRecordPrev         = 32
	offRecordPrevLength   = 40
	offRecordPrevChecksum = 48
	offRecordPrevCommit   = 56
	offRecordSums         = 64
	offRecordUnused       = 68
	offRecordHighWater    = 72
	offRecordRoot         = 80
	offRecordNextTree     = 112
	offRecordFlags        = 120
	offRecordBody         = 124
	offRecordWritten      = 128
	offRecordFreed        = 132
	offRecordFree         = 136
	offRecordPending      = 140

	recordCheckpoint = 1
)

// Record is what a commit did: the payload of a record run. With the ones
// before it, it tells what space is free.
type Record struct {
	PageSize  uint32 // bytes
	Salt      uint64 // of all checksums in the file
	Commit    Commit
	Base      Commit // newest commit known durable when this was written
	Prev      Link   // the record before, zero if there is none
	HighWater No     // pages, counted from the start of the file
	Root      Bucket // the root bucket
	Body      []byte // its body, if Root.Root is 0
	NextTree  Tree   // number for the next new bucket

	// Checkpoint says that Free and Pending are the whole state of free
	// space after this commit.
	Checkpoint bool

	// The sections, encoded by package freelist.
	Written, Freed, Free, Pending []byte

	// Sums is the checksums of the pages in Written, in order; those of a
	// run's other pages than the first are zero. It is empty when the pages
	// were flushed before the meta was written: then nobody compares them.
	Sums []byte
}

// Size returns the bytes that Encode writes.
func (r *Record) Size() int {
	return RecordHeaderSize + len(r.Body) + len(r.Written) + len(r.Freed) + len(r.Free) + len(r.Pending) + len(r.Sums)
}

// Encode writes the record to the first Size bytes of dst.
func (r *Record) Encode(dst []byte) {
	dst = dst[:r.Size()]
	le.PutUint32(dst[offRecordVersion:], Version)
	le.PutUint32(dst[offRecordPageSize:], r.PageSize)
	le.PutUint64(dst[offRecordSalt:], r.Salt)
	le.PutUint64(dst[offRecordCommit:], uint64(r.Commit))
	le.PutUint64(dst[offRecordBase:], uint64(r.Base))
	le.PutUint64(dst[offRecordPrev:], uint64(r.Prev.Page))
	le.PutUint64(dst[offRecordPrevLength:], r.Prev.Len)
	le.PutUint64(dst[offRecordPrevChecksum:], r.Prev.Checksum)
	le.PutUint64(dst[offRecordPrevCommit:], uint64(r.Prev.Commit))
	le.PutUint32(dst[offRecordUnused:], 0)
	le.PutUint64(dst[offRecordHighWater:], uint64(r.HighWater))
	r.Root.Encode(dst[offRecordRoot:])
	le.PutUint64(dst[offRecordNextTree:], uint64(r.NextTree))
	var flags uint32
	if r.Checkpoint {
		flags |= recordCheckpoint
	}
	le.PutUint32(dst[offRecordFlags:], flags)
	at := RecordHeaderSize
	for i, section := range r.sections() {
		le.PutUint32(dst[sectionOffsets[i]:], uint32(len(*section)))
		at += copy(dst[at:], *section)
	}
}

// RecordBody is where, in the payload of a record, the body of the root bucket
// stands.
const RecordBody = RecordHeaderSize

// sectionOffsets is where the lengths of the sections stand.
var sectionOffsets = [...]int{offRecordBody, offRecordWritten, offRecordFreed, offRecordFree, offRecordPending, offRecordSums}

func (r *Record) sections() [len(sectionOffsets)]*[]byte {
	return [...]*[]byte{&r.Body, &r.Written, &r.Freed, &r.Free, &r.Pending, &r.Sums}
}

// RecordHead returns the page size and the commit of the record whose payload
// begins with head, of RecordHeaderSize bytes, and has n bytes. It returns false
// if that can't be a record.
func RecordHead(head []byte, n uint32) (pageSize uint32, commit Commit, ok bool) {
	sections := uint64(RecordHeaderSize)
	for _, off := range sectionOffsets {
		sections += uint64(le.Uint32(head[off:]))
	}
	ok = checkVersion(le.Uint32(head[offRecordVersion:])) == nil && sections <= uint64(n) && n <= math.MaxInt32
	return le.Uint32(head[offRecordPageSize:]), Commit(le.Uint64(head[offRecordCommit:])), ok
}

// Decode reads a record from src and validates it. Behind the sections src may
// only have zeros: a record is padded to the space that was set aside for it.
// The sections alias src. The error wraps ErrVersion or ErrCorrupt.
func (r *Record) Decode(src []byte) error {
	if len(src) < RecordHeaderSize {
		return damaged("commit record: %d bytes, want at least %d", len(src), RecordHeaderSize)
	}
	if err := checkVersion(le.Uint32(src[offRecordVersion:])); err != nil {
		return err
	}
	flags := le.Uint32(src[offRecordFlags:])
	*r = Record{
		PageSize: le.Uint32(src[offRecordPageSize:]),
		Salt:     le.Uint64(src[offRecordSalt:]),
		Commit:   Commit(le.Uint64(src[offRecordCommit:])),
		Base:     Commit(le.Uint64(src[offRecordBase:])),
		Prev: Link{
			Page:     No(le.Uint64(src[offRecordPrev:])),
			Len:      le.Uint64(src[offRecordPrevLength:]),
			Checksum: le.Uint64(src[offRecordPrevChecksum:]),
			Commit:   Commit(le.Uint64(src[offRecordPrevCommit:])),
		},
		HighWater:  No(le.Uint64(src[offRecordHighWater:])),
		Root:       DecodeBucket(src[offRecordRoot:]),
		NextTree:   Tree(le.Uint64(src[offRecordNextTree:])),
		Checkpoint: flags&recordCheckpoint != 0,
	}
	if flags&^recordCheckpoint != 0 || le.Uint32(src[offRecordUnused:]) != 0 {
		return damaged("commit record: reserved bytes are not zero")
	}
	rest := src[RecordHeaderSize:]
	for i, section := range r.sections() {
		n := le.Uint32(src[sectionOffsets[i]:])
		if uint64(n) > uint64(len(rest)) {
			return damaged("commit record: sections are longer than the record")
		}
		*section, rest = rest[:n:n], rest[n:]
	}
	if !zero(rest) {
		return damaged("commit record: bytes behind the sections are not zero")
	}
	return r.Validate()
}

// Validate checks every field that can be checked without the file. The error
// wraps ErrCorrupt.
func (r *Record) Validate() error {
	s := state{r.PageSize, r.Commit, r.Base, r.HighWater, r.Root, r.Body, r.NextTree}
	if reason := s.check(); reason != "" {
		return damaged("commit record: %s", reason)
	}
	if !r.Checkpoint && len(r.Free)+len(r.Pending) != 0 {
		return damaged("commit record: free space without a checkpoint")
	}
	if len(r.Sums)%ChecksumSize != 0 {
		return damaged("commit record: %d bytes of checksums", len(r.Sums))
	}
	if r.Prev == (Link{}) {
		return nil
	}
	if r.Prev.Commit == 0 || r.Prev.Commit >= r.Commit {
		return damaged("commit record: commit %d follows commit %d", r.Commit, r.Prev.Commit)
	}
	// The file may have been longer when the record before was written.
	if reason := s.checkLink(r.Prev, MaxPages); reason != "" {
		return damaged("commit record: previous: %s", reason)
	}
	return nil
}

// state is what metas and records have in common.
type state struct {
	pageSize  uint32
	commit    Commit
	base      Commit
	highWater No
	root      Bucket
	body      []byte
	nextTree  Tree
}

// check returns what is wrong with the state, or an empty string.
func (s state) check() string {
	if s.pageSize > MaxSize || !ValidSize(int(s.pageSize)) {
		return fmt.Sprintf("page size %d", s.pageSize)
	}
	first := FirstPage(int(s.pageSize))
	switch {
	case s.commit == 0 || s.commit > MaxNumber:
		return fmt.Sprintf("commit %d", s.commit)
	case s.base > s.commit:
		return fmt.Sprintf("base %d above commit %d", s.base, s.commit)
	case s.highWater < first || s.highWater > MaxPages:
		return fmt.Sprintf("high water %d", s.highWater)
	case s.root.Root != 0 && (s.root.Root.Dirty() || s.root.Root.Page() < first || s.root.Root.Page() >= s.highWater):
		return fmt.Sprintf("root %s", s.root.Root)
	case s.root.Root != 0 && (len(s.body) != 0 || s.root.Level != 0):
		return fmt.Sprintf("root %s and %d bytes of level %d inline", s.root.Root, len(s.body), s.root.Level)
	case s.root.Tree != RootTree:
		return fmt.Sprintf("tree number %d of the root", s.root.Tree)
	case s.nextTree <= RootTree || s.nextTree > MaxNumber:
		return fmt.Sprintf("next tree number %d", s.nextTree)
	case s.root.Root == 0:
		return s.checkBody()
	}
	return ""
}

// checkBody is check for the inline body of the root bucket.
func (s state) checkBody() string {
	if err := validateInline(s.root, s.body, int(s.pageSize), true); err != nil {
		return "root bucket: " + err.(*CorruptError).Reason
	}
	if s.root.Level > 0 {
		for i, r := 0, Branch(s.body); i < r.Count(); i++ {
			if r.Child(i).Page() >= s.highWater {
				return fmt.Sprintf("root bucket: slot %d: child is %s", i, r.Child(i))
			}
		}
		return ""
	}
	for i, l := 0, Leaf(s.body); i < l.Count(); i++ {
		if k := DecodeBucket(l.Payload(i)); k.Root.Page() >= s.highWater || k.Tree >= s.nextTree {
			return fmt.Sprintf("root bucket: slot %d: bucket with root %s and tree number %d", i, k.Root, k.Tree)
		}
	}
	return ""
}

// checkLink returns what is wrong with a link to a record that stands below
// the page limit, or an empty string.
func (s state) checkLink(k Link, limit No) string {
	if k.Len < RecordHeaderSize || k.Len > math.MaxInt32 {
		return fmt.Sprintf("record of %d bytes", k.Len)
	}
	run := No(RunPages(int(k.Len), int(s.pageSize)))
	if k.Page < FirstPage(int(s.pageSize)) || k.Page > limit || run > limit-k.Page {
		return fmt.Sprintf("record in page %d", k.Page)
	}
	return ""
}

// checkVersion refuses formats that this package does not know.
func checkVersion(v uint32) error {
	switch {
	case v == 0:
		return damaged("version 0")
	case v > Version:
		return fmt.Errorf("%w: version %d, known is %d", ErrVersion, v, Version)
	}
	return nil
}
