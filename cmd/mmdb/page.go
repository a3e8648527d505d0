package main

import (
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
		Long: `Show one page or run, decoded and as bytes: its header, its slots in key order, and
what the cells hold. A page that fails its checks is shown as far as it can be, with the reason.`,
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
	info, err := a.findPage(tx, no)
	if err != nil {
		return err
	}
	b, err := tx.PageBytes(no)
	if err != nil {
		return err
	}
	f := a.format
	if f == formatRaw { // never into a table
		f = formatText
	}
	d := decodePage(b, no, newPageRun(info), in, f)
	if !o.noHex {
		d.bytes = b
		if !o.all {
			d.bytes = b[:min(len(b), in.PageSize)]
		}
	}
	if a.json {
		if !o.noHex {
			d.Hex = fmt.Sprintf("%x", d.bytes)
		}
		err = a.printJSON(d)
	} else {
		err = a.printPage(d)
	}
	if err == nil && d.Problem != "" {
		return foundError{fmt.Sprintf("page %d is damaged: %s", no, d.Problem)}
	}
	return err
}

// pageDetail is one page decoded; it is the JSON form of "mmdb page".
type pageDetail struct {
	pageRun
	Inside   *uint64    `json:"inside,omitempty"`   // the page asked for, when it is not the first of its run
	Checksum string     `json:"checksum,omitempty"` // hexadecimal
	Payload  int        `json:"payload,omitempty"`  // bytes of an overflow or record run
	Slotted  *slotted   `json:"slotted,omitempty"`
	Record   *recordRow `json:"record,omitempty"`
	Meta     *metaRow   `json:"meta,omitempty"`
	Problem  string     `json:"problem,omitempty"`
	Hex      string     `json:"hex,omitempty"`

	bytes []byte // to dump, empty for none
}

// findPage returns the page or run that holds page no. It goes through all pages before it, because only
// the way from the start tells a free page or one inside a run from one in use.
func (a *app) findPage(tx *mmdb.Tx, no uint64) (found mmdb.PageInfo, err error) {
	for p, err := range tx.Pages() {
		if err == nil {
			err = a.interrupted()
		}
		if err != nil || p.Number+uint64(p.Run) > no {
			return p, err
		}
	}
	return found, fmt.Errorf("no page %d", no)
}

// decodePage decodes b, the bytes from page no on, which info's page or run holds.
func decodePage(b []byte, no uint64, info pageRun, in mmdb.Info, f format) pageDetail {
	d := pageDetail{pageRun: info}
	switch {
	case info.Kind == "meta":
		d.Page, d.Pages = no, 1
		d.Meta = decodeMeta(b, no, in.PageSize)
		return d
	case info.Page != no:
		d.Inside = &no
		return d
	case info.Kind == "free", info.Kind == "pending", len(b) < page.RunHeaderSize:
		return d
	}
	var h page.Header
	h.Decode(b)
	d.Checksum = fmt.Sprintf("%016x", h.Checksum)
	d.Tree, d.Level, d.Born = uint64(h.Tree), int(h.Level), uint64(h.Born)
	if err := page.Verify(b, in.PageSize, page.No(no), in.Salt); err != nil {
		d.Problem = err.Error()
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
		d.Record, d.Problem = decodeRecord(payload)
	}
	return d
}
