package mmdb_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"mmdb"
)

// withoutExample are methods that need no example of their own.
var withoutExample = map[string]bool{
	"DB_GoString": true, // as String
	"Tx_LoadKey":  true, // for package page
}

func TestEveryVerbHasAnExample(t *testing.T) {
	files, err := filepath.Glob("example*_test.go")
	must(t, err)
	var source []byte
	for _, name := range files {
		text, err := os.ReadFile(name)
		must(t, err)
		source = append(source, text...)
	}
	for _, v := range []any{new(mmdb.DB), new(mmdb.Tx), new(mmdb.Bucket), new(mmdb.Cursor)} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumMethod() {
			name := typ.Elem().Name() + "_" + typ.Method(i).Name
			if !withoutExample[name] && !bytes.Contains(source, fmt.Appendf(nil, "func Example%s(", name)) {
				t.Errorf("there is no Example%s", name)
			}
		}
	}
}
