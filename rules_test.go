package mmdb

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The rules of this repository that a program can hold. They are about the text of the source, so
// they see the files of every system and every build tag.

// Limits of length, in lines. That of functions is for production code: a test may tell a long story.
const (
	maxFileLines = 600
	maxFuncLines = 70
)

// A layer says what a package may import: of the module, and of other modules. All may use the
// standard library. An empty root is the package mmdb itself.
type layer struct {
	own     []string
	others  []string
	library bool // programs import it
	tool    bool // it may write to standard output
}

// layers is the import table, from the top down. A folder of Go files that is not in it is an error.
var layers = map[string]layer{
	"cmd/mmdb": {own: []string{"mmdb", "mmdb/page", "mmdb/mmapfile", "mmdb/cmd/mmdb/quiet"}, tool: true, others: []string{
		"github.com/spf13/cobra", "github.com/schollz/progressbar/v3", "golang.org/x/term", "go.etcd.io/bbolt",
		"github.com/charmbracelet/bubbletea", "github.com/charmbracelet/bubbles/textinput", "github.com/charmbracelet/lipgloss",
		"go.etcd.io/bbolt/errors", "golang.org/x/image/font", "golang.org/x/image/font/basicfont", "golang.org/x/image/math/fixed"}},
	"cmd/mmdb/quiet": {},
	"fuzz":           {own: []string{"mmdb", "mmdb/mmapfile"}, others: libraryModules},
	".":              {own: []string{"mmdb/tx", "mmdb/page"}, library: true},
	"tx":             {own: []string{"mmdb/freelist", "mmdb/page", "mmdb/mmapfile"}, others: libraryModules, library: true},
	"freelist":       {own: []string{"mmdb/page"}, others: libraryModules, library: true},
	"page":           {others: libraryModules, library: true},
	"mmapfile":       {others: libraryModules, library: true},
}

// libraryModules are the packages of other modules that a library package may import.
var libraryModules = []string{"golang.org/x/sys/unix", "github.com/cespare/xxhash/v2", "github.com/google/btree"}

// unsafeFiles are the files that may import unsafe.
var unsafeFiles = []string{"mmapfile/memory.go", "mmapfile/memory_test.go", "mmapfile/pin_linux.go", "mmapfile/release_amd64.go"}

// A sourceFile is a Go file of the module.
type sourceFile struct {
	path  string // from the module's folder, with slashes
	dir   string
	text  []byte
	ast   *ast.File
	test  bool
	layer layer
}

// source returns every Go file of the module, parsed once.
var source = sync.OnceValues(func() (files []*sourceFile, err error) {
	err = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return skipFolder(path, entry.Name())
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		f := &sourceFile{path: path, text: text, test: strings.HasSuffix(path, "_test.go")}
		f.dir = filepath.ToSlash(filepath.Dir(filepath.FromSlash(path)))
		f.layer = layers[f.dir]
		f.ast, err = parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
		files = append(files, f)
		return err
	})
	return files, err
})

var fset = token.NewFileSet()

// skipFolder leaves out hidden folders, test data, and modules inside this one.
func skipFolder(path, name string) error {
	if path == "." {
		return nil
	}
	if strings.HasPrefix(name, ".") || name == "testdata" {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// eachFile calls check for every Go file of the module, with a function that reports a broken rule.
func eachFile(t *testing.T, check func(f *sourceFile, report func(n ast.Node, format string, args ...any))) {
	t.Helper()
	files, err := source()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no Go files found")
	}
	for _, f := range files {
		check(f, func(n ast.Node, format string, args ...any) {
			t.Helper()
			line := 1
			if n != nil {
				line = fset.Position(n.Pos()).Line
			}
			t.Errorf("%s:%d: "+format, append([]any{f.path, line}, args...)...)
		})
	}
}

// TestImportsPointDown holds the import table of production code, and keeps the fuzz package out of it. Tests
// may import what they like.
func TestImportsPointDown(t *testing.T) {
	eachFile(t, func(f *sourceFile, report func(ast.Node, string, ...any)) {
		if _, ok := layers[f.dir]; !ok {
			report(nil, "package %s is not in the import table", f.dir)
			return
		}
		if f.test {
			return
		}
		for _, imp := range f.ast.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				report(imp, "%v", err)
				continue
			}
			if why := f.layer.refuses(path); why != "" {
				report(imp, "%s must not import %s: %s", f.dir, path, why)
			}
		}
	})
}

// refuses says why a package of this layer must not import path; "" means that it may.
func (l layer) refuses(path string) string {
	first, _, _ := strings.Cut(path, "/")
	switch {
	case path == "C":
		return "the module does without cgo"
	case l.library && path == "log":
		return "the library logs to Options.Logger only"
	case first == "mmdb" && !slices.Contains(l.own, path):
		return "imports point down only"
	case strings.Contains(first, ".") && !slices.Contains(l.others, path):
		return "it is none of the modules that this package may use"
	}
	return ""
}

// TestUnsafeInFewFiles holds the list of files that may import unsafe. Each use in them says why it is safe.
func TestUnsafeInFewFiles(t *testing.T) {
	var seen []string
	eachFile(t, func(f *sourceFile, report func(ast.Node, string, ...any)) {
		for _, imp := range f.ast.Imports {
			if imp.Path.Value != `"unsafe"` {
				continue
			}
			seen = append(seen, f.path)
			if !slices.Contains(unsafeFiles, f.path) {
				report(imp, "unsafe is for %v only", unsafeFiles)
			}
		}
		if bytes.Contains(f.text, []byte("\n//go:linkname")) {
			report(nil, "go:linkname reaches into other packages")
		}
	})
	for _, path := range unsafeFiles {
		if !slices.Contains(seen, path) {
			t.Errorf("%s does not import unsafe: take it off the list", path)
		}
	}
}

// TestLengths holds the limits of files and functions.
func TestLengths(t *testing.T) {
	eachFile(t, func(f *sourceFile, report func(ast.Node, string, ...any)) {
		if n := bytes.Count(f.text, []byte("\n")); n >= maxFileLines {
			report(nil, "%d lines, a file has less than %d", n, maxFileLines)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || f.test {
				continue
			}
			n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
			if n > maxFuncLines {
				report(fn, "%s has %d lines, a function has at most %d", fn.Name.Name, n, maxFuncLines)
			}
		}
	})
}

// TestEveryExportedNameIsDocumented is about the packages that programs import.
func TestEveryExportedNameIsDocumented(t *testing.T) {
	documented := map[string]bool{} // packages with a package comment
	eachFile(t, func(f *sourceFile, report func(ast.Node, string, ...any)) {
		if f.test {
			return
		}
		if f.ast.Doc != nil {
			documented[f.dir] = true
		}
		if !f.layer.library {
			return
		}
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
					report(d, "%s has no comment", d.Name.Name)
				}
			case *ast.GenDecl:
				undocumented(d, func(name *ast.Ident) { report(name, "%s has no comment", name.Name) })
			}
		}
	})
	for dir := range layers {
		if !documented[dir] {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

// exportedReceiver reports whether fn is a function, or a method of an exported type.
func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	expr := fn.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.Ident:
			return e.IsExported()
		default:
			return false
		}
	}
}

// undocumented calls report for each exported name in d that has no comment. The comment on a group of constants or variables
// is for all of them; a type has its own. The fields of Options, which users set, have theirs too.
func undocumented(d *ast.GenDecl, report func(*ast.Ident)) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && s.Comment == nil && (d.Doc == nil || d.Lparen.IsValid()) {
				report(s.Name)
			}
			if e, ok := s.Type.(*ast.StructType); ok && s.Name.Name == "Options" {
				undocumentedFields(e.Fields.List, report)
			}
		case *ast.ValueSpec:
			if s.Doc != nil || s.Comment != nil || d.Doc != nil {
				continue
			}
			for _, name := range s.Names {
				if name.IsExported() {
					report(name)
				}
			}
		}
	}
}

func undocumentedFields(list []*ast.Field, report func(*ast.Ident)) {
	for _, field := range list {
		if field.Doc != nil || field.Comment != nil {
			continue
		}
		for _, name := range field.Names {
			if name.IsExported() {
				report(name)
			}
		}
	}
}

// TestSkipsSayWhy: a test that does not run says what it lacks.
func TestSkipsSayWhy(t *testing.T) {
	eachFile(t, func(f *sourceFile, report func(ast.Node, string, ...any)) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			fn, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			switch fn.Sel.Name {
			case "SkipNow":
				report(call, "SkipNow gives no reason: use Skip with one")
			case "Skip", "Skipf":
				if !startsWithReason(call.Args) {
					report(call, "%s starts with a reason in words", fn.Sel.Name)
				}
			}
			return true
		})
	})
}

// startsWithReason reports whether the first argument is a string of several words.
func startsWithReason(args []ast.Expr) bool {
	if len(args) == 0 {
		return false
	}
	lit, ok := args[0].(*ast.BasicLit)
	return ok && lit.Kind == token.STRING && len(strings.Fields(lit.Value)) > 2
}

// marker finds notes to oneself, which belong into an issue.
var marker = regexp.MustCompile(`\b(` + strings.Join([]string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"}, "|") + `)\b`)

// TestNoMarkers: what is left to do is not written in the source.
func TestNoMarkers(t *testing.T) {
	eachFile(t, func(f *sourceFile, report func(ast.Node, string, ...any)) {
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				if m := marker.FindString(c.Text); m != "" {
					report(c, "%s in a comment", m)
				}
			}
		}
	})
}

// TestLibraryIsQuiet: a library package writes to no standard stream, ends no process, and panics only for what is impossible (or
// with what it recovered).
func TestLibraryIsQuiet(t *testing.T) {
	eachFile(t, func(f *sourceFile, report func(ast.Node, string, ...any)) {
		if f.test || !f.layer.library {
			return
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && slices.Contains(loud, x.Name+"."+n.Sel.Name) {
					report(n, "a library does not use %s.%s", x.Name, n.Sel.Name)
				}
			case *ast.CallExpr:
				if fn, ok := n.Fun.(*ast.Ident); ok && fn.Name == "panic" && !invariantPanic(n.Args[0]) {
					report(n, "a panic is for a broken invariant, and says so")
				}
			}
			return true
		})
	})
}

// loud are the names of the standard library that a library package does without.
var loud = []string{"fmt.Print", "fmt.Printf", "fmt.Println", "os.Stdout", "os.Stderr", "os.Stdin", "os.Exit", "slog.Default"}

// invariantPanic reports whether arg, the argument of a panic, names an invariant or is a recovered value, which is passed on.
func invariantPanic(arg ast.Expr) bool {
	if _, ok := arg.(*ast.Ident); ok {
		return true
	}
	found := false
	ast.Inspect(arg, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && strings.Contains(lit.Value, "invariant") {
			found = true
		}
		return true
	})
	return found
}
