package tx

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An open that has waited for a file, in whose place another was put meanwhile (as a restore does), opens the other one: what
// is written to the first would be lost.
func TestOpenAfterTheFileWasReplaced(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		path, _ := makeFile(t, 10, nil)
		other, _ := makeFile(t, 20, nil)
		st, err := Open(path, 0o600, &Options{Exclusive: true})
		noError(t, err)
		opened := make(chan *Store)
		go func() {
			waiting, err := Open(path, 0o600, &Options{Timeout: 30 * time.Second, ReadOnly: readOnly})
			if err != nil {
				t.Error(err)
			}
			opened <- waiting
		}()
		time.Sleep(30 * time.Millisecond) // an open that begins only after this finds the other file anyway
		noError(t, os.Rename(other, path))
		noError(t, st.Close())
		waiting := <-opened
		if waiting == nil {
			return
		}
		wantKeys(t, waiting, 20)
		noError(t, waiting.Close())
		wantNames(t, filepath.Dir(path), filepath.Base(path))
	}
}
