package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mmdb"
)

// fileInfo is the JSON form of "mmdb info".
type fileInfo struct {
	File         string     `json:"file"`
	FileSize     int64      `json:"fileSize"` // bytes
	Version      int        `json:"version"`
	PageSize     int        `json:"pageSize"` // bytes
	Salt         string     `json:"salt"`     // hexadecimal
	Commit       uint64     `json:"commit"`
	Base         uint64     `json:"base"`
	Settled      bool       `json:"settled"`
	HighWater    uint64     `json:"highWater"` // pages
	FreePages    uint64     `json:"freePages"`
	PendingPages uint64     `json:"pendingPages"`
	NextTree     uint64     `json:"nextTree"`
	RecordPage   uint64     `json:"recordPage"`
	RecordChain  int        `json:"recordChain"`
	Buckets      uint64     `json:"buckets"` // at the top level
	Metas        []metaInfo `json:"metas"`
}

type metaInfo struct {
	Slot    int    `json:"slot"`
	Valid   bool   `json:"valid"`
	Commit  uint64 `json:"commit,omitempty"`
	Settled bool   `json:"settled,omitempty"`
	Reason  string `json:"reason,omitempty"` // why it is not valid
}

func newInfo(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "info FILE",
		Short: "Show what the file says of itself: sizes, commits, free space",
		Long: `Show what the file says of itself. Commit is the number of the newest commit,
base the newest one that was known to be durable when that was written; "closed
cleanly" is no after a crash, which does no harm. The pages up to the high
water are in use, free (they will be used again) or pending (freed lately, free
when nothing needs the older state any more). The commit record says what the
commit wrote and freed; its chain goes back to the last full list of free
pages. Each bucket is a tree with a number of its own. The metas are the three
places where commits are announced in turn; after a crash one of them may not
be valid.`,
		Example: `  mmdb info app.mmdb
  mmdb info app.mmdb --json | jq .freePages`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.view(args[0], func(tx *mmdb.Tx) error { return a.info(args[0], tx) })
		},
	}
}

func (a *app) info(path string, tx *mmdb.Tx) error {
	in := tx.Info()
	v := fileInfo{
		File: path, FileSize: in.FileSize, Version: in.Version, PageSize: in.PageSize,
		Salt: fmt.Sprintf("%016x", in.Salt), Commit: in.Commit, Base: in.Base, Settled: in.Settled,
		HighWater: in.HighWater, FreePages: in.FreePages, PendingPages: in.PendingPages, NextTree: in.NextTree,
		RecordPage: in.Record, RecordChain: in.RecordChain, Buckets: rootBucket(tx).Len(),
	}
	for _, m := range in.Metas {
		v.Metas = append(v.Metas, metaInfo{m.Slot, m.Valid, m.Commit, m.Settled, m.Reason})
	}
	if a.json {
		return a.printJSON(v)
	}
	return a.printInfo(v)
}

func (a *app) printInfo(v fileInfo) error {
	page := uint64(v.PageSize)
	w := a.list()
	fmt.Fprintf(w, "file\t%s\n", visible(v.File))
	fmt.Fprintf(w, "file size\t%s\n", size(v.FileSize))
	fmt.Fprintf(w, "format version\t%d\n", v.Version)
	fmt.Fprintf(w, "page size\t%s\n", size(v.PageSize))
	fmt.Fprintf(w, "salt\t%s\n", v.Salt)
	fmt.Fprintf(w, "commit\t%d\n", v.Commit)
	fmt.Fprintf(w, "base\t%d\n", v.Base)
	fmt.Fprintf(w, "closed cleanly\t%s\n", yesNo(v.Settled))
	fmt.Fprintf(w, "high water\t%s, %s\n", plural(v.HighWater, "page", "pages"), shortSize(v.HighWater*page))
	share := func(label string, pages uint64) {
		fmt.Fprintf(w, "%s\t%s, %s (%s)\n", label, plural(pages, "page", "pages"), shortSize(pages*page), percent(pages, v.HighWater))
	}
	share("free", v.FreePages)
	share("pending", v.PendingPages)
	fmt.Fprintf(w, "commit record\tpage %d, chain of %d\n", v.RecordPage, v.RecordChain)
	fmt.Fprintf(w, "next tree\t%d\n", v.NextTree)
	fmt.Fprintf(w, "buckets\t%s at the top level\n", count(v.Buckets))
	for _, m := range v.Metas {
		fmt.Fprintf(w, "meta %d\t%s\n", m.Slot, describeMeta(m))
	}
	return w.Flush()
}

func describeMeta(m metaInfo) string {
	switch {
	case !m.Valid && m.Reason != "":
		return "not valid: " + visible(m.Reason)
	case !m.Valid:
		return "not valid"
	case m.Settled:
		return fmt.Sprintf("commit %d, settled", m.Commit)
	}
	return fmt.Sprintf("commit %d", m.Commit)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
