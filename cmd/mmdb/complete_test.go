package main

import (
	"strings"
	"testing"
)

// The shell's completion offers the bucket paths of the file.
func TestCompletion(t *testing.T) {
	t.Chdir(t.TempDir())
	fill(t, "a.mmdb")
	got := mustRun(t, "", "__completeNoDesc", "get", "a.mmdb", "a")
	if want := "a\n" + `a/n\/m` + "\na/n2\na/n2/n3\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := mustRun(t, "", "__completeNoDesc", "get", "a.mmdb", "a", "k"); !strings.HasPrefix(got, "k\\x00\\xff\nk1\n:") {
		t.Errorf("keys: %q", got)
	}
	if got := mustRun(t, "", "__completeNoDesc", "get", "--format", ""); !strings.HasPrefix(got, "text\nhex\nbase64\nraw\n") {
		t.Errorf("formats: %q", got)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := mustRun(t, "", "completion", shell); !strings.Contains(got, "mmdb") {
			t.Errorf("no completion for %s", shell)
		}
	}
}
