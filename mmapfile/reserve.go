package mmapfile

import (
	"fmt"
	"math"
	"math/bits"
	"sync/atomic"
	"syscall"
)

// Most systems give a process 128 TiB of addresses. A heap that meets nothing but mappings stops the program, so these share half of
// them: each takes a part of what is left by those before it.
const (
	reserveAll   = 64 << 40
	reserveShare = 64       // so the first takes 1 TiB
	reserveLeast = 16 << 30 // thousands can have that much
	reserve32    = 512 << 20
)

// reservedNow is the address space that mappings have.
var reservedNow atomic.Int64

// defaultReserve returns how many bytes of address space a mapping reserves that is not told.
func defaultReserve() int64 {
	if bits.UintSize == 32 {
		return reserve32
	}
	return max((reserveAll-reservedNow.Load())/reserveShare, reserveLeast)
}

// reserve takes want bytes of address space, or less where there is not that much, but at least need.
func reserve(want, need int64) ([]byte, error) {
	if need > math.MaxInt-chunk {
		return nil, fmt.Errorf("%d bytes: %w", need, syscall.ENOMEM)
	}
	need = roundUp(need, chunk)
	n := max(roundUp(min(want, math.MaxInt-chunk), chunk), need)
	halved := false
	for {
		b, err := memReserve(int(n))
		if err == nil && halved && n > need {
			// There is a limit, and we are close to it: leave half for the rest of the process.
			_ = memUnmap(b)
			halved, n = false, max(roundUp(n/2, chunk), need)
			continue
		}
		if err == nil {
			return b, nil
		}
		if n == need {
			return nil, fmt.Errorf("%d bytes: %w", need, err)
		}
		halved, n = true, max(roundUp(n/2, chunk), need)
	}
}
