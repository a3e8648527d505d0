package fuzz

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"mmdb/mmapfile"
)

// play applies events on one small file, in which a write is a letter at an
// offset: "w2a" writes a at 2, "W2a3" writes it three times, "t5" sets the
// size, "s" flushes all, "f" is a flush that fails, "m13" flushes [1,3), "c"
// creates and "d" flushes the directory, "<" starts a flush that ">" ends.
func play(d *Disk, script string) {
	flush := func(op mmapfile.OpKind, lo, hi int, failed bool) {
		e := Event{Kind: EventFlushStart, Op: op, Path: "f", Offset: int64(lo), Length: int64(hi - lo)}
		d.Apply(&e)
		e.Kind, e.Failed = EventFlushEnd, failed
		d.Apply(&e)
	}
	num := func(b byte) int { return int(b - '0') }
	for _, s := range strings.Fields(script) {
		switch s[0] {
		case 'c':
			d.Apply(&Event{Kind: EventCreate, Path: "f"})
		case 'd':
			flush(mmapfile.OpSyncDir, 0, 0, false)
		case 'w':
			d.Apply(&Event{Kind: EventWrite, Path: "f", Offset: int64(num(s[1])), Length: 1, Data: []byte(s[2:])})
		case 'W':
			data := bytes.Repeat([]byte(s[2:3]), num(s[3]))
			d.Apply(&Event{Kind: EventWrite, Path: "f", Offset: int64(num(s[1])), Length: int64(len(data)), Data: data})
		case 't':
			d.Apply(&Event{Kind: EventSize, Path: "f", Size: int64(num(s[1]))})
		case 's':
			flush(mmapfile.OpSync, 0, 0, false)
		case 'f':
			flush(mmapfile.OpSync, 0, 0, true)
		case 'm':
			flush(mmapfile.OpMsync, num(s[1]), num(s[2]), false)
		case '<':
			d.Apply(&Event{Kind: EventFlushStart, Op: mmapfile.OpSync, Path: "f"})
		case '>':
			d.Apply(&Event{Kind: EventFlushEnd, Op: mmapfile.OpSync, Path: "f"})
		}
	}
}

// outcomes returns every content that a crash may leave, shortest first.
func outcomes(d *Disk) []string {
	f := d.named("f", len(d.renames))
	if f == nil {
		return []string{"absent"}
	}
	var writes, sizes []int
	sizes = append(sizes, 0)
	for i, c := range d.pending {
		if c.isSize() {
			sizes = append(sizes, c.seq)
		} else {
			writes = append(writes, i)
		}
	}
	var out []string
	for _, s := range sizes {
		for set := range 1 << len(writes) {
			p := pick{sizes: s}
			for k, i := range writes {
				if set>>k&1 == 1 {
					p.pieces = append(p.pieces, piece{i, 0, len(d.pending[i].data)})
				}
			}
			out = append(out, strings.ReplaceAll(string(d.content(f, &p)), "\x00", "."))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestDiskPromisesLittle holds the model of the device to hand-made cases.
func TestDiskPromisesLittle(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"c d t3 s", "..."},
		{"c d t3", " ..."},
		{"c d t3 s w0a", "... a.."},
		{"c d t3 s w0a s", "a.."},
		{"c d t3 s w0a w1b", "... .b. a.. ab."},
		{"c d t3 s w0a < w1b >", "a.. ab."},
		{"c d t3 s w0a w2b m01", "a.. a.b"},
		{"c d t3 s W0a3 m12", ".a. .aa aa. aaa"},
		{"c d t3 s w0a f", "... a.."},
		{"c d t3 s w0a f s", "... a.."},
		{"c d t3 s w0a f w0b s", "b.."},
		{"c d t3 s W0a3 f w1b s", ".b. .ba ab. aba"},
		{"c d t3 s w0a w0b", "... a.. b.."},
		{"c d t3 s t5 w4a", "... ..... ....a"},
		{"c d t3 s t5 w4a m45", "....a"},
		{"c d t3 s t5 w1a m12", ".a. .a..."},
		{"c d t3 s w4a", "... ..... ....a"},
		{"c d t3 s W0a3 s t1", "a aaa"},
		{"c d t3 s W0a3 s t1 t3", "a a.. aaa"},
		{"c d t3 s W0a3 s t1 t3 w2b m23", "a.b"},
		{"c d t3 s w2a t1 s", "."},
		{"c d t3 s w2a t1 t3 s", "... ..a"},
		{"c d t3 s w2a t1 t3 w2b s", "..b"},
	} {
		d := NewDisk(&Trace{DB: "f"})
		play(d, c.script)
		want := strings.Split(c.want, " ")
		if got := outcomes(d); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.script, got, want)
		}
	}
	d := NewDisk(&Trace{DB: "f"})
	play(d, "c t3 s w0a")
	if d.named("f", 0) != nil {
		t.Error("a name is durable without a flush of the directory")
	}
}

// TestDiskImageIsContent compares the incremental images with the plain way to
// make them.
func TestDiskImageIsContent(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	im, err := newImage(imageDir(t), "image")
	if err != nil {
		t.Fatal(err)
	}
	defer im.close()
	d := NewDisk(&Trace{DB: "f"})
	play(d, "c d")
	count := 0
	for range 400 {
		n := rng.IntN(20000)
		e := Event{Path: "f", Kind: EventWrite, Offset: int64(rng.IntN(60000)), Length: int64(n + 1), Data: Value(uint32(n), n+1)}
		switch rng.IntN(8) {
		case 0:
			e = Event{Path: "f", Kind: EventSize, Size: int64(rng.IntN(80000))}
		case 1:
			play(d, "s")
			continue
		case 2:
			lo := rng.IntN(60000)
			e = Event{Path: "f", Kind: EventFlushStart, Op: mmapfile.OpMsync, Offset: int64(lo), Length: int64(rng.IntN(30000))}
			d.Apply(&e)
			e.Kind = EventFlushEnd
		case 3:
			e.Kind, e.Data = EventPunch, nil
		}
		d.Apply(&e)
		for _, p := range d.picks(rng, 3) {
			f := d.names["f"]
			if err := im.take(f); err != nil {
				t.Fatal(err)
			}
			if err := im.overlay(d, &p); err != nil {
				t.Fatal(err)
			}
			got, err := im.bytes(true)
			if err != nil || !bytes.Equal(got, d.content(f, &p)) {
				t.Fatalf("image %q is not the content (%v)", p.label, err)
			}
			if err := im.restore(); err != nil {
				t.Fatal(err)
			}
			count++
		}
		if err := im.holds(); err != nil {
			t.Fatal(err)
		}
		if len(d.pending) > 12 {
			play(d, "s")
		}
	}
	t.Log(count, "images")
}

// TestPicksCoverTheSimpleCases looks for the choices that the package
// documentation names.
func TestPicksCoverTheSimpleCases(t *testing.T) {
	d := NewDisk(&Trace{DB: "f"})
	play(d, "c d t9 s w0a w1b w2c")
	labels := map[string]bool{}
	for _, p := range d.picks(rand.New(rand.NewPCG(1, 1)), 1000) {
		labels[p.label] = true
	}
	want := []string{"none", "all", "prefix 1", "prefix 2"}
	for i := range 3 {
		want = append(want, fmt.Sprintf("missing %d", i), fmt.Sprintf("alone %d", i))
	}
	for _, w := range want {
		if !labels[w] {
			t.Errorf("no %q among %v", w, labels)
		}
	}
}
