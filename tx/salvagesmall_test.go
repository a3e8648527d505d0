package tx

import (
	"errors"
	"maps"
	"testing"

	"mmdb/page"
)

// smallFile makes a database that has no page of data: all of it stands in the body of the root bucket.
func smallFile(t *testing.T, fill func(tx *Tx) error) (img []byte, want map[string]string) {
	t.Helper()
	path := memoryPath(t)
	st, err := Open(path, 0o600, quick())
	noError(t, err)
	noError(t, st.Update(fill))
	want = contents(t, st)
	noError(t, st.Close())
	return readAll(t, path), want
}

// A small database is in its metas and records alone: any of them that is left is enough.
func TestSalvageOfASmallDatabase(t *testing.T) {
	for name, fill := range map[string]func(tx *Tx) error{
		"no bucket": func(*Tx) error { return nil },
		"empty buckets": func(tx *Tx) error {
			_, err := tx.CreateBucket([]byte("a"))
			if err == nil {
				_, err = tx.CreateBucket([]byte("b"))
			}
			return err
		},
		"few keys": func(tx *Tx) error {
			b, err := tx.CreateBucket([]byte("b"))
			for i := 0; i < 10 && err == nil; i++ {
				err = b.Put(testKey(i), []byte("v"))
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			img, want := smallFile(t, fill)
			_, m := newestSlot(img)
			if m.Root.Root != 0 || m.Root.Level != 0 {
				t.Fatal("the root has pages")
			}
			for damage, lose := range map[string]func(img []byte){
				"nothing": func([]byte) {},
				"record":  func(img []byte) { clear(img[int(m.Record.Page)*4096:][:4096]) },
				"metas":   func(img []byte) { clear(img[:page.MetaSlots*page.MetaStride]) },
			} {
				damaged := append([]byte(nil), img...)
				lose(damaged)
				got, report, losses, err := salvageImage(t, damaged, 4096)
				noError(t, err)
				if !maps.Equal(got, want) || !report.Complete() {
					t.Errorf("without %s: %d of %d keys came back, %+v %v", damage, len(got), len(want), report, losses)
				}
			}
		})
	}
}

// Without metas and records there is nothing that could be restored.
func TestSalvageOfASmallDatabaseWithoutAnythingLeft(t *testing.T) {
	img, _ := smallFile(t, func(tx *Tx) error { return putInto(tx, 0, 3) })
	for i := range page.MetaSlots {
		img[page.MetaOffset(i)] ^= 1
	}
	clear(img[page.MetaSlots*page.MetaStride:])
	if _, _, _, err := salvageImage(t, img, 4096); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}
