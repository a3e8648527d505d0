package tx

import (
	"errors"
	"os"
	"testing"
	"time"
)

// Somebody who puts a folder back as it was, file by file, overwrites the lock file of a database that is in use. What it says of turns, readers and
// commits is wrong then: nobody may write, or wait for what it will never say.
func TestLockFileOverwrittenByAnOlderCopy(t *testing.T) {
	for name, sameSession := range map[string]bool{"an earlier session's": false, "this session's": true} {
		t.Run(name, func(t *testing.T) {
			path := memoryPathOf(t)
			a, err := Open(path, 0o600, quick())
			noError(t, err)
			noError(t, putKeys(a, 0, 10))
			old := readAll(t, lockPath(a))
			if !sameSession {
				noError(t, a.Close())
				a, err = Open(path, 0o600, quick())
				noError(t, err)
			}
			noError(t, putKeys(a, 10, 20))
			b, err := Open(path, 0o600, quick())
			noError(t, err)
			noError(t, putKeys(b, 20, 30))
			noError(t, putKeys(a, 30, 40))
			putBackAt(t, lockPath(a), old)
			for _, st := range []*Store{a, b} {
				done := later(func() error { return st.View(func(tx *Tx) error { return nil }) })
				select {
				case err := <-done:
					if err != nil && !errors.Is(err, errLockOther) && !errors.Is(err, errLockCut) { // the copy may be shorter
						t.Error(err)
					}
				case <-time.After(10 * time.Second):
					t.Fatal("a View waits for what the lock file will never say")
				}
			}
			if !sameSession {
				wantError(t, putKeys(a, 40, 50), errLockOther, lockPath(a))
				wantError(t, putKeys(b, 40, 50), errLockOther, lockPath(a))
				refused(t, path)
			}
			_ = errors.Join(a.Close(), b.Close()) // which does not end where the readers are not known
			die(a)
			die(b)
			checkFile(t, path, 40)
		})
	}
}

// putBackAt puts b in place of the contents of the file at path, as cp does.
func putBackAt(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	noError(t, err)
	_, err = f.Write(b)
	noError(t, errors.Join(err, f.Close()))
}
