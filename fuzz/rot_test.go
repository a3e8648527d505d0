package fuzz

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mmdb"
)

// rotCommits lets pages of the last commits of an unsettled file rot.
func rotCommits(t *testing.T, o mmdb.Options, ops []Op) (images int, found error) {
	tr := traceOf(t, o, ops)
	path := filepath.Join(imageDir(t), "db")
	rng := rand.New(rand.NewPCG(8, 9))
	for _, p := range RotPoints(tr) {
		if p.State < 3 || len(p.File) > 4<<20 && p.State%8 != 2 || len(p.Writes[p.State]) == 0 || len(p.Writes[p.State-1]) == 0 {
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
			// rot in the last commit alone looks like a power loss
			if err := ExamineRot(path, tr.States, []int{p.State - 1, p.State}, len(hit) == 1 && hit[0] == p.State, o); err != nil {
				return images, fmt.Errorf("state %d, rot in what %v wrote: %w", p.State, hit, err)
			}
		}
	}
	return images, nil
}

// TestRotInTheLastCommits damages what the last commits wrote, before a Close
// settled it: recovery falls back by one commit, as after a power loss, but
// never further.
func TestRotInTheLastCommits(t *testing.T) {
	for name, ops := range map[string][]Op{"operations": Generate(FromSeed(12, 1<<20), CrashProfile, 60), "shrinking": shrinking} {
		images, err := rotCommits(t, mmdb.Options{}, ops)
		if err != nil || images == 0 {
			t.Fatal(name, images, err)
		}
	}
}

// shrinking is a run in which the file grows and is cut again, once no commit
// record stands at its end any more.
var shrinking = func() []Op {
	ops := []Op{put("first", 10), {Kind: OpCommit}, put("large", 9<<20), {Kind: OpCommit}}
	ops = append(ops, Op{Kind: OpDelete, Path: []string{"A"}, Key: []byte("large")}, Op{Kind: OpCommit})
	for i := range 140 {
		ops = append(ops, put(fmt.Sprint("key", i%7), 10+i), Op{Kind: OpCommit})
	}
	return ops
}()

// TestRotShrinks makes sure that this run does cut the file.
func TestRotShrinks(t *testing.T) {
	largest, cut := int64(0), false
	for _, e := range traceOf(t, mmdb.Options{}, shrinking).Events {
		switch e.Kind {
		case EventWrite:
			if largest = max(largest, e.Offset+e.Length); cut {
				return // and goes on after that
			}
		case EventSize:
			cut = cut || e.Size < largest/2
		}
	}
	t.Fatal("the file was not cut before Close")
}

// rotRecords lets commit records of a closed file rot.
func rotRecords(t *testing.T, o mmdb.Options, seed uint64) (images int, found error) {
	s, err := MakeSample(imageDir(t), seed, 150, CrashProfile, o)
	if err != nil {
		return 0, err
	}
	path := filepath.Join(imageDir(t), "db")
	rng := rand.New(rand.NewPCG(seed, 11))
	for _, at := range recordPages(s.File) {
		for i := range 40 {
			file := slices.Clone(s.File)
			offset := at + rng.IntN(recordLists(file, at))
			if i%4 != 0 { // its lists of pages
				offset = at + recordLists(file, at) + rng.IntN(32)
			}
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

// recordLists returns where the lists of pages begin in the commit record at byte at: behind its headers and the root bucket.
func recordLists(file []byte, at int) int {
	return 192 + int(binary.LittleEndian.Uint32(file[at+172:]))
}

// TestRotInCommitRecords damages the commit records of a closed file, from
// which the free list is made: a wrong one would give live pages away.
func TestRotInCommitRecords(t *testing.T) {
	images, err := rotRecords(t, mmdb.Options{}, 21)
	if err != nil || images == 0 {
		t.Fatal(images, err)
	}
}
