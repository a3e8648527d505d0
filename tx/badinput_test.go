package tx

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mmdb/page"
)

// Bad input, each with its own clear error that names the file, and nothing lost: no byte of the file changes.

// refuse opens the file at path for writing and for reading only: both give target and a message with path and words,
// and the file stays as it is.
func refuse(t *testing.T, path string, target error, words ...string) {
	t.Helper()
	before := readAll(t, path)
	for _, o := range []*Options{quick(), {ReadOnly: true, Timeout: quick().Timeout}, {Immutable: true}} {
		st, err := Open(path, 0o600, o)
		if err == nil {
			st.Close()
		}
		wantError(t, err, target, append(words, path)...)
		wantBytes(t, path, before)
	}
}

func TestReadOnlyOpenOfAMissingFile(t *testing.T) {
	path := newPath(t)
	for _, o := range []*Options{{ReadOnly: true}, {Immutable: true}} {
		_, err := Open(path, 0o600, o)
		wantError(t, err, fs.ErrNotExist, path)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal("the file was made:", err)
		}
	}
}

func TestOpenInAMissingDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "db")
	_, err := Open(path, 0o600, nil)
	wantError(t, err, fs.ErrNotExist, path)
}

func TestReadOnlyOpenOfAnEmptyFile(t *testing.T) {
	path := writeFile(t, nil)
	for _, o := range []*Options{{ReadOnly: true}, {Immutable: true}} {
		_, err := Open(path, 0o600, o)
		wantError(t, err, ErrInvalid, path, "empty")
		wantBytes(t, path, nil)
	}
	checkFile(t, path, 0) // for writing it becomes a database, as in bbolt
}

func TestFileOfZeros(t *testing.T) {
	for _, n := range []int{1, 512, 4096, 49151, 49152, 300 << 10} {
		path := writeFile(t, make([]byte, n))
		_, err := Open(path, 0o600, &Options{ReadOnly: true})
		wantError(t, err, ErrInvalid, path)
		wantBytes(t, path, make([]byte, n))
		checkFile(t, path, 0)
	}
}

func TestZerosBehindTheMetas(t *testing.T) {
	for _, settled := range []bool{true, false} {
		img := liveImage(t, 2, 300, nil)
		if settled {
			_, img = makeFile(t, 300, nil)
		}
		clear(img[page.MetaSlots*page.MetaStride:])
		path := writeFile(t, img)
		if !settled {
			refuse(t, path, ErrCorrupt, "page")
			continue
		}
		// A settled commit is known to have been whole: its pages are looked at when they are needed.
		st, err := Open(path, 0o600, quick())
		noError(t, err)
		wantError(t, st.View(func(tx *Tx) error { return keysAre(tx, 300) }), ErrCorrupt, "page")
		wantError(t, putKeys(st, 0, 1), ErrCorrupt, "page")
		noError(t, st.Close())
		wantBytes(t, path, img)
	}
}

// A file that begins with zeros and goes on with something else is not new: what it has is not overwritten.
func TestZerosBeforeOtherData(t *testing.T) {
	_, img := makeFile(t, 300, nil)
	clear(img[:page.MetaSlots*page.MetaStride])
	refuse(t, writeFile(t, img), ErrInvalid, "zeros")
	for _, at := range []int{49152, 53248, 60000, 65536, 200_000, 299_999} {
		b := make([]byte, 300_000)
		b[at] = 1
		refuse(t, writeFile(t, b), ErrInvalid, "zeros")
	}
}

func TestTextFile(t *testing.T) {
	text := []byte(strings.Repeat("This is a letter to somebody.\n", 4000))
	for _, n := range []int{1, 30, 511, 512, 4096, 20000, 49152, len(text)} {
		refuse(t, writeFile(t, text[:n]), ErrInvalid, "not an mmdb database")
	}
}

func TestRandomBytes(t *testing.T) {
	b := make([]byte, 100<<10)
	rand.New(rand.NewSource(7)).Read(b)
	refuse(t, writeFile(t, b), ErrInvalid, "not an mmdb database")
}

func TestCutOffFile(t *testing.T) {
	_, img := makeFile(t, 600, nil)
	_, m := newestSlot(img)
	end := int(m.HighWater) * int(m.PageSize)
	for _, n := range []int{end - 1, end - 4096, end / 2, 49152 + 4096, 49152, 40000, 20000, 512} {
		refuse(t, writeFile(t, img[:n]), ErrCorrupt, "cut off")
	}
}

func TestFileLongerThanItsHighWater(t *testing.T) {
	for _, more := range []int{1, 4096, 5 << 20} {
		for _, settled := range []bool{true, false} {
			img, n := liveImage(t, 2, 200, nil), 400
			if settled {
				_, img = makeFile(t, n, nil)
			}
			path := writeFile(t, append(img, bytes.Repeat([]byte("?"), more)...))
			ro, err := Open(path, 0o600, &Options{ReadOnly: true})
			noError(t, err)
			wantKeys(t, ro, n)
			checkStore(t, ro)
			noError(t, ro.Close())
			checkFile(t, path, n)
			checkFile(t, path, n+20)
		}
	}
}

func TestNewerVersion(t *testing.T) {
	_, img := makeFile(t, 100, nil)
	refuse(t, writeFile(t, editMetas(img, func(_ int, m *page.Meta) { m.Version = 2 })), ErrVersion, "newer", "version 2")
	newest, _ := newestSlot(img)
	one := editMetas(img, func(slot int, m *page.Meta) {
		if slot == newest {
			m.Version = 7
		}
	})
	refuse(t, writeFile(t, one), ErrVersion, "newer", "version 7")
}

func TestUnknownIncompatibleFeature(t *testing.T) {
	_, img := makeFile(t, 100, nil)
	refuse(t, writeFile(t, editMetas(img, func(_ int, m *page.Meta) { m.Incompatible = 1 << 63 })),
		ErrVersion, "newer", "features 0x8000000000000000")
}

func TestUnknownReadOnlyCompatibleFeature(t *testing.T) {
	for _, settled := range []bool{true, false} {
		img, n := liveImage(t, 2, 150, nil), 300
		if settled {
			_, img = makeFile(t, n, nil)
		}
		img = editMetas(img, func(_ int, m *page.Meta) { m.ReadOnlyCompatible = 1 << 40 })
		path := writeFile(t, img)
		var book logBook
		o := quick()
		o.Logger = book.logger()
		st, err := Open(path, 0o600, o)
		noError(t, err)
		if !st.IsReadOnly() || !strings.Contains(book.String(), "read-only") {
			t.Fatal("opened for writing, or without a word:", book.String())
		}
		wantKeys(t, st, n)
		checkStore(t, st)
		wantError(t, putKeys(st, n, n+1), ErrDatabaseReadOnly)
		wantError(t, st.Sync(), ErrDatabaseReadOnly)
		noError(t, st.Close())
		wantBytes(t, path, img)
	}
}

func TestForeignPageSizeInTheFile(t *testing.T) {
	_, img := makeFile(t, 100, nil)
	for _, size := range []uint32{0, 512, 2048, 5000, 131072, 1 << 31} {
		refuse(t, writeFile(t, editMetas(img, func(_ int, m *page.Meta) { m.PageSize = size })), ErrCorrupt, "page size")
	}
	newest, _ := newestSlot(img)
	mixed := editMetas(img, func(slot int, m *page.Meta) {
		if slot == newest {
			m.PageSize, m.HighWater = 8192, m.HighWater/2
			m.Body = page.NewInlineRoot(emptyBody)
			m.Root.Keys, m.Record.Page = 0, m.HighWater-1
		}
	})
	refuse(t, writeFile(t, mixed), ErrCorrupt, "different files")
}

func TestForeignPageSizeInTheOptions(t *testing.T) {
	path := newPath(t)
	for _, size := range []int{-1, 1, 1000, 2048, 4097, 131072} {
		_, err := Open(path, 0o600, &Options{PageSize: size})
		wantError(t, err, ErrPageSize, "power of two")
		if _, err := os.Lstat(path); err == nil {
			t.Fatal("the file was made")
		}
	}
}

func TestFileKeepsItsPageSize(t *testing.T) {
	for _, size := range []int{4096, 8192, 16384, 32768, 65536} {
		path, img := makeFile(t, 300, &Options{PageSize: size})
		if _, m := newestSlot(img); int(m.PageSize) != size {
			t.Fatal(m.PageSize)
		}
		for _, other := range []int{0, 4096, 65536} {
			o := quick()
			o.PageSize = other
			st, err := Open(path, 0o600, o)
			noError(t, err)
			wantKeys(t, st, 300)
			checkStore(t, st)
			noError(t, st.Close())
			wantBytes(t, path, img)
		}
		checkFile(t, path, 300)
	}
}

func TestMetasWithDifferentSalts(t *testing.T) {
	_, img := makeFile(t, 100, nil)
	for slot := range page.MetaSlots {
		mixed := editMetas(img, func(i int, m *page.Meta) {
			if i == slot {
				m.Salt++
			}
		})
		refuse(t, writeFile(t, mixed), ErrCorrupt, "different files")
	}
}

// With every meta damaged the file is a damaged database, not "no database": what it holds may be worth a salvage.
func TestAllMetasDamaged(t *testing.T) {
	_, img := makeFile(t, 100, nil)
	for i := range page.MetaSlots {
		img[page.MetaOffset(i)+60] ^= 1
	}
	refuse(t, writeFile(t, img), ErrCorrupt, "meta", "checksum")
}

func TestSomeMetasDamaged(t *testing.T) {
	_, img := makeFile(t, 100, nil)
	slots := slotsOf(img)
	newest, m := newestSlot(img)
	for i := range slots {
		if i == newest || slots[i].Commit != m.Commit {
			img[page.MetaOffset(i)+100] ^= 0x80
		}
	}
	checkFile(t, writeFile(t, img), 100)
}

func TestKeysAndValuesOutOfRange(t *testing.T) {
	path := newPath(t)
	st := openStore(t, path, quick())
	huge := hugeSlice(t, 1<<31-1)
	long := bytes.Repeat([]byte("k"), page.MaxKeySize)
	noError(t, st.Update(func(tx *Tx) error {
		b, err := tx.CreateBucket([]byte("b"))
		noError(t, err)
		for _, c := range []struct {
			call func() error
			want error
		}{
			{func() error { return b.Put(nil, []byte("v")) }, ErrKeyRequired},
			{func() error { return b.Put([]byte{}, []byte("v")) }, ErrKeyRequired},
			{func() error { return b.Put(append(long, 'k'), []byte("v")) }, ErrKeyTooLarge},
			{func() error { return b.Put([]byte("k"), huge) }, ErrValueTooLarge},
			{func() error { _, err := b.PutReserve(nil, 1); return err }, ErrKeyRequired},
			{func() error { _, err := b.PutReserve(append(long, 'k'), 1); return err }, ErrKeyTooLarge},
			{func() error { _, err := b.PutReserve([]byte("k"), 1<<31-1); return err }, ErrValueTooLarge},
			{func() error { _, err := b.PutReserve([]byte("k"), -1); return err }, ErrValueTooLarge},
			{func() error { _, err := tx.CreateBucket(nil); return err }, ErrBucketNameRequired},
			{func() error { _, err := b.CreateBucketIfNotExists(nil); return err }, ErrBucketNameRequired},
			{func() error { _, err := b.CreateBucket(append(long, 'k')); return err }, ErrKeyTooLarge},
		} {
			wantError(t, c.call(), c.want)
		}
		noError(t, tx.Err())
		if b.Get(nil) != nil || b.Get([]byte{}) != nil || b.Get(append(long, 'k')) != nil {
			t.Error("a key out of range has a value")
		}
		if n := b.CountRange([]byte("z"), []byte("a")); n != 0 {
			t.Error("an empty range holds", n)
		}
		if n, err := b.DeleteRange([]byte("z"), []byte("a")); n != 0 || err != nil {
			t.Error("an empty range lost", n, err)
		}
		noError(t, b.Delete(nil))
		noError(t, b.Delete(append(long, 'k')))
		noError(t, b.Put(long, []byte("the longest key")))
		return putInto(tx, 0, 50) // misuse spoils nothing
	}))
	noError(t, st.View(func(tx *Tx) error {
		b := tx.Bucket([]byte("b"))
		if b.Len() != 51 || string(b.Get(long)) != "the longest key" {
			t.Error(b.Len(), "keys")
		}
		return nil
	}))
}

func TestUnknownBuckets(t *testing.T) {
	path := newPath(t)
	st := openStore(t, path, quick())
	noError(t, putKeys(st, 0, 10))
	name := []byte("nobody")
	noError(t, st.View(func(tx *Tx) error {
		b := tx.Bucket([]byte("b"))
		if tx.Bucket(name) != nil || tx.Bucket(nil) != nil || b.Bucket(name) != nil || b.Bucket(testKey(1)) != nil {
			t.Error("a bucket that is not there")
		}
		return tx.Err()
	}))
	noError(t, st.Update(func(tx *Tx) error {
		b := tx.Bucket([]byte("b"))
		wantError(t, tx.DeleteBucket(name), ErrBucketNotFound)
		wantError(t, b.DeleteBucket(name), ErrBucketNotFound)
		wantError(t, b.DeleteBucket(testKey(1)), ErrIncompatibleValue)
		wantError(t, tx.MoveBucket(name, nil, b), ErrBucketNotFound)
		wantError(t, b.MoveBucket(testKey(1), &tx.root), ErrIncompatibleValue)
		_, err := b.CreateBucket(testKey(1))
		wantError(t, err, ErrIncompatibleValue)
		wantError(t, tx.root.Put([]byte("b"), nil), ErrIncompatibleValue)
		wantError(t, tx.root.Delete([]byte("b")), ErrIncompatibleValue)
		_, err = tx.CreateBucket([]byte("b"))
		wantError(t, err, ErrBucketExists)
		return tx.Err()
	}))
	wantKeys(t, st, 10)
}

func TestCopyOntoItself(t *testing.T) {
	path, img := makeFile(t, 200, nil)
	dir := filepath.Dir(path)
	soft, hard := filepath.Join(dir, "soft"), filepath.Join(dir, "hard")
	noError(t, os.Symlink(path, soft))
	noError(t, os.Link(path, hard))
	for _, readOnly := range []bool{true, false} {
		st, err := Open(path, 0o600, &Options{ReadOnly: readOnly})
		noError(t, err)
		for _, to := range []string{path, soft, hard} {
			err := st.View(func(tx *Tx) error { return tx.CopyFile(to, 0o600) })
			wantError(t, err, ErrSameFile, to)
		}
		noError(t, st.Close())
	}
	wantBytes(t, path, img)
	wantNames(t, dir, "hard", "soft", "test.mmdb")
}

func TestCopyWhereItCannotBe(t *testing.T) {
	path, img := makeFile(t, 200, nil)
	dir := filepath.Dir(path)
	noError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	st := openStore(t, path, quick())
	noError(t, st.View(func(tx *Tx) error {
		wantError(t, tx.CopyFile(filepath.Join(dir, "none", "copy"), 0o600), fs.ErrNotExist, "none")
		if err := tx.CopyFile(filepath.Join(dir, "sub"), 0o600); err == nil || !strings.Contains(err.Error(), "sub") {
			t.Error("copied onto a directory:", err)
		}
		return nil
	}))
	wantNames(t, dir, "sub", "test.mmdb")
	wantBytes(t, path, img)
}

// wantNames ends the test unless dir holds exactly names, and lock files of databases among them: no temporary file stays.
func wantNames(t *testing.T, dir string, names ...string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	noError(t, err)
	var got []string
	for _, e := range list {
		if db, ok := strings.CutSuffix(e.Name(), lockSuffix); !ok || !slices.Contains(names, db) {
			got = append(got, e.Name())
		}
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Fatalf("directory holds %v, should hold %v", got, names)
	}
}
