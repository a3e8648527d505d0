package runner

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mmdb/bench/engine"
	"mmdb/bench/workload"
)

// TestMain is also the child process of the tests.
func TestMain(m *testing.M) {
	if os.Getenv(childMark) != "" {
		if err := Serve(os.Stdin, os.Stdout); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// plan is a small one.
func plan(t *testing.T, engines []string, workloads ...string) (Plan, *bytes.Buffer) {
	progress := new(bytes.Buffer)
	p := Plan{Repeat: 2, Folder: t.TempDir(), Progress: progress,
		Config: workload.Config{N: 1000, ValueSize: 50, Limit: 10 * time.Millisecond, Age: 1, Seed: 3}}
	for _, name := range engines {
		e, ok := engine.Named(name)
		if !ok {
			t.Fatalf("no engine %q", name)
		}
		p.Contenders = append(p.Contenders, Contender{Label: name, Engine: e, Program: os.Args[0]})
	}
	for _, name := range workloads {
		p.Workloads = append(p.Workloads, workload.Select(name)...)
	}
	return p, progress
}

func TestMeasurementsAreInterleaved(t *testing.T) {
	p, progress := plan(t, []string{"mmdb", "bbolt"}, "load-seq", "get", "churn")
	results, err := p.Run()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if len(r.Values) != 2 || r.Median() <= 0 {
			t.Errorf("%s of %s: %v", r.Row(), r.Engine, r.Values)
		}
	}
	var order []string
	for line := range strings.Lines(progress.String()) {
		if strings.HasPrefix(line, "get ") {
			order = append(order, strings.Join(strings.Fields(line)[1:3], " "))
		}
	}
	if got := strings.Join(order, ", "); got != "mmdb 1/2:, bbolt 1/2:, mmdb 2/2:, bbolt 2/2:" {
		t.Errorf("order: %s", got)
	}
	if left, _ := filepath.Glob(filepath.Join(p.Folder, "*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// Each size has a loaded store of its own, which engines with the same files share.
func TestSizesHaveStoresOfTheirOwn(t *testing.T) {
	p, progress := plan(t, []string{"mmdb", "mmdb-writes"}, "put-noflush")
	for _, c := range p.Contenders {
		c.Label, c.Items = c.Label+"@3000", 3000
		p.Contenders = append(p.Contenders, c)
	}
	results, err := p.Run()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if len(r.Values) != 2 {
			t.Errorf("%s of %s: %v", r.Row(), r.Engine, r.Values)
		}
	}
	var loads []string
	for line := range strings.Lines(progress.String()) {
		if f := strings.Fields(line); f[0] == "loaded" {
			loads = append(loads, f[1]+" "+f[4])
		}
	}
	if got := strings.Join(loads, ", "); got != "1000 mmdb, 3000 mmdb@3000" {
		t.Errorf("loaded: %s", got)
	}
}

// The engine "lame" can do nothing.
func init() {
	engine.Register(engine.Engine{Name: "lame", Open: func(string, engine.Options) (engine.Store, error) { return nil, engine.ErrUnavailable }})
}

// What an engine can't do is noted and asked once; the others go on.
func TestUnavailableWorkloadsAreNoted(t *testing.T) {
	p, progress := plan(t, []string{"mmdb", "lame", "bbolt"}, "load-seq")
	results, err := p.Run()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if can := r.Engine != "lame"; can != (len(r.Values) == 2) || can != (r.Note == "") {
			t.Errorf("%+v", r)
		}
	}
	if n := strings.Count(progress.String(), "load-seq lame"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// A child that fails is an error with its last words, and the others go on.
func TestFailuresAreReported(t *testing.T) {
	p, _ := plan(t, []string{"bbolt", "mmdb"}, "load-seq")
	p.Contenders[0].Program = "/bin/false"
	results, err := p.Run()
	if err == nil || !strings.Contains(err.Error(), "load-seq of bbolt") {
		t.Errorf("error: %v", err)
	}
	measured := 0
	for _, r := range results {
		if r.Engine == "mmdb" && len(r.Values) == 2 {
			measured++
		}
	}
	if measured == 0 {
		t.Errorf("mmdb was not measured: %+v", results)
	}
}

func TestServeRefusesUnknownNames(t *testing.T) {
	for _, request := range []string{`{"Engine":"none","Workload":"get"}`, `{"Engine":"mmdb","Workload":"none"}`} {
		var out bytes.Buffer
		if err := Serve(strings.NewReader(request), &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), `"Error":"no `) {
			t.Errorf("%s: %s", request, out.String())
		}
	}
}
