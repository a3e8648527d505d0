package tx

import (
	"fmt"
	"math/rand"
	"path/filepath"
	"testing"
)

func TestSmoke(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	st, err := Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewSource(1))
	model := map[string]string{}
	check := func() {
		err := st.View(func(tx *Tx) error {
			for e := range tx.Check() {
				t.Fatal(e)
			}
			b := tx.Bucket([]byte("b"))
			for k, v := range model {
				if string(b.Get([]byte(k))) != v {
					t.Fatalf("key %q", k)
				}
			}
			if b.Len() != uint64(len(model)) {
				t.Fatal(b.Len(), len(model))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		err := st.Update(func(tx *Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			if err != nil {
				return err
			}
			for range rng.Intn(300) {
				k := fmt.Sprintf("key%06d", rng.Intn(20000))
				if rng.Intn(3) == 0 {
					delete(model, k)
					if err := b.Delete([]byte(k)); err != nil {
						return err
					}
					continue
				}
				n := rng.Intn(200)
				if rng.Intn(50) == 0 {
					n = rng.Intn(20000)
				}
				v := make([]byte, n)
				rng.Read(v)
				model[k] = string(v)
				if err := b.Put([]byte(k), v); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			check()
		}
		if i%37 == 0 {
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			if st, err = Open(path, 0o600, nil); err != nil {
				t.Fatal(err)
			}
			check()
		}
	}
	check()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}
