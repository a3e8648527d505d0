package tx

import (
	"errors"
	"fmt"
	"hash/maphash"
	"testing"
	"time"

	"mmdb/mmapfile"
)

// A process dies in the middle of a commit, another one that has the database open takes over and commits, and then the power goes, at
// any point of that. What the first one had committed is there, what the second one has; the commit that was cut off is there as a
// whole or not at all.
func TestPowerLossWhileAnotherProcessTakesOver(t *testing.T) {
	needByteLocks(t)
	if narrow {
		t.Skip("the processes that die here keep their mappings: there are not addresses enough")
	}
	images := 0
	for name, o := range map[string]Options{"durable": {}, "two phases": {TwoPhase: true}} {
		seen := make(map[uint64]bool)
		for i := 0; ; i++ {
			h := takeOverHistory(t, o, i)
			if h == nil {
				break
			}
			for k := h.died; k <= len(h.ops); k++ {
				for what, img := range h.images(k) {
					if sum := maphash.Bytes(imageSeed, img); !seen[sum] {
						seen[sum] = true
						h.verify(t, fmt.Sprintf("%s: died before operation %d, power lost after %d of %d, %s", name, i, k, len(h.ops), what), img, k)
						images++
					}
				}
			}
		}
	}
	if images < 60 {
		t.Errorf("%d images are few", images)
	}
}

var imageSeed = maphash.MakeSeed()

// A takeOver is what two processes did to a file.
type takeOver struct {
	ops   []taped
	died  int // operations of the first process
	acked int // operations until the second one's commit was acknowledged
	kept  int // keys that the cut commit has left
}

// takeOverHistory has a process die before the i-th operation of a commit, and another one take over, and returns what both did; nil if
// there is no such operation.
func takeOverHistory(t *testing.T, o Options, i int) *takeOver {
	t.Helper()
	f := &freezer{at: -1, frozen: make(chan struct{})}
	p := &tape{}
	path := memoryPath(t)
	second := o
	o.Timeout, o.Seam = time.Minute, func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		return f.seam(op, func(op mmapfile.Op) (int, error) { return p.seam(op, do) })
	}
	a, err := Open(path, 0o600, &o)
	noError(t, err)
	noError(t, putKeys(a, 0, 30))
	second.Seam = p.seam
	b, err := Open(path, 0o600, &second)
	noError(t, err)
	f.freezeAt(i)
	done := later(func() error { return putKeys(a, 30, 60) })
	select {
	case err := <-done:
		f.freezeAt(-1)
		noError(t, errors.Join(err, a.Close(), b.Close()))
		return nil
	case <-f.frozen:
	}
	h := &takeOver{died: len(p.recorded())}
	die(a)
	noError(t, b.Update(func(tx *Tx) error {
		h.kept = int(tx.Bucket([]byte("b")).Len())
		return putInto(tx, h.kept, h.kept+7)
	}))
	h.acked = len(p.recorded())
	noError(t, b.Close())
	h.ops = p.recorded()
	return h
}

// images returns what a device may hold when the power goes after k operations: of the writes since the last flush none, all, all but
// one, only one, or all with a torn last one.
func (h *takeOver) images(k int) map[string][]byte {
	var sure, loose []taped
	for _, o := range h.ops[:k] {
		switch {
		case o.err != nil:
		case o.flush():
			loose, sure = h.flushed(o, sure, loose)
		case o.kind == mmapfile.OpWrite || o.kind == mmapfile.OpTruncate || o.kind == mmapfile.OpAllocate:
			loose = append(loose, o)
		}
	}
	build := func(ops ...taped) (img []byte) {
		for _, o := range append(append([]taped(nil), sure...), ops...) {
			img = o.apply(img)
		}
		return img
	}
	all := map[string][]byte{"nothing of what was not flushed": build(), "all": build(loose...)}
	for i, o := range loose {
		others := append(append([]taped(nil), loose[:i]...), loose[i+1:]...)
		all[fmt.Sprintf("without write %d", i)] = build(others...)
		all[fmt.Sprintf("only write %d", i)] = build(o)
		if len(o.data) > sector {
			torn := o
			torn.data = o.data[:sector]
			all[fmt.Sprintf("all, write %d torn", i)] = build(append(others, torn)...)
		}
	}
	return all
}

// flushed divides loose into what flush o has made durable, which goes to sure, and the rest. Of a write that lies in a flushed range in part
// all counts as durable, so that the order of writes to one place is kept.
func (h *takeOver) flushed(o taped, sure, loose []taped) (rest, durable []taped) {
	for _, w := range loose {
		if o.kind == mmapfile.OpMsync && w.kind == mmapfile.OpWrite && (w.offset >= o.offset+o.length || w.offset+w.length <= o.offset) {
			rest = append(rest, w)
		} else {
			sure = append(sure, w)
		}
	}
	return rest, sure
}

// apply returns img after operation o.
func (o taped) apply(img []byte) []byte {
	end := o.offset + int64(len(o.data))
	switch o.kind {
	case mmapfile.OpTruncate:
		end = o.length
		img = img[:min(int64(len(img)), end)]
	case mmapfile.OpAllocate:
		end = o.offset + o.length
	}
	if n := end - int64(len(img)); n > 0 {
		img = append(img, make([]byte, n)...)
	}
	copy(img[min(o.offset, int64(len(img))):], o.data)
	return img
}

// verify opens the image of a power loss after k operations.
func (h *takeOver) verify(t *testing.T, what string, img []byte, k int) {
	t.Helper()
	st, err := Open(writeFile(t, img), 0o600, &Options{Exclusive: true})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer st.Close()
	n := 0
	err = st.View(func(tx *Tx) error {
		for err := range tx.Check() {
			return err
		}
		if b := tx.Bucket([]byte("b")); b != nil {
			n = int(b.Len())
		}
		return keysAre(tx, n)
	})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if n == h.kept+7 || k < h.acked && (n == 30 || n == h.kept || n == 60 && k == h.died) {
		return
	}
	t.Fatalf("%s: %d keys; the cut commit had left %d, and the next had put 7, which was acknowledged after %d operations", what, n, h.kept, h.acked)
}
