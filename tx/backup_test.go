package tx

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"mmdb/mmapfile"
	"mmdb/page"
)

// both runs f for a copy of pages, and for one that is written anew.
func both(t *testing.T, f func(t *testing.T, o BackupOptions)) {
	for _, compact := range []bool{false, true} {
		t.Run(fmt.Sprintf("compact=%v", compact), func(t *testing.T) { f(t, BackupOptions{Compact: compact}) })
	}
}

// A backup taken while a writer commits is one commit, whole.
func TestBackupUnderAWriterIsOneCommit(t *testing.T) {
	both(t, func(t *testing.T, o BackupOptions) {
		st := openStore(t, newPath(t), quick())
		noError(t, putKeys(st, 0, 300))
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := uint64(1); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := st.Update(func(tx *Tx) error { return stampAll(tx, i) }); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for i := range 5 {
			to := filepath.Join(t.TempDir(), "copy")
			_, err := st.Backup(to, o)
			noError(t, err)
			copied := openStore(t, to, quick())
			wantKeys(t, copied, 300)
			noError(t, copied.View(func(tx *Tx) error { return oneStamp(tx) }))
			noError(t, copied.Close())
			if i == 4 {
				close(stop)
			}
		}
		wg.Wait()
	})
}

// stampAll stores the same number in 50 keys and in the sequence of a nested bucket.
func stampAll(tx *Tx, n uint64) error {
	b, err := tx.CreateBucketIfNotExists([]byte("stamps"))
	if err != nil {
		return err
	}
	sub, err := b.CreateBucketIfNotExists([]byte("sub"))
	if err != nil {
		return err
	}
	for i := range 50 {
		if err := b.Put(testKey(i), fmt.Appendf(nil, "%d", n)); err != nil {
			return err
		}
	}
	return sub.SetSequence(n)
}

func oneStamp(tx *Tx) error {
	b := tx.Bucket([]byte("stamps"))
	if b == nil {
		return nil // before the first
	}
	want := fmt.Sprint(b.Bucket([]byte("sub")).Sequence())
	for i := range 50 {
		if got := string(b.Get(testKey(i))); got != want {
			return fmt.Errorf("key %d is of %s, the sequence of %s", i, got, want)
		}
	}
	return nil
}

// What a backup holds is what the database holds: nested buckets, sequences, large keys and values.
func TestBackupHoldsEverything(t *testing.T) {
	both(t, func(t *testing.T, o BackupOptions) {
		st := openStore(t, newPath(t), &Options{PageSize: 8192})
		noError(t, st.Update(func(tx *Tx) error {
			for i := range 40 {
				b, err := tx.CreateBucket(fmt.Appendf(nil, "bucket %d", i))
				noError(t, err)
				noError(t, b.SetSequence(uint64(i)))
				sub, err := b.CreateBucket([]byte("sub"))
				noError(t, err)
				noError(t, sub.SetSequence(1<<60))
				for k := range i * 5 {
					noError(t, sub.Put(fmt.Appendf(nil, "k%s%d", strings.Repeat("k", k*7), k), bytes.Repeat([]byte{byte(k)}, k*k)))
				}
				noError(t, b.Put(bytes.Repeat([]byte{byte(i)}, 1+i*700), nil))
			}
			return tx.root.SetSequence(7)
		}))
		noError(t, st.Update(func(tx *Tx) error { return tx.DeleteBucket([]byte("bucket 7")) }))
		to := filepath.Join(t.TempDir(), "copy")
		var phases []string
		o.Progress = func(phase string, done, total uint64) error {
			if done > total || total == 0 {
				t.Errorf("%s: %d of %d", phase, done, total)
			}
			phases = append(phases, phase)
			return nil
		}
		r, err := st.Backup(to, o)
		noError(t, err)
		info, err := os.Stat(to)
		noError(t, err)
		if info.Size() != r.Bytes || info.Mode().Perm() != 0o600 || r.Commit == 0 {
			t.Errorf("%+v, the file has %d bytes and mode %v", r, info.Size(), info.Mode())
		}
		if len(phases) == 0 && !o.Compact {
			t.Error("no progress")
		}
		copied := openStore(t, to, quick())
		if copied.pageSize != 8192 {
			t.Errorf("pages of %d bytes", copied.pageSize)
		}
		if got, want := everything(t, copied), everything(t, st); got != want {
			t.Error("the backup holds something else")
		}
	})
}

// everything returns what is in a database as text.
func everything(t *testing.T, st *Store) string {
	var out strings.Builder
	var walk func(b *Bucket)
	walk = func(b *Bucket) {
		fmt.Fprintf(&out, "{%d %d\n", b.Sequence(), b.Len())
		for k, v := range b.All() {
			fmt.Fprintf(&out, "%q %q\n", k, v)
			if v == nil {
				walk(b.Bucket(k))
			}
		}
		out.WriteString("}\n")
	}
	noError(t, st.View(func(tx *Tx) error { walk(&tx.root); return nil }))
	return out.String()
}

// A compact backup leaves out what was freed, and fills its pages.
func TestCompactBackupIsDense(t *testing.T) {
	st := openStore(t, newPath(t), quick())
	for i := range 20 { // in an order that leaves half-full pages
		noError(t, st.Update(func(tx *Tx) error {
			for k := range 250 {
				if err := putInto(tx, (k*20+i*7)%5000, (k*20+i*7)%5000+1); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	to := filepath.Join(t.TempDir(), "copy")
	r, err := st.Backup(to, BackupOptions{Compact: true})
	noError(t, err)
	copied := openStore(t, to, quick())
	noError(t, copied.View(func(tx *Tx) error {
		s := tx.Bucket([]byte("b")).Stats()
		if fill := float64(s.LeafUsed) / float64(s.LeafAlloc); fill < 0.9 {
			t.Errorf("leaves are %.2f full", fill)
		}
		return nil
	}))
	if was, err := st.file.Size(); err != nil || r.Bytes >= was*9/10 {
		t.Errorf("%d bytes of %d, %v", r.Bytes, was, err)
	}
}

// A page that changed on the device after it was verified is found in the copy.
func TestBackupVerifiesWhatItWrites(t *testing.T) {
	both(t, func(t *testing.T, o BackupOptions) {
		backupOfChangedPage(t, o, false)
		backupOfChangedPage(t, o, true)
	})
}

// backupOfChangedPage changes a page, or one of a large value, after it was verified.
func backupOfChangedPage(t *testing.T, o BackupOptions, large bool) {
	st := openStore(t, newPath(t), quick())
	noError(t, putKeys(st, 0, 300))
	noError(t, putLarge(st, "large", 3<<20))
	var no uint64
	noError(t, st.View(func(tx *Tx) error { // every page is verified now
		for range tx.Check() {
			t.Error("the database is not sound")
		}
		noError(t, keysAre(tx, 300))
		_ = tx.Bucket([]byte("z")).Get([]byte("large"))
		for p, err := range tx.Pages() {
			noError(t, err)
			if large && p.Kind == "overflow" || !large && p.Kind == "leaf" && p.Keys > 3 {
				no = p.Number + uint64(p.Run) - 1
			}
		}
		return nil
	}))
	f, err := os.OpenFile(st.path, os.O_RDWR, 0)
	noError(t, err)
	defer f.Close()
	was := make([]byte, 1)
	_, err = f.ReadAt(was, int64(no)*4096+3000)
	noError(t, err)
	_, err = f.WriteAt([]byte{was[0] ^ 1}, int64(no)*4096+3000)
	noError(t, err)
	dir := t.TempDir()
	_, err = st.Backup(filepath.Join(dir, "copy"), o)
	wantError(t, err, page.ErrCorrupt, "checksum")
	wantNames(t, dir)
	_, err = f.WriteAt(was, int64(no)*4096+3000)
	noError(t, err)
}

// A failed step leaves everything as it was: but if that is the last, which makes a name durable that another file had.
func TestBackupFailsAtEachStep(t *testing.T) {
	for _, replace := range []bool{false, true} {
		both(t, func(t *testing.T, o BackupOptions) {
			o.Replace = replace
			backupFailsAtEachStep(t, o)
		})
	}
}

func backupFailsAtEachStep(t *testing.T, o BackupOptions) {
	_, img := makeFile(t, 200, nil)
	old := []byte("an older file of that name")
	for n := 0; ; n++ {
		st, p := failStore(t, img, workload{})
		dir := t.TempDir()
		to := filepath.Join(dir, "copy")
		if o.Replace {
			noError(t, os.WriteFile(to, old, 0o600))
		}
		var hit taped
		p.set(failNth(n, syscall.ENOSPC, &hit))
		_, err := st.Backup(to, o)
		p.set(nil)
		noError(t, st.Close())
		wantBytes(t, st.Path(), img)
		switch {
		case err == nil: // also if a step fails that may
			checkFile(t, to, 200)
		case !o.Replace:
			wantNames(t, dir)
		case hit.kind == mmapfile.OpSyncDir && !isContent(to, old):
			checkFile(t, to, 200)
		default:
			wantNames(t, dir, "copy")
			wantBytes(t, to, old)
		}
		if err != nil {
			wantError(t, err, syscall.ENOSPC)
		}
		if hit.kind == 0 {
			noError(t, err)
			break
		}
	}
}

// isContent reports whether the file at path holds b.
func isContent(path string, b []byte) bool {
	got, err := os.ReadFile(path)
	return err == nil && bytes.Equal(got, b)
}

// A panic in Progress, or the end of its goroutine, leaves nothing behind.
func TestBackupWhoseProgressPanics(t *testing.T) {
	both(t, func(t *testing.T, o BackupOptions) {
		st := openStore(t, newPath(t), quick())
		noError(t, putLarge(st, "large", 3<<20))
		for _, end := range []func(){func() { panic("stop") }, runtime.Goexit} {
			o.Progress = func(string, uint64, uint64) error { end(); return nil }
			dir := t.TempDir()
			var wg sync.WaitGroup
			wg.Go(func() {
				defer func() { _ = recover() }()
				_, err := st.Backup(filepath.Join(dir, "copy"), o)
				t.Error("Backup returned", err)
			})
			wg.Wait()
			wantNames(t, dir)
		}
	})
}

// The name of a backup may be as long as a name can be.
func TestBackupToALongName(t *testing.T) {
	both(t, func(t *testing.T, o BackupOptions) {
		path, _ := makeFile(t, 200, nil)
		to := filepath.Join(t.TempDir(), strings.Repeat("n", 250))
		_, err := openStore(t, path, nil).Backup(to, o)
		noError(t, err)
		checkFile(t, to, 200)
	})
}

func TestBackupReplacesNothingUnasked(t *testing.T) {
	both(t, func(t *testing.T, o BackupOptions) {
		path, img := makeFile(t, 200, nil)
		st := openStore(t, path, quick())
		dir := t.TempDir()
		to := filepath.Join(dir, "copy")
		noError(t, os.WriteFile(to, []byte("old"), 0o600))
		_, err := st.Backup(to, o)
		wantError(t, err, fs.ErrExist, to)
		wantBytes(t, to, []byte("old"))
		noError(t, os.Remove(to))
		o.Progress = func(string, uint64, uint64) error { return os.WriteFile(to, []byte("came meanwhile"), 0o600) }
		if _, err = st.Backup(to, o); !o.Compact { // a compact one of this size calls no progress
			wantError(t, err, fs.ErrExist, to)
			wantBytes(t, to, []byte("came meanwhile"))
		}
		wantNames(t, dir, "copy")
		for _, name := range []string{path, filepath.Dir(path) + "/./test.mmdb"} {
			o.Replace = true
			_, err = st.Backup(name, o)
			wantError(t, err, ErrSameFile, name)
		}
		wantBytes(t, path, img)
	})
}

// An error of Progress ends a backup, and no file stays.
func TestBackupCanBeStopped(t *testing.T) {
	both(t, func(t *testing.T, o BackupOptions) {
		st := openStore(t, newPath(t), quick())
		noError(t, putLarge(st, "large", 3<<20))
		stop := errors.New("stop")
		o.Progress = func(string, uint64, uint64) error { return stop }
		dir := t.TempDir()
		_, err := st.Backup(filepath.Join(dir, "copy"), o)
		wantError(t, err, stop)
		wantNames(t, dir)
	})
}

// Lazy commits, which are not on the device yet, are in a backup, which is.
func TestBackupOfLazyCommits(t *testing.T) {
	both(t, func(t *testing.T, o BackupOptions) {
		st := openStore(t, newPath(t), &Options{Durability: Lazy, SyncInterval: -1})
		for i := range 50 {
			noError(t, putKeys(st, i*6, i*6+6))
		}
		to := filepath.Join(t.TempDir(), "copy")
		_, err := st.Backup(to, o)
		noError(t, err)
		checkFile(t, to, 300)
	})
}
