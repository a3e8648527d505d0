package tx

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"mmdb/mmapfile"
)

func TestLargeValuesOfACommitStandTogetherAndGoOutTogether(t *testing.T) {
	const values, size = 12, 64 << 10
	long := 0
	watching := false
	o := &Options{Seam: func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		if watching && op.Kind == mmapfile.OpWrite && op.Length > size {
			long++
		}
		return do(op)
	}}
	st := openTest(t, o)
	err := st.Update(func(x *Tx) error {
		b, err := x.CreateBucket([]byte("b"))
		for i := 0; i < 5000 && err == nil; i++ { // many leaves
			err = b.Put(fmt.Appendf(nil, "%05d", i), make([]byte, 100))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	watching = true
	err = st.Update(func(x *Tx) error {
		b := x.Bucket([]byte("b"))
		for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(5000)[:values] {
			if err := b.Put(fmt.Appendf(nil, "%05d", i), make([]byte, size)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	watching = false
	if long != 1 {
		t.Errorf("%d values of a commit went out with %d calls", values, long)
	}
	err = st.View(func(x *Tx) error {
		var end uint64
		runs := 0
		for p, err := range x.Pages() {
			if err != nil {
				return err
			}
			if p.Kind != "overflow" {
				continue
			}
			if runs++; runs > 1 && p.Number != end {
				t.Errorf("the run at %d does not stand behind the one before, which ends at %d", p.Number, end)
			}
			end = p.Number + uint64(p.Run)
		}
		if runs != values {
			t.Errorf("%d runs", runs)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
