package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mmdb"
)

// Files in the folder of a torture run.
const (
	tortureFile   = "torture.mmdb" // the database
	tortureKilled = "killed.mmdb"  // a copy of it as the last child left it, before anybody recovered it
)

// torture is one run of "mmdb torture": it starts children that write, kills them, and looks at what they leave.
type torture struct {
	a       *app
	dir     string // where the folder is made
	length  time.Duration
	seed    uint64
	writers int

	folder string
	file   string
	rng    *rand.Rand // when to kill, and in what way
	model  *tortureBucket
	last   uint64 // the last transaction that was found
	result tortureResult
}

func newTorture(a *app) *cobra.Command {
	t := &torture{a: a}
	cmd := &cobra.Command{
		Use:   "torture",
		Short: "Kill a writing process again and again, and look for losses",
		Long: `Show on your own disk that a process that dies loses nothing. In a new folder
under --dir, a child process commits numbered transactions to a database from
several goroutines, and reports each one that is durable. It is killed (SIGKILL)
at a random moment: while it writes, opens or closes. Then every page is
checked, and every key and value compared with what must be there: each
transaction that was reported, and of the others each as a whole or not at all.
Then the next child goes on with the same file.

The folder is removed at the end, and nothing else is touched. At a loss the run
ends, the folder stays, with the file as the dead child left it, and the exit
status is 4. A process that is killed is not a power failure.`,
		Example: `  mmdb torture --dir /var/lib/app --for 1h`,
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("seed") {
				t.seed = rand.Uint64()
			}
			return t.run()
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&t.dir, "dir", ".", "directory on the disk to try")
	flags.DurationVar(&t.length, "for", time.Minute, "how long to go on")
	flags.Uint64Var(&t.seed, "seed", 0, "number that the transactions follow from (default random)")
	flags.IntVar(&t.writers, "writers", 4, "goroutines that write")
	return cmd
}

// run makes the folder, goes from round to round, and reports.
func (t *torture) run() (err error) {
	if t.writers < 1 || t.writers > 1000 {
		return usagef("--writers is from 1 to 1000")
	}
	if t.length <= 0 {
		return usagef("--for is a time, such as 1h")
	}
	if t.folder, err = os.MkdirTemp(t.dir, "mmdb-torture-"); err != nil {
		return makeError("a directory in "+t.dir, t.dir, err)
	}
	t.start()
	began := time.Now()
	bar := t.a.bar("torture, seconds", int64(t.length/time.Second), false)
	for time.Since(began) < t.length && err == nil {
		err = t.round(t.length - time.Since(began))
		bar.set(int64(time.Since(began) / time.Second))
	}
	bar.done()
	t.result.Seconds = time.Since(began).Seconds()
	var loss lossError
	if err == nil || errors.Is(err, errInterrupted) {
		t.clean()
	} else if errors.As(err, &loss) {
		t.result.Losses, t.result.Folder = 1, t.folder
	} else {
		return fmt.Errorf("%w (seed %d; the files are kept in %s)", err, t.seed, t.folder)
	}
	if e := t.report(); err == nil {
		err = e
	}
	if t.result.Losses > 0 {
		t.a.out.Flush()
		return foundError{fmt.Sprintf("round %d, %v; the files are kept in %s", t.result.Rounds, loss, t.folder)}
	}
	return err
}

// start prepares the first round.
func (t *torture) start() {
	t.file = filepath.Join(t.folder, tortureFile)
	t.rng = rand.New(rand.NewPCG(t.seed, 0))
	t.model = newTortureBucket()
	t.result.Seed, t.result.Writers = t.seed, t.writers
}

// clean removes what the run has made: these files, and the folder if nothing else is in it.
func (t *torture) clean() {
	_ = os.Remove(t.file)
	_ = os.Remove(t.file + "-lock") // it stays
	_ = os.Remove(filepath.Join(t.folder, tortureKilled))
	_ = os.Remove(t.folder)
}

// A lossError says that the database broke its promise.
type lossError struct{ what string }

func (e lossError) Error() string { return "loss: " + e.what }

func lossf(format string, args ...any) error { return lossError{fmt.Sprintf(format, args...)} }

// round runs one child to its end, which comes within left at the latest, and looks at what it leaves.
func (t *torture) round(left time.Duration) error {
	t.result.Rounds++
	c, err := t.child(left)
	if err != nil {
		return err
	}
	t.result.Commits += c.acks
	t.result.GivenUp += c.gaveUp
	if c.opened && c.found != t.last {
		return lossf("the writer found transaction %d, and %d were there before", c.found, t.last)
	}
	if err := t.keepKilled(); err != nil {
		return err
	}
	return t.verify(c)
}

// keepKilled copies the database as the child left it, so that a loss can be looked into.
func (t *torture) keepKilled() (err error) {
	from, err := os.Open(t.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was killed before it made one
	}
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(t.folder, tortureKilled), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	if _, err = io.Copy(to, from); err != nil {
		err = fmt.Errorf("keep a copy of the database: %w", err)
	}
	return errors.Join(err, to.Close())
}

// verify opens the database after c has ended, checks every page, and compares all that is in it. Half of the times it opens it
// read-only, so that the next child is the first to recover it for good, and may be killed while it does.
func (t *torture) verify(c *tortureRound) (err error) {
	o := mmdb.Options{Timeout: time.Minute, ReadOnly: t.rng.IntN(2) == 0}
	if _, err := os.Stat(t.file); errors.Is(err, fs.ErrNotExist) || blank(t.file) {
		o.ReadOnly = false // it is not made yet
	}
	db, err := mmdb.Open(t.file, fileMode, &o)
	if err != nil {
		return lossf("the database does not open: %v", err)
	}
	defer func() {
		if e := db.Close(); err == nil && e != nil {
			err = fmt.Errorf("close: %w", e)
		}
	}()
	err = db.View(func(tx *mmdb.Tx) error {
		info := tx.Info()
		t.result.FileSize = max(t.result.FileSize, info.FileSize)
		for err := range tx.Check() {
			return lossf("check: %v", err)
		}
		return t.compare(tx, c)
	})
	if errors.Is(err, mmdb.ErrCorrupt) {
		return lossf("%v", err)
	}
	return err
}

// compare holds the content to what the child acknowledged, and to what its last transaction's number says.
func (t *torture) compare(tx *mmdb.Tx, c *tortureRound) error {
	n, err := tortureNumber(tx, t.seed)
	if err != nil {
		return lossf("%v", err)
	}
	most := t.last + uint64(c.acks+t.writers)
	switch {
	case n < t.last || n < c.acked:
		return lossf("the last transaction is %d, though %d was acknowledged", n, max(t.last, c.acked))
	case n > most:
		return lossf("the last transaction is %d, and no more than %d were made", n, most)
	}
	t.result.Unacknowledged += int(n - max(c.acked, t.last))
	for t.last < n {
		t.last++
		for _, s := range tortureSteps(t.seed, t.last) {
			s.model(t.model)
		}
	}
	if err := t.model.compare(torturePart{tx: tx}, nil); err != nil {
		return lossf("transaction %d: %v", n, err)
	}
	return nil
}
