package tx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A file system that is really full: what needs the space fails, the rest goes on, and with space it works again.
func TestFullDisk(t *testing.T) {
	dir := mountSmall(t, "size=2m")
	ballast := filepath.Join(dir, "ballast")
	noError(t, os.WriteFile(ballast, make([]byte, 512<<10), 0o600))
	path := filepath.Join(dir, "db")
	st, err := Open(path, 0o600, nil)
	noError(t, err)
	n, size := 0, int64(0)
	for err == nil && n < 100_000 {
		size = fileSize(t, path)
		if err = putKeys(st, n, n+100); err == nil {
			n += 100
		}
	}
	wantError(t, err, syscall.ENOSPC, path)
	if errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	wantKeys(t, st, n)
	checkStore(t, st)
	err = putLarge(st, "large", 2<<20)
	wantError(t, err, syscall.ENOSPC, path)
	if now := fileSize(t, path); now > size {
		t.Errorf("what failed left the file at %d bytes, it had %d", now, size)
	}
	err = st.View(func(tx *Tx) error { return tx.CopyFile(filepath.Join(dir, "copy"), 0o600) })
	wantError(t, err, syscall.ENOSPC, dir)
	wantNames(t, dir, "ballast", "db")
	noError(t, os.Remove(ballast))
	for i := range 5 {
		noError(t, putKeys(st, n, n+20))
		noError(t, putLarge(st, fmt.Sprint(i), 20<<10))
		n += 20
	}
	wantKeys(t, st, n)
	checkStore(t, st)
	noError(t, st.Close())
	checkFile(t, path, n)
}

func TestCreationOnAFullDisk(t *testing.T) {
	dir := mountSmall(t, "size=256k")
	ballast := filepath.Join(dir, "ballast")
	noError(t, os.WriteFile(ballast, make([]byte, 224<<10), 0o600))
	path := filepath.Join(dir, "db")
	_, err := Open(path, 0o600, nil)
	wantError(t, err, syscall.ENOSPC, path)
	noError(t, os.Remove(ballast))
	_, err = Open(path, 0o600, &Options{InitialSize: 1 << 20})
	wantError(t, err, syscall.ENOSPC, path)
	checkFile(t, path, 0)
}
