// Command report reads the output of go test -json and prints it for people: a line for each package, all that failed tests
// wrote, the reasons of skipped ones, and the slowest tests. It appends the numbers of passed and failed tests to a file.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64 // seconds
}

// name tells which test wrote an output.
type name struct{ pkg, test string }

type report struct {
	output         map[name][]string
	slow           []event
	passed, failed int
}

const slowest = 8

func main() {
	r := report{output: map[name][]string{}}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text()) // not of the test runner
			continue
		}
		r.take(e)
	}
	slices.SortFunc(r.slow, func(a, b event) int { return int(1000 * (b.Elapsed - a.Elapsed)) })
	for _, e := range r.slow[:min(slowest, len(r.slow))] {
		fmt.Printf("   slow  %6.2f s  %s %s\n", e.Elapsed, e.Package, e.Test)
	}
	fmt.Printf("   %d passed, %d failed\n", r.passed, r.failed)
	f, err := os.OpenFile(os.Args[1], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(f, r.passed, r.failed)
	}
	if err != nil || in.Err() != nil {
		fmt.Fprintln(os.Stderr, "report:", err, in.Err())
		os.Exit(1)
	}
}

func (r *report) take(e event) {
	at := name{e.Package, e.Test}
	switch e.Action {
	case "output":
		r.output[at] = append(r.output[at], e.Output)
	case "build-output":
		fmt.Print(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			fmt.Printf("   %-4s  %6.2f s  %s\n", e.Action, e.Elapsed, e.Package)
		} else if e.Action == "skip" {
			fmt.Printf("   skip  %s %s: %s\n", e.Package, e.Test, reason(r.output[at]))
		}
		if e.Action == "fail" {
			fmt.Print(strings.Join(r.output[at], ""))
		}
		if e.Action == "fail" && e.Test == "" {
			r.unfinished(e.Package)
		}
		r.count(e)
		delete(r.output, at)
	}
}

// unfinished prints what the tests wrote that had not ended when their package failed: a panic, or the stacks of a test that
// took too long.
func (r *report) unfinished(pkg string) {
	for at, lines := range r.output {
		if at.pkg == pkg && at.test != "" {
			fmt.Printf("   not ended: %s\n%s", at.test, strings.Join(lines[:min(len(lines), unfinishedLines)], ""))
		}
	}
}

// unfinishedLines is how many lines are enough to see where a test hangs.
const unfinishedLines = 300

// count counts a test that is no part of another.
func (r *report) count(e event) {
	if e.Test == "" || strings.Contains(e.Test, "/") {
		return
	}
	r.slow = append(r.slow, e)
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
	}
}

// reason returns what a skipped test wrote, without the runner's lines.
func reason(lines []string) string {
	var out []string
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "=== ") && !strings.HasPrefix(l, "--- ") {
			out = append(out, l)
		}
	}
	return strings.Join(out, " ")
}
