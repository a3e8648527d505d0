package tx

import (
	"errors"
	"fmt"
	"time"

	"mmdb/mmapfile"
	"mmdb/page"
)

// Salvage reads what is left of a damaged file, in four steps, each in files of its own:
//
//	read   salvagefile.go, salvagescan.go: which pages of the file are whole, and what their headers say
//	date   salvagerecord.go, salvagespace.go: which commit is the newest, and which pages it still used
//	plan   salvagetree.go, salvageorphan.go, salvagedoubt.go: to which bucket each leaf belongs
//	write  salvagewrite.go: the keys and values into the new database
//
// Copy-on-write leaves old versions of pages all over the file, so the question is never whether a leaf can be read but
// whether it is current. A leaf is taken only for one of these reasons, the first two of which prove it, and the third
// by exclusion:
//
//   - a current branch, or a bucket's header in a current leaf, refers to it;
//   - the commit records say that the newest commit uses its page, and it lies in a gap of the tree;
//   - records are missing, but it fills a gap of the tree exactly, by the number of keys, and no unreadable page could
//     stand there in its place.
//
// Whatever else looks like data is counted in the report and left out.

// ErrNotEmpty is returned when what was salvaged would go to a database that holds something.
var ErrNotEmpty = errors.New("the database to salvage into is not empty")

// SalvageOptions says how Salvage goes about it. The zero value is a good default.
type SalvageOptions struct {
	// Timeout is how long to wait for a process that has the damaged file open; zero waits for ever.
	Timeout time.Duration
	// Progress, if set, is called from time to time with what is being done, and how much of how many is done. Its error
	// ends Salvage, which returns it.
	Progress func(phase string, done, total uint64) error
	// Lost, if set, is called for each thing that was lost, as it is found.
	Lost func(SalvageLoss)
}

// SalvageLoss is one thing that could not be recovered.
type SalvageLoss struct {
	Page   uint64   // where it stood, 0 if that is not known
	Tree   uint64   // number of the bucket, 0 if that is not known
	Bucket [][]byte // names of the buckets on the way to it in the new database, from the top; none for the top level
	Key    []byte   // the key, or the first of several; nil if it is not known
	Keys   uint64   // how many keys, 0 if that is not known
	Reason string
}

// SalvageReport is what Salvage did.
type SalvageReport struct {
	PageSize  int    // bytes
	Pages     uint64 // in the file
	Metas     int    // of three that could be read
	Commit    uint64 // the newest, whose state was restored
	Exact     bool   // the commit records tell for every page whether it is current
	Damaged   uint64 // pages that are in use, of which none but parts can be read; only known when Exact
	Buckets   uint64 // restored
	Keys      uint64 // restored, buckets not counted
	Bytes     uint64 // of these keys and values
	Lost      uint64 // keys (and buckets) that the counts in the file name and that were not found or not whole
	Doubtful  uint64 // keys in readable leaves that may or may not be current: left out; they may be some of those lost
	Nameless  uint64 // buckets whose name is lost: they are in LostFound, under the number of their tree
	LostFound string // the bucket for them, lost+found unless there is another of that name
	Losses    uint64 // calls of SalvageOptions.Lost
}

// Complete reports whether all data of the newest commit was found.
func (r *SalvageReport) Complete() bool {
	return r.Lost == 0 && r.Doubtful == 0 && r.Nameless == 0 && r.Losses == 0
}

// Salvage recovers what can be recovered of the damaged database file at path damaged, which is only read, and puts it into
// dst, which must be empty. It works without any meta page. Every key in a leaf that can be read and is current comes
// back with its value; no deleted or replaced version comes back: what can't be told is left out, and reported.
//
// It needs memory of about 48 bytes for each page of the file, 200 bytes and the name for each bucket that has pages of its
// own, and the largest value; and where commit records are missing, two keys for each leaf around a gap.
//
// An error means that nothing, or not everything that is there, was recovered: ErrInvalid for a file that is no database,
// ErrCorrupt for one in which nothing can be read, ErrVersion, ErrTimeout, ErrNotEmpty, ErrSameFile, errors of dst, and the system's.
func Salvage(damaged string, dst *Store, opts SalvageOptions) (report SalvageReport, err error) {
	if dst.file.SameFile(damaged) {
		return report, fmt.Errorf("salvage %s: %w", damaged, ErrSameFile)
	}
	if err := mustBeEmpty(dst); err != nil {
		return report, err
	}
	f, err := mmapfile.Open(damaged, mmapfile.Options{ReadOnly: true})
	if err != nil {
		return report, err
	}
	defer f.Close()
	if err := lockUnshared(f, opts.Timeout); err != nil {
		return report, err
	}
	s := &salvager{opts: opts, file: salvageFile{f: f}, report: &report}
	if err := s.run(dst); err != nil {
		return report, fmt.Errorf("salvage %s: %w", damaged, err)
	}
	return report, nil
}

// mustBeEmpty returns an error if there is anything in dst.
func mustBeEmpty(dst *Store) error {
	return dst.View(func(t *Tx) error {
		if t.root.Len() > 0 {
			return ErrNotEmpty
		}
		return nil
	})
}

// A salvager is one run of Salvage.
type salvager struct {
	opts   SalvageOptions
	file   salvageFile
	report *SalvageReport

	// Read.
	metas   []page.Meta // the valid ones, the newest first
	pages   []salvagedPage
	records []salvagedRecord
	hints   map[page.Tree]hint

	// Date.
	known   []*salvagedRecord // from the newest to the last checkpoint, as far as they are there
	newest  page.Commit       // the commit to restore
	root    *page.Bucket
	body    []byte               // of an inline root bucket
	names   map[page.Tree][]byte // of top-level buckets in an earlier commit, where root is lost
	cut     page.Commit          // commits from here on were cut short by a crash
	unsure  bool                 // whether the newest was ever finished
	later   laterLeaves
	limit   page.No     // no page of the newest commit stands at or above
	missing page.Commit // the newest commit whose record is needed and gone, 0 if there is none: all is exact
	oldest  page.Commit // the oldest such

	// Plan.
	trees   map[page.Tree]*salvagedTree
	planned uint64          // leaves of them
	queue   []*salvagedTree // to be walked
	index   []page.No       // every whole leaf and branch, by tree, upper levels first
	rest    []page.No       // what of it may hold trees that nothing leads to
}

func (s *salvager) run(dst *Store) error {
	if err := s.read(); err != nil {
		return err
	}
	s.date()
	if err := s.plan(); err != nil {
		return err
	}
	return s.write(dst)
}

// progress passes on what was done.
func (s *salvager) progress(phase string, done, total uint64) error {
	if s.opts.Progress == nil {
		return nil
	}
	return s.opts.Progress(phase, done, total)
}

// lost passes on a loss in tree t, which may be nil.
func (s *salvager) lost(t *salvagedTree, l SalvageLoss) {
	s.report.Losses++
	if s.opts.Lost == nil {
		return
	}
	if t != nil {
		l.Tree, l.Bucket = uint64(t.no), s.pathOf(t)
	}
	s.opts.Lost(l)
}
