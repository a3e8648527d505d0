package tx

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"mmdb/page"
)

// A walker visits every page that a transaction can reach from its root bucket, with all checks that Check
// makes of trees. Problems are reported, and the walk goes on with what can still be read.
type walker struct {
	t       *Tx
	visit   func(v visited) bool                                    // for each page or run; false leaves out what is below
	problem func(no page.No, path fmt.Stringer, reason string) bool // false stops the walk
	lost    func()                                                  // called when a page can't be read; may be nil
	stopped bool
}

// A visited page or run.
type visited struct {
	no   page.No
	n    uint32
	path fmt.Stringer
}

// A place is where in a tree something is: below what up is the place of. It becomes text when a problem is told: buckets can be nested as
// deep as the file has pages, and the text of each is as long as it is deep.
type place struct {
	up   *place  // nil for the root bucket
	no   page.No // a page
	name []byte  // or, if it is not nil, a bucket
}

// String returns the way to p from the root bucket: page numbers, and the starts of bucket names.
func (p *place) String() string {
	var way []*place
	for ; p != nil; p = p.up {
		way = append(way, p)
	}
	var b strings.Builder
	for _, p := range slices.Backward(way) {
		if p.name != nil {
			fmt.Fprintf(&b, "/%.40q", p.name)
		} else {
			fmt.Fprintf(&b, "/%d", p.no)
		}
	}
	return b.String()
}

// report passes on a problem.
func (k *walker) report(no page.No, path *place, format string, args ...any) {
	if !k.stopped && !k.problem(no, path, fmt.Sprintf(format, args...)) {
		k.stopped = true
	}
}

// reportErr passes on an error of reading page no.
func (k *walker) reportErr(no page.No, path *place, err error) {
	if k.lost != nil {
		k.lost()
	}
	if c, ok := asCorrupt(err); ok {
		k.report(c.Page, path, "%s", c.Reason)
		return
	}
	k.report(no, path, "%v", err)
}

// bucket walks the tree of one bucket, which is at path; born bounds its root's age.
func (k *walker) bucket(hdr page.Bucket, inline []byte, born page.Commit, path *place) {
	var keys uint64
	b := &Bucket{tx: k.t, hdr: hdr, born: born}
	if !hdr.HasPages() {
		keys = k.leaf(b, inline, 0, born, nil, nil, path)
	} else if hdr.Root == 0 {
		keys = k.branch(b, inline, 0, int(hdr.Level), born, nil, nil, path)
	} else {
		keys = k.tree(b, hdr.Root, -1, born, nil, nil, path)
	}
	if keys != hdr.Keys {
		k.report(hdr.Root.Page(), path, "the bucket's header counts %d keys, its tree has %d", hdr.Keys, keys)
	}
}

// tree walks the subtree of ref, whose keys must be in [lo, hi), and returns how many there are.
func (k *walker) tree(b *Bucket, ref page.Ref, level int, born page.Commit, lo, hi []byte, path *place) (keys uint64) {
	if k.stopped {
		return 0
	}
	no := ref.Page()
	path = &place{up: path, no: no}
	pg, err := k.t.node(ref, b.hdr.Tree, level, born)
	if err != nil {
		k.reportErr(no, path, err)
		return 0
	}
	if !k.visit(visited{no, 1, path}) {
		return 0
	}
	born, level = page.Born(pg), int(page.Level(pg))
	if level == 0 {
		return k.leaf(b, page.Leaf(page.Body(pg)), no, born, lo, hi, path)
	}
	return k.branch(b, page.Branch(page.Body(pg)), no, level, born, lo, hi, path)
}

// branch is tree for what the branch br, in page no, refers to.
func (k *walker) branch(b *Bucket, br page.Branch, no page.No, level int, born page.Commit, lo, hi []byte, path *place) (keys uint64) {
	low := lo
	for i := range br.Count() {
		if k.stopped {
			return keys
		}
		high := hi
		if i+1 < br.Count() {
			if high = k.key(b, br.Key(i+1), br.KeyRef(i+1), br.Large(i+1), no, path); high == nil {
				high = hi
			} else if low != nil && bytes.Compare(low, high) >= 0 || hi != nil && bytes.Compare(high, hi) >= 0 {
				k.report(no, path, "separator %d is out of order", i+1)
			}
		}
		n := k.tree(b, br.Child(i), level-1, born, low, high, path)
		if n != br.Keys(i) {
			k.report(no, path, "slot %d counts %d keys, page %d below it has %d", i, br.Keys(i), br.Child(i).Page(), n)
		}
		keys += n
		low = high
	}
	return keys
}

// leaf checks the cells of a leaf, their runs and nested buckets.
func (k *walker) leaf(b *Bucket, l page.Leaf, no page.No, born page.Commit, lo, hi []byte, path *place) uint64 {
	if l.Count() == 0 && lo != nil {
		k.report(no, path, "empty leaf below a branch")
	}
	var prev []byte
	for i := range l.Count() {
		if k.stopped {
			break
		}
		key := k.key(b, l.Key(i), l.KeyRef(i), l.Large(i), no, path)
		if key == nil {
			continue
		}
		if lo != nil && bytes.Compare(key, lo) < 0 || hi != nil && bytes.Compare(key, hi) >= 0 {
			k.report(no, path, "key %d (%.40q) is outside the range of its leaf", i, key)
		}
		if prev != nil && bytes.Compare(prev, key) >= 0 {
			k.report(no, path, "key %d (%.40q) is out of order", i, key)
		}
		prev = key
		switch l.Kind(i) {
		case page.CellOverflow:
			k.run(b, page.DecodeOverflow(l.Payload(i)), path)
		case page.CellBucket:
			k.nested(page.DecodeBucket(l.Payload(i)), l.Payload(i), born, no, &place{up: path, name: key})
		}
	}
	return uint64(l.Count())
}

// nested walks a bucket in a cell.
func (k *walker) nested(hdr page.Bucket, cell []byte, born page.Commit, no page.No, path *place) {
	if hdr.Tree >= k.t.nextTree() {
		k.report(no, path, "tree number %d was not given out yet", hdr.Tree)
	}
	k.bucket(hdr, cell[page.BucketHeaderSize:], born, path)
}

// key returns a whole key, or nil after a report.
func (k *walker) key(b *Bucket, part []byte, ref page.Overflow, large bool, no page.No, path *place) []byte {
	if !large {
		return part
	}
	whole := k.run(b, ref, path)
	if whole != nil && !bytes.HasPrefix(whole, part) {
		k.report(no, path, "the key in the run at page %d starts differently", ref.Page.Page())
		return nil
	}
	return whole
}

// run visits an overflow run and returns its payload, or nil after a report.
func (k *walker) run(b *Bucket, o page.Overflow, path *place) []byte {
	no := o.Page.Page()
	p, err := k.t.payload(o, b.hdr.Tree)
	if err != nil {
		k.reportErr(no, path, err)
		return nil
	}
	if !k.visit(visited{no, page.RunPages(int(o.Len), 1<<k.t.shift), path}) {
		return nil
	}
	return p
}

// nextTree returns the first tree number that is not given out.
func (t *Tx) nextTree() page.Tree {
	if t.w != nil {
		return t.w.nextTree
	}
	return t.snap.meta.NextTree
}
