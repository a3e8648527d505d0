package mmapfile

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A folder that one may put files into, and not look at, can't be opened; what is put there becomes durable all the same.
func TestSyncInAFolderThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o333))
	defer func() { _ = os.Chmod(dir, 0o700) }()
	if os.Geteuid() == 0 { // who may read everything
		must(t, os.Chmod(filepath.Dir(dir), 0o755))
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		must(t, unix.Setfsuid(65534))
		defer func() { must(t, unix.Setfsuid(0)) }()
	}
	if _, err := os.ReadDir(dir); err == nil {
		t.Skip("it can be read")
	}
	path := filepath.Join(dir, "file")
	f, err := Open(path, Options{Create: true, Mode: 0o600})
	must(t, err)
	must(t, f.WriteAt([][]byte{{1}}, 0))
	must(t, f.SyncDir())
	must(t, f.Close())
	to := filepath.Join(dir, "other")
	must(t, Rename(path, to, nil))
	must(t, SyncParent(to, nil))
	must(t, Remove(to, nil))
}

// A file stays durable by name when its folder was renamed, or the process has no descriptor left for the folder.
func TestSyncInAFolderThatCannotBeOpened(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	must(t, os.Mkdir(dir, 0o700))
	f, err := Open(filepath.Join(dir, "file"), Options{Create: true, Mode: 0o600})
	must(t, err)
	defer f.Close()
	must(t, os.Rename(dir, dir+".moved"))
	must(t, f.SyncDir())
	must(t, os.Rename(dir+".moved", dir))

	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: old.Max}))
	err = f.SyncDir()
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	must(t, err)
}
