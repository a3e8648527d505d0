package main

import (
	"fmt"

	"mmdb"
)

// demoResult is what the demo reports; it is its JSON form.
type demoResult struct {
	Dir          string      `json:"dir"`
	File         string      `json:"file"`
	Files        int         `json:"files"`
	Dirs         int         `json:"dirs"`
	ContentBytes int64       `json:"contentBytes"`
	StoredBytes  int64       `json:"storedBytes"` // keys and values of both buckets
	Commits      int         `json:"commits"`
	Unreadable   []string    `json:"unreadable"`
	Others       int         `json:"others"`   // links, devices and the like, not loaded
	Own          bool        `json:"own"`      // the database stood in the directory and was left out
	Seconds      []phaseTime `json:"seconds"`  // per phase
	FileSize     int64       `json:"fileSize"` // bytes
	PageSize     int         `json:"pageSize"` // bytes
	Pages        uint64      `json:"pages"`    // below the high water
	Stats        treeStats   `json:"stats"`
}

type phaseTime struct {
	Phase   string  `json:"phase"`
	Seconds float64 `json:"seconds"`
}

// report prints the figures and the map.
func (d *demo) report() error {
	r := d.result
	if d.a.json {
		return d.a.printJSON(r)
	}
	w := d.a.list()
	fmt.Fprintf(w, "loaded\t%s from %s\n", plural(r.Files, "file", "files"), visible(r.Dir))
	fmt.Fprintf(w, "directories\t%s, one nested bucket each\n", count(r.Dirs))
	fmt.Fprintf(w, "content\t%s\n", size(r.ContentBytes))
	fmt.Fprintf(w, "commits\t%s durable, up to %d files each\n", count(r.Commits), demoBatch)
	if n := len(r.Unreadable); n > 0 {
		fmt.Fprintf(w, "left out\t%s could not be read (named above)\n", count(n))
	}
	if r.Others > 0 {
		fmt.Fprintf(w, "not loaded\t%s that are not regular files\n", count(r.Others))
	}
	if r.Own {
		fmt.Fprintf(w, "not loaded\tthe database itself, which is in the directory\n")
	}
	fmt.Fprintf(w, "compared\tevery value with its file: no difference\n")
	fmt.Fprintf(w, "checked\tevery page: no problems\n")
	for _, p := range r.Seconds {
		fmt.Fprintf(w, "time to %s\t%.2f s%s\n", p.Phase, p.Seconds, r.rate(p))
	}
	fmt.Fprintf(w, "depth\t%d\n", r.Stats.Depth)
	fmt.Fprintf(w, "fill\tleaves %s, branches %s, overflow %s\n", r.Stats.Leaf.fill(), r.Stats.Branch.fill(), r.Stats.Overflow.fill())
	fmt.Fprintf(w, "file size\t%s\n", size(r.FileSize))
	fmt.Fprintf(w, "stored\t%s of keys and values, file is %.3f × that\n", size(r.StoredBytes), ratio(r.FileSize, r.StoredBytes))
	if err := w.Flush(); err != nil {
		return err
	}
	d.a.printf("\nmap of %s\n", visible(r.File))
	return d.a.view(d.file, func(tx *mmdb.Tx) error { return d.a.pageMap(tx) })
}

// rate returns how fast a phase went through the content, when that says something.
func (r *demoResult) rate(p phaseTime) string {
	if (p.Phase != "load" && p.Phase != "compare") || p.Seconds <= 0 {
		return ""
	}
	return ", " + shortSize(int64(float64(r.ContentBytes)/p.Seconds)) + "/s"
}

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
