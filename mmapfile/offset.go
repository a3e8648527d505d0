package mmapfile

// Offset returns the place in the file that the address addr shows, and whether it lies in the mapping's reservation.
func (m *Mapping) Offset(addr uintptr) (int64, bool) {
	if !contains(m.data, addr) {
		return 0, false
	}
	return int64(addr - memAddr(m.data)), true
}
