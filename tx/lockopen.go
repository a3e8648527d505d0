package tx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"mmdb/mmapfile"
)

// errForeignFile is returned for a file that stands where the lock file should be.
var errForeignFile = errors.New("is no lock file of a database: it was left as it is")

// errMoved is returned when another file took the database's name while it was opened.
var errMoved = errors.New("in use for a database that has taken the name of this one")

// errLockCut is what the users of a lock file get when somebody else has made it shorter.
var errLockCut = errors.New("it was cut short while it was in use: all processes that have the database open must close it")

// errLockOther is what they get when somebody has overwritten it.
var errLockOther = errors.New("it was overwritten while it was in use: all processes that have the database open must close it")

// lockError names the lock file.
func lockError(path string, err error) error { return fmt.Errorf("lock file %s: %w", path, err) }

// bind returns what the lock file f of the database db with that salt says.
func bind(db, f *mmapfile.File, salt uint64) binding {
	return binding{db.Opened().Device, db.Opened().Inode, salt, f.Opened().Inode}
}

// firstLockFile returns the lock file at path for the database db, which nobody else has open. If it is there, and who may use the database may
// use it, it is not opened yet: an open that ends soon does not need it.
func firstLockFile(path string, db *mmapfile.File) (*lockFile, error) {
	id, size, err := mmapfile.Look(path)
	if err == nil && size == lockSize(firstBlock) && id.SameAccess(db.Opened()) {
		return &lockFile{path: path}, nil
	}
	return ownedLockFile(path, db)
}

// drop closes a lock file that was not filled.
func (lf *lockFile) drop() error {
	if lf.file == nil {
		return nil
	}
	return lf.file.Close()
}

// discard gives up a lock file of this process alone, which could not be filled because of err, and names it in that, unless it could not be opened.
func (lf *lockFile) discard(err error) error {
	if lf.file == nil {
		return err
	}
	if lf.mem != nil {
		_ = lf.mem.Unmap()
	}
	if lf.file.Created() {
		_ = mmapfile.Remove(lf.path, nil)
	}
	_ = lf.file.Close()
	return lockError(lf.path, err)
}

// ownedLockFile returns the lock file at path for the database db, which nobody else has open, locked as one that nobody else uses, and has
// yet to be filled.
func ownedLockFile(path string, db *mmapfile.File) (*lockFile, error) {
	for range 10 {
		f, err := mmapfile.Open(path, mmapfile.Options{Create: true, NoLink: true, NoAtime: true, Mode: db.Opened().Mode})
		if err != nil {
			return nil, fmt.Errorf("lock file: %w", err)
		}
		switch err := ownLockFile(f, path, db.Opened()); {
		case err == nil:
			return &lockFile{path: path, file: f}, nil
		case !errors.Is(err, ErrTimeout):
			_ = f.Close()
			return nil, lockError(path, err)
		}
		// Those who have this file open have another database, which had this name before. They keep the file, without its name.
		_ = f.Close()
		if !db.SameFile(db.RealPath()) {
			return nil, lockError(path, errMoved)
		}
		if err := mmapfile.Remove(path, nil); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, lockError(path, err)
		}
	}
	return nil, lockError(path, ErrLockFile)
}

// ownLockFile makes sure that f is a lock file or empty, and that nobody else uses it: ErrTimeout.
func ownLockFile(f *mmapfile.File, path string, db mmapfile.Identity) error {
	if !f.Created() && !isLockFile(f) {
		return errForeignFile
	}
	if err := f.LockByte(lockUsers, true, -1); err != nil {
		return err
	}
	if !f.SameFile(path) {
		return ErrTimeout // it was replaced meanwhile: look again
	}
	if f.Created() {
		_ = f.Give(db) // root makes files for the database's owner
	}
	if all := f.Opened().Mode | db.Mode; all != f.Opened().Mode {
		_ = f.Chmod(all) // who may use the database may use this, whatever the umask
	}
	return nil
}

// isLockFile reports whether f is a lock file, of whatever layout, an empty file, or a lock file that was being made when its maker died, or
// the system: then its header may be missing though it has grown.
func isLockFile(f *mmapfile.File) bool {
	b := make([]byte, 8)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) || n > 0 && n < len(b) {
		return false
	}
	head := binary.NativeEndian.Uint64(b)
	if head<<8 == lockMagic<<8&(1<<64-1) {
		return true
	}
	size, err := f.Size()
	if err != nil || head != 0 {
		return false
	}
	blocks := firstBlock
	for lockSize(blocks) < min(size, maxShared) {
		blocks *= 2 // as extend does
	}
	return size == 0 || size == lockSize(blocks)
}

// fill gives lf, which is this process's own, the size of a lock file, and maps it. The blocks that the file has stay its own: on a
// full disk there are no others.
func (lf *lockFile) fill() error {
	f := lf.file
	size, blocks, err := f.Space()
	if err == nil && size > lockSize(firstBlock) {
		err = f.Truncate(lockSize(firstBlock))
	}
	if err == nil && min(size, blocks) < lockSize(firstBlock) {
		err = f.Allocate(0, lockSize(firstBlock))
	}
	return firstError(err, lf.mapFile())
}

// begin makes lf the lock file of a new session, with this process in it.
func (lf *lockFile) begin(b binding, session uint64) error {
	err := lf.mem.Catch(func() error {
		lf.wipe()
		for i, v := range b {
			lf.words[atBinding+i].Store(v)
		}
		lf.words[atSession].Store(session)
		lf.session = session
		lf.words[atLimit].Store(uint64(lf.most()))
		lf.grown(0, firstBlock)
		if err := lf.register(); err != nil {
			return err
		}
		lf.words[atMagic].Store(lockMagic)
		return nil
	})
	return firstError(err, lf.file.LockByte(lockUsers, false, -1))
}

// usersTime bounds the wait for a process that is just making the lock file of another database.
const usersTime = time.Second

// joinLockFile opens the lock file at path, which other processes use for the database db with that salt. The caller has yet to
// make sure that they do (Store.joinSession), and to register.
func joinLockFile(path string, db *mmapfile.File, salt uint64) (*lockFile, error) {
	f, err := mmapfile.Open(path, mmapfile.Options{NoLink: true, NoAtime: true})
	if errors.Is(err, os.ErrNotExist) {
		return nil, lockError(path, ErrLockFile)
	} else if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	lf, err := checkLockFile(f, path, bind(db, f, salt))
	if err != nil {
		_ = f.Close()
		return nil, lockError(path, err)
	}
	return lf, nil
}

func checkLockFile(f *mmapfile.File, path string, b binding) (*lockFile, error) {
	if err := f.LockByte(lockUsers, false, usersTime); err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size < lockSize(firstBlock) {
		return nil, fmt.Errorf("%w (it has %d bytes)", ErrLockFile, size)
	}
	lf := &lockFile{path: path, file: f}
	if err := lf.mapFile(); err != nil {
		return nil, err
	}
	if err := lf.mem.Catch(func() error { return lf.check(b, size) }); err != nil {
		_ = lf.mem.Unmap()
		return nil, err
	}
	return lf, nil
}

// check returns an error unless lf, a file of size bytes, is the lock file that b tells of.
func (lf *lockFile) check(b binding, size int64) error {
	if lf.words[atMagic].Load() != lockMagic {
		return fmt.Errorf("%w (of another version, or no lock file)", ErrLockFile)
	}
	for i, v := range b {
		if lf.words[atBinding+i].Load() != v {
			return ErrLockFile
		}
	}
	lf.session = lf.words[atSession].Load()
	if size < lockSize(lf.blocks()) || lf.intact() != nil {
		return fmt.Errorf("%w (it was cut short)", ErrLockFile)
	}
	return nil
}
