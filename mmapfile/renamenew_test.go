package mmapfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A file that has the new name stays, however the system renames; a free name is taken.
func TestRenameNewReplacesNothing(t *testing.T) {
	ways := map[string]func(from, to string) error{
		"RenameNew": func(from, to string) error { return RenameNew(from, to, nil) },
		"linkNew":   linkNew,
	}
	for name, rename := range ways {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
			for path, text := range map[string]string{from: "new", to: "old"} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := rename(from, to); !errors.Is(err, fs.ErrExist) {
				t.Fatalf("over an existing file: %v", err)
			}
			if b, _ := os.ReadFile(to); string(b) != "old" {
				t.Fatalf("the file was replaced: %q", b)
			}
			if err := os.Remove(to); err != nil {
				t.Fatal(err)
			}
			if err := rename(from, to); err != nil {
				t.Fatal(err)
			}
			if b, _ := os.ReadFile(to); string(b) != "new" {
				t.Fatalf("the file holds %q", b)
			}
			if _, err := os.Lstat(from); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("the old name is still there: %v", err)
			}
			if err := rename(from, to); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
				t.Fatalf("of a missing file: %v", err)
			}
		})
	}
}
