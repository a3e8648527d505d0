// Command faulty is what the tests with real faults run: a writer of numbered transactions whose system calls fail, whose disk is full,
// or whose file is cut. It holds the library to its promises from inside, where they can be seen, and says on standard output what it
// did, a line each, so that its parent can hold the file to them afterwards:
//
//	opened N     the database holds transactions 1 … N, exactly
//	start N      transaction N is asked for
//	ack N        it is durable
//	fail WHERE   open, close or the number of a transaction: it failed, and the reason follows
//	poisoned     all further writes were refused
//	bad WHAT     a promise is broken; the status is 1
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"mmdb"
)

var (
	to       = flag.Int("to", 12, "number of the last transaction")
	leave    = flag.Bool("leave", false, "end without closing the database")
	lasting  = flag.Bool("lasting", false, "what fails may fail again")
	relief   = flag.String("relief", "", "after a failure remove this file: then there must be room again")
	fileSize = flag.Int64("fsize", -1, "limit of the size of files in bytes, lifted after a failure")
	twoPhase = flag.Bool("two-phase", false, "commits take two flushes")
	verify   = flag.Bool("verify", false, "check the database, go on a little, and check again")
	readers  = flag.Bool("readers", false, "only read, in several ways at once, until a line comes on standard input")
)

func main() {
	runtime.LockOSThread() // strace counts the calls of each thread for itself
	flag.Parse()
	signal.Ignore(syscall.SIGXFSZ) // else the limit ends the process
	path := flag.Arg(0)
	switch {
	case *verify:
		check(path)
	case *readers:
		readAlways(path)
	default:
		work(path)
	}
}

func say(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }

// bad ends the process: a promise is broken.
func bad(format string, args ...any) {
	say("bad "+format, args...)
	os.Exit(1)
}

// A worker is a process that makes the transactions.
type worker struct {
	db    *mmdb.DB
	state model
	last  int      // the last acknowledged transaction
	old   *mmdb.Tx // a reader that stays open for a while
	then  model    // and what it must see
}

// open opens the database, again if it fails the first time: whatever failed, the next attempt must work, unless what fails may fail again.
func open(path string) *mmdb.DB {
	for try := 0; ; try++ {
		db, err := mmdb.Open(path, 0o600, &mmdb.Options{TwoPhase: *twoPhase})
		if err == nil {
			return db
		}
		say("fail open: %v", err)
		if errors.Is(err, mmdb.ErrCorrupt) || errors.Is(err, mmdb.ErrInvalid) {
			bad("a failed call is not damage: %v", err)
		}
		switch {
		case *lasting:
			os.Exit(0)
		case try > 0:
			bad("open does not work again: %v", err)
		case *relief != "" || *fileSize >= 0:
			makeRoom()
		}
	}
}

// work makes the transactions up to the flag's, whatever fails.
func work(path string) {
	if *fileSize >= 0 {
		limitFiles(*fileSize)
	}
	w := &worker{db: open(path), state: model{}}
	w.last = found(w.db)
	for i := 1; i <= w.last; i++ {
		w.state.change(i)
	}
	w.mustSee("after open")
	say("opened %d", w.last)
	w.look()
	for w.last < *to {
		if !w.transaction(w.last + 1) {
			break
		}
		if w.last%6 == 0 {
			w.look()
		}
	}
	w.mustSee("at the end")
	w.endLook()
	if *leave {
		os.Exit(0)
	}
	if err := w.db.Close(); err != nil {
		say("fail close: %v", err)
		return
	}
	say("closed")
}

// transaction makes transaction i. It returns false when there is nothing more to do: writes are refused, or fail again and again.
func (w *worker) transaction(i int) bool {
	for try := 0; ; try++ {
		say("start %d", i)
		err := w.db.Update(func(tx *mmdb.Tx) error { return apply(tx, i) })
		if err == nil {
			w.state.change(i)
			w.last = i
			say("ack %d", i)
			return true
		}
		say("fail %d: %v", i, err)
		var errno syscall.Errno
		if !errors.As(err, &errno) {
			bad("the error does not wrap its cause: %v", err)
		}
		w.mustSee("after a failure")
		if errors.Is(err, mmdb.ErrFailed) {
			w.mustRefuse()
			return false
		}
		switch {
		case try == 0 && (*relief != "" || *fileSize >= 0):
			makeRoom()
		case try >= 1 && *lasting:
			return false
		case try >= 1:
			bad("transaction %d fails again, though nothing is wrong any more: %v", i, err)
		}
	}
}

// mustRefuse holds a database whose flush or meta write failed to refusing every write, and to serving readers.
func (w *worker) mustRefuse() {
	for range 3 {
		err := w.db.Update(func(tx *mmdb.Tx) error { return apply(tx, w.last+1) })
		var errno syscall.Errno
		if !errors.Is(err, mmdb.ErrFailed) || !errors.As(err, &errno) {
			bad("an update after a failed flush or meta write: %v", err)
		}
		if _, err := w.db.Begin(true); !errors.Is(err, mmdb.ErrFailed) {
			bad("a transaction begins after a failed flush or meta write: %v", err)
		}
		if err := w.db.Sync(); !errors.Is(err, mmdb.ErrFailed) {
			bad("a sync after a failed flush or meta write: %v", err)
		}
	}
	w.mustSee("when writes are refused")
	say("poisoned")
}

// mustSee holds readers, new and old, to what was acknowledged.
func (w *worker) mustSee(when string) {
	err := w.db.View(func(tx *mmdb.Tx) error { return w.state.compare(tx, w.last) })
	if err != nil {
		bad("%s, a reader: %v", when, err)
	}
	if w.old != nil {
		if err := w.then.compare(w.old, w.then.number()); err != nil {
			bad("%s, a reader of transaction %d: %v", when, w.then.number(), err)
		}
	}
}

// look begins a read transaction that stays open.
func (w *worker) look() {
	w.endLook()
	tx, err := w.db.Begin(false)
	if err != nil {
		bad("begin: %v", err)
	}
	w.old, w.then = tx, w.state.clone()
}

func (w *worker) endLook() {
	if w.old == nil {
		return
	}
	w.mustSee("at the end of a reader")
	if err := w.old.Rollback(); err != nil {
		bad("rollback: %v", err)
	}
	w.old = nil
}

// makeRoom ends what made writes fail.
func makeRoom() {
	if *relief != "" {
		if err := os.Remove(*relief); err != nil && !errors.Is(err, os.ErrNotExist) {
			bad("make room: %v", err)
		}
	}
	if *fileSize >= 0 {
		limitFiles(-1)
	}
	say("room")
}

// limitFiles sets the soft limit of the size of files; -1 lifts it.
func limitFiles(n int64) {
	var r syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &r)
	if r.Cur = uint64(n); n < 0 {
		r.Cur = r.Max
	}
	if err == nil {
		err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &r)
	}
	if err != nil {
		bad("limit of file size: %v", err)
	}
}

// check says what the database holds, makes a few transactions more, and looks at it again after another open.
func check(path string) {
	n := inspect(path, func(db *mmdb.DB, n int) {
		say("opened %d", n)
		for i := n + 1; i <= n+3; i++ {
			if err := db.Update(func(tx *mmdb.Tx) error { return apply(tx, i) }); err != nil {
				bad("transaction %d after all faults: %v", i, err)
			}
		}
	})
	if again := inspect(path, nil); again != n+3 {
		bad("found transaction %d after another open, want %d", again, n+3)
	}
}

// inspect opens the database, checks every page and all its content, and calls then with the number of its last transaction.
func inspect(path string, then func(*mmdb.DB, int)) int {
	db, err := mmdb.Open(path, 0o600, nil)
	if err != nil {
		bad("open: %v", err)
	}
	n, state := found(db), model{}
	for i := 1; i <= n; i++ {
		state.change(i)
	}
	err = db.View(func(tx *mmdb.Tx) error {
		for err := range tx.Check() {
			bad("check: %v", err)
		}
		return state.compare(tx, n)
	})
	if err != nil {
		bad("transaction %d: %v", n, err)
	}
	if then != nil {
		then(db, n)
	}
	if err := db.Close(); err != nil {
		bad("close: %v", err)
	}
	return n
}
