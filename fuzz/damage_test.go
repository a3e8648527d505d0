package fuzz

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mmdb"
)

// hangs is how long a damaged file may keep the library busy.
const hangs = 30 * time.Second

// sample returns a small sound file with a bit of everything in it.
func sample(t testing.TB) *Sample {
	t.Helper()
	s, err := MakeSample(imageDir(t), 4, 120, CrashProfile, mmdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// examine writes a file and lets f look at it.
func examine(t testing.TB, path string, data []byte, f func(path string) error) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := watchdog(hangs, func() error { return f(path) }); err != nil {
		keep := filepath.Join(keepDir(t), "damaged.mmdb")
		if w := os.WriteFile(keep, data, 0o600); w != nil {
			t.Fatal(err, w)
		}
		t.Fatalf("%v\nkept as %s", err, keep)
	}
}

// TestDamageEveryPage changes each page of a file in several places.
func TestDamageEveryPage(t *testing.T) {
	s := sample(t)
	path := filepath.Join(imageDir(t), "db")
	rng := rand.New(rand.NewPCG(1, 2))
	for at := 0; at < len(s.File); at += 4096 {
		if at > metaEnd && scaled(10) == 1 && at/4096%5 != 0 {
			continue
		}
		for _, offset := range []int{at, at + 9, at + 17, at + 40 + rng.IntN(40), at + rng.IntN(4096)} {
			flips := []Flip{{offset, byte(1 << rng.IntN(8))}}
			file := append([]byte{}, s.File...)
			Apply(file, flips)
			examine(t, path, file, func(p string) error { return ExamineFlipped(p, s, flips) })
		}
	}
}

// TestDamageResealed changes pages and puts their checksums right again.
func TestDamageResealed(t *testing.T) {
	s := sample(t)
	path := filepath.Join(imageDir(t), "db")
	rng := rand.New(rand.NewPCG(3, 4))
	for range max(100, scaled(1500)) {
		page := rng.IntN(len(s.File)/4096) * 4096
		var flips []Flip
		for range 1 + rng.IntN(3) {
			flips = append(flips, Flip{page + rng.IntN(min(4096, 1<<(3+rng.IntN(10)))), byte(rng.Uint32())})
		}
		file := append([]byte{}, s.File...)
		Apply(file, flips)
		Reseal(file, flips)
		examine(t, path, file, func(p string) error { return ExamineAny(p, rng.IntN(2) == 0) })
	}
}

// TestDamageCutOff cuts a file at every page and a little beside.
func TestDamageCutOff(t *testing.T) {
	s := sample(t)
	path := filepath.Join(imageDir(t), "db")
	for at := 0; at <= len(s.File); at += 4096 {
		for _, n := range []int{at - 1, at, at + 1, at + 511} {
			if n >= 0 && n < len(s.File) {
				examine(t, path, s.File[:n], func(p string) error { return ExamineAny(p, at%8192 == 0) })
			}
		}
	}
}

// FuzzOpen opens any bytes as a database.
func FuzzOpen(f *testing.F) {
	s := sample(f)
	dir := imageDir(f)
	for _, n := range []int{0, 1, 512, 4096, metaEnd, metaEnd + 4096, len(s.File) - 1, len(s.File)} {
		f.Add(s.File[:n], false)
		f.Add(s.File[:n], true)
	}
	f.Fuzz(func(t *testing.T, data []byte, readOnly bool) {
		examine(t, filepath.Join(dir, "any"), data, func(p string) error { return ExamineAny(p, readOnly) })
	})
}

// FuzzFlip changes bytes of a sound file, and puts the checksums right again
// if it is asked to.
func FuzzFlip(f *testing.F) {
	s := sample(f)
	dir := imageDir(f)
	for _, at := range []int{0, 40, 48, metaStride, metaEnd, metaEnd + 32, metaEnd + 48, metaEnd + 4096 + 50} {
		data := append(binary.BigEndian.AppendUint32(nil, uint32(at))[1:], 0x10)
		f.Add(data, false)
		f.Add(data, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, reseal bool) {
		flips := FlipsFromBytes(data, len(s.File))
		if len(flips) == 0 || len(flips) > 64 {
			return
		}
		file := append([]byte{}, s.File...)
		Apply(file, flips)
		path := filepath.Join(dir, "flipped")
		if reseal {
			Reseal(file, flips)
			examine(t, path, file, func(p string) error { return ExamineAny(p, false) })
			return
		}
		examine(t, path, file, func(p string) error { return ExamineFlipped(p, s, flips) })
	})
}
