package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"mmdb/bench/workload"
)

// flags are those of a run that can be planned.
func flags() runFlags {
	return runFlags{workloads: []string{"main"}, display: display{base: "mmdb"}, repeat: 1,
		config: workload.Config{N: 1000, ValueSize: 100, Limit: time.Second}}
}

func TestPlanChoosesWorkloads(t *testing.T) {
	f := flags()
	f.workloads, f.skip, f.engines = []string{"read", "get", "redb"}, []string{"scan"}, []string{"all"}
	p, err := f.plan()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, w := range p.Workloads {
		names = append(names, w.Name)
	}
	if !slices.Contains(names, "redb") || slices.Contains(names, "scan") || names[0] != "get" || slices.Contains(names[1:], "get") {
		t.Errorf("workloads %v", names)
	}
	if len(p.Contenders) < 5 {
		t.Errorf("%d engines", len(p.Contenders))
	}
}

func TestPlanComparesTwoBuilds(t *testing.T) {
	f := flags()
	f.engines, f.against = []string{"mmdb"}, []string{"before=/old/bench"}
	p, err := f.plan()
	if err != nil {
		t.Fatal(err)
	}
	if c := p.Contenders[1]; c.Label != "before" || c.Program != "/old/bench" || c.Engine.Name != "mmdb" {
		t.Errorf("contender %+v", c)
	}
}

func TestPlanMeasuresSeveralSizes(t *testing.T) {
	f := flags()
	f.engines, f.growth = []string{"mmdb", "bbolt"}, []int{2000, 3000}
	p, err := f.plan()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range p.Contenders {
		got = append(got, fmt.Sprint(c.Label, " ", c.Engine.Name, " ", c.Items))
	}
	want := []string{"mmdb mmdb 0", "bbolt bbolt 0", "mmdb@2000 mmdb 2000", "bbolt@2000 bbolt 2000", "mmdb@3000 mmdb 3000", "bbolt@3000 bbolt 3000"}
	if !slices.Equal(got, want) {
		t.Errorf("contenders %q, want %q", got, want)
	}
}

func TestPlanRefusals(t *testing.T) {
	for name, spoil := range map[string]func(*runFlags){
		"engine":   func(f *runFlags) { f.engines = []string{"none"} },
		"workload": func(f *runFlags) { f.workloads = []string{"none"} },
		"skip":     func(f *runFlags) { f.skip = []string{"none"} },
		"base":     func(f *runFlags) { f.base = "none" },
		"against":  func(f *runFlags) { f.against = []string{"none"} },
		"items":    func(f *runFlags) { f.config.N = 1 },
		"growth":   func(f *runFlags) { f.growth = []int{1000, 1} },
	} {
		t.Run(name, func(t *testing.T) {
			f := flags()
			spoil(&f)
			if _, err := f.plan(); err == nil {
				t.Error("it was planned")
			}
		})
	}
}
