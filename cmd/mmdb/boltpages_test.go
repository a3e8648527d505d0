package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// largeBolt makes a bbolt file with branch pages, values of several pages, and buckets in buckets, and returns its bytes.
func largeBolt(t *testing.T, file string) []byte {
	t.Helper()
	db, err := bolt.Open(file, fileMode, &bolt.Options{PageSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 { // so that there are free pages
		err = db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("outer"))
			for range 4 {
				for i := range 300 {
					if err == nil {
						err = b.Put(fmt.Appendf(nil, "key %d", i*(round+1)), make([]byte, 50+i/290*9000))
					}
				}
				if err == nil {
					b, err = b.CreateBucketIfNotExists([]byte("inner"))
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// redirect makes the first branch of a bbolt file refer to itself, or the first bucket that has pages be in itself.
func redirect(t *testing.T, data []byte, kind uint16) {
	t.Helper()
	for at := 2 * 4096; at < len(data); at += 4096 {
		page := data[at:]
		no := uint64(at / 4096)
		if binary.NativeEndian.Uint64(page) != no || binary.NativeEndian.Uint16(page[8:]) != kind {
			continue
		}
		for i := range int64(binary.NativeEndian.Uint16(page[10:])) {
			offset := boltHead + boltEntry*i
			cell := readBoltCell(page[offset:], offset, kind)
			switch {
			case kind == boltBranch:
				binary.NativeEndian.PutUint64(page[offset+8:], no)
				return
			case cell.bucket && binary.NativeEndian.Uint64(page[cell.value:]) != 0:
				binary.NativeEndian.PutUint64(page[cell.value:], no)
				return
			}
		}
	}
	t.Fatalf("no page of kind %d to damage", kind)
}

// A bbolt file whose pages lead back to where they come from is an error of one line, before anything is made of it.
func TestImportOfBoltInCircles(t *testing.T) {
	t.Chdir(t.TempDir())
	sound := largeBolt(t, "old.bolt")
	mustRun(t, "", "import", "sound.mmdb", "old.bolt", "--create")
	mustRun(t, "", "check", "sound.mmdb")
	for _, kind := range []uint16{boltBranch, boltLeaf} {
		data := append([]byte(nil), sound...)
		redirect(t, data, kind)
		if err := os.WriteFile("bad.bolt", data, 0o600); err != nil {
			t.Fatal(err)
		}
		wantError(t, exitError, []string{"bad.bolt: damaged: page ", "and so does another or itself"}, "", "import", "a.mmdb", "bad.bolt", "--create")
		if got := names(t); got != "bad.bolt old.bolt sound.mmdb" {
			t.Errorf("files: %s", got)
		}
	}
}

// Whatever bytes of a bbolt file are flipped, the import ends, with one line of error at most.
func TestImportOfFlippedBoltEnds(t *testing.T) {
	t.Chdir(t.TempDir())
	sound := largeBolt(t, "old.bolt")
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	refused := 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 11))
		data := append([]byte(nil), sound...)
		for range 4 {
			data[(2+r.IntN(len(data)/4096-2))*4096+r.IntN(200)] ^= byte(1 + r.IntN(255)) // heads and entries
		}
		if err := os.WriteFile("bad.bolt", data, 0o600); err != nil {
			t.Fatal(err)
		}
		var errs strings.Builder
		code := runContext(ctx, []string{"import", "a.mmdb", "bad.bolt", "--create"}, strings.NewReader(""), io.Discard, &errs)
		if code != exitOK && code != exitError || strings.Count(errs.String(), "\n") > 1 || strings.Contains(errs.String(), "internal error") {
			t.Errorf("seed %d: status %d, %s", seed, code, errs.String())
		}
		if code == exitError {
			refused++
		}
		os.Remove("a.mmdb")
	}
	if refused == 0 {
		t.Error("no damage was noticed")
	}
}
