package tx

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the files in testdata anew")

// oldFormats are databases of each format version, with what formatContents puts into them. They are never changed: a
// new version of the format adds a file.
var oldFormats = []string{"v1.mmdb"}

// formatContents fills a database with every kind of page and cell.
func formatContents(tx *Tx) error {
	b, err := tx.CreateBucket([]byte("values"))
	if err != nil {
		return err
	}
	for i := range 100 {
		if err := b.Put(fmt.Appendf(nil, "key%03d", i), bytes.Repeat([]byte{byte(i)}, i)); err != nil {
			return err
		}
	}
	if err := b.Put([]byte("overflow"), bytes.Repeat([]byte("o"), 5000)); err != nil {
		return err
	}
	if err := b.Put(bytes.Repeat([]byte("k"), 600), []byte("large key")); err != nil {
		return err
	}
	if err := b.SetSequence(42); err != nil {
		return err
	}
	in, err := b.CreateBucket([]byte("inline"))
	if err != nil {
		return err
	}
	return in.Put([]byte("a"), []byte("small"))
}

// checkFormatContents compares a database with what formatContents made.
func checkFormatContents(t *testing.T, tx *Tx) {
	for err := range tx.Check() {
		t.Error(err)
	}
	b := tx.Bucket([]byte("values"))
	if b == nil || b.Len() != 103 || b.Sequence() != 42 {
		t.Fatal("bucket values is not what it was")
	}
	for i := range 100 {
		if v := b.Get(fmt.Appendf(nil, "key%03d", i)); !bytes.Equal(v, bytes.Repeat([]byte{byte(i)}, i)) {
			t.Errorf("key%03d: %q", i, v)
		}
	}
	if v := b.Get([]byte("overflow")); !bytes.Equal(v, bytes.Repeat([]byte("o"), 5000)) {
		t.Errorf("overflow: %d bytes", len(v))
	}
	if v := b.Get(bytes.Repeat([]byte("k"), 600)); string(v) != "large key" {
		t.Errorf("large key: %q", v)
	}
	if v := b.Bucket([]byte("inline")).Get([]byte("a")); string(v) != "small" {
		t.Errorf("inline: %q", v)
	}
}

func TestOldFormatsOpen(t *testing.T) {
	if *rewrite {
		path := filepath.Join("testdata", oldFormats[len(oldFormats)-1])
		os.Remove(path)
		st, err := Open(path, 0o644, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Update(formatContents); err != nil {
			t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range oldFormats {
		t.Run(name, func(t *testing.T) {
			img, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, img, 0o600); err != nil {
				t.Fatal(err)
			}
			st, err := Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			st.View(func(tx *Tx) error { checkFormatContents(t, tx); return nil })
			if err := st.Update(func(tx *Tx) error { return tx.Bucket([]byte("values")).SetSequence(42) }); err != nil {
				t.Fatal(err)
			}
			st.View(func(tx *Tx) error { checkFormatContents(t, tx); return nil })
		})
	}
}
