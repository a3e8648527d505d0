package fuzz

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mmdb"
)

// rotCommits lets pages of the last commits of an unsettled file rot.
func rotCommits(t *testing.T, o mmdb.Options) (images int, found error) {
	ops := Generate(FromSeed(12, 1<<20), CrashProfile, 60)
	tr := traceOf(t, o, ops)
	path := filepath.Join(imageDir(t), "db")
	rng := rand.New(rand.NewPCG(8, 9))
	for _, p := range RotPoints(tr) {
		if p.State < 3 || len(p.Writes[p.State]) == 0 || len(p.Writes[p.State-1]) == 0 {
			continue // a transaction that changed nothing is no commit
		}
		for _, hit := range [][]int{{p.State}, {p.State - 1}, {p.State, p.State - 1}} {
			file := slices.Clone(p.File)
			for _, s := range hit {
				for _, at := range p.Writes[s] {
					if at+block <= len(file) && (rng.IntN(2) == 0 || len(p.Writes[s]) < 3) {
						file[at+rng.IntN(block)] ^= 0x40
					}
				}
			}
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			images++
			if err := ExamineRot(path, tr.States, []int{p.State - 1, p.State}, o); err != nil {
				return images, fmt.Errorf("state %d, rot in what %v wrote: %w", p.State, hit, err)
			}
		}
	}
	return images, nil
}

// TestRotInTheLastCommits damages what the last commits wrote, before a Close
// settled it: recovery may fall back by one commit, which it can't tell from a
// power loss, but never further.
func TestRotInTheLastCommits(t *testing.T) {
	images, err := rotCommits(t, mmdb.Options{})
	if err != nil || images == 0 {
		t.Fatal(images, err)
	}
}

// rotRecords lets commit records of a closed file rot.
func rotRecords(t *testing.T, o mmdb.Options) (images int, found error) {
	s, err := MakeSample(imageDir(t), 21, 150, CrashProfile, o)
	if err != nil {
		return 0, err
	}
	path := filepath.Join(imageDir(t), "db")
	rng := rand.New(rand.NewPCG(10, 11))
	for _, at := range recordPages(s.File) {
		for range 12 {
			file := slices.Clone(s.File)
			offset := at + rng.IntN(240)
			file[offset] ^= byte(1 << rng.IntN(8))
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			images++
			if err := ExamineRecordRot(path, s, o); err != nil {
				return images, fmt.Errorf("byte %d of the record at page %d: %w", offset-at, at/block, err)
			}
		}
	}
	return images, nil
}

// TestRotInCommitRecords damages the commit records of a closed file, from
// which the free list is made: a wrong one would give live pages away.
func TestRotInCommitRecords(t *testing.T) {
	images, err := rotRecords(t, mmdb.Options{})
	if err != nil || images == 0 {
		t.Fatal(images, err)
	}
}
