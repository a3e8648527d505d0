package report

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// Machine is what the figures were measured on. What could not be found out is empty.
type Machine struct {
	CPU        string
	Cores      int
	Memory     int64 // bytes
	Kernel     string
	FileSystem string // of the folder with the stores
	GoVersion  string
	Revision   string // of the source
	Time       string
	LoadBefore string // load averages
	LoadAfter  string
}

// ThisMachine describes the machine, and the file system of folder.
func ThisMachine(folder string) Machine {
	return Machine{
		CPU:        field("/proc/cpuinfo", "model name", runtime.GOARCH),
		Cores:      runtime.NumCPU(),
		Memory:     memory(),
		Kernel:     kernel(),
		FileSystem: fileSystem(folder),
		GoVersion:  runtime.Version(),
		Revision:   revision(),
		Time:       time.Now().UTC().Format(time.DateOnly),
		LoadBefore: LoadAverage(),
	}
}

// LoadAverage returns the system's load averages of 1, 5 and 15 minutes.
func LoadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	words := strings.Fields(string(text))
	return strings.Join(words[:min(3, len(words))], " ")
}

// field returns what follows a name and a colon in a file of the kernel.
func field(path, name, otherwise string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		k, v, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return otherwise
}

// memory returns the bytes of main memory.
func memory() int64 {
	words := strings.Fields(field("/proc/meminfo", "MemTotal", ""))
	if len(words) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(words[0], 10, 64)
	return kib << 10
}

// kernel returns the name and version of the system.
func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return runtime.GOOS + " " + strings.TrimSpace(string(text))
}

// fileSystem returns the type and the options of the mount that holds folder.
func fileSystem(folder string) string {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return ""
	}
	text, _ := os.ReadFile("/proc/mounts")
	best, found := "", ""
	for line := range strings.Lines(string(text)) {
		w := strings.Fields(line)
		if len(w) < 4 {
			continue
		}
		inside := w[1] == "/" || folder == w[1] || strings.HasPrefix(folder, w[1]+"/")
		if inside && len(w[1]) >= len(best) {
			best, found = w[1], w[2]+" ("+w[3]+")"
		}
	}
	return found
}

// revision returns the commit that this program was built from, as the Go command noted it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	text, changed := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			text = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				changed = " with changes"
			}
		}
	}
	if text == "" {
		out, _ := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
		return "not stamped, working folder at " + strings.TrimSpace(string(out))
	}
	return text + changed
}
