package tx

import (
	"bytes"
	"testing"
)

// Before others are let in the root bucket is what was read of the meta: a caller's stores to what it gets of that reach nobody else. Then it is in
// the file, where they fault.
func TestStoresToTheFirstSnapshotReachNobody(t *testing.T) {
	needByteLocks(t)
	name, key, value := []byte("name"), []byte("key"), []byte("value")
	path := newPath(t)
	st := openStore(t, path, quick())
	noError(t, st.Update(func(tx *Tx) error {
		b, err := tx.CreateBucket(name)
		if err == nil {
			err = b.Put(key, value)
		}
		return err
	}))
	noError(t, st.Close())

	st = openEarly(t, path)
	if s := st.published.Load(); !s.late || s.root == nil {
		t.Fatal("the root bucket is not late")
	}
	for range 2 {
		noError(t, st.View(func(tx *Tx) error {
			n, _ := tx.Cursor().First()
			k, v := tx.Bucket(name).Cursor().First()
			small, _ := tx.Bucket(name).InlineRoot()
			root, _ := tx.Cursor().Bucket().InlineRoot()
			if !bytes.Equal(n, name) || !bytes.Equal(k, key) || !bytes.Equal(v, value) || !bytes.Contains(root, small) {
				t.Errorf("read %q, %q, %q", n, k, v)
			}
			for _, b := range [][]byte{n, k, v, small, root} {
				for i := range b {
					b[i] ^= 0xff
				}
			}
			return nil
		}))
	}
	st.admit()
	if s := st.published.Load(); s.late || s.rootAt == 0 || !bytes.Equal(s.root, s.meta.Body.Bytes()) {
		t.Error("the root bucket is not in the file")
	}
	st.mu.Unlock()
	noError(t, st.View(func(tx *Tx) error {
		if v := tx.Bucket(name).Get(key); !bytes.Equal(v, value) {
			t.Errorf("read %q", v)
		}
		return nil
	}))
}
