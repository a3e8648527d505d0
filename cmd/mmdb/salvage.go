package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mmdb"
	"mmdb/page"
)

// salvageLoss and salvageResult are the lines of "mmdb salvage" in JSON.
type salvageLoss struct {
	Page   uint64 `json:"page"`             // 0 is not known
	Tree   uint64 `json:"tree"`             // number of the bucket, 0 is not known
	Bucket string `json:"bucket,omitempty"` // its path in the new database
	Key    string `json:"key,omitempty"`    // or the first of several
	Keys   uint64 `json:"keys"`             // 0 is not known
	Reason string `json:"reason"`
}

type salvageResult struct {
	Complete  bool    `json:"complete"`
	Commit    uint64  `json:"commit"`
	Metas     int     `json:"metas"` // of three that could be read
	Exact     bool    `json:"exact"` // the commit records were all there
	Pages     uint64  `json:"pages"`
	Damaged   uint64  `json:"damaged"` // pages in use that can't be read, where exact
	Buckets   uint64  `json:"buckets"`
	Keys      uint64  `json:"keys"`
	Bytes     uint64  `json:"bytes"`
	Lost      uint64  `json:"lost"`     // keys
	Doubtful  uint64  `json:"doubtful"` // keys that may be old versions, left out
	Nameless  uint64  `json:"nameless"` // buckets
	LostFound string  `json:"lostFound,omitempty"`
	Seconds   float64 `json:"seconds"`
}

func newSalvage(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "salvage DAMAGED NEW",
		Short: "Recover what can be read of a damaged file into a new one",
		Long: `Read every page of the damaged database DAMAGED, which is not changed, and write
every key and value that is whole and current to the new database NEW, which
must not exist. All three meta pages may be gone. The tree is followed where it
can be; around damaged pages the commit records tell which leaves are current.
No deleted or replaced version of a value comes back: what can't be told is
left out. A bucket whose name is lost goes to lost+found, under the number of
its tree. Each loss is printed with its page, bucket and key.

The exit status is 0 when everything was recovered and 4 when something was
lost; NEW is written in both cases. It is 4 without a NEW when nothing at all
can be read. DAMAGED may be open for reading elsewhere, not for writing. It
takes memory of about 48 bytes for each page.`,
		Example: `  mmdb salvage broken.mmdb saved.mmdb`,
		Args:    twoFiles,
		RunE:    func(_ *cobra.Command, args []string) error { return a.salvage(args[0], args[1]) },
	}
}

// salvage makes the file at to of what is left of the one at from. It gets its name when it is whole.
func (a *app) salvage(from, to string) error {
	start := time.Now()
	if err := regularFile(from); err != nil {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s: exists already: salvage writes to a new file only", to)
	}
	out, err := a.createOut(to, false, from)
	if err != nil {
		return err
	}
	report, err := a.salvageTo(from, out.Name())
	if err = out.finish(err, false); err != nil {
		return err
	}
	return a.salvageDone(from, to, report, time.Since(start))
}

// salvageTo salvages into the empty file temp.
func (a *app) salvageTo(from, temp string) (report mmdb.SalvageReport, err error) {
	db, err := a.openDB(temp, mmdb.Options{PageSize: pageSizeOf(from), Exclusive: true})
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	steps := stepBars{a: a}
	defer steps.end()
	o := mmdb.SalvageOptions{Progress: steps.set, Lost: func(l mmdb.SalvageLoss) {
		steps.clear()
		a.printLoss(l)
	}}
	err = a.lockWait(func(timeout time.Duration) (err error) {
		o.Timeout = timeout
		report, err = mmdb.Salvage(from, db, o)
		return err
	})
	if errors.Is(err, errInterrupted) {
		return report, errInterrupted
	}
	return report, fileError(from, err)
}

// pageSizeOf returns the page size that a meta of the file at path names, 0 if none can be read: then the
// new file gets the default.
func pageSizeOf(path string) int {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	buf := make([]byte, page.MetaSize)
	for slot := range page.MetaSlots {
		var m page.Meta
		if _, err := f.ReadAt(buf, page.MetaOffset(slot)); err == nil && m.Decode(buf) == nil {
			return int(m.PageSize)
		}
	}
	return 0
}

func (a *app) printLoss(l mmdb.SalvageLoss) {
	path := bucketPath(l.Bucket).String()
	if a.json {
		out := salvageLoss{Page: l.Page, Tree: l.Tree, Keys: l.Keys, Reason: l.Reason, Key: a.format.encode(l.Key)}
		if l.Tree != 0 {
			out.Bucket = path
		}
		_ = a.printJSON(out)
		return
	}
	var parts []string
	if l.Page != 0 {
		parts = append(parts, fmt.Sprintf("page %d", l.Page))
	}
	switch {
	case len(l.Bucket) > 0:
		parts = append(parts, "bucket "+path)
	case l.Tree > uint64(page.RootTree):
		parts = append(parts, fmt.Sprintf("bucket of tree %d", l.Tree))
	case l.Tree != 0:
		parts = append(parts, "top level")
	}
	if l.Key != nil {
		word := "key "
		if l.Keys != 1 {
			word = "from key "
		}
		parts = append(parts, word+shorten(a.format.encode(l.Key), 60))
	}
	text := visible(l.Reason)
	if l.Keys > 1 {
		text = plural(l.Keys, "key", "keys") + ": " + text
	}
	a.printf("%s: %s\n", strings.Join(parts, ", "), text)
}

// salvageDone prints the result.
func (a *app) salvageDone(from, to string, r mmdb.SalvageReport, took time.Duration) error {
	if a.json {
		_ = a.printJSON(salvageResult{Complete: r.Complete(), Commit: r.Commit, Metas: r.Metas, Exact: r.Exact, Pages: r.Pages,
			Damaged: r.Damaged, Buckets: r.Buckets, Keys: r.Keys, Bytes: r.Bytes, Lost: r.Lost, Doubtful: r.Doubtful,
			Nameless: r.Nameless, LostFound: r.LostFound, Seconds: took.Seconds()})
	} else {
		a.printf("%s: %s and %s of commit %d written to %s\n", visible(from), plural(r.Keys, "key", "keys"),
			plural(r.Buckets, "bucket", "buckets"), r.Commit, visible(to))
	}
	if r.Complete() {
		return nil
	}
	a.out.Flush()
	var lost []string
	if r.Lost > 0 {
		lost = append(lost, plural(r.Lost, "key", "keys")+" lost")
	}
	if r.Doubtful > 0 {
		lost = append(lost, plural(r.Doubtful, "key", "keys")+" left out that may be old")
	}
	if r.Nameless > 0 {
		lost = append(lost, plural(r.Nameless, "bucket", "buckets")+" without a name in "+r.LostFound)
	}
	if lost == nil {
		lost = append(lost, "something was lost")
	}
	return foundError{from + ": " + strings.Join(lost, ", ")}
}
