package fuzz

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cespare/xxhash/v2"

	"mmdb"
)

// Where the file format, version 1, keeps what Reseal needs; package page has
// the whole of it.
const (
	metaStride   = 16384
	metaSize     = 512
	metaPageSize = 20
	metaSalt     = 40
	metaRecord   = 112
	metaRecSum   = 128
	runLength    = 36 // in a page header
)

// A Flip changes one byte of a file.
type Flip struct {
	Offset int
	XOR    byte // zero is taken as 0xff: it must change something
}

// FlipsFromBytes reads flips from the bytes of a fuzzer: three bytes for the
// offset, one for the change. Offsets wrap round at size.
func FlipsFromBytes(data []byte, size int) []Flip {
	var flips []Flip
	for len(data) >= 4 && size > 0 {
		n := int(data[0])<<16 | int(data[1])<<8 | int(data[2])
		flips = append(flips, Flip{Offset: n % size, XOR: data[3]})
		data = data[4:]
	}
	return flips
}

// Apply changes the bytes in place.
func Apply(file []byte, flips []Flip) {
	for _, f := range flips {
		if f.XOR == 0 {
			f.XOR = 0xff
		}
		file[f.Offset] ^= f.XOR
	}
}

// metasHit returns how many of the three meta slots the flips change.
func metasHit(flips []Flip) int {
	var hit [3]bool
	n := 0
	for _, f := range flips {
		if slot := f.Offset / metaStride; slot < 3 && f.Offset%metaStride < metaSize && !hit[slot] {
			hit[slot] = true
			n++
		}
	}
	return n
}

// fallsBack reports whether flips in a closed file may bring back an older
// commit: both metas of the newest one are hit, or the settled one and what the
// other says was written. One of them alone must not.
func fallsBack(flips []Flip) bool {
	n := metasHit(flips)
	return n >= 2 || n == 1 && slices.ContainsFunc(flips, func(f Flip) bool { return f.Offset >= metaEnd })
}

// Reseal makes the checksums of the flipped pages and metas right again, so
// that the damage gets past them, as a bug or an attacker might make it.
func Reseal(file []byte, flips []Flip) {
	if len(file) < metaEnd {
		return
	}
	pageSize := int(binary.LittleEndian.Uint32(file[metaPageSize:]))
	salt := binary.LittleEndian.Uint64(file[metaSalt:])
	if pageSize < 4096 || pageSize > 65536 || pageSize&(pageSize-1) != 0 {
		return
	}
	first := (metaEnd + pageSize - 1) / pageSize * pageSize
	dirty := map[int]bool{}
	for _, f := range flips {
		if f.Offset >= first {
			dirty[runStart(file, f.Offset/pageSize*pageSize, first, pageSize)] = true
		}
	}
	for at := range dirty {
		end := at + pageSize*max(1, int(binary.LittleEndian.Uint32(file[at+runLength:])))
		if end > len(file) || end <= at {
			continue
		}
		sum := xxhash.Sum64(file[at+8:end]) ^ salt
		binary.LittleEndian.PutUint64(file[at:], sum)
		for m := 0; m < metaEnd; m += metaStride {
			if binary.LittleEndian.Uint64(file[m+metaRecord:]) == uint64(at/pageSize) {
				binary.LittleEndian.PutUint64(file[m+metaRecSum:], sum)
			}
		}
	}
	for m := 0; m < metaEnd; m += metaStride {
		binary.LittleEndian.PutUint64(file[m:], xxhash.Sum64(file[m+8:m+metaSize]))
	}
}

// runStart looks back for the run that holds the page at this offset.
func runStart(file []byte, at, first, pageSize int) int {
	for back := at; back >= first && back > at-64*pageSize; back -= pageSize {
		number := binary.LittleEndian.Uint64(file[back+8:])
		run := int(binary.LittleEndian.Uint32(file[back+runLength:]))
		if number == uint64(back/pageSize) && back+run*pageSize > at {
			return back
		}
	}
	return at
}

// A Sample is a database file and what it held after each commit.
type Sample struct {
	File   []byte
	States []*Model
}

// MakeSample runs generated operations on a new database in dir and returns
// the closed file.
func MakeSample(dir string, seed uint64, ops int, p Profile, o mmdb.Options) (*Sample, error) {
	r := Runner{Path: dir + "/sample.mmdb", Options: o}
	if err := r.Run(Generate(FromSeed(seed, 1<<20), p, ops)); err != nil {
		return nil, err
	}
	if err := r.Close(); err != nil {
		return nil, err
	}
	file, err := os.ReadFile(r.Path)
	return &Sample{File: file, States: r.States[:r.acked+1]}, errors.Join(err, os.Remove(r.Path))
}

// IsDamage reports whether err is one of the errors that say that a file is
// not, or not any more, a database.
func IsDamage(err error) bool {
	return errors.Is(err, mmdb.ErrCorrupt) || errors.Is(err, mmdb.ErrInvalid) || errors.Is(err, mmdb.ErrVersion)
}

// ExamineFlipped opens a file that was made from s by flips, and holds the
// library to I3 and I13: each way to read gives the right answer, or the
// transaction says that the file is damaged. An error is a failure.
func ExamineFlipped(path string, s *Sample, flips []Flip) error {
	db, err := mmdb.Open(path, 0o600, &mmdb.Options{Timeout: lockTimeout})
	if err != nil {
		return onlyDamage("open", err)
	}
	defer db.Close()
	newest := len(s.States) - 1
	found := make([]int, 0, 1)
	err = db.View(func(tx *mmdb.Tx) error {
		sum, err := databaseSum(tx)
		if err != nil {
			return err
		}
		for i := newest; i >= 0; i-- {
			if s.States[i].Sum() == sum {
				found = append(found, i)
				return nil
			}
		}
		return mismatch("a whole walk without an error gives no state of the database")
	})
	doubtful := fallsBack(flips)
	switch {
	case err != nil && (errors.Is(err, ErrMismatch) || !IsDamage(err)):
		return fmt.Errorf("walk: %w", err)
	case err == nil && found[0] != newest && !doubtful:
		return mismatch("the database fell back to state %d of %d", found[0], newest)
	case err != nil && doubtful:
		return Survey(db) // which state it is can't be told
	}
	model := s.States[newest]
	if err == nil {
		model = s.States[found[0]]
	}
	if err := examinePaths(db, model); err != nil {
		return err
	}
	return examineChanges(db, model)
}

func onlyDamage(what string, err error) error {
	if err == nil || IsDamage(err) && !errors.Is(err, ErrMismatch) {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// examinePaths reads through each way in a transaction of its own. An answer
// that is wrong must come with the transaction's error.
func examinePaths(db *mmdb.DB, m *Model) error {
	clean := false
	err := db.View(func(tx *mmdb.Tx) error {
		err := checkClean(tx)
		clean = err == nil
		return err
	})
	if err := onlyDamage("check", err); err != nil {
		return err
	}
	checks := map[string]func(*mmdb.Bucket, *Model) error{
		"ForEach": compareForEach, "Get": compareGet, "iterators": compareIterators, "counts": compareCounts,
		"cursor": func(b *mmdb.Bucket, m *Model) error { return compareCursor(b.Cursor(), m, "") },
	}
	for _, e := range m.entries {
		for name, check := range checks {
			err := db.View(func(tx *mmdb.Tx) error {
				b := tx.Bucket([]byte(e.key))
				if b == nil {
					return orErr(tx, mismatch("no bucket %q", e.key))
				}
				return orErr(tx, check(b, e.bucket))
			})
			if err != nil && clean {
				return fmt.Errorf("%s of %s fails, but Check found nothing: %w", name, e.key, err)
			}
			if err := onlyDamage(name, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// orErr returns the transaction's error in place of a wrong answer that it
// explains.
func orErr(tx *mmdb.Tx, err error) error {
	if tx.Err() != nil {
		return tx.Err()
	}
	return err
}

// examineChanges changes what may be damaged: success, or an error that says
// so. The result is not compared: what a change does not touch stays damaged.
func examineChanges(db *mmdb.DB, m *Model) error {
	for i, e := range m.entries {
		err := db.Update(func(tx *mmdb.Tx) error {
			b := tx.Bucket([]byte(e.key))
			if b == nil {
				return tx.Err()
			}
			for k, in := range e.bucket.entries {
				var err error
				switch {
				case in.bucket != nil:
					err = b.DeleteBucket([]byte(in.key))
				case (k+i)%3 == 0:
					err = b.Delete([]byte(in.key))
				default:
					err = b.Put([]byte(in.key), Value(uint32(k), k%900))
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err := onlyDamage("update", err); err != nil {
			return err
		}
	}
	return nil
}

// ExamineAny opens a file of any bytes and uses it in every way. The only
// failures are a panic, and going on without end.
func ExamineAny(path string, readOnly bool) error {
	db, err := mmdb.Open(path, 0o600, &mmdb.Options{Timeout: lockTimeout, ReadOnly: readOnly})
	if err != nil {
		return nil
	}
	defer db.Close()
	return Survey(db)
}

// surveyLimit bounds the entries that Survey looks at: a file may be made so
// that its buckets contain each other.
const surveyLimit = 20000

// Survey reads everything it can find, runs Check, and changes something.
func Survey(db *mmdb.DB) error {
	sv := surveyor{}
	_ = db.View(func(tx *mmdb.Tx) error {
		return tx.ForEach(func(name []byte, b *mmdb.Bucket) error { return sv.bucket(b, 0) })
	})
	_ = db.View(func(tx *mmdb.Tx) error {
		n := 0
		for range tx.Check() {
			if n++; n == surveyLimit {
				break
			}
		}
		return nil
	})
	if db.IsReadOnly() {
		return nil
	}
	_ = db.Update(func(tx *mmdb.Tx) error {
		var names [][]byte
		err := tx.ForEach(func(name []byte, b *mmdb.Bucket) error {
			names = append(names, append([]byte{}, name...))
			return nil
		})
		if err != nil {
			return err
		}
		for _, name := range names {
			if b := tx.Bucket(name); b != nil {
				sv.change(b)
			}
			_ = tx.DeleteBucket(name)
		}
		b, err := tx.CreateBucketIfNotExists([]byte("new"))
		if err != nil {
			return err
		}
		return b.Put([]byte("key"), []byte("value"))
	})
	return nil
}

// A surveyor walks buckets of a database that may be damaged.
type surveyor struct{ seen int }

func (s *surveyor) bucket(b *mmdb.Bucket, depth int) error {
	if b == nil || depth > maxDepth || s.seen > surveyLimit {
		return nil
	}
	var keys [][]byte
	for k, v := range b.All() {
		if s.seen++; s.seen > surveyLimit {
			break
		}
		if len(keys) < 100 {
			keys = append(keys, k)
		}
		if v == nil {
			_ = s.bucket(b.Bucket(k), depth+1)
		}
	}
	b.GetMany(keys, nil)
	c := b.Cursor()
	for _, k := range keys {
		b.Get(k)
		b.CountRange(k, nil)
		c.Seek(k)
		c.Rank()
		c.Prev()
		c.SeekLE(k)
		c.Next()
	}
	n := 0
	for k, _ := c.Last(); k != nil && n < 1000; k, _ = c.Prev() {
		n++
	}
	for i := uint64(0); i < min(b.Len(), 200); i++ {
		c.SeekIndex(i * 7)
	}
	b.Stats()
	return nil
}

// change makes changes of every kind to b, whatever they return.
func (s *surveyor) change(b *mmdb.Bucket) {
	var keys [][]byte
	for k := range b.All() {
		if len(keys) == 50 {
			break
		}
		keys = append(keys, append([]byte{}, k...))
	}
	for i, k := range keys {
		switch i % 3 {
		case 0:
			_ = b.Delete(k)
		case 1:
			_ = b.Put(k, Value(uint32(i), 300))
		default:
			_ = b.Put(append(k, 'x'), Value(uint32(i), 30))
		}
	}
	c := b.Cursor()
	if k, _ := c.First(); k != nil {
		_ = c.Delete()
	}
	_, _ = b.NextSequence()
	if len(keys) > 4 {
		_, _ = b.DeleteRange(keys[1], keys[3])
	}
}
