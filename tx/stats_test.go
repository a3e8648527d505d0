package tx

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"mmdb/mmapfile"
)

// Each figure that a commit changes changes by what the commit did.
func TestStatsTellWhatCommitsDo(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	noError(t, putKeys(st, 0, 300))
	a := st.Stats()
	noError(t, putKeys(st, 0, 300))
	b := st.Stats()
	if b.Commits != a.Commits+1 || b.Updates != a.Updates+1 || b.Flushes != a.Flushes+1 || b.Writes == a.Writes || b.LargestGroup != 1 ||
		b.LazyCommits != 0 || b.PagesWritten < a.PagesWritten+3 || b.FlushTime <= a.FlushTime || b.LongestFlush > b.FlushTime {
		t.Errorf("a durable commit: before %+v, after %+v", a, b)
	}
	if b.Commit != a.Commit+1 || b.DurableCommit != b.Commit || b.LazyBytes != 0 || b.Failed {
		t.Errorf("a durable commit: before %+v, after %+v", a, b)
	}
	noError(t, st.View(func(tx *Tx) error {
		info := tx.Info()
		if s := st.Stats(); s.Commit != uint64(tx.ID()) || s.HighWater != info.HighWater || s.PageSize != info.PageSize || s.OpenReaders != 1 {
			t.Errorf("%+v, the file says %+v", s, info)
		}
		return nil
	}))
	file, err := os.Stat(st.Path())
	noError(t, err)
	if s := st.Stats(); s.FileSize != file.Size() || s.FileSize < int64(s.HighWater)*int64(s.PageSize) {
		t.Errorf("%+v, and the file has %d bytes", s, file.Size())
	}
	noError(t, st.Close())
	if s := st.Stats(); s.Commits != b.Commits || s.OpenReaders != 0 || s.OldestReader != 0 || s.FileSize != 0 {
		t.Errorf("once closed: %+v", s)
	}
}

func TestStatsTellOfLazyCommits(t *testing.T) {
	st, _ := lazyStore(t, Options{})
	a := st.Stats()
	noError(t, putKeys(st, 0, 300))
	first := st.Stats()
	if n := int64(first.PagesWritten+1) * int64(a.PageSize); first.LazyBytes != n { // and the record
		t.Errorf("%d bytes not flushed, want %d", first.LazyBytes, n)
	}
	noError(t, putKeys(st, 0, 300))
	b := st.Stats()
	if b.Commit != a.Commit+2 || b.DurableCommit != a.DurableCommit || b.LazyCommits != a.LazyCommits+2 || b.Flushes != a.Flushes ||
		b.LazyBytes != first.LazyBytes+int64(b.PageSize) { // all pages were replaced, the record came to the other
		t.Errorf("before %+v, after %+v", a, b)
	}
	noError(t, st.Sync())
	if c := st.Stats(); c.DurableCommit != c.Commit || c.LazyBytes != 0 || c.Flushes != b.Flushes+1 || c.FlushTime <= b.FlushTime {
		t.Errorf("after Sync %+v, before %+v", c, b)
	}
}

func TestStatsTellOfGrowthAndShrinkage(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	a := st.Stats()
	noError(t, putLarge(st, "a", 32<<20))
	b := st.Stats()
	if b.BytesGrown-a.BytesGrown != uint64(b.FileSize-a.FileSize) || b.BytesCut != 0 || b.BytesGrown < 32<<20 {
		t.Errorf("before %+v, after %+v", a, b)
	}
	noError(t, putLarge(st, "a", 1))
	for i := 0; i < 200 && st.Stats().BytesCut == 0; i++ {
		noError(t, putKeys(st, i, i+1))
	}
	if c := st.Stats(); c.BytesCut == 0 || int64(c.BytesGrown-a.BytesGrown)-int64(c.BytesCut) != c.FileSize-a.FileSize || c.FreePages == 0 {
		t.Errorf("before %+v, after %+v", a, c)
	}
}

func TestStatsTellOfTheOldestReader(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	noError(t, putKeys(st, 0, 300))
	old, err := st.Begin(false)
	noError(t, err)
	if s := st.Stats(); s.OpenReaders != 1 || s.OldestReader != 0 || s.OldestReaderTime != 0 {
		t.Errorf("a reader of the newest commit: %+v", s)
	}
	for range 3 {
		noError(t, putKeys(st, 0, 300))
	}
	if s := st.Stats(); s.OldestReader != 3 || s.OldestReaderTime <= 0 || s.PendingPages == 0 {
		t.Errorf("three commits later: %+v", s)
	}
	noError(t, old.Rollback())
	if s := st.Stats(); s.OpenReaders != 0 || s.OldestReader != 0 || s.OldestReaderTime != 0 {
		t.Errorf("it has ended: %+v", s)
	}
}

// The oldest reader may be one of another process; open readers are those of this one.
func TestStatsTellOfReadersElsewhere(t *testing.T) {
	if !mmapfile.ByteLocks {
		t.Skip("the system has no locks of bytes, so nobody else can have the file open")
	}
	a := openStore(t, newPath(t), quick())
	noError(t, putKeys(a, 0, 300))
	b := openStore(t, a.Path(), quick())
	old, err := b.Begin(false)
	noError(t, err)
	noError(t, putKeys(a, 0, 300))
	noError(t, putKeys(a, 0, 300))
	if s := a.Stats(); s.OpenReaders != 0 || s.OldestReader != 2 || s.OldestReaderTime <= 0 {
		t.Errorf("the writer: %+v", s)
	}
	if s := b.Stats(); s.OpenReaders != 1 || s.OldestReader != 2 || s.Commits != 0 {
		t.Errorf("the reader: %+v", s)
	}
	noError(t, old.Rollback())
}

func TestStatsTellOfAFailedFlush(t *testing.T) {
	p := new(tape)
	st := openStore(t, newPath(t), &Options{Seam: p.seam, Timeout: time.Minute})
	noError(t, putKeys(st, 0, 10))
	p.set(func(_ int, op mmapfile.Op) error {
		if op.Kind == mmapfile.OpMsync {
			return syscall.EIO
		}
		return nil
	})
	before := st.Stats()
	wantError(t, putKeys(st, 10, 20), ErrFailed)
	p.set(nil)
	if s := st.Stats(); before.Failed || !s.Failed || s.Commits != before.Commits || s.Commit != before.Commit {
		t.Errorf("before %+v, after %+v", before, s)
	}
}

func TestStatsTellOfAdoption(t *testing.T) {
	path := writeFile(t, liveImage(t, 3, 50, nil))
	st := openStore(t, path, quick())
	if s := st.Stats(); s.Adopted != 1 || s.Rejected != 0 {
		t.Errorf("after a crash: %+v", s)
	}
	noError(t, st.Close())
	if s := openStore(t, path, quick()).Stats(); s.Adopted != 0 {
		t.Errorf("after a clean close: %+v", s)
	}
}

func TestStatsAreJSON(t *testing.T) {
	want := Stats{Commit: 7, OldestReaderTime: time.Second, FileSize: 1 << 40, Failed: true}
	text, err := json.Marshal(want)
	noError(t, err)
	if s := string(text); !strings.Contains(s, `"Commit":7,`) || !strings.Contains(s, `"OldestReaderTime":1000000000,`) {
		t.Error(s)
	}
	var got Stats
	noError(t, json.Unmarshal(text, &got))
	if got != want {
		t.Errorf("%+v", got)
	}
}

// One line for a reader that holds much, another when it holds twice as much, and none for one that holds little.
func TestOldReadersThatHoldMuchAreLogged(t *testing.T) {
	log := new(logBook)
	st := openStore(t, newPath(t), &Options{Timeout: time.Minute, Logger: log.logger()})
	lines := func() int { return strings.Count(log.String(), "an old read transaction holds back") }
	noError(t, putLarge(st, "a", 20<<20))
	noError(t, putLarge(st, "b", 30<<20))
	old, err := st.Begin(false)
	noError(t, err)
	for i := range 5 {
		noError(t, putKeys(st, i, i+1))
	}
	if n := lines(); n != 0 {
		t.Fatalf("it holds little: %s", log)
	}
	noError(t, putLarge(st, "a", 1))
	for i := range 5 {
		noError(t, putKeys(st, i, i+1))
	}
	if n := lines(); n != 1 {
		t.Fatalf("20 MiB are held back, %d lines: %s", n, log)
	}
	for _, want := range []string{fmt.Sprintf("process=%d", os.Getpid()), fmt.Sprintf("commit=%d", old.ID()), "behind=", "for=", "held_bytes=2"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in %s", want, log)
		}
	}
	noError(t, putLarge(st, "b", 1))
	for i := range 5 {
		noError(t, putKeys(st, i, i+1))
	}
	if n := lines(); n != 2 {
		t.Errorf("50 MiB are held back, %d lines: %s", n, log)
	}
	noError(t, old.Rollback())
}
