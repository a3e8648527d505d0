package prometheus

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mmdb"
)

// Source is what figures are collected from: a *mmdb.DB.
type Source interface {
	// Stats returns the figures as they are now.
	Stats() mmdb.Stats
}

// Collector is a prometheus.Collector for one database. It is safe for concurrent use, also while the database is closed: then the
// counters stay as they were.
type Collector struct {
	from Source
	all  []metric
}

// A metric is one figure of Stats.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*mmdb.Stats) float64
}

// New returns a collector for db, to be registered once. Each of its metrics has the labels given, which may be nil; the
// collectors of several databases in one registry need different values of them.
func New(db Source, labels prometheus.Labels) *Collector {
	c := &Collector{from: db}
	for _, f := range figures {
		c.all = append(c.all, metric{prometheus.NewDesc("mmdb_"+f.name, f.help, nil, labels), f.kind, f.of})
	}
	return c
}

// Describe sends the description of each metric to out.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for i := range c.all {
		out <- c.all[i].desc
	}
}

// Collect sends each metric, as of one call of Stats, to out.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	s := c.from.Stats()
	for i := range c.all {
		m := &c.all[i]
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.of(&s))
	}
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// figures are the fields of Stats, in their order.
var figures = []struct {
	name string
	kind prometheus.ValueType
	help string
	of   func(*mmdb.Stats) float64
}{
	{"commit", gauge, "Number of the newest commit that readers see.", func(s *mmdb.Stats) float64 { return float64(s.Commit) }},
	{"durable_commit", gauge, "Number of the newest commit that is known to be on the device.", func(s *mmdb.Stats) float64 { return float64(s.DurableCommit) }},
	{"page_size_bytes", gauge, "Size of a page.", func(s *mmdb.Stats) float64 { return float64(s.PageSize) }},
	{"file_size_bytes", gauge, "Size of the file.", func(s *mmdb.Stats) float64 { return float64(s.FileSize) }},
	{"high_water_pages", gauge, "Pages of the file that are or were in use.", func(s *mmdb.Stats) float64 { return float64(s.HighWater) }},
	{"free_pages", gauge, "Pages that the next commit may use; 0 before the first write transaction.", func(s *mmdb.Stats) float64 { return float64(s.FreePages) }},
	{"pending_pages", gauge, "Pages that are free but pinned by a snapshot; 0 before the first write transaction.", func(s *mmdb.Stats) float64 { return float64(s.PendingPages) }},
	{"lazy_bytes", gauge, "Bytes of pages in use that lazy commits have written and no flush has made durable yet.", func(s *mmdb.Stats) float64 { return float64(s.LazyBytes) }},
	{"failed", gauge, "1 if a flush has failed and writes are refused, else 0.", func(s *mmdb.Stats) float64 { return boolean(s.Failed) }},
	{"open_readers", gauge, "Read transactions of this process that are open.", func(s *mmdb.Stats) float64 { return float64(s.OpenReaders) }},
	{"oldest_reader_commits", gauge, "Commits that the oldest open read transaction, of any process, is behind.", func(s *mmdb.Stats) float64 { return float64(s.OldestReader) }},
	{"oldest_reader_seconds", gauge, "Time since a writer first saw that the oldest open read transaction is behind.", func(s *mmdb.Stats) float64 { return seconds(s.OldestReaderTime) }},
	{"commits_total", counter, "Commits of this process.", func(s *mmdb.Stats) float64 { return float64(s.Commits) }},
	{"lazy_commits_total", counter, "Commits of this process without a flush of their own.", func(s *mmdb.Stats) float64 { return float64(s.LazyCommits) }},
	{"updates_total", counter, "Functions and transactions in the commits of this process.", func(s *mmdb.Stats) float64 { return float64(s.Updates) }},
	{"largest_group_updates", gauge, "Most functions that shared one commit.", func(s *mmdb.Stats) float64 { return float64(s.LargestGroup) }},
	{"flushes_total", counter, "Flushes of the file.", func(s *mmdb.Stats) float64 { return float64(s.Flushes) }},
	{"flush_seconds_total", counter, "Time that flushes took.", func(s *mmdb.Stats) float64 { return seconds(s.FlushTime) }},
	{"longest_flush_seconds", gauge, "Time of the longest flush of one commit or Sync.", func(s *mmdb.Stats) float64 { return seconds(s.LongestFlush) }},
	{"writes_total", counter, "Write calls for pages and commit records.", func(s *mmdb.Stats) float64 { return float64(s.Writes) }},
	{"pages_written_total", counter, "Pages of trees and overflow runs that were written.", func(s *mmdb.Stats) float64 { return float64(s.PagesWritten) }},
	{"pages_spilled_total", counter, "Pages that were written ahead of a commit.", func(s *mmdb.Stats) float64 { return float64(s.PagesSpilled) }},
	{"pages_carried_total", counter, "Pages that were moved along without a change.", func(s *mmdb.Stats) float64 { return float64(s.PagesCarried) }},
	{"grown_bytes_total", counter, "Bytes by which the file was made longer.", func(s *mmdb.Stats) float64 { return float64(s.BytesGrown) }},
	{"cut_bytes_total", counter, "Bytes by which the file was made shorter.", func(s *mmdb.Stats) float64 { return float64(s.BytesCut) }},
	{"pages_verified_total", counter, "Pages whose checksum and structure were verified.", func(s *mmdb.Stats) float64 { return float64(s.PagesVerified) }},
	{"adopted_commits_total", counter, "Commits that recovery found whole and wrote once more.", func(s *mmdb.Stats) float64 { return float64(s.Adopted) }},
	{"rejected_commits_total", counter, "Commits that recovery rejected because they were not whole.", func(s *mmdb.Stats) float64 { return float64(s.Rejected) }},
}

func seconds(d time.Duration) float64 { return d.Seconds() }

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
