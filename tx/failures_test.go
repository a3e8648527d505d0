package tx

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mmdb/mmapfile"
	"mmdb/page"
)

// Operations that fail: what a failure spoils, and what it does not (design, I7).

// A workload is one transaction that takes a database of 200 keys to 260, and the options it needs.
type workload struct {
	name string
	o    Options
	do   func(st *Store) error
}

func workloads() []workload {
	more := func(st *Store) error { return putKeys(st, 200, 260) }
	large := func(n int) func(st *Store) error {
		return func(st *Store) error {
			return st.Update(func(tx *Tx) error {
				if err := largeInto(tx, "large", n); err != nil {
					return err
				}
				return putInto(tx, 200, 260)
			})
		}
	}
	return []workload{
		{"small", Options{}, more},
		{"two phases", Options{TwoPhase: true}, more},
		{"large", Options{}, large(2 << 20)},
		{"written through", Options{MaxDirty: 256 << 10}, large(1 << 20)},
		{"spilled", Options{MaxDirty: 32 << 10}, func(st *Store) error {
			return st.Update(func(tx *Tx) error {
				for i := range 800 {
					if err := largeInto(tx, fmt.Sprintf("%06d", i), i%200); err != nil {
						return err
					}
				}
				return putInto(tx, 200, 260)
			})
		}},
	}
}

// failStore opens a fresh copy of img with the options of w and a tape without a hook.
func failStore(t *testing.T, img []byte, w workload) (*Store, *tape) {
	t.Helper()
	p := new(tape)
	o := w.o
	o.Seam, o.Timeout = p.seam, quick().Timeout
	st, err := Open(writeFile(t, img), 0o600, &o)
	noError(t, err)
	return st, p
}

// Each operation of a commit fails, one run each. Before the meta is written only the transaction fails; from then on
// the database refuses to write.
func TestEachOperationOfACommitFails(t *testing.T) {
	_, img := makeFile(t, 200, nil)
	for _, w := range workloads() {
		t.Run(w.name, func(t *testing.T) {
			kinds := map[string]bool{}
			for n := 0; ; n++ {
				st, p := failStore(t, img, w)
				var hit taped
				p.set(failNth(n, syscall.EIO, &hit))
				err := w.do(st)
				p.set(nil)
				if hit.kind == 0 {
					noError(t, err)
					finishFailed(t, st, w, 260)
					break
				}
				fatal := hit.meta() || hit.flush()
				if err == nil && !fatal { // a commit may do with less than it would like
					finishFailed(t, st, w, 260)
					continue
				}
				wantError(t, err, syscall.EIO, st.Path())
				if fatal != errors.Is(err, ErrFailed) {
					t.Errorf("operation %d, %v: %v", n, hit, err)
				}
				kinds[hit.kind.String()] = true
				wantKeys(t, st, 200)
				checkStore(t, st)
				if !fatal {
					noError(t, w.do(st))
					finishFailed(t, st, w, 260)
					continue
				}
				wantError(t, w.do(st), ErrFailed)
				finishFailed(t, st, w, 200)
			}
			if !kinds["write"] || !kinds["msync"] {
				t.Error("only", kinds)
			}
		})
	}
}

// finishFailed checks st, closes it, and opens it again: it holds n keys.
func finishFailed(t *testing.T, st *Store, w workload, n int) {
	t.Helper()
	wantKeys(t, st, n)
	checkStore(t, st)
	noError(t, st.Close())
	checkFile(t, st.Path(), n)
}

// From some operation on the disk is full: nothing that makes the file larger succeeds. That is never fatal: space is
// secured before the meta is written.
func TestFullDiskAtEachStep(t *testing.T) {
	_, img := makeFile(t, 200, nil)
	for _, w := range workloads() {
		t.Run(w.name, func(t *testing.T) {
			for n := 0; ; n++ {
				st, p := failStore(t, img, w)
				full := 0
				p.set(func(i int, op mmapfile.Op) error {
					if i < n || !grows(t, op) {
						return nil
					}
					full++
					return syscall.ENOSPC
				})
				err := w.do(st)
				if full == 0 {
					noError(t, err)
					finishFailed(t, st, w, 260)
					break
				}
				if err != nil { // a commit may do with less than it would like
					wantError(t, err, syscall.ENOSPC, st.Path())
					wantKeys(t, st, 200)
				}
				if errors.Is(err, ErrFailed) {
					t.Fatal(err)
				}
				checkStore(t, st)
				p.set(nil) // there is space again
				noError(t, w.do(st))
				finishFailed(t, st, w, 260)
			}
		})
	}
}

// grows reports whether op needs space that the file does not have yet.
func grows(t *testing.T, op mmapfile.Op) bool {
	switch op.Kind {
	case mmapfile.OpAllocate:
		return true
	case mmapfile.OpWrite:
		return op.Offset+op.Length > fileSize(t, op.Path)
	case mmapfile.OpTruncate:
		return op.Length > fileSize(t, op.Path)
	}
	return false
}

// A disk takes a part of what the file grows by before it is full: that part is given back.
func TestPartOfAGrowthIsGivenBack(t *testing.T) {
	path, _ := makeFile(t, 200, nil)
	full := false
	st, err := Open(path, 0o600, &Options{Seam: func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		if !full || !grows(t, op) {
			return do(op)
		}
		if room := fileSize(t, op.Path) + 4096 - op.Offset; op.Kind == mmapfile.OpWrite && room > 0 {
			op.Data, op.Length = [][]byte{op.Data[0][:min(room, int64(len(op.Data[0])))]}, room
			if _, err := do(op); err != nil {
				return 0, err
			}
		}
		return 0, syscall.ENOSPC
	}})
	noError(t, err)
	size := fileSize(t, path)
	full = true
	wantError(t, putKeys(st, 200, 600), syscall.ENOSPC, path)
	full = false
	if now := fileSize(t, path); now != size {
		t.Errorf("%d bytes, there were %d", now, size)
	}
	noError(t, putKeys(st, 200, 600))
	finishFailed(t, st, workload{}, 600)
}

// All operations fail from the n-th on: also what a failed transaction does to clean up.
func TestEverythingFailsFromSomeOperationOn(t *testing.T) {
	_, img := makeFile(t, 200, nil)
	for _, w := range workloads() {
		t.Run(w.name, func(t *testing.T) {
			for n := 0; ; n++ {
				st, p := failStore(t, img, w)
				failed := 0
				p.set(func(i int, _ mmapfile.Op) error {
					if i < n {
						return nil
					}
					failed++
					return syscall.EIO
				})
				err := w.do(st)
				if err == nil { // what failed, if anything, was no part of the commit
					p.set(nil)
					finishFailed(t, st, w, 260)
					break
				}
				wantError(t, err, syscall.EIO, st.Path())
				wantKeys(t, st, 200)
				p.set(nil)
				checkStore(t, st)
				fatal := errors.Is(err, ErrFailed)
				err = w.do(st)
				if fatal {
					wantError(t, err, ErrFailed)
				} else {
					noError(t, err)
				}
				checkStore(t, st)
				noError(t, st.Close())
				reopenedAs(t, st.Path(), 200, 260)
			}
		})
	}
}

// reopenedAs checks that the file holds one of two states, whole.
func reopenedAs(t *testing.T, path string, either, or int) {
	t.Helper()
	st, err := Open(path, 0o600, quick())
	noError(t, err)
	defer func() { noError(t, st.Close()) }()
	checkStore(t, st)
	noError(t, st.View(func(tx *Tx) error {
		err := keysAre(tx, either)
		if err != nil && tx.Err() == nil {
			err = keysAre(tx, or)
		}
		return err
	}))
}

func TestFailedFlushStopsWriting(t *testing.T) {
	var p tape
	var book logBook
	path := memoryPath(t)
	st, err := Open(path, 0o600, &Options{Seam: p.seam, Logger: book.logger()})
	noError(t, err)
	for i := range 4 {
		noError(t, putKeys(st, i*50, i*50+50))
	}
	reader, err := st.Begin(false)
	noError(t, err)
	before := readAll(t, path)[:page.MetaSlots*page.MetaStride]

	p.set(failing(syscall.EIO, func(o taped) bool { return o.kind == mmapfile.OpMsync }))
	wantError(t, putKeys(st, 200, 250), ErrFailed, "flush", path, syscall.EIO.Error())
	p.set(nil)
	if after := readAll(t, path)[:len(before)]; !bytes.Equal(after, before) {
		t.Error("the slot was not put back")
	}
	if !strings.Contains(book.String(), "refused until the database is reopened") {
		t.Error("log:", book.String())
	}
	for range 2 { // every later write is refused, with the cause
		wantError(t, putKeys(st, 0, 1), ErrFailed, syscall.EIO.Error())
		_, err = st.Begin(true)
		wantError(t, err, syscall.EIO)
		wantError(t, st.Sync(), ErrFailed)
	}
	noError(t, keysAre(reader, 200)) // readers go on, old and new
	wantKeys(t, st, 200)
	verifiesAgain(t, st)
	noError(t, reader.Rollback())
	checkStore(t, st)
	noError(t, st.Close())
	for _, o := range p.recorded() {
		t.Errorf("after the failure: %v", o)
	}
	checkFile(t, path, 200)
}

// verifiesAgain checks that a page that was read before is verified when it is read once more.
func verifiesAgain(t *testing.T, st *Store) {
	t.Helper()
	var leaf uint64
	noError(t, st.View(func(tx *Tx) error {
		var p path
		_, err := tx.Bucket([]byte("b")).seek(&p, testKey(0))
		leaf = uint64(p.leaf().ref.Page())
		return err
	}))
	f, err := os.OpenFile(st.Path(), os.O_RDWR, 0)
	noError(t, err)
	defer f.Close()
	at := int64(leaf)*int64(st.pageSize) + 60
	old := make([]byte, 1)
	_, err = f.ReadAt(old, at)
	noError(t, err)
	_, err = f.WriteAt([]byte{old[0] ^ 0xff}, at)
	noError(t, err)
	wantError(t, st.View(func(tx *Tx) error { return keysAre(tx, 200) }), ErrCorrupt, fmt.Sprint("page ", leaf))
	_, err = f.WriteAt(old, at)
	noError(t, err)
	wantKeys(t, st, 200)
}

// The meta goes out in part, and the disk takes no more: neither its rest nor the one that stood there.
func TestFailedMetaWrite(t *testing.T) {
	for _, part := range []int{0, 8, 256, 512} {
		var p tape
		path := memoryPath(t)
		active := false
		st, err := Open(path, 0o600, &Options{Seam: func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
			o := taped{kind: op.Kind, offset: op.Offset, length: op.Length}
			if !active || !o.meta() {
				return p.seam(op, do)
			}
			if part > 0 {
				op.Data, op.Length = [][]byte{op.Data[0][:part]}, int64(part)
				if n, err := do(op); err != nil {
					return n, err
				}
			}
			return 0, syscall.EIO
		}})
		noError(t, err)
		for i := range 4 {
			noError(t, putKeys(st, i*50, i*50+50))
		}
		active = true
		wantError(t, putKeys(st, 200, 250), ErrFailed, "write meta", path, syscall.EIO.Error())
		wantKeys(t, st, 200)
		wantError(t, putKeys(st, 0, 1), ErrFailed)
		checkStore(t, st)
		noError(t, st.Close())
		checkFile(t, path, 200)
	}
}

func TestFailedSync(t *testing.T) {
	var p tape
	path := memoryPath(t)
	st, err := Open(path, 0o600, &Options{Seam: p.seam})
	noError(t, err)
	noError(t, putKeys(st, 0, 50))
	p.set(nil)
	noError(t, st.Sync())
	if ops := p.recorded(); len(ops) != 1 || ops[0].kind != mmapfile.OpSync {
		t.Errorf("Sync does\n%s", describeOps(ops))
	}
	p.set(failing(syscall.EIO, taped.flush))
	wantError(t, st.Sync(), ErrFailed, path, syscall.EIO.Error())
	p.set(nil)
	wantError(t, putKeys(st, 50, 60), ErrFailed)
	wantKeys(t, st, 50)
	checkStore(t, st)
	noError(t, st.Close())
	checkFile(t, path, 50)
}

func TestCloseFailsAtEachStep(t *testing.T) {
	img := liveImage(t, 3, 60, nil)
	for n := 0; ; n++ {
		st, p := failStore(t, img, workload{})
		noError(t, putKeys(st, 180, 200))
		var hit taped
		p.set(failNth(n, syscall.EIO, &hit))
		err := st.Close()
		if hit.kind == 0 {
			noError(t, err)
			checkFile(t, st.Path(), 200)
			if n < 2 {
				t.Error("only", n, "steps")
			}
			break
		}
		wantError(t, err, syscall.EIO, st.Path(), "close")
		noError(t, st.Close())
		checkFile(t, st.Path(), 200) // and nobody holds a lock
	}
}

func TestCopyFailsAtEachStep(t *testing.T) {
	_, img := makeFile(t, 200, nil)
	old := []byte("an older file of that name")
	for n := 0; ; n++ {
		st, p := failStore(t, img, workload{})
		dir := t.TempDir()
		to := filepath.Join(dir, "copy")
		noError(t, os.WriteFile(to, old, 0o600))
		var hit taped
		p.set(failNth(n, syscall.ENOSPC, &hit))
		err := st.View(func(tx *Tx) error { return tx.CopyFile(to, 0o600) })
		wantNames(t, dir, "copy")
		noError(t, st.Close())
		wantBytes(t, st.Path(), img)
		if hit.kind == 0 {
			noError(t, err)
			checkFile(t, to, 200)
			break
		}
		wantError(t, err, syscall.ENOSPC)
		if hit.kind != mmapfile.OpSyncDir {
			wantBytes(t, to, old)
		}
	}
}

// Writes that the system cuts short or interrupts are continued.
func TestShortAndInterruptedWrites(t *testing.T) {
	path := memoryPath(t)
	calls := 0
	o := &Options{Seam: func(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
		if op.Kind != mmapfile.OpWrite {
			return do(op)
		}
		switch calls++; calls % 4 {
		case 0:
			return 0, syscall.EINTR
		case 1, 2:
			n := min(len(op.Data[0]), 1+calls*37%5000)
			op.Data, op.Length = [][]byte{op.Data[0][:n]}, int64(n)
		}
		return do(op)
	}}
	st, err := Open(path, 0o600, o)
	noError(t, err)
	for i := range 4 {
		noError(t, putKeys(st, i*50, i*50+50))
	}
	noError(t, putLarge(st, "large", 200<<10))
	wantKeys(t, st, 200)
	checkStore(t, st)
	noError(t, st.Close())
	checkFile(t, path, 200)
}

// While the flush fails, readers come and go.
func TestFailureUnderReaders(t *testing.T) {
	var p tape
	path := memoryPath(t)
	st, err := Open(path, 0o600, &Options{Seam: p.seam})
	noError(t, err)
	noError(t, putKeys(st, 0, 100))
	stop, done := make(chan bool), make(chan error)
	go func() {
		var err error
		for err == nil {
			select {
			case <-stop:
				done <- nil
				return
			default:
				err = st.View(func(tx *Tx) error { return keysAre(tx, 100) })
			}
		}
		done <- err
	}()
	p.set(failing(syscall.EIO, taped.flush))
	for range 20 {
		wantError(t, putKeys(st, 100, 150), ErrFailed)
	}
	close(stop)
	noError(t, <-done)
	p.set(nil)
	checkStore(t, st)
	noError(t, st.Close())
	checkFile(t, path, 100)
}

func TestMaxSize(t *testing.T) {
	for _, limit := range []int64{104_000, 516<<10 + 1} {
		path := memoryPath(t)
		st, err := Open(path, 0o600, &Options{MaxSize: limit})
		noError(t, err)
		n := 0
		for err == nil {
			if err = putKeys(st, n, n+40); err == nil {
				n += 40
			}
			if size := fileSize(t, path); size > limit {
				t.Fatalf("%d bytes, should be at most %d", size, limit)
			}
			if n > 20000 {
				t.Fatal("no limit")
			}
		}
		wantError(t, err, ErrMaxSizeReached)
		if errors.Is(err, ErrFailed) {
			t.Error(err)
		}
		wantKeys(t, st, n)
		checkStore(t, st)
		wantError(t, putLarge(st, "large", int(limit)), ErrMaxSizeReached)
		half := n / 2
		noError(t, st.Update(func(tx *Tx) error { // room is made, and used again
			_, err := tx.Bucket([]byte("b")).DeleteRange(testKey(half), nil)
			return err
		}))
		noError(t, putKeys(st, half, half+half/4))
		wantKeys(t, st, half+half/4)
		checkStore(t, st)
		noError(t, st.Close())
		if size := fileSize(t, path); size > limit {
			t.Errorf("%d bytes after Close", size)
		}
		checkFile(t, path, half+half/4)
	}
}

// A full database makes the newest meta take all slots, to free what the older ones pin. When that fails it is as with
// any meta.
func TestFreeingOldCommitsFails(t *testing.T) {
	const limit = 512 << 10
	for _, which := range []func(taped) bool{taped.meta, taped.flush} {
		var p tape
		path := memoryPath(t)
		st, err := Open(path, 0o600, &Options{Seam: p.seam, MaxSize: limit})
		noError(t, err)
		n := 0
		for ; err == nil; n += 40 {
			err = putKeys(st, n, n+40)
		}
		n -= 40
		wantError(t, err, ErrMaxSizeReached)
		noError(t, st.Update(func(tx *Tx) error {
			_, err := tx.Bucket([]byte("b")).DeleteRange(testKey(20), nil)
			return err
		}))
		p.set(failing(syscall.EIO, which))
		wantError(t, putKeys(st, 20, n/2), ErrFailed, syscall.EIO.Error())
		p.set(nil)
		wantError(t, putKeys(st, 20, 21), ErrFailed)
		wantKeys(t, st, 20)
		checkStore(t, st)
		noError(t, st.Close())
		checkFile(t, path, 20)
	}
}

// commitOps returns the order of what a commit of one key does: w pages and records, m a meta, f a flush.
func commitOps(t *testing.T, o Options) (order string) {
	t.Helper()
	var p tape
	o.Seam, o.InitialSize = p.seam, 1<<20
	st, err := Open(memoryPath(t), 0o600, &o)
	noError(t, err)
	noError(t, putKeys(st, 0, 50))
	p.set(nil)
	noError(t, putKeys(st, 0, 1))
	for _, op := range p.recorded() {
		c := "?"
		switch {
		case op.meta():
			c = "m"
		case op.flush():
			c = "f"
		case op.kind == mmapfile.OpWrite:
			c = "w"
		}
		if c != "w" || !strings.HasSuffix(order, "w") {
			order += c
		}
	}
	checkStore(t, st)
	noError(t, st.Close())
	return order
}

func TestTwoPhaseFlushesBeforeTheMeta(t *testing.T) {
	if got := commitOps(t, Options{}); got != "wmf" {
		t.Error("one flush:", got)
	}
	if got := commitOps(t, Options{TwoPhase: true}); got != "wfmf" {
		t.Error("two flushes:", got)
	}
}
