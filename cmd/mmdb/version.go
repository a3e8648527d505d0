package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"mmdb/page"
)

// versionInfo is what "mmdb version" prints.
type versionInfo struct {
	Version  string `json:"version"`            // of the module, "(devel)" for a build from the source tree
	Revision string `json:"revision,omitempty"` // of the source, when the build knows it
	Format   int    `json:"format"`             // newest file format that this build reads and the one it writes
	Go       string `json:"go"`
	System   string `json:"system"`
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of the tool and of the file format",
		Example: `  mmdb version --json`,
		Args:    exactly(0),
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			if a.json {
				return a.printJSON(v)
			}
			a.printf("mmdb %s, file format %d, %s %s\n", v.Version, v.Format, v.Go, v.System)
			if v.Revision != "" {
				a.printf("source %s\n", v.Revision)
			}
			return nil
		},
	}
}

func buildVersion() versionInfo {
	v := versionInfo{Version: "(devel)", Format: page.Version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}
