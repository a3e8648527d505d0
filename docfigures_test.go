package mmdb_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mmdb"
)

// documentedLimits are constants of the code, and the sentences that name their values.
var documentedLimits = []struct {
	file, name string
	value      int64
	said       map[string]string
}{
	{"tx/lockfile.go", "procMax", 256, map[string]string{"README.md": "Up to 256 processes may have it open", "doc.go": "Up to 256 processes of one machine"}},
	{"tx/commit.go", "oneFlushMax", 16 << 20, map[string]string{"README.md": "Commits of more than 16 MiB", "doc.go": "Commits that write more than 16 MiB"}},
	{"tx/options.go", "defaultMaxDirty", 64 << 20, map[string]string{"README.md": "`Options.MaxDirty` (64 MiB)"}},
	{"tx/options.go", "defaultSyncInterval", 200e6, map[string]string{"README.md": "`Options.SyncInterval` (200 ms)"}},
	{"tx/durability.go", "windowMax", 64 << 20, map[string]string{"README.md": "(at most 64 MiB, less in small files)"}},
	{"tx/held.go", "heldMin", 16 << 20, map[string]string{"README.md": "a quarter of the file and more than 16 MiB"}},
	{"tx/held.go", "heldShare", 4, map[string]string{"README.md": "a quarter of the file and more than 16 MiB"}},
	{"page/format.go", "MaxKeySize", 32768, map[string]string{"README.md": "as it is usually built | 32 KiB |", "doc.go": "Keys have 1 to 32768 bytes"}},
	{"page/format.go", "MaxValueSize", 1<<31 - 2, map[string]string{"doc.go": "values have 0 to 2^31-2 bytes"}},
}

// What the documentation says of limits is what the code has.
func TestDocumentedLimitsAreThoseOfTheCode(t *testing.T) {
	for _, l := range documentedLimits {
		if got := constantOf(t, l.file, l.name); got != l.value {
			t.Errorf("%s in %s is %d, and the documentation says %d", l.name, l.file, got, l.value)
		}
		for file, words := range l.said {
			if text := prose(t, file); !strings.Contains(text, words) {
				t.Errorf("%s does not say %q", file, words)
			}
		}
	}
}

// prose returns a text without its line breaks and marks of comments.
func prose(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	return strings.Join(strings.Fields(strings.ReplaceAll(string(text), "\n//", "\n")), " ")
}

// constantOf returns the value of an integer constant in a file.
func constantOf(t *testing.T, file, name string) int64 {
	t.Helper()
	source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	must(t, err)
	for _, decl := range source.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			v := spec.(*ast.ValueSpec)
			if i := slices.IndexFunc(v.Names, func(n *ast.Ident) bool { return n.Name == name }); i >= 0 {
				text := strings.ReplaceAll(types.ExprString(v.Values[i]), "time.Millisecond", "1000000")
				value, err := types.Eval(token.NewFileSet(), nil, token.NoPos, text)
				must(t, err)
				n, _ := constant.Int64Val(value.Value)
				return n
			}
		}
	}
	t.Fatalf("%s has no constant %s", file, name)
	return 0
}

// The sizes that README.md names are those of a new database and its lock file.
func TestDocumentedSizesAreThoseOfANewDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.mmdb")
	db, err := mmdb.Open(path, 0o600, nil)
	must(t, err)
	defer db.Close()
	says := func(name, words string) {
		t.Helper()
		info, err := os.Stat(name)
		must(t, err)
		if words = fmt.Sprintf(words, info.Size()>>10); !strings.Contains(prose(t, "README.md"), words) {
			t.Errorf("README.md does not say %q", words)
		}
	}
	says(path, "An empty database takes %d KiB.")
	must(t, db.Update(func(tx *mmdb.Tx) error { // who writes lets others in before
		_, err := tx.CreateBucket([]byte("b"))
		return err
	}))
	says(path+"-lock", "a file `NAME-lock` of %d KiB,")
	second, err := mmdb.Open(path, 0o600, nil)
	must(t, err)
	defer second.Close()
	says(path+"-lock", "of %d KiB when two processes have it open")
}

// measured is a report of the benchmark: medians by workload and metric, and by engine.
type measured map[string]map[string]float64

// readMeasured reads the report whose plot README.md shows.
func readMeasured(t *testing.T) measured {
	t.Helper()
	found := regexp.MustCompile(`\]\((bench/results/[^)]+)\.svg\)`).FindStringSubmatch(prose(t, "README.md"))
	if found == nil {
		t.Fatal("README.md shows no plot of bench/results")
	}
	text, err := os.ReadFile(found[1] + ".json")
	must(t, err)
	var report struct {
		Results []struct {
			Workload, Metric, Engine string
			Values                   []float64
		}
	}
	must(t, json.Unmarshal(text, &report))
	m := measured{}
	for _, r := range report.Results {
		row := strings.TrimSpace(r.Workload + " " + r.Metric)
		if m[row] == nil {
			m[row] = map[string]float64{}
		}
		slices.Sort(r.Values)
		if n := len(r.Values); n > 0 {
			m[row][r.Engine] = (r.Values[(n-1)/2] + r.Values[n/2]) / 2
		}
	}
	return m
}

// rowsInWords are rows of the table in README.md whose names are not those of the workloads.
var rowsInWords = map[string]string{
	"the same with 1000 others open": "begin-1000", "1 MiB values, written": "large-1m", "1 MiB values, read": "large-1m read",
	"file after `load-seq`, closed": "load-seq file", "file after `load-rand`, closed": "load-rand file", "file after `churn-reader`": "churn-reader file",
}

// The figures in README.md and in bench/README.md are those of the report in bench/results.
func TestDocumentedFiguresWereMeasured(t *testing.T) {
	m := readMeasured(t)
	ratio := func(a, b string) func(map[string]float64) float64 {
		return func(r map[string]float64) float64 { return r[a] / r[b] }
	}
	of := func(a string) func(map[string]float64) float64 {
		return func(r map[string]float64) float64 { return r[a] }
	}
	main := compareTable(t, m, "README.md", "| | mmdb | ÷ bbolt |", of("mmdb"), ratio("mmdb", "bbolt"), ratio("mmdb", "lmdb"), ratio("mmdb", "lmdb-native"), ratio("mmdb", "pebble"))
	floor := compareTable(t, m, "bench/README.md", "| | mmdb | its writes alone |", of("mmdb"), of("mmdb-writes"), of("lmdb"), of("pebble"), ratio("mmdb-writes", "lmdb"), ratio("mmdb-writes", "pebble"))
	if main < 20 || floor < 5 {
		t.Errorf("%d and %d rows of figures", main, floor)
	}
}

// compareTable compares the table of a file that begins with the line head, a column for each of the functions, and returns how many
// rows it has.
func compareTable(t *testing.T, m measured, file, head string, columns ...func(map[string]float64) float64) (rows int) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	_, table, _ := strings.Cut(string(text), "\n"+head)
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		switch {
		case strings.TrimSpace(line) == "":
			return rows
		case len(cells) != len(columns)+3 || strings.HasPrefix(line, "|---"):
			continue
		}
		name := strings.TrimSpace(cells[1])
		row, ok := rowsInWords[name]
		if !ok {
			row = strings.Split(name+"``", "`")[1]
		}
		if m[row] == nil {
			t.Errorf("%s: the report has no %q", file, name)
			continue
		}
		rows++
		for i, column := range columns {
			if cell := strings.Trim(cells[i+2], " *"); cell != "" && !figureIs(cell, column(m[row])) {
				t.Errorf("%s, %s: column %d says %s, the report %.4g", file, row, i+1, cell, column(m[row]))
			}
		}
	}
	return rows
}

// figureIs reports whether a figure, which may have a unit, is value rounded to its digits.
func figureIs(figure string, value float64) bool {
	number, unit, _ := strings.Cut(figure, " ")
	said, err := strconv.ParseFloat(number, 64)
	scale, ok := map[string]float64{"": 1, "ns": 1, "µs": 1e3, "ms": 1e6, "MiB": 1 << 20}[unit]
	_, decimals, _ := strings.Cut(number, ".")
	half := 0.5 * math.Pow10(-len(decimals))
	return err == nil && ok && math.Abs(said-value/scale) <= half*1.0001
}
