package page

import "bytes"

// Verify checks the page or run b, all of it, against its place in the file:
// checksum, number, header, and structure, as ValidateLeaf and ValidateBranch
// do. The error wraps ErrCorrupt and carries the number. References are not
// held against the size of the file.
func Verify(b []byte, pageSize int, no No, salt uint64) error {
	if len(b) < pageSize || pageSize < RunHeaderSize {
		return Corruptf(no, "cut off after %d bytes", len(b))
	}
	if Sum(b, salt) != Stored(b) {
		return Corruptf(no, "checksum does not match")
	}
	if Number(b) != no {
		return Corruptf(no, "carries the number %d", Number(b))
	}
	if uint64(Run(b))*uint64(pageSize) != uint64(len(b)) {
		return Corruptf(no, "run of %d pages in %d bytes", Run(b), len(b))
	}
	if le.Uint16(b[offFlags:]) != 0 {
		return Corruptf(no, "unknown flags")
	}
	kind, level := KindOf(b), Level(b)
	if (kind == KindBranch) != (level != 0) {
		return Corruptf(no, "%s at level %d", kind, level)
	}
	if (kind == KindRecord) != (TreeNo(b) == 0) {
		return Corruptf(no, "%s in tree %d", kind, TreeNo(b))
	}
	switch kind {
	case KindBranch:
		return onPage(no, ValidateBranch(b[HeaderSize:], pageSize))
	case KindLeaf:
		return onPage(no, ValidateLeaf(b[HeaderSize:], pageSize, false))
	case KindOverflow, KindRecord:
		return onPage(no, validateRun(b, pageSize))
	}
	return Corruptf(no, "unknown %s", kind)
}

func validateRun(b []byte, pageSize int) error {
	p := RunPayload(b)
	if p == nil || RunPages(len(p), pageSize) != Run(b) {
		return damaged("payload of %d bytes in a run of %d pages", le.Uint32(b[offRunLength:]), Run(b))
	}
	if le.Uint32(b[offRunReserved:]) != 0 {
		return damaged("reserved bytes are not zero")
	}
	return nil
}

// ValidateLeaf checks the structure of a leaf body so completely that nothing
// in this package can leave it afterwards. inline says that it is a bucket's
// body inside a leaf of that page size, where only plain values with inline
// keys may stand. The error is a *CorruptError without a page number.
func ValidateLeaf(body []byte, pageSize int, inline bool) error {
	v := validator{
		b: body, y: leafLayout, pageSize: pageSize, inline: inline, leaf: true,
		first: FirstPage(pageSize), maxKey: MaxInlineKey(pageSize), maxCell: MaxCell(pageSize),
	}
	return v.run()
}

// ValidateInline is ValidateLeaf or ValidateBranch for the body of a bucket with
// the header k that is stored inside a leaf of that page size. It also checks what
// k says of the body.
func ValidateInline(k Bucket, body []byte, pageSize int) error {
	return validateInline(k, body, pageSize, false)
}

// validateInline is ValidateInline, also for the root bucket in the meta, whose
// leaf holds buckets with inline names.
func validateInline(k Bucket, body []byte, pageSize int, root bool) error {
	v := validator{
		b: body, y: leafLayout, pageSize: pageSize, inline: true, root: root, leaf: k.Level == 0,
		first: FirstPage(pageSize), maxKey: MaxInlineKey(pageSize), maxCell: MaxCell(pageSize),
	}
	if !v.leaf {
		v.y = branchLayout
	}
	if k.Level >= MaxDepth {
		return damaged("inline branch at level %d", k.Level)
	}
	if err := v.run(); err != nil {
		return err
	}
	keys := uint64(count(body))
	if !v.leaf {
		keys = Branch(body).TotalKeys()
	}
	if k.Keys != keys {
		return damaged("inline bucket of %d keys says %d", keys, k.Keys)
	}
	return nil
}

// ValidateBranch is ValidateLeaf for a branch body.
func ValidateBranch(body []byte, pageSize int) error {
	v := validator{
		b: body, y: branchLayout, pageSize: pageSize,
		first: FirstPage(pageSize), maxKey: MaxInlineKey(pageSize), maxCell: MaxCell(pageSize),
	}
	return v.run()
}

// validator goes once over the slots of a body.
type validator struct {
	b        []byte
	y        layout
	pageSize int
	inline   bool // the root of a bucket, in a leaf or the meta
	root     bool // of the root bucket
	leaf     bool
	first    No  // first page that a reference may name
	maxKey   int // longest inline key
	maxCell  int // largest cell
}

func (v *validator) run() error {
	if err := v.frame(); err != nil {
		return err
	}
	b, n := v.b, count(v.b)
	live, lowest := 0, len(b)
	apart := true // every cell below the one before
	var common []byte
	var last slot
	for i := range n {
		s := slotAt(b, i)
		size, err := v.cell(i, s)
		if err != nil {
			return err
		}
		live += size
		apart = apart && s.cell()+size <= lowest
		lowest = s.cell()
		if i < v.y.first() {
			continue
		}
		key := v.y.key(b, s)
		if i == v.y.first() {
			if len(key) < prefix(b) {
				return damaged("slot %d: key shorter than the prefix", i)
			}
			common = key[:prefix(b)]
		}
		if !bytes.HasPrefix(key, common) {
			return damaged("slot %d: key without the prefix", i)
		}
		if s.head() != head(key, len(common)) {
			return damaged("slot %d: head does not match the key", i)
		}
		if i > v.y.first() && s.head() <= last.head() && !v.ascending(last, s) {
			return damaged("slot %d: key not above the one before", i)
		}
		last = s
	}
	if live+garbage(b) != len(b)-start(b) {
		return damaged("%d bytes of cells and %d of garbage in %d", live, garbage(b), len(b)-start(b))
	}
	if !apart && v.overlap() {
		return damaged("cells overlap")
	}
	return nil
}

// frame checks the body's header.
func (v *validator) frame() error {
	b := v.b
	if len(b) < bodyHeader || len(b) > maxBody {
		return damaged("body of %d bytes", len(b))
	}
	if !v.inline && len(b) != v.pageSize-HeaderSize {
		return damaged("body of %d bytes in a page of %d", len(b), v.pageSize)
	}
	if v.inline && len(b) > v.maxInline() {
		return damaged("inline bucket of %d bytes", len(b))
	}
	n := count(b)
	if n < v.y.first() {
		return damaged("branch without a child")
	}
	if start(b) > len(b) || start(b) < bodyHeader+slotSize*n {
		return damaged("%d slots, and cells from %d, in %d bytes", n, start(b), len(b))
	}
	if p := prefix(b); p > MaxPrefix || p > 0 && n <= v.y.first() {
		return damaged("prefix of %d bytes in %d slots", p, n)
	}
	return nil
}

// maxInline returns the largest inline body.
func (v *validator) maxInline() int {
	n := MaxInlineBucket(v.pageSize)
	if !v.leaf {
		n = MaxInlineBranch(v.pageSize)
	}
	if v.root {
		n = min(n, MaxInlineRoot)
	}
	return n
}

// cell checks one slot and its cell, and returns the cell's size.
func (v *validator) cell(i int, s slot) (int, error) {
	o, n := s.cell(), s.keyLen()
	header := v.y.header()
	if s.large() {
		header = v.y.largeHeader()
	}
	end := o + header + n // of the key
	if o < start(v.b) || end > len(v.b) {
		return 0, damaged("slot %d: cell at %d outside", i, o)
	}
	if i < v.y.first() {
		if n != 0 || s.flags() != 0 || s.head() != 0 {
			return 0, damaged("slot %d: has a key", i)
		}
	} else if s.large() {
		if err := v.largeKey(i, s); err != nil {
			return 0, err
		}
	} else if n == 0 || n > v.maxKey {
		return 0, damaged("slot %d: key of %d bytes", i, n)
	}
	if v.leaf {
		payload := int(le.Uint16(v.b[o+offLeafLength:]))
		if payload > len(v.b)-end {
			return 0, damaged("slot %d: payload of %d bytes outside", i, payload)
		}
		if v.inline && !v.root && s.flags() != uint8(CellValue) {
			return 0, damaged("slot %d: not a plain value in an inline bucket", i)
		}
		if v.root && s.flags() != uint8(CellBucket) {
			return 0, damaged("slot %d: not a bucket with an inline name in the inline root bucket", i)
		}
		if s.flags() != uint8(CellValue) {
			if err := v.payload(i, Leaf(v.b).kind(s), v.b[end:end+payload]); err != nil {
				return 0, err
			}
		}
		end += payload
	} else if err := v.child(i, s); err != nil {
		return 0, err
	}
	if end-o > v.maxCell {
		return 0, damaged("slot %d: cell of %d bytes", i, end-o)
	}
	return end - o, nil
}

func (v *validator) child(i int, s slot) error {
	if s.flags() != 0 && !s.large() {
		return damaged("slot %d: unknown flags", i)
	}
	if v.inline && s.large() {
		return damaged("slot %d: large key in an inline branch", i)
	}
	child := Ref(le.Uint64(v.b[s.cell()+offBranchChild:]))
	if !v.file(child) {
		return damaged("slot %d: child is %s", i, child)
	}
	return nil
}

func (v *validator) largeKey(i int, s slot) error {
	if s.keyLen() != LargeKeyPart {
		return damaged("slot %d: large key with %d bytes in the cell", i, s.keyLen())
	}
	if r := v.y.ref(v.b, s); !v.file(r.Page) || int64(r.Len) <= int64(v.maxKey) || r.Len > MaxKeySize {
		return damaged("slot %d: large key of %d bytes at %s", i, r.Len, r.Page)
	}
	if v.leaf && v.b[s.cell()+offLeafReserved] != 0 {
		return damaged("slot %d: reserved byte is not zero", i)
	}
	return nil
}

// payload checks what is not, or not surely, a plain value.
func (v *validator) payload(i int, kind CellKind, p []byte) error {
	switch kind {
	case CellValue:
		return nil
	case CellOverflow:
		if len(p) != OverflowRefSize {
			return damaged("slot %d: reference of %d bytes", i, len(p))
		}
		if r := DecodeOverflow(p); !v.file(r.Page) || r.Len > MaxValueSize {
			return damaged("slot %d: value of %d bytes at %s", i, r.Len, r.Page)
		}
		return nil
	case CellBucket:
		return v.bucket(i, p)
	}
	return damaged("slot %d: unknown %s", i, kind)
}

func (v *validator) bucket(i int, p []byte) error {
	if len(p) < BucketHeaderSize {
		return damaged("slot %d: bucket header of %d bytes", i, len(p))
	}
	k, body := DecodeBucket(p), p[BucketHeaderSize:]
	if k.Tree <= RootTree {
		return damaged("slot %d: bucket with tree number %d", i, k.Tree)
	}
	if k.Root != 0 {
		if len(body) != 0 || k.Level != 0 || !v.file(k.Root) {
			return damaged("slot %d: bucket with root %s and %d bytes of level %d inline", i, k.Root, len(body), k.Level)
		}
		return nil
	}
	if err := ValidateInline(k, body, v.pageSize); err != nil {
		return damaged("slot %d: inline bucket: %s", i, err.(*CorruptError).Reason)
	}
	return nil
}

// file reports whether r may stand in a file.
func (v *validator) file(r Ref) bool { return !r.Dirty() && r.Page() >= v.first }

// ascending reports whether the key of s is above that of the slot before, as
// far as the page can tell: of a large key only the first part is known.
func (v *validator) ascending(before, s slot) bool {
	a, z := v.y.key(v.b, before), v.y.key(v.b, s)
	if !before.large() && !s.large() {
		return bytes.Compare(a, z) < 0
	}
	c := bytes.Compare(a[:min(len(a), LargeKeyPart)], z[:min(len(z), LargeKeyPart)])
	if c != 0 {
		return c < 0
	}
	// An inline key as long as the part is below a large key with that part.
	return s.large() || len(z) > LargeKeyPart
}

// overlap reports whether any two cells share a byte.
func (v *validator) overlap() bool {
	if len(v.b) <= DefaultSize {
		var taken [DefaultSize / 64]uint64
		return v.mark(taken[:])
	}
	return v.overlapLarge()
}

// overlapLarge is overlap for larger pages. Its 8 KiB of stack are most of what a new goroutine has to get more of it for.
//
//go:noinline
func (v *validator) overlapLarge() bool {
	var taken [MaxSize / 64]uint64
	return v.mark(taken[:])
}

// mark sets a bit for each byte of each cell, and reports whether one was set
// before.
func (v *validator) mark(taken []uint64) bool {
	for i := range count(v.b) {
		s := slotAt(v.b, i)
		size := Branch(v.b).cellSize(s)
		if v.leaf {
			size = Leaf(v.b).cellSize(s)
		}
		for o, end := s.cell(), s.cell()+size; o < end; {
			n := min(64-o&63, end-o)
			mask := (^uint64(0) >> (64 - n)) << (o & 63)
			if taken[o>>6]&mask != 0 {
				return true
			}
			taken[o>>6] |= mask
			o += n
		}
	}
	return false
}
