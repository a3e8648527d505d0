package tx

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"mmdb/mmapfile"
)

// errForeignFile is returned for a file that stands where the lock file should be.
var errForeignFile = errors.New("is no lock file of a database: it was left as it is")

// errMoved is returned when another file took the database's name while it was opened.
var errMoved = errors.New("in use for a database that has taken the name of this one")

// errLockCut is what the users of a lock file get when somebody else has made it shorter.
var errLockCut = errors.New("it was cut short while it was in use: all processes that have the database open must close it")

// lockError names the lock file.
func lockError(path string, err error) error { return fmt.Errorf("lock file %s: %w", path, err) }

// bind returns what a lock file of the database f with that salt says. The boot id is zero where the system tells none.
func bind(f *mmapfile.File, salt uint64) (b binding, err error) {
	id, err := f.Identity()
	if err != nil {
		return b, err
	}
	b[0], b[1], b[2] = id.Device, id.Inode, salt
	boot, err := mmapfile.BootID()
	if err != nil {
		return b, nil
	}
	raw, _ := hex.DecodeString(strings.ReplaceAll(boot, "-", ""))
	raw = append(raw, make([]byte, 16)...)
	b[3], b[4] = binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint64(raw[8:])
	return b, nil
}

// makeLockFile makes the lock file at path anew, for the database db, which nobody else has open. mode is that of the database.
func makeLockFile(path string, db *mmapfile.File, b binding, session uint64) (*lockFile, error) {
	f, err := emptyLockFile(path, db)
	if err != nil {
		return nil, err
	}
	lf, err := fillLockFile(f, path, b, session)
	if err != nil {
		if f.Created() {
			_ = mmapfile.Remove(path, nil)
		}
		_ = f.Close()
		return nil, lockError(path, err)
	}
	return lf, nil
}

// emptyLockFile returns the file at path, locked as one that nobody else uses.
func emptyLockFile(path string, db *mmapfile.File) (*mmapfile.File, error) {
	fi, err := db.Stat()
	if err != nil {
		return nil, err
	}
	for range 10 {
		f, err := mmapfile.Open(path, mmapfile.Options{Create: true, NoLink: true, Mode: fi.Mode().Perm()})
		if err != nil {
			return nil, fmt.Errorf("lock file: %w", err)
		}
		switch err := ownLockFile(f, path, db); {
		case err == nil:
			return f, nil
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
func ownLockFile(f *mmapfile.File, path string, db *mmapfile.File) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	var head [8]byte
	if n, _ := f.ReadAt(head[:], 0); size > 0 && (n < len(head) || !isLockHead(head, size)) {
		return errForeignFile
	}
	if err := f.LockByte(lockUsers, true, -1); err != nil {
		return err
	}
	if !f.SameFile(path) {
		return ErrTimeout // it was replaced meanwhile: look again
	}
	if id, err := db.Identity(); f.Created() && err == nil {
		_ = f.Give(id) // root makes files for the database's owner
	}
	return nil
}

// isLockHead reports whether a file of that size that begins with b is a lock file, of whatever layout, or one that was being made when its maker died.
func isLockHead(b [8]byte, size int64) bool {
	n := binary.NativeEndian.Uint64(b[:])
	return n<<8 == lockMagic<<8&(1<<64-1) || n == 0 && size == lockSize(firstBlock)
}

// fillLockFile makes f, which is this process's own, a lock file with this process in it. The blocks that the file has stay its own: on a
// full disk there are no others.
func fillLockFile(f *mmapfile.File, path string, b binding, session uint64) (*lockFile, error) {
	size, err := f.Size()
	if err == nil && size > lockSize(firstBlock) {
		err = f.Truncate(lockSize(firstBlock))
	}
	if err == nil {
		err = f.Allocate(0, lockSize(firstBlock))
	}
	if err != nil {
		return nil, err
	}
	lf, err := mapLockFile(f, path)
	if err != nil {
		return nil, err
	}
	err = lf.mem.Catch(func() error {
		for i := range min(size, lockSize(firstBlock)) / 8 { // what is new is zero
			lf.words[i].Store(0)
		}
		for i, v := range b {
			lf.words[atBinding+i].Store(v)
		}
		lf.words[atSession].Store(session)
		lf.grown(0, firstBlock)
		if err := lf.register(); err != nil {
			return err
		}
		lf.words[atMagic].Store(lockMagic)
		return nil
	})
	return lf, firstError(err, f.LockByte(lockUsers, false, -1))
}

// usersTime bounds the wait for a process that is just making the lock file of another database.
const usersTime = time.Second

// joinLockFile opens the lock file at path, which other processes use for the database that b tells of. The caller has yet to
// make sure that they do (lockFile.session), and to register.
func joinLockFile(path string, b binding) (*lockFile, error) {
	f, err := mmapfile.Open(path, mmapfile.Options{NoLink: true})
	if errors.Is(err, os.ErrNotExist) {
		return nil, lockError(path, ErrLockFile)
	} else if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	lf, err := checkLockFile(f, path, b)
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
	lf, err := mapLockFile(f, path)
	if err != nil {
		return nil, err
	}
	return lf, lf.mem.Catch(func() error {
		if lf.words[atMagic].Load() != lockMagic {
			return fmt.Errorf("%w (of another version, or no lock file)", ErrLockFile)
		}
		for i, v := range b {
			if lf.words[atBinding+i].Load() != v {
				return ErrLockFile
			}
		}
		if size < lockSize(lf.blocks()) || lf.intact() != nil {
			return fmt.Errorf("%w (it was cut short)", ErrLockFile)
		}
		return nil
	})
}
