package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command shows in its help how it is used, with flags that exist.
func TestEveryCommandHasExamples(t *testing.T) {
	root := newRoot(&app{out: newOutput(io.Discard), format: formatText})
	for _, cmd := range root.Commands() {
		if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		if cmd.Example == "" {
			t.Errorf("%s has no examples", cmd.Name())
		}
		for line := range strings.Lines(cmd.Example) {
			if !strings.Contains(line, "mmdb "+cmd.Name()) {
				t.Errorf("%s: an example of something else: %s", cmd.Name(), line)
			}
			_, call, _ := strings.Cut(line, "mmdb "+cmd.Name())
			call, _, _ = strings.Cut(call, " | ") // what other programs are given
			exampleFlagsExist(t, cmd, call)
		}
	}
}

// exampleFlagsExist looks up the flags in an example.
func exampleFlagsExist(t *testing.T, cmd *cobra.Command, call string) {
	t.Helper()
	for _, word := range strings.Fields(call) {
		name, ok := strings.CutPrefix(word, "--")
		if name, _, _ = strings.Cut(name, "="); ok && cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
			t.Errorf("%s has no flag --%s", cmd.Name(), name)
		}
	}
}
