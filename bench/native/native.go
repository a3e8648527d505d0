// Package native measures LMDB without Go: a C program with the read loops of package workload, compiled when it is first needed. It is the limit
// that a Go engine is compared with.
package native

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

//go:embed src/lmdb.c
var source []byte

// Result is what the program measured.
type Result struct {
	Nanoseconds float64 // of all operations
	CPU         float64 // processor time of them, in nanoseconds
	Items       int     // read
	Sum         uint64  // of a byte of each
}

// Run measures a workload on the LMDB files in dir: n items, ops operations. The program is compiled into scratch if it is
// not there yet.
func Run(scratch, dir, workload string, n, ops int, seed uint64) (r Result, err error) {
	program := filepath.Join(scratch, "lmdb-native")
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		if err := compile(scratch, program); err != nil {
			return r, err
		}
	}
	out, err := exec.Command(program, dir, workload, strconv.Itoa(n), strconv.Itoa(ops), strconv.FormatUint(seed, 10)).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return r, fmt.Errorf("the C program: %w: %s", err, exit.Stderr)
	}
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}

// compile makes the program with gcc.
func compile(scratch, program string) error {
	file := filepath.Join(scratch, "lmdb.c")
	if err := os.WriteFile(file, source, 0o600); err != nil {
		return err
	}
	out, err := exec.Command("gcc", "-O2", "-Wall", "-Wextra", "-o", program, file, "-llmdb").CombinedOutput()
	if err != nil {
		return fmt.Errorf("compile the C program: %w: %s", err, out)
	}
	return nil
}
