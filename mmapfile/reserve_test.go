package mmapfile

import (
	"fmt"
	"math/bits"
	"path/filepath"
	"testing"
)

// Mappings that are not told how much to reserve leave half of the addresses to the rest of the process, however many they are.
func TestManyMappingsShareTheAddresses(t *testing.T) {
	if bits.UintSize == 32 {
		t.Skip("there the databases say how much they want")
	}
	before := reservedNow.Load()
	dir := t.TempDir()
	var all []*Mapping
	for i := range 300 {
		f, err := Open(filepath.Join(dir, fmt.Sprint(i)), Options{Create: true, Mode: 0o600})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		m, err := f.Map(MapOptions{})
		if err != nil {
			t.Fatalf("mapping %d: %v", i, err)
		}
		all = append(all, m)
	}
	if n := all[0].Reserved(); before == 0 && n != 1<<40 {
		t.Errorf("the first has %d bytes reserved", n)
	}
	if n := all[len(all)-1].Reserved(); n < reserveLeast {
		t.Errorf("the last has %d bytes reserved", n)
	}
	if n := reservedNow.Load(); n > reserveAll+int64(len(all))*reserveLeast {
		t.Errorf("%d bytes are reserved in all", n)
	}
	for _, m := range all {
		if err := m.Unmap(); err != nil {
			t.Error(err)
		}
	}
	if n := reservedNow.Load(); n != before {
		t.Errorf("%d bytes count as reserved after the end, %d before", n, before)
	}
}
