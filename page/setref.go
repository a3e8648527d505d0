package page

// SetKeyRef changes where the whole key of slot i stands. The key must be large.
func (l Leaf) SetKeyRef(i int, o Overflow) { leafLayout.setRef(l, slotAt(l, i), o) }

// SetKeyRef changes where the whole key of slot i stands. The key must be large.
func (r Branch) SetKeyRef(i int, o Overflow) { branchLayout.setRef(r, slotAt(r, i), o) }

func (y layout) setRef(b []byte, s slot, o Overflow) {
	if !s.large() {
		panic("page: invariant: reference of a key that is not large")
	}
	o.Encode(b[s.cell()+y.largeHeader()-OverflowRefSize:])
}
