package tx

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"mmdb/mmapfile"
	"mmdb/page"
)

// Recovery of hand-made files: each is what a process that died left behind, with one thing wrong.

// recovered opens img, which must hold n keys after rejecting so many commits, and checks that it can go on. No
// meta of a rejected commit may be left when Open returns.
func recovered(t *testing.T, img []byte, n, rejected int) {
	t.Helper()
	var book logBook
	o := quick()
	o.Logger = book.logger()
	path := writeFile(t, img)
	st, err := Open(path, 0o600, o)
	noError(t, err)
	wantKeys(t, st, n)
	if got := st.Stats().Rejected; got != uint64(rejected) {
		t.Errorf("%d commits rejected, should be %d", got, rejected)
	}
	if got := strings.Count(book.String(), "not whole"); got != rejected {
		t.Errorf("%d rejections logged, should be %d:\n%s", got, rejected, book.String())
	}
	var taken page.Commit
	noError(t, st.View(func(tx *Tx) error { taken = page.Commit(tx.ID()); return nil }))
	for slot, m := range slotsOf(readAll(t, path)) {
		if m.Commit == 0 || m.Commit > taken {
			t.Errorf("slot %d holds commit %d, the newest is %d", slot, m.Commit, taken)
		}
	}
	checkStore(t, st)
	noError(t, putKeys(st, n, n+30))
	wantKeys(t, st, n+30)
	checkStore(t, st)
	noError(t, st.Close())
	checkFile(t, path, n+30)
}

// readOnlyRecovered opens img for reading only: the same commit is taken, and no byte changes.
func readOnlyRecovered(t *testing.T, img []byte, n int) {
	t.Helper()
	path := writeFile(t, img)
	for _, o := range []*Options{{ReadOnly: true}, {Immutable: true}} {
		st, err := Open(path, 0o600, o)
		noError(t, err)
		wantKeys(t, st, n)
		checkStore(t, st)
		noError(t, st.Close())
		wantBytes(t, path, img)
	}
}

func TestUnsettledCommitIsTaken(t *testing.T) {
	for commits := range 6 {
		img := liveImage(t, commits, 60, nil)
		recovered(t, img, commits*60, 0)
		readOnlyRecovered(t, img, commits*60)
	}
}

func TestNewestMetaTorn(t *testing.T) {
	img := liveImage(t, 5, 60, nil)
	slot, _ := newestSlot(img)
	meta := func(b []byte) []byte { return b[page.MetaOffset(slot):][:page.MetaBlock] }
	old := img[page.MetaOffset((slot+1)%page.MetaSlots):]
	for name, tear := range map[string]func(b []byte){
		"zeros":        func(b []byte) { clear(meta(b)) },
		"first half":   func(b []byte) { clear(meta(b)[:256]) },
		"second half":  func(b []byte) { copy(meta(b)[64:512], old[64:]) },
		"one bit":      func(b []byte) { meta(b)[48] ^= 1 },
		"other bytes":  func(b []byte) { copy(meta(b), bytes.Repeat([]byte("text"), 128)) },
		"checksum":     func(b []byte) { clear(meta(b)[:8]) },
		"reserved bit": func(b []byte) { meta(b)[500] |= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(img)
			tear(b)
			recovered(t, b, 240, 0)
			readOnlyRecovered(t, b, 240)
		})
	}
}

func TestDamagedPageOfTheLastCommit(t *testing.T) {
	img := liveImage(t, 4, 60, nil)
	pages := writtenPages(t, img)
	if len(pages) < 3 {
		t.Fatal("the last commit wrote only", pages)
	}
	for i, no := range pages {
		at := int(no) * 4096
		for _, damage := range []func(b []byte){
			func(b []byte) { b[at+4095] ^= 1 },
			func(b []byte) { b[at+3+i] ^= 0x10 },
			func(b []byte) { clear(b[at : at+4096]) },
			func(b []byte) { clear(b[at : at+512]) },
			func(b []byte) { copy(b[at:at+4096], b[49152:]) }, // a whole page of another place and time
		} {
			b := bytes.Clone(img)
			damage(b)
			recovered(t, b, 180, 1)
		}
	}
	b := bytes.Clone(img)
	b[int(pages[0])*4096+100] ^= 1
	readOnlyRecovered(t, b, 180)
}

// A page that the last commit should have written holds what an earlier file had there: whole, but not its own.
func TestLastCommitLacksAWrite(t *testing.T) {
	path := memoryPath(t)
	st, err := Open(path, 0o600, nil)
	noError(t, err)
	var before, after []byte
	for range 40 { // until pages are used again
		noError(t, putKeys(st, 0, 60))
		before, after = after, readAll(t, path)
	}
	noError(t, st.Close())
	tried := 0
	for _, no := range writtenPages(t, after) {
		from, to := int(no)*4096, int(no+1)*4096
		if to > len(before) || page.Verify(before[from:to], 4096, no, slotsOf(before)[0].Salt) != nil {
			continue
		}
		b := bytes.Clone(after)
		copy(b[from:to], before[from:to])
		recovered(t, b, 60, 1)
		tried++
	}
	if tried == 0 {
		t.Fatal("no page was used again")
	}
}

// Commit numbers come again after a commit was lost. A page of the lost commit has the right number, the right place
// and a good checksum: only the digest tells that it is not of this writing.
func TestLastCommitMixedWithALostOne(t *testing.T) {
	_, img := makeFile(t, 60, nil)
	var images [2][]byte
	for i := range images {
		path := writeFile(t, img)
		st, err := Open(path, 0o600, nil)
		noError(t, err)
		noError(t, st.Update(func(tx *Tx) error {
			return tx.Bucket([]byte("b")).Put(testKey(7), []byte{byte('A' + i)})
		}))
		images[i] = readAll(t, path)
		noError(t, st.Close())
	}
	a, b := images[0], images[1]
	tried := 0
	for _, no := range writtenPages(t, a) {
		from, to := int(no)*4096, int(no+1)*4096
		if bytes.Equal(a[from:to], b[from:to]) || page.KindOf(a[from:to]) == page.KindRecord {
			continue
		}
		mixed := bytes.Clone(a)
		copy(mixed[from:to], b[from:to])
		recovered(t, mixed, 60, 1)
		tried++
	}
	if tried == 0 {
		t.Fatal("the two commits wrote no page in common")
	}
}

func TestLastCommitCutOff(t *testing.T) {
	img := liveImage(t, 3, 400, nil)
	_, m := newestSlot(img)
	slots := slotsOf(img)
	base := page.No(0)
	for _, s := range slots {
		if s.Commit == m.Commit-1 {
			base = s.HighWater
		}
	}
	if base == 0 || base >= m.HighWater {
		t.Fatal("the last commit did not grow the file")
	}
	for _, size := range []int{int(m.HighWater)*4096 - 1, int(m.HighWater-1) * 4096, int(base) * 4096} {
		recovered(t, img[:size], 800, 1)
	}
	refuse(t, writeFile(t, img[:int(base)*4096-1]), ErrCorrupt, "cut off")
}

// What the base wrote is known to be durable: if it is damaged too, nothing older is taken in silence.
func TestDamagedBaseIsAnError(t *testing.T) {
	img := liveImage(t, 4, 60, nil)
	_, m := newestSlot(img)
	for _, s := range slotsOf(img) {
		if s.Commit < m.Commit-1 {
			continue
		}
		img[int(s.Record.Page)*4096+200] ^= 1
	}
	refuse(t, writeFile(t, img), ErrCorrupt, "page")
}

func TestDamageInASettledCommitIsAnError(t *testing.T) {
	_, img := makeFile(t, 150, nil)
	_, m := newestSlot(img)
	if !m.Settled {
		t.Fatal("Close did not settle")
	}
	found := 0
	for no := page.FirstPage(4096); no < m.HighWater; no++ {
		b := bytes.Clone(img)
		b[int(no)*4096+2000] ^= 4
		path := writeFile(t, b)
		st, err := Open(path, 0o600, quick())
		noError(t, err)
		if err := st.View(func(tx *Tx) error { return keysAre(tx, 150) }); err != nil {
			wantError(t, err, ErrCorrupt, "page")
			found++
		}
		problems := 0
		noError(t, st.View(func(tx *Tx) error {
			for err := range tx.Check() {
				var c *page.CorruptError
				if !errors.As(err, &c) {
					t.Error(err)
				}
				problems++
			}
			return nil
		}))
		if problems == 0 && no >= m.Record.Page {
			t.Errorf("page %d: damaged, and Check is content", no)
		}
		if n := st.Stats().Rejected; n != 0 {
			t.Error(n, "rejected")
		}
		noError(t, st.Close())
		wantBytes(t, path, b)
	}
	if found == 0 {
		t.Error("no damage was met")
	}
}

// A commit of two phases was whole on the device before its meta was written: damage in it is damage.
func TestDamageInATwoPhaseCommitIsAnError(t *testing.T) {
	img := liveImage(t, 4, 60, &Options{TwoPhase: true})
	_, m := newestSlot(img)
	if m.Base != m.Commit {
		t.Fatalf("commit %d has base %d", m.Commit, m.Base)
	}
	recovered(t, img, 240, 0)
	pages := writtenPages(t, img)
	for _, no := range pages[:len(pages)-1] {
		b := bytes.Clone(img)
		b[int(no)*4096+4000] ^= 1
		st, err := Open(writeFile(t, b), 0o600, quick())
		noError(t, err)
		wantError(t, st.View(func(tx *Tx) error { return keysAre(tx, 240) }), ErrCorrupt, "page")
		noError(t, st.Close())
	}
	img[int(m.Record.Page)*4096+500] ^= 1
	refuse(t, writeFile(t, img), ErrCorrupt, "page")
}

func TestAdoptionWritesTheSameBytes(t *testing.T) {
	img := liveImage(t, 4, 60, nil)
	var p tape
	path := writeFile(t, img)
	st, err := Open(path, 0o600, &Options{Seam: p.seam})
	noError(t, err)
	ops := p.recorded()
	covered := map[page.No]bool{}
	flushes, metas := 0, 0
	for _, o := range ops {
		switch {
		case o.flush():
			flushes++
		case o.meta():
			metas++
		case o.kind == mmapfile.OpWrite:
			if !bytes.Equal(o.data, img[o.offset:o.offset+o.length]) {
				t.Errorf("%v: other bytes", o)
			}
			for at := o.offset; at < o.offset+o.length; at += 4096 {
				covered[page.No(at/4096)] = true
			}
		case o.kind != mmapfile.OpSyncDir:
			t.Errorf("%v", o)
		}
		if o.kind == mmapfile.OpWrite && flushes != 1 {
			t.Errorf("%v is not between the two flushes", o)
		}
	}
	if flushes != 2 || metas == 0 { // one before anything is read, one for what is adopted
		t.Errorf("%d flushes, %d metas:\n%s", flushes, metas, describeOps(ops))
	}
	for _, no := range writtenPages(t, img) {
		if !covered[no] {
			t.Errorf("page %d is not written again", no)
		}
	}
	wantBytes(t, path, img) // no slot was free, so the metas are as they were too
	wantKeys(t, st, 240)
	noError(t, st.Close())
	checkFile(t, path, 240)
}

// The rejected meta is overwritten before the flush that ends recovery.
func TestRejectedMetaIsOverwrittenInTheSameStep(t *testing.T) {
	img := liveImage(t, 4, 60, nil)
	slot, m := newestSlot(img)
	img[int(m.Record.Page)*4096+300] ^= 1
	var p tape
	path := writeFile(t, img)
	st, err := Open(path, 0o600, &Options{Seam: p.seam})
	noError(t, err)
	gone := false
	for _, o := range p.recorded()[1:] { // the first flush is before anything is read
		if o.meta() && o.offset == page.MetaOffset(slot) {
			gone = true
		}
		if o.flush() {
			break
		}
	}
	if !gone {
		t.Errorf("slot %d was not written before the flush:\n%s", slot, describeOps(p.recorded()))
	}
	noError(t, st.Close())
	checkFile(t, path, 180)
}

// Wherever adoption fails, Open fails with the cause, and the next Open finds the same commit.
func TestAdoptionFailsAtEachStep(t *testing.T) {
	img := liveImage(t, 3, 60, nil)
	_, m := newestSlot(img)
	damaged := bytes.Clone(img)
	damaged[int(m.Record.Page)*4096+300] ^= 1
	for _, c := range []struct {
		img []byte
		n   int
	}{{img, 180}, {damaged, 120}} {
		for n := 0; ; n++ {
			var hit taped
			p := tape{hook: failNth(n, syscall.EIO, &hit)}
			path := writeFile(t, c.img)
			st, err := Open(path, 0o600, &Options{Seam: p.seam, Timeout: quick().Timeout})
			p.set(nil)
			if hit.kind == 0 {
				noError(t, err)
				noError(t, st.Close())
				if n < 4 {
					t.Errorf("only %d steps", n)
				}
				break
			}
			wantError(t, err, syscall.EIO, path)
			checkFile(t, path, c.n)
		}
	}
}

func TestReadOnlyOpenWritesNothing(t *testing.T) {
	img := liveImage(t, 3, 60, nil)
	var p tape
	path := writeFile(t, img)
	st, err := Open(path, 0o600, &Options{ReadOnly: true, Seam: p.seam})
	noError(t, err)
	wantKeys(t, st, 180)
	noError(t, st.Close())
	// One flush before anything is read, one because what it serves should be durable.
	if ops := p.recorded(); len(ops) != 2 || !ops[0].flush() || !ops[1].flush() {
		t.Errorf("should be two flushes:\n%s", describeOps(ops))
	}
	p = tape{hook: failing(syscall.EIO, taped.flush)}
	_, err = Open(path, 0o600, &Options{ReadOnly: true, Seam: p.seam})
	wantError(t, err, syscall.EIO, path, "flush")
	p = tape{}
	st, err = Open(path, 0o600, &Options{Immutable: true, Seam: p.seam})
	noError(t, err)
	wantKeys(t, st, 180)
	checkStore(t, st)
	noError(t, st.Close())
	if ops := p.recorded(); len(ops) != 0 {
		t.Errorf("immutable:\n%s", describeOps(ops))
	}
	wantBytes(t, path, img)
}

func TestOpenAndCloseOfASettledFileWriteNothing(t *testing.T) {
	path, img := makeFile(t, 100, nil)
	var p tape
	st, err := Open(path, 0o600, &Options{Seam: p.seam})
	noError(t, err)
	wantKeys(t, st, 100)
	checkStore(t, st)
	noError(t, st.Close())
	if ops := p.recorded(); len(ops) != 0 {
		t.Error("\n" + describeOps(ops))
	}
	wantBytes(t, path, img)
}

// Creation that stopped anywhere leaves a file that the next Open makes a whole, empty database.
func TestCreationTorn(t *testing.T) {
	var p tape
	st, err := Open(memoryPath(t), 0o600, &Options{Seam: p.seam})
	noError(t, err)
	ops := p.recorded()
	noError(t, st.Close())
	img := []byte{}
	for _, o := range ops {
		if o.kind != mmapfile.OpWrite {
			continue
		}
		next := bytes.Clone(img)
		next = append(next, make([]byte, max(0, int(o.offset+o.length)-len(next)))...)
		for n := 0; n <= len(o.data); n += max(512, len(o.data)/16&^511) {
			torn := img
			if n > 0 {
				torn = append(bytes.Clone(img), make([]byte, max(0, int(o.offset)+n-len(img)))...)
				copy(torn[o.offset:], o.data[:n])
			}
			checkFile(t, writeFile(t, torn), 0)
			if len(torn) < len(next) { // the size reached the device, the data did not
				checkFile(t, writeFile(t, append(bytes.Clone(torn), make([]byte, len(next)-len(torn))...)), 0)
			}
		}
		copy(next[o.offset:], o.data)
		img = next
	}
	checkFile(t, writeFile(t, img), 0)
}

func TestCreationFailsAtEachStep(t *testing.T) {
	for _, cause := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		for n := 0; ; n++ {
			var hit taped
			p := tape{hook: failNth(n, cause, &hit)}
			path := memoryPath(t)
			st, err := Open(path, 0o600, &Options{Seam: p.seam, InitialSize: 1 << 20})
			p.set(nil)
			if hit.kind == 0 {
				noError(t, err)
				noError(t, st.Close())
				if n < 8 {
					t.Errorf("only %d steps", n)
				}
				break
			}
			wantError(t, err, cause, path)
			if hit.kind == mmapfile.OpCreate {
				if _, err := os.Lstat(path); err == nil {
					t.Error("a file that was not made is there")
				}
			}
			checkFile(t, path, 0)
		}
	}
}
