package mmdb_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fence returns what stands between the first line of README.md that is begin and the next end of a code block, and the
// code block after that.
func fence(t *testing.T, begin string) (code, next string) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n"+begin+"\n")
	if !ok {
		t.Fatalf("README.md has no line %q", begin)
	}
	code, rest, _ = strings.Cut(rest, "\n```\n")
	_, rest, _ = strings.Cut(rest, "\n```\n")
	next, _, _ = strings.Cut(rest, "```\n")
	return code + "\n", next
}

// build compiles a package or file of this module and returns the folder of the program.
func build(t *testing.T, name, what string) string {
	t.Helper()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is not there to build with:", err)
	}
	dir := t.TempDir()
	out, err := exec.Command(tool, "build", "-o", filepath.Join(dir, name), what).CombinedOutput()
	if err != nil {
		t.Fatalf("go build %s: %v\n%s", what, err, out)
	}
	return dir
}

func TestReadmeProgramPrintsWhatItSays(t *testing.T) {
	code, want := fence(t, "```go")
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(build(t, "hello", file), "hello"))
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != want {
		t.Errorf("the program prints (%v)\n%s\nREADME.md says\n%s", err, out, want)
	}
}

// seconds differ from run to run.
var seconds = regexp.MustCompile(`\d+\.\d\d s\b`)

func TestReadmeCommandsPrintWhatItSays(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell to run the commands:", err)
	}
	want, _ := fence(t, "$ mmdb put pets.mmdb pets cat Minka")
	want = "$ mmdb put pets.mmdb pets cat Minka\n" + want
	t.Setenv("PATH", build(t, "mmdb", "./cmd/mmdb")+string(os.PathListSeparator)+os.Getenv("PATH"))
	dir := t.TempDir()
	var got strings.Builder
	for line := range strings.Lines(want) {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		got.WriteString(line)
		cmd := exec.Command(shell, "-c", command)
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput() // the first one fails, as the text says
		got.Write(out)
	}
	if g, w := seconds.ReplaceAllString(got.String(), "s"), seconds.ReplaceAllString(want, "s"); g != w {
		t.Errorf("the commands print\n%s\nREADME.md says\n%s", g, w)
	}
}
