package tx

import (
	"testing"
)

func TestTwoOpensShare(t *testing.T) {
	path := newPath(t)
	a, err := Open(path, 0o600, nil)
	noError(t, err)
	b, err := Open(path, 0o600, nil)
	noError(t, err)
	for i := range 20 {
		noError(t, putKeys(a, i*10, i*10+5))
		wantKeys(t, a, i*10+5)
		wantKeys(t, b, i*10+5)
		noError(t, putKeys(b, i*10+5, i*10+10))
		wantKeys(t, b, i*10+10)
		wantKeys(t, a, i*10+10)
	}
	checkStore(t, a)
	checkStore(t, b)
	noError(t, a.Close())
	noError(t, putKeys(b, 200, 230))
	noError(t, b.Close())
	checkFile(t, path, 230)
}
