package main

import "fmt"

// tortureResult is what a torture run reports; it is its JSON form.
type tortureResult struct {
	Rounds         int     `json:"rounds"`
	Killed         int     `json:"killed"`         // of the rounds, those whose child was killed
	Opening        int     `json:"opening"`        // of these, before it had opened the database
	Closing        int     `json:"closing"`        // of these, after it was asked to end
	Commits        int     `json:"commits"`        // acknowledged
	Unacknowledged int     `json:"unacknowledged"` // commits that were found, though the child died before it could say so
	GivenUp        int     `json:"givenUp"`        // transactions that rolled back
	Losses         int     `json:"losses"`
	Folder         string  `json:"folder,omitempty"` // kept after a loss
	Seed           uint64  `json:"seed"`
	Writers        int     `json:"writers"`
	Keys           int     `json:"keys"`     // in the database at the end
	FileSize       int64   `json:"fileSize"` // bytes, at most
	Seconds        float64 `json:"seconds"`
}

// report prints the figures.
func (t *torture) report() error {
	r := &t.result
	r.Keys = t.model.count()
	if t.a.json {
		return t.a.printJSON(r)
	}
	w := t.a.list()
	fmt.Fprintf(w, "rounds\t%s in %.1f s\n", count(r.Rounds), r.Seconds)
	fmt.Fprintf(w, "killed\t%s: %s while opening, %s while closing\n", plural(r.Killed, "child", "children"), count(r.Opening), count(r.Closing))
	fmt.Fprintf(w, "commits\t%s acknowledged, from %s\n", count(r.Commits), plural(r.Writers, "goroutine", "goroutines"))
	fmt.Fprintf(w, "in flight\t%s found whole without an acknowledgement\n", plural(r.Unacknowledged, "commit", "commits"))
	fmt.Fprintf(w, "rolled back\t%s\n", plural(r.GivenUp, "transaction", "transactions"))
	fmt.Fprintf(w, "checked\tevery page, key and value, after each round\n")
	fmt.Fprintf(w, "size\t%s, file up to %s\n", plural(r.Keys, "key", "keys"), size(r.FileSize))
	fmt.Fprintf(w, "seed\t%d\n", r.Seed)
	fmt.Fprintf(w, "losses\t%s\n", count(r.Losses))
	return w.Flush()
}
