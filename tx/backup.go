package tx

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"mmdb/mmapfile"
)

// BackupOptions says how Backup goes about it. The zero value makes a new file of mode 0600.
type BackupOptions struct {
	// Mode is the mode of the file, before the umask; zero is 0600.
	Mode os.FileMode
	// Replace lets the backup take the place of a file that has the name, in one step, at the end. Without it such a file is
	// an error (fs.ErrExist), also one that came there meanwhile.
	Replace bool
	// Compact writes the keys and values anew, in order, into full pages, in place of copying pages: the file is as small as
	// it gets, and its commit numbers start anew.
	Compact bool
	// Progress, if set, is called from time to time with what is being done, and how many bytes of how many are done; with
	// Compact the total is an estimate. Its error ends Backup, which returns it.
	Progress func(phase string, done, total uint64) error
}

// BackupReport is what Backup did.
type BackupReport struct {
	Commit uint64 // that the backup holds
	Bytes  int64  // size of the file
}

// Backup writes the newest commit to a file at path: a whole database, while transactions go on. Every page is verified in the
// bytes that are written; one that fails ends it with ErrCorrupt. Pages that hold no live data are written as zeros. The file is
// complete and durable before it takes the name, so there never is half a backup; after an error there is none, and what had the name
// is as it was: but if the very last step fails after Replace, the flush of the folder, the backup stands there, and a power failure
// may bring the other file back. A symbolic link at path is followed; what is no regular file is not replaced (mmapfile.ErrNotRegular).
//
// It is one read transaction, however long it takes, and keeps from being used again what that sees. Errors: ErrSameFile,
// fs.ErrExist, ErrCorrupt, that of Progress, and the system's.
func (st *Store) Backup(path string, o BackupOptions) (r BackupReport, err error) {
	if o.Mode == 0 {
		o.Mode = 0o600
	}
	err = st.View(func(t *Tx) error {
		r.Commit = uint64(t.snap.meta.Commit)
		r.Bytes, err = t.backup(path, &o)
		return err
	})
	if err != nil {
		return BackupReport{}, err
	}
	return r, nil
}

// backup writes t's snapshot to the file at path, which appears when it is whole, and returns its size.
func (t *Tx) backup(path string, o *BackupOptions) (n int64, err error) {
	if path, err = t.backupTarget(path, o.Replace); err != nil {
		return 0, err
	}
	temp, rename, seam := tempName(path), mmapfile.RenameNew, t.store.opts.Seam
	if o.Replace {
		rename = mmapfile.Rename
	}
	made := temp // what is there of the backup, unless it stays
	defer func() {
		if made == "" {
			return
		}
		if _, e := os.Lstat(made); e != nil {
			return
		}
		if e := mmapfile.Remove(made, seam); e != nil && err != nil {
			err = fmt.Errorf("%w (%s stays: %w)", err, made, e)
		}
	}()
	if n, err = t.fill(temp, o); err != nil {
		return 0, err
	}
	if err = rename(temp, path, seam); err != nil {
		return 0, err
	}
	made = path
	if o.Replace {
		made = "" // the file before it is gone
	}
	if err = mmapfile.SyncParent(path, seam); err != nil {
		return 0, err
	}
	made = ""
	return n, nil
}

// backupTarget returns the path that a backup to path takes in the end, symbolic links resolved, unless something stands there that it must
// not replace.
func (t *Tx) backupTarget(path string, replace bool) (string, error) {
	if t.store.file.SameFile(path) {
		return "", fmt.Errorf("%s: %w", path, ErrSameFile)
	}
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	case err == nil && !replace:
		err = &fs.PathError{Op: "backup", Path: path, Err: fs.ErrExist}
	}
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err == nil && path == t.store.file.RealPath()+lockSuffix {
		err = fmt.Errorf("%s: %w: it is the database's lock file", path, ErrSameFile)
	}
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "backup", Path: path, Err: mmapfile.ErrNotRegular}
	}
	return path, err
}

// tempName returns a name beside path that nothing has. It begins as path does, as far as file systems let names be long.
func tempName(path string) string {
	var id [6]byte
	rand.Read(id[:])
	dir, base := filepath.Split(path)
	return fmt.Sprintf("%s%s.%x.tmp", dir, base[:min(len(base), 200)], id)
}

// fill writes the new file at path and makes it durable. A fault of the mapping is an error here already, so that the
// callers can take the file away.
func (t *Tx) fill(path string, o *BackupOptions) (n int64, err error) {
	defer t.exitErr(enter(), &err)
	if o.Compact {
		return t.compactTo(path, o)
	}
	return t.copyTo(path, o)
}

// copyTo copies t's pages to a new file at path, and makes it durable.
func (t *Tx) copyTo(path string, o *BackupOptions) (n int64, err error) {
	f, err := mmapfile.Open(path, mmapfile.Options{Create: true, Exclusive: true, Mode: o.Mode, Seam: t.store.opts.Seam})
	if err != nil {
		return 0, err
	}
	defer func() { err = firstError(err, f.Close()) }()
	if n, err = t.writeTo(&fileWriter{f: f}, o.Progress); err != nil {
		return n, err
	}
	return n, f.Sync()
}
