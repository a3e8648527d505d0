package tx

import (
	"math"

	"mmdb/page"
)

// The header of a bucket and every slot of a branch tell how many keys are below them. A page that was changed together with its checksum may
// tell anything, and nobody adds up a whole tree to find out. So a count is not relied on: a change that shows one to be wrong fails with
// ErrCorrupt, and a root whose count is wrong is not stored inline, where it would make the page around it unreadable (rightKeys).

// count adds d, 1 or -1, to the number of keys of b and of every branch slot in p. mayCount has been asked.
func (b *Bucket) count(p *path, d int64) {
	b.hdr.Keys += uint64(d)
	for k := range p.n - 1 {
		br := p.f[k].branchBody()
		br.SetKeys(p.f[k].i, br.Keys(p.f[k].i)+uint64(d))
	}
}

// mayCount returns an error when count would go below zero, or beyond what can be told.
func (b *Bucket) mayCount(p *path, d int64) error {
	bad := func(keys, most uint64) bool { return d < 0 && keys == 0 || d > 0 && keys >= most }
	if bad(b.hdr.Keys, math.MaxUint64) {
		return b.errKeys(b.hdr.Root, b.hdr.Keys)
	}
	for k := range p.n - 1 {
		if keys := p.f[k].branchBody().Keys(p.f[k].i); bad(keys, page.MaxChildKeys) {
			return b.errKeys(p.f[k+1].ref, keys)
		}
	}
	return nil
}

// rightKeys reports whether hdr tells how many keys a root has, by its cells: a leaf l, or a branch br of that level.
func rightKeys(hdr page.Bucket, level uint8, l page.Leaf, br page.Branch) bool {
	if level > 0 {
		return br.TotalKeys() == hdr.Keys
	}
	return uint64(l.Count()) == hdr.Keys
}

// errKeys says that keys, which b's tree counts below page ref, is wrong.
func (b *Bucket) errKeys(ref page.Ref, keys uint64) error {
	return page.Corruptf(fileNo(ref), "tree %d counts %d keys below a page, which is wrong", b.hdr.Tree, keys)
}
