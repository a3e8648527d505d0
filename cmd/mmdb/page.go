package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"mmdb"
	"mmdb/page"
)

// pageOptions says how much of a page "mmdb page" shows.
type pageOptions struct {
	noHex bool
	all   bool // dump the whole run, not only its first page
}

func newPage(a *app) *cobra.Command {
	var o pageOptions
	cmd := &cobra.Command{
		Use:   "page FILE NUMBER",
		Short: "Show one page: header, slots, cells and bytes",
		Long: `Show one page or run, decoded and as bytes: its header, its slots in key order,
and what the cells hold. A page that fails its checks is shown as far as it can
be, with the reason.`,
		Example: `  mmdb page app.mmdb 12
  mmdb page app.mmdb 0 --no-hex --json`,
		Args: exactly(2),
		RunE: func(_ *cobra.Command, args []string) error {
			no, err := strconv.ParseUint(args[1], 0, 64)
			if err != nil {
				return usagef("%s is not a page number", visible(args[1]))
			}
			return a.view(args[0], func(tx *mmdb.Tx) error { return a.page(tx, no, o) })
		},
	}
	cmd.Flags().BoolVar(&o.noHex, "no-hex", false, "leave out the bytes")
	cmd.Flags().BoolVar(&o.all, "all", false, "show the bytes of the whole run, not only of its first page")
	return cmd
}

func (a *app) page(tx *mmdb.Tx, no uint64, o pageOptions) error {
	in := tx.Info()
	if no >= in.HighWater {
		return fmt.Errorf("no page %d: the file has %s", no, plural(in.HighWater, "page", "pages"))
	}
	b, err := tx.PageBytes(no)
	if err != nil {
		return err
	}
	info, listErr := a.findPage(tx, no)
	if errors.Is(listErr, mmdb.ErrCorrupt) {
		info = describeAlone(b, no, in)
	} else if listErr != nil {
		return listErr
	}
	f := a.format
	if f == formatRaw { // never into a table
		f = formatText
	}
	d := decodePage(b, no, info, in, f)
	if !o.noHex {
		d.bytes = b
		if !o.all {
			d.bytes = b[:min(len(b), in.PageSize)]
		}
	}
	if err := a.showPage(d); err != nil {
		return err
	}
	if d.Problem != "" {
		return foundError{fmt.Sprintf("page %d is damaged: %s", no, d.Problem)}
	}
	return listErr
}

// findPage describes page no, or the run or extent that it lies in.
func (a *app) findPage(tx *mmdb.Tx, no uint64) (mmdb.PageInfo, error) {
	p, err := tx.Page(no)
	if err != nil || p.Kind != unknownKind {
		return p, err
	}
	// It is damaged, or inside a run: only the way from the start tells.
	for q, err := range tx.Pages() {
		if err == nil {
			err = a.interrupted()
		}
		if err != nil || q.Number+uint64(q.Run) > no {
			return q, err
		}
	}
	return p, nil
}

// describeAlone describes the page or run at no by its own header, for a file whose free list can't be
// read: it may be free.
func describeAlone(b []byte, no uint64, in mmdb.Info) mmdb.PageInfo {
	p := mmdb.PageInfo{Number: no, Run: 1, Kind: unknownKind}
	if no < uint64(page.FirstPage(in.PageSize)) {
		p.Kind = metaKind
	} else if err := page.Verify(b, in.PageSize, page.No(no), in.Salt); err != nil {
		p.Problem = err.Error()
	} else {
		p.Kind, p.Run = page.KindOf(b).String(), len(b)/in.PageSize
	}
	return p
}

// pageDetail is one page decoded; it is the JSON form of "mmdb page".
type pageDetail struct {
	pageRun
	First    *uint64    `json:"first,omitempty"`    // first page of its run or extent, when that is another
	Checksum string     `json:"checksum,omitempty"` // hexadecimal
	Payload  int        `json:"payload,omitempty"`  // bytes of an overflow or record run
	Slotted  *slotted   `json:"slotted,omitempty"`  // of a meta or record the root bucket, if that is in it
	Record   *recordRow `json:"record,omitempty"`
	Meta     *metaRow   `json:"meta,omitempty"`
	Hex      string     `json:"hex,omitempty"`

	bytes []byte // to dump, empty for none
}

// decodePage decodes b, the bytes from page no on, which is or lies in what info describes.
func decodePage(b []byte, no uint64, info mmdb.PageInfo, in mmdb.Info, f format) pageDetail {
	d := pageDetail{pageRun: newPageRun(info)}
	d.Page = no
	switch {
	case info.Kind == metaKind:
		d.Pages = 1
		d.Meta, d.Slotted = decodeMeta(b, no, in.PageSize, f)
		return d
	case info.Number != no:
		d.First = &info.Number
		return d
	case info.Kind == freeKind, info.Kind == pendingKind:
		return d
	}
	var h page.Header
	h.Decode(b)
	d.Checksum = fmt.Sprintf("%016x", h.Checksum)
	d.Tree, d.Level, d.Born = uint64(h.Tree), int(h.Level), uint64(h.Born)
	if info.Kind == unknownKind {
		return d
	}
	switch h.Kind {
	case page.KindLeaf, page.KindBranch:
		d.Slotted = decodeSlotted(page.Body(b), h.Kind, f)
	case page.KindOverflow:
		d.Payload = len(page.RunPayload(b))
	case page.KindRecord:
		payload := page.RunPayload(b)
		d.Payload = len(payload)
		d.Record, d.Slotted, d.Problem = decodeRecord(payload, f)
	}
	return d
}
