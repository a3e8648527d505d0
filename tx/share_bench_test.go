package tx

import (
	"fmt"
	"testing"
)

// BenchmarkModes is what sharing with other processes costs while there are none: run it with -count, and compare the two modes.
func BenchmarkModes(b *testing.B) {
	for _, exclusive := range []bool{true, false} {
		mode := map[bool]string{true: "exclusive", false: "shared"}[exclusive]
		o := &Options{Exclusive: exclusive}
		st, err := Open(newPath(b), 0o600, o)
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		if err := putKeys(st, 0, 1000); err != nil {
			b.Fatal(err)
		}
		b.Run("get-tx/"+mode, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = st.View(func(tx *Tx) error { tx.Bucket([]byte("b")).Get(testKey(77)); return nil })
			}
		})
		b.Run("view/"+mode, func(b *testing.B) {
			for b.Loop() {
				_ = st.View(func(*Tx) error { return nil })
			}
		})
		b.Run("put-sync/"+mode, func(b *testing.B) {
			i := 0
			for b.Loop() {
				i++
				if err := putKeys(st, i%1000, i%1000+1); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("put-lazy/"+mode, func(b *testing.B) {
			i := 0
			for b.Loop() {
				i++
				err := st.Update(func(tx *Tx) error {
					tx.SetDurability(Lazy)
					return putInto(tx, i%1000, i%1000+1)
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("open/"+mode, func(b *testing.B) {
			path := newPath(b)
			for b.Loop() {
				st, err := Open(path, 0o600, o)
				if err == nil {
					err = st.Close()
				}
				if err != nil {
					b.Fatal(fmt.Errorf("%s: %w", mode, err))
				}
			}
		})
	}
}
