package main

import (
	"errors"
	"time"

	"mmdb"
)

// lockTurn is how long the library is left to wait for a lock before the tool looks whether it was asked to stop. It is longer than
// the library takes to tell a lock file that is not the right one from that of a process that is just dying.
const lockTurn = 500 * time.Millisecond

// openDB opens the database at path with the options o. It waits for a file in use as long as --timeout says, or until an interrupt.
func (a *app) openDB(path string, o mmdb.Options) (db *mmdb.DB, err error) {
	err = a.lockWait(func(timeout time.Duration) (err error) {
		o.Timeout = timeout
		db, err = mmdb.Open(path, fileMode, &o)
		return err
	})
	return db, err
}

// lockWait calls try, which waits for a lock that long, until it has it or fails otherwise, --timeout is over, or the tool is asked to stop.
func (a *app) lockWait(try func(timeout time.Duration) error) error {
	begin := time.Now()
	for {
		if err := a.interrupted(); err != nil {
			return err
		}
		turn, last := lockTurn, false
		if a.timeout > 0 {
			left := a.timeout - time.Since(begin)
			turn, last = max(min(left, turn), 1), left <= turn
		}
		start := time.Now()
		err := try(turn)
		// A lock file that does not fit is final only if the library had the time to look again.
		held := errors.Is(err, mmdb.ErrTimeout) || errors.Is(err, mmdb.ErrLockFile) && time.Since(start) >= turn
		if last || !held {
			return err
		}
	}
}
