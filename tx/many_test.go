package tx

import (
	"bytes"
	"testing"
	"time"

	"mmdb/page"
)

// TestGetManyReadsOnPastDamage damages one leaf: the keys in it can't be read, which Err tells, and all others are found.
func TestGetManyReadsOnPastDamage(t *testing.T) {
	const n, lost = 2000, 1000
	path, img := makeFile(t, n, quick())
	var leaf page.No
	st, err := Open(path, 0o600, &Options{ReadOnly: true})
	noError(t, err)
	noError(t, st.View(func(tx *Tx) error {
		h, err := tx.Bucket([]byte("b")).find(testKey(lost))
		leaf = h.ref.Page()
		return err
	}))
	noError(t, st.Close())
	img[int64(leaf+1)*page.DefaultSize-1] ^= 1

	if st, err = Open(writeFile(t, img), 0o600, &Options{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	defer func() { noError(t, st.Close()) }()
	var keys [][]byte
	for i := range n {
		keys = append(keys, testKey(i))
	}
	look := func(tx *Tx) error {
		values := tx.Bucket([]byte("b")).GetMany(keys, nil)
		missing := 0
		for i, v := range values {
			if v == nil {
				missing++
			} else if !bytes.Equal(v, testValue(i)) {
				t.Errorf("key %d: %q", i, v)
			}
		}
		if values[lost] != nil || missing > 200 {
			t.Errorf("%d keys are missing, that in the damaged leaf: %q", missing, values[lost])
		}
		return tx.Err()
	}
	wantError(t, st.View(look), ErrCorrupt, "checksum")
	tx, err := st.Begin(false)
	noError(t, err)
	wantError(t, look(tx), ErrCorrupt, "checksum")
	noError(t, tx.Rollback())
}

// TestGetManyGoesOnWithoutAskingForWhatIsThere tells a transaction that found the device slow that asking alone took long, as it does on some machines:
// then the pages were there.
func TestGetManyGoesOnWithoutAskingForWhatIsThere(t *testing.T) {
	for _, c := range []struct {
		name         string
		cold         bool
		took, waited time.Duration
		want         bool
	}{
		{"a warm group", false, coldGet, 0, false},
		{"a group that read from the device", false, groupKeys * 2 * coldGet, 0, true},
		{"a group that asked and then waited", true, groupKeys * 2 * coldGet, groupKeys * coldGet, true},
		{"a group that asked for what was there", true, groupKeys * 2 * coldGet, 4 * coldGet, false},
	} {
		tx := &Tx{cold: c.cold, waited: c.waited}
		if tx.judge(c.took, groupKeys); tx.cold != c.want {
			t.Errorf("after %s: cold is %v", c.name, tx.cold)
		}
	}
}
