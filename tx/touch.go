package tx

import "mmdb/page"

// A load that misses the cache costs some 130 ns when the next one waits for its address, and 10 ns among others: the
// processor has many under way at once. So what is sure to be read soon is touched now, all of it together. Go offers no
// instruction to prefetch; a load whose value nobody waits for does nearly as well (mmapfile.Prefetch).

// cacheLine is the size of what memory is fetched in, in bytes.
const cacheLine = 64

// touch loads a byte of each cache line of p, a whole page but for its header. Their sum goes into t, so that the compiler
// keeps the loads.
func (t *Tx) touch(p []byte) {
	const lines = 8
	var sum byte
	for len(p) >= lines*cacheLine {
		q := (*[lines * cacheLine]byte)(p) // one check for all of them
		sum += q[0] + q[cacheLine] + q[2*cacheLine] + q[3*cacheLine] + q[4*cacheLine] + q[5*cacheLine] + q[6*cacheLine] + q[7*cacheLine]
		p = p[lines*cacheLine:]
	}
	for i := 0; i < len(p); i += cacheLine {
		sum += p[i]
	}
	t.touched += sum
}

// touchHead loads the lines of a page behind its first one, which is about to be read, that hold a leaf's slots. The search
// in them begins when the first line tells their number: loaded one after the other they would cost a miss each.
func (t *Tx) touchHead(body []byte) {
	const line = cacheLine - page.HeaderSize
	q := (*[5 * cacheLine]byte)(body)
	t.touched += q[line] + q[line+cacheLine] + q[line+2*cacheLine] + q[line+3*cacheLine]
}

// headSum returns the sum of a byte of each of the lines of page b that touchHead loads, and of the first.
func headSum(b []byte) byte {
	q := (*[5 * cacheLine]byte)(b)
	return q[0] + q[cacheLine] + q[2*cacheLine] + q[3*cacheLine] + q[4*cacheLine]
}

// touchLeaf loads what l uses of its page.
func (t *Tx) touchLeaf(l page.Leaf) {
	slots, cells := l.Parts()
	t.touch(slots)
	t.touch(cells)
}
