package report

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// sample is a report with three engines, one of which can't do all.
func sample() *Report {
	var s Set
	for i := range 3 {
		s.Add("get", "", "ns", "a", float64(100+i), 70)
		s.Add("get", "", "ns", "b", float64(400-i), 300)
		s.Add("load", "file", "bytes", "a", 3<<20, 0)
		s.Add("load", "file", "bytes", "b", 6<<20, 0)
		s.Add("get", "", "ns", "c", 50, 0)
	}
	s.Fail("load", "c", "load of c: not available")
	return &Report{
		Machine:  ThisMachine(os.TempDir()),
		Settings: Settings{Items: 1000, ValueBytes: 100, Repeat: 3, Loaded: "random", Seed: 1},
		Engines:  []Engine{{"a", "settings of a"}, {"b", "settings of b"}, {"c", "settings of c"}},
		Results:  s.Results(),
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	if err := sample().Table(&out, "a"); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	for i, want := range map[int][]string{
		0: {"a", "b", "a ÷ b", "a ÷ c"},
		2: {"get", "101 ns (100 ns … 102 ns)", "399 ns", "0.25", "2.02"},
		3: {"load: file", "3.00 MiB", "6.00 MiB", "0.50"},
		4: {"load", "n/a"},
	} {
		for _, text := range want {
			if !strings.Contains(lines[i], text) {
				t.Errorf("line %d lacks %q: %s", i, text, lines[i])
			}
		}
	}
}

func TestTableOfProcessorTime(t *testing.T) {
	var out bytes.Buffer
	if err := sample().ByCPU().Table(&out, "a"); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if !strings.Contains(text, "70.0 ns") || !strings.Contains(text, "0.23") || strings.Contains(text, "load") {
		t.Errorf("table:\n%s", text)
	}
}

func TestNotesSayWhatAndWhere(t *testing.T) {
	var out bytes.Buffer
	if err := sample().Notes(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cores", "settings of b", "not available", "1000 items", "random order"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("notes lack %q:\n%s", want, out.String())
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	r := sample()
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, r) {
		t.Errorf("read %+v\nwrote %+v", got, r)
	}
}

func TestPlotFormats(t *testing.T) {
	for ending, magic := range map[string]string{".svg": "<?xml", ".png": "\x89PNG"} {
		path := filepath.Join(t.TempDir(), "p"+ending)
		if err := sample().Plot(path, "b"); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(text, []byte(magic)) {
			t.Errorf("%s starts with %q", ending, text[:min(8, len(text))])
		}
	}
	if err := sample().Plot("unused.svg", "nobody"); err == nil {
		t.Error("a plot against an engine without figures")
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		value float64
		unit  string
		want  string
	}{
		{0, "ns", "0.00 ns"}, {1.234, "ns", "1.23 ns"}, {12.34, "ns", "12.3 ns"}, {123.4, "ns", "123 ns"}, {1234, "ns", "1.23 µs"},
		{5e6, "ns", "5.00 ms"}, {90e9, "ns", "90.0 s"}, {1000, "bytes", "1000 B"}, {1536, "bytes", "1.50 KiB"}, {3 << 30, "bytes", "3.00 GiB"},
	} {
		if got := Format(c.value, c.unit); got != c.want {
			t.Errorf("%g %s: %q, expected %q", c.value, c.unit, got, c.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{0: nil, 5: {5}, 2: {3, 1, 2}, 1: {2, 1}} {
		if got := (Result{Values: values}).Median(); got != want {
			t.Errorf("%v: %g", values, got)
		}
	}
}
