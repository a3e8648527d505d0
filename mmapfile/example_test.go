//go:build unix

package mmapfile_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"mmdb/mmapfile"
)

// printPart prints length bytes of the file at path from offset on, or what there is of them. The
// offset may be any: mmap(2) wants a multiple of the page size, MapFile sees to that.
func printPart(w io.Writer, path string, offset int64, length int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := mmapfile.MapFile(f, offset, length, mmapfile.ProtRead, mmapfile.Private)
	if err != nil {
		return err
	}
	defer r.Unmap()
	_, err = w.Write(r.Bytes())
	return err
}

// The example of the manual page of mmap(2): print a part of any file, given by offset and length
// and clipped at the file's end.
func Example() {
	dir, err := os.MkdirTemp("", "mmapfile")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "text")
	text := strings.Repeat(".", 5000) + "the middle|" + strings.Repeat(".", 5000) + "the end\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	for _, part := range []struct {
		offset int64
		length int
	}{{5000, 10}, {10011, 1000}, {1 << 20, 1}} {
		fmt.Printf("%d+%d: ", part.offset, part.length)
		if err := printPart(os.Stdout, path, part.offset, part.length); err != nil {
			fmt.Println(strings.ReplaceAll(err.Error(), path, "text"))
		}
	}
	// Output:
	// 5000+10: the middle10011+1000: the end
	// 1048576+1: map text: offset 1048576 is not before the end, 10019: invalid argument (the offset, the length or the flags are out of range)
}

// A file grows under a mapping: addresses stay, and what is written with WriteAt shows at once.
func ExampleFile_Map() {
	dir, err := os.MkdirTemp("", "mmapfile")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	f, err := mmapfile.Open(filepath.Join(dir, "data"), mmapfile.Options{Create: true, Mode: 0o600})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	m, err := f.Map(mmapfile.MapOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Unmap()
	first := m.Data()[:5]
	for _, off := range []int64{0, 10 << 20} {
		if err := f.WriteAt([][]byte{[]byte("hello")}, off); err != nil {
			fmt.Println(err)
		}
		if err := m.Grow(off + 5); err != nil {
			fmt.Println(err)
		}
		if err := m.Sync(off, 5); err != nil {
			fmt.Println(err)
		}
		fmt.Printf("%s %s\n", first, m.Data()[off:off+5])
	}
	// Output:
	// hello hello
	// hello hello
}
