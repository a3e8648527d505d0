package prometheus_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mmdb"
	"mmdb/prometheus"
)

// fixed is a source whose figures stay.
type fixed mmdb.Stats

func (f fixed) Stats() mmdb.Stats { return mmdb.Stats(f) }

// scrape returns the value of each metric of c.
func scrape(t *testing.T, c prom.Collector) map[string]float64 {
	t.Helper()
	r := prom.NewPedanticRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	return got
}

// Each field of Stats is one metric, in the same order, and times are in seconds.
func TestEveryFigureIsExported(t *testing.T) {
	var s mmdb.Stats
	v := reflect.ValueOf(&s).Elem()
	want := map[float64]string{}
	for i := range v.NumField() {
		n := float64(i + 2)
		switch f := v.Field(i); f.Interface().(type) {
		case time.Duration:
			f.SetInt(int64(n) * int64(time.Second))
		case bool:
			f.SetBool(true)
			n = 1
		case uint64:
			f.SetUint(uint64(n))
		default:
			f.SetInt(int64(n))
		}
		want[n] = v.Type().Field(i).Name
	}
	got := scrape(t, prometheus.New(fixed(s), nil))
	if len(got) != len(want) {
		t.Errorf("%d metrics, %d fields", len(got), len(want))
	}
	for name, value := range got {
		if want[value] == "" {
			t.Errorf("%s is %v, which no field is", name, value)
		}
		delete(want, value)
	}
	for value, field := range want {
		t.Errorf("no metric for %s, which is %v", field, value)
	}
}

func TestMetricsHavePrometheusNames(t *testing.T) {
	problems, err := testutil.CollectAndLint(prometheus.New(fixed{}, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// What a scrape tells of a database is what Stats says of it, and it tells so too once the database is closed.
func TestScrapeAgreesWithStats(t *testing.T) {
	db, err := mmdb.Open(filepath.Join(t.TempDir(), "test.mmdb"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		err := db.Update(func(tx *mmdb.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			if err != nil {
				return err
			}
			return b.Put([]byte("k"), make([]byte, 10000))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s := db.Stats()
	got := scrape(t, prometheus.New(db, prom.Labels{"database": "test"}))
	for name, want := range map[string]float64{
		"mmdb_commits_total": 3, "mmdb_updates_total": 3, "mmdb_commit": float64(s.Commit), "mmdb_durable_commit": float64(s.Commit),
		"mmdb_flush_seconds_total": s.FlushTime.Seconds(), "mmdb_pages_written_total": float64(s.PagesWritten),
		"mmdb_file_size_bytes": float64(s.FileSize), "mmdb_free_pages": float64(s.FreePages), "mmdb_failed": 0,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v, should be %v", name, value, want)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := scrape(t, prometheus.New(db, nil)); got["mmdb_commits_total"] != 3 {
		t.Errorf("once closed, %v commits", got["mmdb_commits_total"])
	}
}

// Two databases in one registry are told apart by a label.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "mmdb")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	registry := prom.NewRegistry()
	for _, name := range []string{"orders", "users"} {
		db, err := mmdb.Open(filepath.Join(dir, name), 0o600, nil)
		if err != nil {
			log.Fatal(err)
		}
		defer db.Close()
		registry.MustRegister(prometheus.New(db, prom.Labels{"database": name}))
	}
	// A program serves them with promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).
	families, err := registry.Gather()
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range families {
		if strings.HasSuffix(f.GetName(), "_commits_total") {
			fmt.Println(f.GetName(), len(f.GetMetric()))
		}
	}
	// Output:
	// mmdb_adopted_commits_total 2
	// mmdb_commits_total 2
	// mmdb_lazy_commits_total 2
	// mmdb_rejected_commits_total 2
}
