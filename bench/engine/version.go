package engine

import (
	"runtime/debug"
	"sync"
)

// buildDeps returns the modules that this program was built from.
var buildDeps = sync.OnceValue(func() []*debug.Module {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	return info.Deps
})
