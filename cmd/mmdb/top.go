package main

import (
	"time"

	"github.com/spf13/cobra"

	"mmdb"
)

// topOptions are the flags of "mmdb top".
type topOptions struct {
	interval time.Duration
	count    int
}

func newTop(a *app) *cobra.Command {
	var o topOptions
	cmd := &cobra.Command{
		Use:   "top FILE",
		Short: "Watch commits, pages, space and readers while programs work",
		Long: `Show what goes on in FILE, every second: updates and commits a second (updates
that run at the same time share a commit), the pages that commits write, free
and pending space, the processes with what each does (flush is the mean time of
a commit on its way to the device, read are pages that were verified), and the
open readers with what they hold back. Each look is a short transaction; the
programs that use the file notice nothing.

With --json an object a line, every --interval, until --count or an interrupt.`,
		Example: `  mmdb top app.mmdb
  mmdb top app.mmdb --interval 200ms
  mmdb top app.mmdb --json --count 60 > minute.jsonl`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if o.interval < 10*time.Millisecond {
				return usagef("--interval is at least 10ms")
			}
			if o.count < 0 {
				return usagef("--count is not negative")
			}
			return a.viewDB(args[0], func(db *mmdb.DB) error {
				if a.json {
					return a.topJSON(db, o)
				}
				m := &topScreen{a: a, file: args[0], sampler: sampler{db: db}, o: o}
				return a.screen(m, func() error { return m.failed })
			})
		},
	}
	cmd.Flags().DurationVar(&o.interval, "interval", time.Second, "time between two looks")
	cmd.Flags().IntVar(&o.count, "count", 0, "end after so many intervals (0: never)")
	return cmd
}

// topJSON prints the samples.
func (a *app) topJSON(db *mmdb.DB, o topOptions) error {
	s := sampler{db: db}
	if _, err := s.take(time.Now()); err != nil {
		return err
	}
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for n := 0; o.count == 0 || n < o.count; n++ {
		select {
		case <-a.ctx.Done():
			return errInterrupted
		case <-tick.C:
		}
		v, err := s.take(time.Now())
		if err == nil {
			err = a.printJSON(v)
		}
		if err == nil {
			err = a.out.Flush()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A topSample is what one look at the file has told, in JSON. Rates are of the time since the look before.
type topSample struct {
	Time         time.Time    `json:"time"`
	Commit       uint64       `json:"commit"`
	Updates      float64      `json:"updates"`      // a second
	Commits      float64      `json:"commits"`      // a second
	Group        float64      `json:"group"`        // updates of a commit, on average
	LargestGroup uint64       `json:"largestGroup"` // of those whose record is still there
	Written      float64      `json:"written"`      // pages a second
	Freed        float64      `json:"freed"`        // pages a second
	PageSize     int          `json:"pageSize"`
	HighWater    uint64       `json:"highWater"`
	FreePages    uint64       `json:"freePages"`
	PendingPages uint64       `json:"pendingPages"`
	FileSize     int64        `json:"fileSize"`
	Processes    []processRow `json:"processes"`
	Readers      []readerRow  `json:"readers"`

	list []mmdb.ReaderInfo
}

// A processRow is what another process has done since the look before. Rates are per second.
type processRow struct {
	Process int     `json:"process"`
	Writer  bool    `json:"writer"`  // it has the writer lock, or had it last
	Readers int     `json:"readers"` // open now
	Updates float64 `json:"updates"`
	Commits float64 `json:"commits"`
	Flush   float64 `json:"flush"`   // seconds that a commit took to reach the device, on average
	Written float64 `json:"written"` // pages
	Read    float64 `json:"read"`    // pages verified, as of the last commit
}

// A sampler looks at a file again and again.
type sampler struct {
	db        *mmdb.DB
	last      uint64 // commit
	at        time.Time
	processes map[processKey]mmdb.ProcessInfo // as of the look before
}

// A processKey tells processes apart, and what one did before it opened the database anew.
type processKey struct {
	process int
	since   time.Time
}

// take looks once.
func (s *sampler) take(now time.Time) (topSample, error) {
	v := topSample{Time: now, Processes: []processRow{}, Readers: []readerRow{}}
	var commits, updates, written, freed uint64
	err := s.db.View(func(tx *mmdb.Tx) error {
		in := tx.Info()
		v.Commit, v.PageSize, v.HighWater, v.FileSize = in.Commit, in.PageSize, in.HighWater, in.FileSize
		v.FreePages, v.PendingPages = in.FreePages, in.PendingPages
		for c, err := range tx.History() {
			if err != nil {
				return err
			}
			if c.Commit <= s.last || s.last == 0 {
				break
			}
			commits++
			updates += c.Updates
			written += c.Written
			freed += c.Freed
			v.LargestGroup = max(v.LargestGroup, c.Updates)
		}
		return tx.Err()
	})
	if err != nil {
		return v, err
	}
	if v.list, err = s.db.Readers(); err != nil {
		return v, err
	}
	for _, r := range v.list {
		v.Readers = append(v.Readers, newReaderRow(r, v.PageSize, now))
	}
	if d := now.Sub(s.at).Seconds(); s.last != 0 && d > 0 && updates > 0 {
		// The records tell of the newest commits, not always of all: what they had on average, all had.
		all := float64(v.Commit - s.last)
		v.Group = float64(updates) / float64(commits)
		v.Updates, v.Commits = all/d, all/v.Group/d
		v.Written, v.Freed = float64(written)/float64(updates)*all/d, float64(freed)/float64(updates)*all/d
	}
	v.Processes, err = s.takeProcesses(now)
	s.last, s.at = v.Commit, now
	return v, err
}

// takeProcesses looks at the other processes.
func (s *sampler) takeProcesses(now time.Time) (rows []processRow, err error) {
	rows = []processRow{}
	list, err := s.db.Processes()
	if err != nil {
		return rows, err
	}
	before, d := s.processes, now.Sub(s.at).Seconds()
	s.processes = make(map[processKey]mmdb.ProcessInfo)
	for _, p := range list {
		if p.Own {
			continue
		}
		key := processKey{p.Process, p.Since}
		s.processes[key] = p
		row := processRow{Process: p.Process, Writer: p.Writer, Readers: p.Readers}
		if b, ok := before[key]; ok && d > 0 {
			row.Updates, row.Commits = float64(p.Updates-b.Updates)/d, float64(p.Commits-b.Commits)/d
			row.Written, row.Read = float64(p.PagesWritten-b.PagesWritten)/d, float64(p.PagesVerified-b.PagesVerified)/d
			if n := p.Commits - b.Commits; n > 0 {
				row.Flush = (p.FlushTime - b.FlushTime).Seconds() / float64(n)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}
